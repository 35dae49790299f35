//! Routes of the bootstrap for the paths that Dualpath's routes take: they stay, and are told, as they get no more of them.

use serde_json::Value;

use super::edit::Path;
use super::place::Place;
use crate::cli::load::Tree;

/// What to tell of them. Dualpath's routes stand ahead of all others of their virtual host; other virtual hosts keep theirs.
pub(super) fn notes(tree: &Tree, place: &Place, ours: &[Value]) -> Vec<String> {
    let mut paths: Vec<&str> = ours.iter().filter_map(|route| route.pointer("/match/path")?.as_str()).collect();
    paths.dedup();
    let hosts = place.manager.key("route_config").key("virtual_hosts");
    let count = |path: &Path| path.find(tree).map_or(0, |list| list.entries().len());
    let mut notes = Vec::new();
    for host in (0..count(&hosts)).map(|number| hosts.entry(number)) {
        let routes = host.key("routes");
        for route in (0..count(&routes)).map(|number| routes.entry(number)) {
            let condition = route.key("match").find(tree).map(Tree::value).unwrap_or_default();
            let Some(path) = paths.iter().find(|path| takes(&condition, path)) else { continue };
            let spot = tree.spot(&route.to_string()).path;
            notes.push(if host == place.host {
                format!("{spot}: gets no request for {path} any more: Dualpath's routes stand ahead of it")
            } else {
                format!(
                    "{spot}: answers {path} for the domains of its virtual host: such calls do not come to Dualpath"
                )
            });
        }
    }
    notes
}

/// Whether a route is for this path in particular, and not only for everything.
fn takes(condition: &Value, path: &str) -> bool {
    let text = |key: &str| condition.get(key).and_then(Value::as_str);
    let begins = |prefix: &str| prefix.len() > 1 && path.starts_with(prefix);
    let pattern = condition.pointer("/safe_regex/regex").and_then(Value::as_str);
    text("path") == Some(path)
        || text("prefix").is_some_and(begins)
        || text("path_separated_prefix").is_some_and(begins)
        // A pattern is not run here; one that names the path is told.
        || pattern.is_some_and(|pattern| pattern.contains(path))
}
