//! Envoy's whole bootstrap.

use serde_json::{Value, json};

use super::{Job, Output, Rendered, mesh};
use crate::cli::render::heading::heading;
use crate::cli::render::parts::{self, Parts};
use crate::cli::render::{listener, metrics, to_yaml};
use crate::registry::Registry;

/// What the values of a Kubernetes ConfigMap may add up to, in bytes.
const CONFIG_MAP: usize = 1 << 20;

const APPLY: &str = "envoy --mode validate -c FILE, then start Envoy anew with -c FILE";
const BACK: &str = "start Envoy anew with the file that was there before";

pub(super) fn render(job: &Job) -> Result<Rendered, String> {
    let mut notes = Vec::new();
    let text = text(job, &[APPLY], &[BACK], &mut notes)?;
    Ok(Rendered { output: Output::File(text), notes })
}

/// The file, for who applies it so and goes back so; `notes` are told when it is too long for a ConfigMap.
pub(super) fn text(job: &Job, apply: &[&str], back: &[&str], notes: &mut Vec<String>) -> Result<String, String> {
    let text = written(job, apply, back).map_err(|error| error.to_string())?;
    if text.len() > CONFIG_MAP {
        notes.push(format!(
            "the bootstrap has {} bytes, more than a Kubernetes ConfigMap holds ({CONFIG_MAP})",
            text.len()
        ));
    }
    Ok(text)
}

fn written(job: &Job, apply: &[&str], back: &[&str]) -> Result<String, serde_saphyr::ser::Error> {
    let yaml = to_yaml(&bootstrap(job.registry, job.wire))?;
    Ok(heading(job, "Envoy bootstrap (1.40.0 or later)", apply, back) + &yaml)
}

/// The Envoy bootstrap for `registry`, as the JSON form of `envoy.config.bootstrap.v3.Bootstrap` with its keys in
/// reading order.
///
/// `wire` is the registry as it was written; it travels unchanged in every plugin configuration. Secrets are in
/// neither, but for those that are inline: the file names environment variables and secret files.
pub fn bootstrap(registry: &Registry, wire: &Value) -> Value {
    let parts = Parts::of(registry, wire);
    let listeners: Vec<_> = std::iter::once(listener::listener(registry, &parts)).chain(parts.listeners).collect();
    json!({
        "node": parts::node(registry),
        "admin": {"address": metrics::admin(&registry.envoy.admin)},
        "layered_runtime": {"layers": parts.layers},
        "static_resources": {
            "listeners": listeners,
            "clusters": parts.clusters,
        },
        "bootstrap_extensions": parts.bootstrap_extensions,
        "stats_config": parts.stats_config,
    })
}

/// The bootstrap file: a heading that says where it comes from, then [`bootstrap`] as YAML.
///
/// `source` is the path of the registry file, as it was given, and the other arguments that render it again.
///
/// # Errors
/// When the YAML writer refuses the tree.
pub fn document(registry: &Registry, wire: &Value, source: &str) -> Result<String, serde_saphyr::ser::Error> {
    written(&Job { registry, wire, source, output: None, options: &mesh::Options::default() }, &[APPLY], &[BACK])
}
