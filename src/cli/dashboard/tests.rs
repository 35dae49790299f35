use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::registry::Registry;

fn registry() -> Registry {
    let server = |id: &str, kind: &str| json!({"id": id, "kind": kind, "url": format!("https://{id}.example/mcp")});
    let mut priced = server("b", "mcp");
    priced["price"] = json!({"per_call": 0.002, "as_of": "2026-11-28"});
    let tree = json!({"version": 1, "servers": [server("a", "mcp"), priced, server("c", "rest")]});
    Registry::from_wire(&tree).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn every_panel_says_what_it_shows_and_leads_to_a_page_that_is_there() {
    let text = include_str!("../../../envoy/guide/runbooks.md");
    let link = |heading: &str| heading.to_lowercase().replace(' ', "-").replace(',', "");
    let pages: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).map(link).collect();
    let mut led_to = BTreeSet::new();
    for dashboard in dashboards(&registry()) {
        for panel in &dashboard.panels {
            assert!(!panel.title.is_empty() && !panel.about.is_empty() && !panel.queries.is_empty());
            if let Some(page) = panel.page {
                assert!(pages.contains(page), "{}: {page}", panel.title);
                led_to.insert(page.to_owned());
            }
        }
        let written = grafana::dashboard(&dashboard, "https://wiki.example/runbooks").to_string();
        assert!(!written.contains("[~]") && !written.contains("{@") && !written.contains("{#"), "{written}");
    }
    let without: Vec<_> = pages.difference(&led_to).collect();
    assert_eq!(without, ["going-back-quickly"], "a page that no panel leads to");
}

#[test]
fn panels_do_not_overlap() {
    for dashboard in dashboards(&registry()) {
        let written = grafana::dashboard(&dashboard, "r");
        let place = |panel: &serde_json::Value| ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        let places: Vec<_> = written["panels"].as_array().unwrap().iter().map(place).collect();
        for (at, [x, y, w, h]) in places.iter().enumerate() {
            assert!(x + w <= 24);
            for [x2, y2, w2, h2] in &places[at + 1..] {
                assert!(x + w <= *x2 || x2 + w2 <= *x || y + h <= *y2 || y2 + h2 <= *y, "{}: {at}", dashboard.slug);
            }
        }
    }
}

#[test]
fn what_calls_cost_is_shown_for_servers_that_have_a_price() {
    let all = dashboards(&registry());
    let cost = all.iter().find(|dashboard| dashboard.slug == "cost").expect("a dashboard");
    let asked: Vec<_> = cost.panels[0].queries.iter().map(|query| query.of_all("1m")).collect();
    assert_eq!(
        asked,
        [
            "sum by (server) (increase(dualpath_attempts_total{job=~\".+\",server=\"b\",outcome!=\"not_sent\"}[1h])) * 0.002"
        ]
    );
}
