//! Files in a folder that Envoy watches, and a bootstrap that names them: a changed registry needs no restart.
//!
//! The bootstrap holds what Envoy reads once. All else comes from files: the clusters, the listeners, and a layer of the runtime.
//! The prober is a filter of the listener, since in the bootstrap it would go on with the registry of the start.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{File, Job, Output, Rendered};
use crate::cli::load::parse;
use crate::cli::render::extension::typed;
use crate::cli::render::heading::heading;
use crate::cli::render::parts::{self, Parts};
use crate::cli::render::{internal, listener, metrics, to_yaml};
use crate::registry::{ProberPlacement, Registry};

const BOOTSTRAP: &str = "bootstrap.yaml";
/// The file of the clusters.
pub(in crate::cli::render) const CLUSTERS: &str = "clusters.yaml";
/// The file of the listeners.
pub(in crate::cli::render) const LISTENERS: &str = "listeners.yaml";
const RUNTIME: &str = "runtime.yaml";

/// What stands before the names of clusters that the registry no longer has.
const KEPT: &str = "# Kept until the next render, for calls under way: ";

/// The layer of the runtime that the file is for.
const LAYER: &str = "dualpath";

pub(super) fn render(job: &Job) -> Result<Rendered, String> {
    let folder =
        job.output.ok_or("it is several files: say by --output FOLDER where they go, as Envoy will find it")?;
    let registry = &*with_prober_on_the_listener(job.registry);
    let parts = Parts::of(registry, job.wire);
    let kept = kept(folder, &parts);
    let names: Vec<_> = kept.iter().filter_map(|cluster| cluster["name"].as_str()).collect();
    let mut notes = Vec::new();
    let mut clusters = watched(job, "Envoy's clusters");
    if !names.is_empty() {
        let names = names.join(" ");
        clusters.push_str(&format!("{KEPT}{names}\n"));
        notes.push(format!(
            "{CLUSTERS} keeps {names} for calls under way. Render once more when Envoy has drained (--drain-time-s, ten minutes \
             unless you say otherwise)"
        ));
    }
    clusters.push_str(&yaml(&resources("envoy.config.cluster.v3.Cluster", parts.clusters.iter().chain(&kept)))?);
    let all = [listener::listener(registry, &parts)];
    let listeners = resources("envoy.config.listener.v3.Listener", all.iter().chain(&parts.listeners));
    let listeners = watched(job, "Envoy's listeners") + &yaml(&listeners)?;
    let bootstrap = bootstrap(job, registry, &parts, folder)?;
    if !folder.join(BOOTSTRAP).exists() {
        let bootstrap = folder.join(BOOTSTRAP);
        notes.push(format!("no Envoy watches this folder before it is started with -c {}", bootstrap.display()));
    }
    if fs::read_to_string(folder.join(BOOTSTRAP)).is_ok_and(|there| !same_but_for_comments(&there, &bootstrap)) {
        notes.push(format!("{BOOTSTRAP} is another than before, which Envoy reads at its next start only"));
    }
    let file = |path: &str, text: String, is_yours: bool| File { path: path.to_owned(), text, is_yours };
    // Clusters come first: what a listener sends calls to has to be there.
    let files = vec![
        file(CLUSTERS, clusters, false),
        file(LISTENERS, listeners, false),
        file(RUNTIME, runtime()?, true),
        file(BOOTSTRAP, bootstrap, false),
    ];
    Ok(Rendered { output: Output::Folder(files), notes })
}

/// Whether Envoy reads the same: lines of comments are at the beginning only.
fn same_but_for_comments(one: &str, other: &str) -> bool {
    let read = |line: &&str| !line.starts_with('#');
    one.lines().skip_while(|line| !read(line)).eq(other.lines().skip_while(|line| !read(line)))
}

/// A registry whose prober needs no bootstrap.
pub(in crate::cli::render) fn with_prober_on_the_listener(registry: &Registry) -> Cow<'_, Registry> {
    if registry.envoy.prober != ProberPlacement::Bootstrap {
        return Cow::Borrowed(registry);
    }
    let mut registry = registry.clone();
    registry.envoy.prober = ProberPlacement::Listener;
    Cow::Owned(registry)
}

/// The heading of a file that Envoy watches.
fn watched(job: &Job, what: &str) -> String {
    heading(
        job,
        what,
        &[
            "render into the same folder; a running Envoy takes it up. Look at its counters lds.update_rejected and",
            "cds.update_rejected: what it refuses it does not use, and goes on with what it has",
        ],
        &["render the registry that was there before into the same folder"],
    )
}

/// The clusters that were the registry's at the last render and are not any more: connections that are older than the new
/// listener still lead calls there.
fn kept(folder: &Path, parts: &Parts) -> Vec<Value> {
    let Ok(text) = fs::read_to_string(folder.join(CLUSTERS)) else { return Vec::new() };
    let gone: Vec<&str> =
        text.lines().find_map(|line| line.strip_prefix(KEPT)).into_iter().flat_map(str::split_whitespace).collect();
    let name = |cluster: &Value| cluster["name"].as_str().unwrap_or_default().to_owned();
    let now: Vec<String> = parts.clusters.iter().map(name).collect();
    let Ok(mut before) = parse(CLUSTERS, &text) else { return Vec::new() };
    let Some(Value::Array(before)) = before.get_mut("resources").map(Value::take) else { return Vec::new() };
    let stays = |cluster: &Value| !now.contains(&name(cluster)) && !gone.contains(&name(cluster).as_str());
    before.into_iter().filter(stays).collect()
}

/// A file of resources of one type, each with it.
fn resources<'v>(type_name: &str, resources: impl Iterator<Item = &'v Value>) -> Value {
    let typed = resources.map(|resource| match resource.get("@type") {
        Some(_) => resource.clone(),
        None => typed(type_name, resource.clone()),
    });
    json!({"resources": typed.collect::<Vec<_>>()})
}

/// What Envoy reads at its start.
fn bootstrap(job: &Job, registry: &Registry, parts: &Parts, folder: &Path) -> Result<String, String> {
    let place = |name: &str| folder.join(name).to_string_lossy().into_owned();
    // A file that is moved to its place, or a folder that is swapped as Kubernetes does.
    let from = |name: &str| {
        json!({
            "path_config_source": {"path": place(name), "watched_directory": {"path": folder.to_string_lossy()}},
            "resource_api_version": "V3",
        })
    };
    let mut layers = parts.layers.clone();
    layers.insert(1, json!({"name": "file", "rtds_layer": {"name": LAYER, "rtds_config": from(RUNTIME)}}));
    let tree = json!({
        "node": parts::node(registry),
        "admin": {"address": metrics::admin(&registry.envoy.admin)},
        "layered_runtime": {"layers": layers},
        "dynamic_resources": {"cds_config": from(CLUSTERS), "lds_config": from(LISTENERS)},
        // Also without need, so that a registry that comes to need it is taken up.
        "bootstrap_extensions": [internal::bootstrap_extension()],
        "stats_config": parts.stats_config,
    });
    let start = format!("start Envoy with -c {}", place(BOOTSTRAP));
    let heading = heading(
        job,
        "Envoy bootstrap (1.40.0 or later) that watches the files beside it",
        &[&start, "once; afterwards rendering into this folder is enough, unless this file changes too"],
        &["start Envoy with the bootstrap that was there before"],
    );
    Ok(heading + &yaml(&tree)?)
}

/// The file of the runtime, which is the operator's.
fn runtime() -> Result<String, String> {
    let resource = typed("envoy.service.runtime.v3.Runtime", json!({"name": LAYER, "layer": {}}));
    let tree = yaml(&json!({"resources": [resource]}))?;
    let tree = tree.trim_end();
    Ok(format!(
        "# Runtime keys that outlive a restart of Envoy. Yours: `dualpath render` writes this file once and never again. The kill\n\
         # switch is `layer: {{dualpath.mcp_enabled: 0}}`. Put a changed file in place by a rename (mv): Envoy sees no other change.\n{tree}\n"
    ))
}

fn yaml(tree: &Value) -> Result<String, String> {
    to_yaml(tree).map_err(|error| error.to_string())
}
