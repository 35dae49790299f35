//! Istio: an EnvoyFilter, and a ConfigMap with what Istio's bootstrap lacks.
//!
//! A sidecar gets listener and clusters whole: nothing depends on what Istio calls its own. A gateway gets the filters into a
//! listener of Istio's and the routes into one virtual host. Bootstrap patches are not used: Istio ignores them since 1.21.

mod gateway;
mod sidecar;

use serde_json::{Map, Value, json};

use super::mesh::{self, Options, Workload};
use super::{Job, Output, Rendered};
use crate::cli::render::heading::heading;
use crate::cli::render::parts::Parts;

/// Where the admin interface of Istio's proxies is.
const ADMIN_PORT: u16 = 15_000;

/// Ahead of it nothing is patched, but what says so: Istio warns of patches whose place among others is left to chance.
const PRIORITY: u32 = 10;

/// The file that Istio's agent looks for in the ConfigMap.
const BOOTSTRAP: &str = "custom_bootstrap.json";

pub(super) fn render(job: &Job) -> Result<Rendered, String> {
    let resources = resources(job);
    let text = mesh::file(&told(job), &resources)?;
    Ok(Rendered { output: Output::File(text), notes: mesh::notes(job, &resources) })
}

fn resources(job: &Job) -> Vec<Value> {
    let (options, parts) = (job.options, mesh::parts(job, ADMIN_PORT));
    let patches = match options.workload {
        Workload::Sidecar => sidecar::patches(job.registry, &parts),
        Workload::Gateway => gateway::patches(job.registry, &parts, options),
    };
    let labels: Map<_, _> = selector(options).into_iter().map(|(key, value)| (key, Value::String(value))).collect();
    vec![
        bootstrap(options, &parts),
        json!({
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": options.metadata(&options.name),
            "spec": {
                "priority": PRIORITY,
                "workloadSelector": {"labels": labels},
                "configPatches": patches,
            },
        }),
    ]
}

/// What the bootstrap lacks: labels and buckets of the metrics. `stats_matcher` stays Istio's, which lets through what begins with
/// `wasm`; and no layer of the runtime is in it, as that would come above the one that the kill switch is set in.
fn bootstrap(options: &Options, parts: &Parts) -> Value {
    let mut stats = parts.stats_config.clone();
    if let Some(stats) = stats.as_object_mut() {
        stats.remove("stats_matcher");
    }
    // Indented, so that the YAML shows it in lines.
    let text = serde_json::to_string_pretty(&json!({"stats_config": stats})).unwrap_or_default();
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": options.metadata(&bootstrap_name(options)),
        "data": {BOOTSTRAP: format!("{text}\n")},
    })
}

fn bootstrap_name(options: &Options) -> String {
    format!("{}-bootstrap", options.name)
}

fn selector(options: &Options) -> Vec<(String, String)> {
    if options.selector.is_empty() {
        return vec![("dualpath".to_owned(), "enabled".to_owned())];
    }
    options.selector.clone()
}

/// A patch of an EnvoyFilter.
fn patch(apply_to: &str, matched: Value, operation: &str, value: &Value) -> Value {
    json!({"applyTo": apply_to, "match": matched, "patch": {"operation": operation, "value": value}})
}

/// Clusters and listeners, each whole.
fn whole<'v>(context: &str, clusters: &'v [Value], listeners: &'v [Value]) -> Vec<Value> {
    let add =
        |apply_to: &'static str| move |value: &'v Value| patch(apply_to, json!({"context": context}), "ADD", value);
    clusters.iter().map(add("CLUSTER")).chain(listeners.iter().map(add("LISTENER"))).collect()
}

fn told(job: &Job) -> String {
    let (options, listener) = (job.options, &job.registry.listener);
    let (labels, bootstrap, namespace) = (selector(options), bootstrap_name(options), options.in_namespace());
    let labels = labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" and ");
    let files = mesh::shown_files(job.registry);
    let mut apply = vec![format!("the proxy of the pods needs these files: {files}")];
    apply.extend(mesh::relative_module(job.registry));
    let variables = mesh::variables(job.registry);
    if !variables.is_empty() {
        apply.push(format!("and these environment variables: {}", variables.join(", ")));
    }
    apply.push(format!("kubectl apply --server-side{namespace} -f FILE"));
    apply.push(format!("then give the pods the label {labels} and the annotation"));
    apply.push(format!("sidecar.istio.io/bootstrapOverride: {bootstrap}"));
    let (what, look) = match options.workload {
        Workload::Sidecar => {
            apply.push(format!("agents call http://127.0.0.1:{}{}", listener.port, listener.path));
            ("EnvoyFilter for sidecars of Istio (1.32 or later)", "has the listener mcp")
        }
        Workload::Gateway => {
            ("EnvoyFilter for a gateway of Istio (1.32 or later)", "has dualpath.gate, its routes the route mcp")
        }
    };
    apply.push("Istio drops what does not fit without a word: look whether the proxy's".to_owned());
    apply.push(format!("configuration (istioctl proxy-config all POD -o json) {look}"));
    let back = [
        format!("kubectl delete envoyfilter{namespace} {}: in force at once", options.name),
        format!("the ConfigMap {bootstrap} only when no pod has the annotation: without it"),
        "such a pod does not start".to_owned(),
    ];
    heading(job, what, &mesh::lines(&apply), &mesh::lines(&back))
}
