//! The contract of the metrics, and the dashboards that ask for them, with a real Prometheus that scrapes the port of the metrics
//! while servers die and come back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dualpath::cli::dashboard::dashboards;
use dualpath::telemetry::{FAMILIES, Kind};
use dualpath_lab::panels::{Scene, all_rules, now};

use crate::world::module;

/// What the story does not bring about, with the reason.
const NOT_SEEN: [(&str, &str); 2] = [
    ("dualpath_drill_ignored_total", "the drill is on, and its source may order one"),
    ("dualpath_cache_total", "no tool has a cache"),
];

/// Panels without an answer in this story.
const WITHOUT_DATA: [(&str, &str); 1] =
    [("Alerts that fire", "none of these outages lasts for as long as an alert waits")];

/// Of which every one is a documented metric, or a rule's.
const OURS: &str = "{__name__=~\"(cortex|mcp|snowflake|dualpath)_.+\"}";

/// One story for all of it, as it is what takes long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_has_what_is_documented_and_every_panel_asks_for_that_and_gets_an_answer() {
    let scene = Scene::set(&module()).await.unwrap_or_else(|error| panic!("{error}"));
    scene.play(Duration::from_secs(2)).await.unwrap_or_else(|error| panic!("{error}"));
    let problems = [series(&scene).await, recorded(&scene).await, panels(&scene).await].concat();
    assert!(problems.is_empty(), "{problems:#?}");
}

fn recorded_names(scene: &Scene) -> BTreeSet<String> {
    let groups = all_rules(&scene.registry);
    let groups = groups["groups"].as_array().expect("groups").clone();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten());
    rules.filter_map(|rule| rule["record"].as_str()).map(str::to_owned).collect()
}

/// Every documented series is there with exactly its labels, and no other.
async fn series(scene: &Scene) -> Vec<String> {
    let seen = scene.prometheus.seen(OURS, scene.begun).await.expect("series");
    let mut labels: BTreeMap<String, BTreeSet<BTreeSet<String>>> = BTreeMap::new();
    for series in seen {
        let own = series.keys().filter(|name| !["__name__", "job", "instance", "le"].contains(&name.as_str())).cloned();
        labels.entry(series["__name__"].clone()).or_default().insert(own.collect());
    }
    let mut problems = Vec::new();
    for family in FAMILIES {
        let ends: &[&str] = if family.kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        let expected: BTreeSet<String> = family.labels.iter().map(|label| (*label).to_owned()).collect();
        let is_excused = NOT_SEEN.iter().any(|(name, _)| *name == family.name);
        for end in ends {
            match labels.remove(&format!("{}{end}", family.name)) {
                None if is_excused => {}
                None => problems.push(format!("{}{end}: is not there", family.name)),
                Some(_) if is_excused => problems.push(format!("{}: is there, so it needs no excuse", family.name)),
                Some(found) if found == BTreeSet::from([expected.clone()]) => {}
                Some(found) => problems.push(format!("{}{end}: has the labels {found:?}", family.name)),
            }
        }
    }
    let recorded = recorded_names(scene);
    problems.extend(
        labels.into_keys().filter(|name| !recorded.contains(name)).map(|name| format!("{name}: is not documented")),
    );
    problems
}

/// Every recording rule records something.
async fn recorded(scene: &Scene) -> Vec<String> {
    let mut problems = Vec::new();
    for name in recorded_names(scene) {
        let is_excused = NOT_SEEN.iter().any(|(metric, _)| name == metric.replace("_ms", "_seconds"));
        let found = scene.prometheus.over(&name, scene.begun, now(), 1.0).await.expect("an answer");
        if found.is_empty() != is_excused {
            problems.push(format!("{name}: {} series", found.len()));
        }
    }
    problems
}

/// Every panel's query is one that Prometheus takes, names what is documented, and has an answer.
async fn panels(scene: &Scene) -> Vec<String> {
    let recorded = recorded_names(scene);
    let mut problems = Vec::new();
    for dashboard in dashboards(&scene.registry) {
        for panel in &dashboard.panels {
            let place = format!("{}: {}", dashboard.slug, panel.title);
            let is_excused = WITHOUT_DATA.iter().any(|(title, _)| *title == panel.title);
            for query in &panel.queries {
                let expression = query.of_all("5s");
                problems.extend(
                    undocumented(&expression, &recorded).map(|name| format!("{place}: {name} is not documented")),
                );
                match scene.prometheus.over(&expression, scene.begun, now(), 1.0).await {
                    Err(refused) => problems.push(format!("{place}: {refused}")),
                    Ok(found) if found.is_empty() != is_excused => {
                        problems.push(format!("{place}: {} series: {expression}", found.len()));
                    }
                    Ok(_) => {}
                }
            }
        }
    }
    problems
}

/// The names in an expression that begin like ours and are neither a metric's nor a rule's.
fn undocumented<'e>(expression: &'e str, recorded: &'e BTreeSet<String>) -> impl Iterator<Item = &'e str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let is_ours = |word: &&str| {
        ["cortex_", "mcp_", "snowflake_", "dualpath_", "dualpath:"].iter().any(|start| word.starts_with(start))
    };
    let is_documented = |word: &str| {
        let stem = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
        recorded.contains(word)
            || FAMILIES
                .iter()
                .any(|family| family.name == word || (family.kind == Kind::Histogram && family.name == stem))
    };
    words.filter(is_ours).filter(move |word| !is_documented(word))
}
