//! Envoy Gateway: an EnvoyPatchPolicy with clusters, listeners inside Envoy, gate and routes; an EnvoyProxy with what the bootstrap
//! lacks; a route that stands where Dualpath's go and refuses what comes before they are there.

mod policy;
mod proxy;

use serde_json::{Value, json};

use super::mesh::{self, Options};
use super::{Job, Output, Rendered};
use crate::cli::render::heading::heading;

/// Where the admin interface of Envoy Gateway's proxies is.
const ADMIN_PORT: u16 = 19_000;

/// The group of Envoy Gateway's own kinds, and their version.
const GROUP: &str = "gateway.envoyproxy.io";
const VERSION: &str = "gateway.envoyproxy.io/v1alpha1";

pub(super) fn render(job: &Job) -> Result<Rendered, String> {
    // The names in Envoy begin with the namespace, so it can't be left to kubectl.
    let mut options = job.options.clone();
    options.namespace.get_or_insert_with(|| "default".to_owned());
    let job = &Job { options: &options, ..*job };
    let resources = resources(job);
    let text = mesh::file(&told(job), &resources)?;
    Ok(Rendered { output: Output::File(text), notes: mesh::notes(job, &resources) })
}

fn resources(job: &Job) -> Vec<Value> {
    let (options, parts) = (job.options, mesh::parts(job, ADMIN_PORT));
    vec![
        proxy::resource(job.registry, &parts, options),
        missing(options),
        route(&job.registry.listener.path, options),
        policy::resource(&parts, options),
    ]
}

/// What answers while the patches are not there: nobody gets to a server without the gate.
fn missing(options: &Options) -> Value {
    json!({
        "apiVersion": VERSION,
        "kind": "HTTPRouteFilter",
        "metadata": options.metadata(&missing_name(options)),
        "spec": {"directResponse": {"statusCode": 503}},
    })
}

fn missing_name(options: &Options) -> String {
    format!("{}-missing", options.name)
}

/// Has Envoy Gateway make the virtual host that is patched.
fn route(path: &str, options: &Options) -> Value {
    let filter = json!({
        "type": "ExtensionRef",
        "extensionRef": {"group": GROUP, "kind": "HTTPRouteFilter", "name": missing_name(options)},
    });
    let hosts: Vec<_> = Some(&options.host).filter(|host| *host != "*").into_iter().collect();
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": options.metadata(&options.name),
        "spec": {
            "parentRefs": [{"name": options.gateway, "sectionName": options.section}],
            // None is every host.
            "hostnames": hosts,
            "rules": [{"matches": [{"path": {"type": "Exact", "value": path}}], "filters": [filter]}],
        },
    })
}

fn told(job: &Job) -> String {
    let Options { gateway, name, .. } = job.options;
    let namespace = job.options.in_namespace();
    let files = mesh::shown_files(job.registry);
    let mut apply = vec![
        "Envoy Gateway's configuration needs extensionApis.enableEnvoyPatchPolicy: true".to_owned(),
        format!("the proxies need these files: {files}"),
    ];
    let variables = mesh::variables(job.registry);
    if !variables.is_empty() {
        apply.push(format!("and the secret {name}, with the keys {}, in the namespace of the", variables.join(", ")));
        apply.push("proxies: envoy-gateway-system, unless Envoy Gateway deploys them elsewhere".to_owned());
    }
    apply.extend(mesh::relative_module(job.registry));
    apply.extend([
        format!("the Gateway {gateway} needs infrastructure.parametersRef: the EnvoyProxy {name}"),
        "kubectl apply --server-side -f FILE".to_owned(),
        format!("Programmed must be True: kubectl describe envoypatchpolicy{namespace} {name}"),
    ]);
    let back = [
        "kubectl delete -f FILE, when the Gateway does not name the EnvoyProxy any more;".to_owned(),
        format!("calls alone: kubectl delete envoypatchpolicy{namespace} {name}, in force at once: 503"),
    ];
    let what = "EnvoyPatchPolicy and EnvoyProxy of Envoy Gateway (1.9 or later)";
    heading(job, what, &mesh::lines(&apply), &mesh::lines(&back))
}
