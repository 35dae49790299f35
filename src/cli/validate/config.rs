//! Whether an Envoy runs a registry: what the module was configured with in each of its places, as the admin interface shows it.

use serde_json::Value;

use super::row::{Outcome, Row};
use crate::cli::diff;
use crate::cli::load::Loaded;
use crate::cli::status::Runs;
use crate::registry::{ProberPlacement, Registry, slice};
use crate::wiring::{Role, key};

/// What shows how the module is configured. Endpoints, which would be the most of it, are not asked for.
pub const PAGE: &str = "/config_dump";

/// So many changes are told of.
const TOLD: usize = 5;

/// What an update has left behind, or has not brought to an end.
const NOT_RUN: [&str; 3] = ["draining_state", "warming_state", "error_state"];

/// A place of the module.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    role: String,
    /// The server of an attempt.
    server: Option<String>,
    identity: String,
    registry: Value,
}

/// What says which Envoy it is.
pub const SERVER_PAGE: &str = "/server_info";

/// The first release that has what the configuration needs.
const OLDEST: (u32, u32) = (1, 40);

/// Which Envoy it is, and whether it serves.
pub fn envoy(page: &str) -> Row {
    let info: Value = serde_json::from_str(page).unwrap_or_default();
    let word = |name: &str| info.get(name).and_then(Value::as_str).unwrap_or("unknown");
    // A hash, the release, and how it was built.
    let release = word("version").split('/').nth(1).unwrap_or("unknown");
    let says = format!("Envoy {release}, {}", word("state"));
    let mut numbers = release.split('.').map_while(|number| number.parse().ok());
    match (numbers.next().zip(numbers.next()), word("state")) {
        (Some(release), _) if release < OLDEST => Row::problem("envoy", "release", says)
            .hint("Dualpath needs Envoy 1.40.0 or later: what retries need, and the filter on clusters, came with it"),
        (_, "LIVE") => Row::good("envoy", "release", says),
        _ => Row::new("envoy", "release", Outcome::Warning, says)
            .hint("it starts, or drains to end: try again when it is LIVE"),
    }
}

/// Compares the page with the registry.
pub fn rows(page: &str, file: &Loaded) -> Vec<Row> {
    let Ok(dump) = serde_json::from_str::<Value>(page) else {
        return vec![Row::problem("registry", "what Envoy runs", "the page of its configuration is no JSON")];
    };
    let mut places = Vec::new();
    collect(&dump, &mut places);
    let own = slice::shown(slice::identity(&file.wire));
    let gates: Vec<_> = places.iter().filter(|place| place.role == Role::Gate.as_str()).collect();
    let mut rows = vec![match gates.as_slice() {
        [] => Row::problem("registry", "what Envoy runs", "this Envoy has no gate of Dualpath's").hint(
            "is it the admin interface of the right Envoy? The guide's page about attaching names what an Envoy needs",
        ),
        gates => match gates.iter().find(|gate| gate.identity != own) {
            None => Row::good("registry", &own, "Envoy runs this registry"),
            Some(gate) => other(gate, &own, file),
        },
    }];
    if !gates.is_empty() {
        rows.extend(missing(&places, &file.registry));
        rows.extend(behind(&places, &own, gates.iter().all(|gate| gate.identity == own)));
    }
    rows
}

/// Compares what the metrics say that calls are served under with the registry, where `why` the page is not shown.
pub fn told(runs: &[Runs], why: &str, file: &Loaded) -> Row {
    let own = slice::shown(slice::identity(&file.wire));
    match runs {
        [Runs { registry, version }] if *registry == own => {
            Row::good("registry", &own, format!("Envoy runs this registry, by its metrics, with module {version}"))
        }
        [Runs { registry, .. }] => {
            let says = format!("Envoy runs another registry ({registry}; this file is {own})");
            Row::problem("registry", "what Envoy runs", says).hint(
                "only the admin interface itself shows in what it differs (--admin); render this file and give it to Envoy, or \
                 validate the file that Envoy was rendered from",
            )
        }
        _ => Row::new("registry", "what Envoy runs", Outcome::Skipped, why).hint(
            "the metrics do not say it: the module or `stats_config.stats_tags` are of an earlier release; --admin names the admin interface",
        ),
    }
}

/// Every configuration of the module in a part of the page.
fn collect(value: &Value, places: &mut Vec<Place>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, places)),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name == "value" && text.contains(key::IDENTITY) => {
                        places.extend(place(text))
                    }
                    _ if NOT_RUN.contains(&name.as_str()) => {}
                    _ => collect(value, places),
                }
            }
        }
        _ => {}
    }
}

fn place(text: &str) -> Option<Place> {
    let mut configuration: Value = serde_json::from_str(text).ok()?;
    let word = |name: &str| configuration.get(name).and_then(Value::as_str).map(str::to_owned);
    let (role, server, identity) = (word(key::ROLE)?, word(key::SERVER), word(key::IDENTITY)?);
    let registry = configuration.get_mut(key::REGISTRY).map(Value::take).unwrap_or_default();
    Some(Place { role, server, identity, registry })
}

/// Envoy runs another registry: in what the two differ.
fn other(gate: &Place, own: &str, file: &Loaded) -> Row {
    let mut says = format!("Envoy runs another registry ({}; this file is {own})", gate.identity);
    if let Ok(registry) = Registry::from_wire(&gate.registry) {
        let (files, variables, levels) = (Vec::new(), Vec::new(), Vec::new());
        let root = crate::cli::load::Tree::default();
        let running = Loaded { registry, wire: gate.registry.clone(), files, variables, root, levels };
        let changes = diff::told(&running, file);
        let told: Vec<_> = changes.iter().take(TOLD).map(String::as_str).collect();
        let more = changes.len().saturating_sub(told.len());
        says.push_str(match changes.is_empty() {
            true => ", which says the same for calls",
            false => ". With this file: ",
        });
        says.push_str(&told.join("; "));
        if more > 0 {
            says.push_str(&format!("; and {more} more"));
        }
    }
    Row::problem("registry", "what Envoy runs", says).hint(
        "render this file and give it to Envoy (`dualpath render`), or validate the file that Envoy was rendered from",
    )
}

/// Servers whose cluster has no attempt: calls would go there as they are, without a credential.
fn missing(places: &[Place], registry: &Registry) -> Option<Row> {
    let has = |id: &str| places.iter().any(|it| it.role == Role::Attempt.as_str() && it.server.as_deref() == Some(id));
    let without: Vec<_> = registry.servers.iter().map(|server| server.id.as_str()).filter(|id| !has(id)).collect();
    let mut row = (!without.is_empty()).then(|| {
        let says = format!("no cluster of this Envoy has the attempt filter of: {}", without.join(", "));
        Row::problem("registry", "places", says).hint("take the clusters whole from what `dualpath render` writes")
    });
    if row.is_none() && registry.envoy.prober != ProberPlacement::Off {
        let prober = places.iter().any(|place| place.role == Role::Prober.as_str());
        row = (!prober).then(|| {
            Row::new(
                "registry",
                "places",
                Outcome::Warning,
                "this Envoy has no prober: gauges stand still without calls",
            )
            .hint("take bootstrap_extensions from what `dualpath render` writes, or set `envoy.prober: listener`")
        });
    }
    row
}

/// Places that are of another registry than the gates.
fn behind(places: &[Place], own: &str, gates_are_right: bool) -> Option<Row> {
    let mut roles: Vec<_> =
        places.iter().filter(|place| place.identity != own).map(|place| place.role.as_str()).collect();
    roles.sort_unstable();
    roles.dedup();
    if !gates_are_right || roles.is_empty() {
        return None;
    }
    let says = format!("still of another registry: {}", roles.join(", "));
    let row = Row::new("registry", "places", Outcome::Warning, says);
    Some(row.hint(
        "an update is under way, or has left a part of the configuration out: a bootstrap's part needs a restart",
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::load::load_text;
    use crate::cli::render;

    const REGISTRY: &str = "version: 1\nenvoy: {prober: bootstrap}\nservers:\n- {id: one, kind: mcp, url: 'http://127.0.0.1:1/mcp'}\n- {id: two, kind: mcp, tier: secondary, url: 'http://127.0.0.1:2/mcp'}\ntools:\n- {name: search, task: search}\n";

    fn loaded(text: &str) -> Loaded {
        load_text("registry.yaml", text, None).unwrap()
    }

    /// What an Envoy shows that runs this.
    fn dump(loaded: &Loaded) -> Value {
        json!({"configs": [{"bootstrap": render::bootstrap(&loaded.registry, &loaded.wire)}]})
    }

    fn said(page: &Value, file: &Loaded) -> Vec<(Outcome, String)> {
        rows(&page.to_string(), file).into_iter().map(|row| (row.outcome, row.says)).collect()
    }

    #[test]
    fn an_envoy_that_runs_the_registry_is_known_by_it() {
        let file = loaded(REGISTRY);
        assert_eq!(said(&dump(&file), &file), [(Outcome::Good, "Envoy runs this registry".to_owned())]);
        let mut page = dump(&file);
        page["configs"]
            .as_array_mut()
            .unwrap()
            .push(json!({"draining_state": dump(&loaded(&REGISTRY.replace("search", "find")))}));
        assert_eq!(said(&page, &file).len(), 1, "what drains is not run");
    }

    #[test]
    fn another_registry_is_told_by_what_would_change() {
        let (file, running) = (loaded(REGISTRY), loaded(&REGISTRY.replace("127.0.0.1:2", "127.0.0.1:3")));
        let said = said(&dump(&running), &file);
        assert_eq!(said[0].0, Outcome::Problem);
        assert!(said[0].1.contains("another registry") && said[0].1.contains("127.0.0.1:2"), "{said:?}");
    }

    #[test]
    fn without_the_page_the_metrics_say_which_registry_envoy_runs() {
        let file = loaded(REGISTRY);
        let own = slice::shown(slice::identity(&file.wire));
        let runs = |registry: &str| Runs { registry: registry.to_owned(), version: "1.2.3".to_owned() };
        let row = |runs: &[Runs]| told(runs, "status 404", &file);
        assert_eq!((row(&[runs(&own)]).outcome, row(&[]).outcome), (Outcome::Good, Outcome::Skipped));
        assert!(row(&[runs(&own)]).says.ends_with("with module 1.2.3"));
        let other = row(&[runs("00000000deadbeef")]);
        assert_eq!(other.outcome, Outcome::Problem);
        assert!(other.says.contains("another registry (00000000deadbeef; this file is"), "{}", other.says);
    }

    #[test]
    fn an_envoy_that_is_too_old_or_ends_is_told() {
        let row = |version: &str, state: &str| {
            envoy(&json!({"version": format!("abc/{version}/Clean"), "state": state}).to_string())
        };
        assert_eq!(row("1.40.0", "LIVE"), Row::good("envoy", "release", "Envoy 1.40.0, LIVE"));
        assert_eq!(row("1.39.2", "LIVE").outcome, Outcome::Problem);
        assert_eq!(row("1.41.0-dev", "DRAINING").outcome, Outcome::Warning);
        assert_eq!(envoy("not found").outcome, Outcome::Warning);
    }

    #[test]
    fn what_is_not_there_is_said() {
        let file = loaded(REGISTRY);
        assert!(said(&json!({}), &file)[0].1.contains("no gate"));
        let mut page = dump(&file);
        page["configs"][0]["bootstrap"]["static_resources"]["clusters"].as_array_mut().unwrap().remove(1);
        assert!(said(&page, &file).iter().any(|(_, says)| says.ends_with("the attempt filter of: two")));
        let mut page = dump(&file);
        page["configs"][0]["bootstrap"]["bootstrap_extensions"] = json!([]);
        assert!(
            said(&page, &file).iter().any(|(outcome, says)| *outcome == Outcome::Warning && says.contains("no prober"))
        );
    }
}
