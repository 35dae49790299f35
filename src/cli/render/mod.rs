//! `dualpath render`: writes a registry as a complete Envoy bootstrap, so that nobody writes by hand what in-request failover needs of
//! the listener, the routes and the clusters.

mod clusters;
mod credentials;
mod discovery;
mod drill;
mod endpoints;
mod extension;
mod internal;
mod json_text;
mod listener;
mod metrics;
mod pool;
mod proxy;
mod routes;
mod runtime;
mod sessions;
mod size;
#[cfg(test)]
mod tests;
mod upstream;
mod wasm_plugin;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::load::{Loaded, load_one};
use super::output::{self, Readers};
use super::{Environment, UNUSABLE, complain, print_exactly, printed, report, shown};
use crate::registry::{Registry, SlotSource, Source};
use crate::telemetry::{ENVOY_PREFIX, LABELS, NAMESPACES, of};
use crate::wiring::cluster;

/// What the values of a Kubernetes ConfigMap may add up to, in bytes.
const CONFIG_MAP: usize = 1 << 20;

/// Upper bounds of the latency buckets, in milliseconds: from a breaker's quick refusal to an agent's minute.
const LATENCY_BUCKETS: [u32; 13] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000];

/// Write the Envoy bootstrap that runs a registry.
///
/// The file is complete: listener, routes, clusters, the filter in all its places, statistics and the kill switch. It
/// holds no secret, only the names of environment variables and secret files, unless a credential is inline: then only
/// its owner may read it. If the registry breaks rules, prints every problem and writes nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Registry file, YAML or JSON; - reads standard input
    registry: String,
    /// Where to write the bootstrap, whole or not at all; - is standard output, which is the default
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    environment: Environment,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    let Loaded { registry, wire, files, .. } = match load_one(&args.registry, args.environment.name()) {
        Ok(loaded) => loaded,
        Err(error) => return report(&error),
    };
    let chosen = args.environment.name().map(|name| format!(" --environment {name}")).unwrap_or_default();
    let text = match document(&registry, &wire, &format!("{}{chosen}", args.registry)) {
        Ok(text) => text,
        Err(error) => return unusable(&format!("{}: cannot be rendered: {error}", shown::file(&args.registry))),
    };
    if text.len() > CONFIG_MAP {
        complain(&format!(
            "note: the bootstrap has {} bytes, more than a Kubernetes ConfigMap holds ({CONFIG_MAP})\n",
            text.len()
        ));
    }
    let Some(output) = args.output.as_ref().filter(|output| output.as_os_str() != "-") else {
        return printed(print_exactly(&text));
    };
    let readers = if inline(&registry).is_empty() { Readers::AsBefore } else { Readers::Owner };
    match output::write(output, &text, &files, readers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => unusable(&format!("{}: {why}", shown::line(&output.to_string_lossy()))),
    }
}

/// The Envoy bootstrap for `registry`, as the JSON form of `envoy.config.bootstrap.v3.Bootstrap` with its keys in
/// reading order.
///
/// `wire` is the registry as it was written; it travels unchanged in every plugin configuration. Secrets are in
/// neither, but for those that are inline: the file names environment variables and secret files.
pub fn bootstrap(registry: &Registry, wire: &Value) -> Value {
    let inside =
        drill::listener(registry).into_iter().chain(sessions::listener(registry)).chain(proxy::listeners(registry));
    let others = inside.chain(metrics::listener(registry, wire));
    let listeners: Vec<_> = std::iter::once(listener::listener(registry, wire)).chain(others).collect();
    let mut extensions = wasm_plugin::bootstrap_probers(registry, wire);
    if registry.drill.is_some() || sessions::are_kept(registry) || proxy::are_used(registry) {
        extensions.push(internal::bootstrap_extension());
    }
    let mut node = json!({"id": "dualpath", "cluster": "dualpath"});
    if let (Some(node), Some(region)) = (node.as_object_mut(), &registry.envoy.region) {
        node.insert("locality".to_owned(), json!({"region": region}));
    }
    json!({
        "node": node,
        "admin": {"address": metrics::admin(&registry.envoy.admin)},
        "layered_runtime": runtime::layers(&registry.envoy),
        "static_resources": {
            "listeners": listeners,
            "clusters": clusters::clusters(registry, wire),
        },
        "bootstrap_extensions": extensions,
        "stats_config": stats_config(),
    })
}

/// The bootstrap's `stats_config`: turns `.key.value` pairs in the filter's stat names into labels, and gives its
/// histogram buckets in milliseconds.
fn stats_config() -> Value {
    json!({
        "stats_tags": LABELS.map(|label| json!({"tag_name": label, "regex": pattern(label)})),
        "histogram_bucket_settings": [
            {"match": {"prefix": format!("{ENVOY_PREFIX}.{}", of::LATENCY.name)}, "buckets": LATENCY_BUCKETS},
        ],
        // Where the prober asks for tokens no server is, so every connection there fails, and that is no fault.
        "stats_matcher": {"exclusion_list": {"patterns": [{"prefix": format!("cluster.{}", cluster::credential(""))}]}},
    })
}

/// Matches the pair of `label` in names of this filter only: pairs follow the name, no value holds a dot. Envoy takes
/// the first group out of the name and the second as the label's value.
fn pattern(label: &str) -> String {
    let namespaces = NAMESPACES.join("|");
    format!(r"^{ENVOY_PREFIX}\.(?:{namespaces})_[a-z_]+(?:\.[a-z]+\.[^.]+)*?(\.{label}\.([^.]+))")
}

/// The bootstrap file: a heading that says where it comes from, then [`bootstrap`] as YAML.
///
/// `source` is the path of the registry file, as it was given, and the environment that was chosen.
///
/// # Errors
/// When the YAML writer refuses the tree.
pub fn document(registry: &Registry, wire: &Value, source: &str) -> Result<String, serde_saphyr::ser::Error> {
    let yaml = to_yaml(&bootstrap(registry, wire))?;
    let source = shown::line(source);
    let secrets = match inline(registry).as_slice() {
        [] => "It holds no secret.".to_owned(),
        ids => format!("It HOLDS THE SECRETS of {}, inline in the registry:\n# keep it to its owner.", ids.join(", ")),
    };
    Ok(format!(
        "# Envoy bootstrap (1.40.0 or later), generated by `dualpath render {source}`. Do not edit: change the\n\
         # registry and render again. {secrets}\n{yaml}"
    ))
}

/// The credentials whose secrets stand in the registry, and so in all that is made of it.
fn inline(registry: &Registry) -> Vec<&str> {
    let is_inline = |slot: &SlotSource| matches!(slot.source, Source::Inline(_));
    let found = registry.credentials.iter().filter(|credential| credential.slots.iter().flatten().any(is_inline));
    found.map(|credential| credential.id.as_str()).collect()
}

/// Writes a tree as YAML: block style, text of several lines as literal blocks, long lines left whole.
///
/// # Errors
/// When the YAML writer refuses the tree.
pub fn to_yaml(tree: &Value) -> Result<String, serde_saphyr::ser::Error> {
    // Folding long strings would make regular expressions and lists of retry conditions hard to search for.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    serde_saphyr::to_string_with_options(tree, options)
}

/// The address by which this machine reaches a listener at `address`.
pub(in crate::cli) fn local(address: &str) -> &str {
    match address {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        _ => address,
    }
}

/// An `envoy.config.core.v3.Address` of TCP.
fn socket_address(address: &str, port: u16) -> Value {
    json!({"socket_address": {"address": address, "port_value": port}})
}

/// A `google.protobuf.Duration` in its JSON form.
fn duration(time: std::time::Duration) -> Value {
    let fraction = format!("{:09}", time.subsec_nanos());
    match fraction.trim_end_matches('0') {
        "" => json!(format!("{}s", time.as_secs())),
        fraction => json!(format!("{}.{fraction}s", time.as_secs())),
    }
}

fn unusable(message: &str) -> ExitCode {
    complain(&format!("{message}\n"));
    ExitCode::from(UNUSABLE)
}
