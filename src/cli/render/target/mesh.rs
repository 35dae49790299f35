//! What the targets have in common where a control plane makes Envoy's configuration, and Dualpath's is patched in.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Map, Value, json};

use super::dynamic::with_prober_on_the_listener;
use super::{Job, Target};
use crate::cli::render::parts::Parts;
use crate::cli::render::to_yaml;
use crate::cli::render::tracing::LEFT_OUT;
use crate::cli::shown;
use crate::registry::{Admin, Registry, Source};

/// Where it goes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Targets istio and envoy-gateway")]
pub struct Options {
    /// Namespace of what is written [default: kubectl's; envoy-gateway: default]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) namespace: Option<String>,
    /// Name of what is written
    #[arg(long, value_name = "NAME", value_parser = name, default_value = "dualpath")]
    pub(super) name: String,
    /// istio: the proxies that it is for
    #[arg(long, value_enum, default_value = "sidecar")]
    pub(super) workload: Workload,
    /// istio: label of the pods, as KEY=VALUE; may be given several times [default: dualpath=enabled]
    #[arg(long, value_name = "LABEL", value_parser = label)]
    pub(super) selector: Vec<(String, String)>,
    /// Gateways: the host whose endpoint it is; hosts of their own beside it are left as they are
    #[arg(long, value_name = "HOST", value_parser = host, default_value = "*")]
    pub(super) host: String,
    /// istio, gateways: the port in the Gateway [default: listener.port of the registry]
    #[arg(long, value_name = "PORT")]
    pub(super) port: Option<u16>,
    /// envoy-gateway: the Gateway, in the same namespace
    #[arg(long, value_name = "NAME", value_parser = name, default_value = "eg")]
    pub(super) gateway: String,
    /// envoy-gateway: the Gateway's listener
    #[arg(long, value_name = "NAME", value_parser = name, default_value = "http")]
    pub(super) section: String,
    /// envoy-gateway: what Envoy calls that listener [default: NAMESPACE/GATEWAY/SECTION]
    #[arg(long, value_name = "NAME", value_parser = in_envoy)]
    pub(super) xds_listener: Option<String>,
    /// envoy-gateway: what Envoy calls its routes [default: as the listener]
    #[arg(long, value_name = "NAME", value_parser = in_envoy)]
    pub(super) xds_routes: Option<String>,
    /// Where Envoy's admin interface is [default: 127.0.0.1:15000; envoy-gateway: 127.0.0.1:19000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) proxy_admin: Option<SocketAddr>,
}

/// The proxies of Istio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Workload {
    /// Beside agents, with a listener of their own
    Sidecar,
    /// Gateways, in a listener that is there
    Gateway,
}

impl Default for Options {
    /// As without any option.
    fn default() -> Self {
        Options {
            namespace: None,
            name: "dualpath".to_owned(),
            workload: Workload::Sidecar,
            selector: Vec::new(),
            host: "*".to_owned(),
            port: None,
            gateway: "eg".to_owned(),
            section: "http".to_owned(),
            xds_listener: None,
            xds_routes: None,
            proxy_admin: None,
        }
    }
}

impl Options {
    /// `metadata` of a resource of this name.
    pub(super) fn metadata(&self, name: &str) -> Value {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), json!(name));
        if let Some(namespace) = &self.namespace {
            metadata.insert("namespace".to_owned(), json!(namespace));
        }
        Value::Object(metadata)
    }

    /// ` --namespace NAME` for kubectl, where it is known.
    pub(super) fn in_namespace(&self) -> String {
        self.namespace.as_ref().map(|namespace| format!(" --namespace {namespace}")).unwrap_or_default()
    }

    /// Why these options are none for the target: what would have no effect is not taken silently.
    pub(in crate::cli::render) fn refuse(&self, target: Target) -> Option<String> {
        let usual = Options::default();
        let of_gateway = self.workload == Workload::Gateway;
        let istio = target == Target::Istio;
        let envoy_gateway = target == Target::EnvoyGateway;
        let (meshes, eg) = ("--target istio or envoy-gateway", "--target envoy-gateway");
        let gateways = "--target envoy-gateway, or istio with --workload gateway";
        let options = [
            ("namespace", self.namespace.is_some(), istio || envoy_gateway, meshes),
            ("name", self.name != usual.name, istio || envoy_gateway, meshes),
            ("proxy-admin", self.proxy_admin.is_some(), istio || envoy_gateway, meshes),
            ("workload", of_gateway, istio, "--target istio"),
            ("selector", !self.selector.is_empty(), istio, "--target istio"),
            ("host", self.host != usual.host, envoy_gateway || (istio && of_gateway), gateways),
            ("port", self.port.is_some(), istio && of_gateway, "--target istio with --workload gateway"),
            ("gateway", self.gateway != usual.gateway, envoy_gateway, eg),
            ("section", self.section != usual.section, envoy_gateway, eg),
            ("xds-listener", self.xds_listener.is_some(), envoy_gateway, eg),
            ("xds-routes", self.xds_routes.is_some(), envoy_gateway, eg),
        ];
        let idle = options.iter().find(|(_, is_given, has_effect, _)| *is_given && !has_effect);
        if let Some((name, .., whose)) = idle {
            return Some(format!("--{name}: has no effect here: it belongs to {whose}"));
        }
        let mut keys = self.selector.iter().enumerate();
        let (_, (key, _)) =
            keys.find(|(at, (key, _))| self.selector.iter().take(*at).any(|(other, _)| other == key))?;
        Some(format!("--selector: {key} is given twice: a label of a pod has one value"))
    }

    /// The arguments of the command line that say this, each with a blank before it.
    pub(in crate::cli::render) fn source(&self) -> String {
        let usual = Options::default();
        let mut source = String::new();
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                source.push_str(&format!(" --{name} {value}"));
            }
        };
        let changed = |value: &String, usual: &String| (value != usual).then(|| value.clone());
        put("namespace", self.namespace.clone());
        put("name", changed(&self.name, &usual.name));
        put("workload", (self.workload == Workload::Gateway).then(|| "gateway".to_owned()));
        self.selector.iter().for_each(|(key, value)| put("selector", Some(format!("{key}={value}"))));
        put("host", changed(&self.host, &usual.host));
        put("port", self.port.map(|port| port.to_string()));
        put("gateway", changed(&self.gateway, &usual.gateway));
        put("section", changed(&self.section, &usual.section));
        put("xds-listener", self.xds_listener.clone());
        put("xds-routes", self.xds_routes.clone());
        put("proxy-admin", self.proxy_admin.map(|admin| admin.to_string()));
        source
    }
}

/// The parts for an Envoy whose bootstrap is the control plane's. The prober that belongs there is elected among the workers
/// instead: a change of it would take effect only with a new Envoy, and Istio has no way to put one in.
pub(super) fn parts(job: &Job, admin_port: u16) -> Parts {
    let admin = job.options.proxy_admin.unwrap_or((Ipv4Addr::LOCALHOST, admin_port).into());
    let mut registry = with_prober_on_the_listener(job.registry).into_owned();
    registry.envoy.admin = Admin::Port(admin.ip().to_string(), admin.port());
    Parts::of(&registry, job.wire)
}

/// The environment variables that hold secrets, each once.
pub(super) fn variables(registry: &Registry) -> Vec<&str> {
    let mut found = Vec::new();
    let sources = registry.credentials.iter().flat_map(|credential| credential.slots.iter().flatten());
    for slot in sources {
        if let Source::Environment(name) = &slot.source
            && !found.contains(&name.as_str())
        {
            found.push(name.as_str());
        }
    }
    found
}

/// What to do about a module whose place depends on where a proxy is started, which its image decides.
pub(super) fn relative_module(registry: &Registry) -> Option<String> {
    let is_relative = !registry.envoy.wasm_file.starts_with('/');
    is_relative.then(|| "envoy.wasm_file is no absolute path: set it, such as /opt/dualpath/dualpath.wasm".to_owned())
}

/// [`files`], in a line.
pub(super) fn shown_files(registry: &Registry) -> String {
    shown::line(&files(registry).join(", ")).into_owned()
}

/// Lines as a heading takes them.
pub(super) fn lines(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

/// The files that Envoy reads, each once, the module first. Without one of them it refuses what names it.
fn files(registry: &Registry) -> Vec<&str> {
    let secrets = registry.credentials.iter().flat_map(|credential| credential.slots.iter().flatten());
    let secrets = secrets.filter_map(|slot| match &slot.source {
        Source::SdsFile(file) => Some(file.as_str()),
        _ => None,
    });
    let of_servers = registry.servers.iter().flat_map(|server| {
        [server.ca_file.as_deref(), server.upstream.tls.client_certificate.as_deref()].into_iter().flatten()
    });
    let of_page =
        registry.status_page.iter().flat_map(|page| [&page.token_file, &page.certificate, &page.client_ca_file]);
    let of_page = of_page.flatten().map(String::as_str);
    let mut found = Vec::new();
    for file in std::iter::once(registry.envoy.wasm_file.as_str()).chain(secrets).chain(of_servers).chain(of_page) {
        if !found.contains(&file) {
            found.push(file);
        }
    }
    found
}

/// Several resources as one file.
///
/// # Errors
/// When the YAML writer refuses one of them.
pub(super) fn file(heading: &str, resources: &[Value]) -> Result<String, String> {
    let mut text = heading.to_owned();
    for (number, resource) in resources.iter().enumerate() {
        if number > 0 {
            text.push_str("---\n");
        }
        text.push_str(&to_yaml(resource).map_err(|error| error.to_string())?);
    }
    Ok(text)
}

/// What a resource may be for Kubernetes to store it, in bytes, with room for what it adds.
const RESOURCE: usize = 1 << 20;

/// What the operator should know of this registry beside the file.
pub(super) fn notes(job: &Job, resources: &[Value]) -> Vec<String> {
    let mut notes = Vec::new();
    for resource in resources {
        let size = resource.to_string().len();
        if size > RESOURCE {
            let kind = resource["kind"].as_str().unwrap_or_default();
            notes.push(format!("the {kind} has {size} bytes; Kubernetes stores 1.5 MiB at most, with what it adds"));
        }
    }
    if let Some(told) = relative_module(job.registry) {
        notes.push(format!("{told}. A proxy is started in a folder that its image decides"));
    }
    if job.registry.tracing.as_ref().is_some_and(|tracing| tracing.exports) {
        notes.push(LEFT_OUT.to_owned());
    }
    if job.registry.envoy.runtime_files.is_some() {
        notes.push("envoy.runtime_files is left out: the runtime's layers are the control plane's".to_owned());
    }
    notes
}

/// A name that Kubernetes takes: letters, digits and hyphens, as in a host.
fn name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = text.starts_with('-') || text.ends_with('-');
    if text.is_empty() || text.len() > 53 || ends || !text.chars().all(allowed) {
        return Err("must be 1 to 53 of a-z, 0-9 and -, which is neither first nor last".to_owned());
    }
    Ok(text.to_owned())
}

/// A host as Gateways have it: a name, a name whose first part is `*`, or `*`.
fn host(text: &str) -> Result<String, String> {
    let is_part = |part: &str| {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !part.is_empty() && part.chars().all(allowed)
    };
    let rest = text.strip_prefix("*.").unwrap_or(text);
    if text != "*" && !rest.split('.').all(is_part) {
        return Err("must be a host in small letters, such as mcp.example.com, *.example.com or *".to_owned());
    }
    Ok(text.to_owned())
}

/// A label of pods.
fn label(text: &str) -> Result<(String, String), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c);
    match text.split_once('=') {
        Some((key, value))
            if !key.is_empty() && key.chars().all(|c| allowed(c) || c == '/') && value.chars().all(allowed) =>
        {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err("must be a label as KEY=VALUE, such as app=agent".to_owned()),
    }
}

/// The name of a listener or of routes in Envoy.
fn in_envoy(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '.', '/', ':'].contains(&c);
    if text.is_empty() || !text.chars().all(allowed) {
        return Err("must be a name as Envoy's /config_dump has it".to_owned());
    }
    Ok(text.to_owned())
}
