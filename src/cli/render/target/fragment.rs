//! What an Envoy that is there already needs, part by part, each told where it goes. `dualpath attach` puts the same in.

use serde_json::json;

use super::{Job, Output, Rendered};
use crate::cli::render::heading::heading;
use crate::cli::render::parts::Parts;
use crate::cli::render::to_yaml;
use crate::cli::render::tracing::LEFT_OUT;
use crate::wiring::cluster;

/// What each part is for, ahead of it.
const FILTERS: &str =
    "Into http_filters of the connection manager that clients reach, right before envoy.filters.http.router.";
const ROUTES: &str = "Into routes of the virtual host, ahead of all others and in this order.";
const ACCESS_LOG: &str = "Into access_log of the same connection manager.";
const LISTENERS: &str = "Into static_resources.listeners: listeners inside Envoy.";
const LISTENERS_AND_PAGES: &str =
    "Into static_resources.listeners: listeners inside Envoy, and those with the metrics and the status page.";
const CLUSTERS: &str = "Into static_resources.clusters, each whole: what judges an attempt is in the cluster.";
const CLUSTERS_AND_ADMIN: &str = "Into static_resources.clusters, each whole: what judges an attempt is in the cluster. dualpath-admin leads to your own\n\
    # admin interface.";
const EXTENSIONS: &str = "Into bootstrap_extensions.";
const STATS: &str = "Into stats_config: tags, buckets and exclusions to those that you have.";
const RUNTIME: &str =
    "Into layered_runtime.layers: `static` ahead of yours, `admin` behind them unless you have an admin_layer.";

pub(super) fn render(job: &Job) -> Result<Rendered, String> {
    let parts = Parts::of(job.registry, job.wire);
    let mut text = heading(
        job,
        "The parts of Envoy's configuration (1.40.0 or later) that run a registry",
        &[
            "dualpath attach REGISTRY YOUR-ENVOY.yaml -o NEW.yaml; or by hand, each part to where its comment says;",
            "envoy --mode validate -c NEW.yaml, then start Envoy anew with it",
        ],
        &[
            "start Envoy anew with the file that was there before, or take out every part; dualpath attach --detach does",
        ],
    );
    let has_admin = parts.clusters.iter().any(|one| one["name"] == cluster::ADMIN);
    let clusters = if has_admin { CLUSTERS_AND_ADMIN } else { CLUSTERS };
    let has_pages = job.registry.envoy.metrics.is_some() || job.registry.status_page.is_some();
    let listeners = if has_pages { LISTENERS_AND_PAGES } else { LISTENERS };
    let sections = [
        (FILTERS, "http_filters", json!(parts.filters)),
        (ROUTES, "routes", json!(parts.routes)),
        (ACCESS_LOG, "access_log", json!(parts.access_log)),
        (listeners, "listeners", json!(parts.listeners)),
        (clusters, "clusters", json!(parts.clusters)),
        (EXTENSIONS, "bootstrap_extensions", json!(parts.bootstrap_extensions)),
        (STATS, "stats_config", parts.stats_config),
        (RUNTIME, "layered_runtime", json!({"layers": parts.layers})),
    ];
    text.push_str(&format!(
        "#\n# The module is {}, counted from Envoy's working directory.\n",
        job.registry.envoy.wasm_file
    ));
    for (comment, key, part) in sections.into_iter().filter(|(.., part)| *part != json!([])) {
        let part = to_yaml(&json!({key: part})).map_err(|error| error.to_string())?;
        text.push_str(&format!("\n# {comment}\n{part}"));
    }
    let exports = job.registry.tracing.as_ref().is_some_and(|tracing| tracing.exports);
    let notes = exports.then(|| LEFT_OUT.to_owned()).into_iter().collect();
    Ok(Rendered { output: Output::File(text), notes })
}
