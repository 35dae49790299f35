use std::collections::BTreeSet;

use super::*;

fn registry(servers: Value) -> Registry {
    let tree = json!({"version": 1, "servers": servers});
    Registry::from_wire(&tree).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn recorded(groups: &Value) -> Vec<(String, String)> {
    let rules = groups["groups"][0]["rules"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rules.iter().map(|rule| (text(&rule["record"]), text(&rule["labels"]["mode"]))).collect()
}

#[test]
fn every_pool_metric_has_a_rule_for_each_kind_of_server_that_there_is() {
    let mcp = |id: &str| json!({"id": id, "kind": "mcp", "url": "https://a.example/mcp"});
    let rest = json!({"id": "c", "kind": "rest", "url": "https://c.example"});
    let both = groups(&registry(json!([mcp("a"), mcp("b"), rest])), "r");
    let names = ["size", "in_use", "pending", "wait_seconds"].map(|name| format!("snowflake_pool_{name}"));
    let expected: Vec<_> =
        ["mcp", "direct"].iter().flat_map(|mode| names.clone().map(|name| (name, (*mode).to_owned()))).collect();
    assert_eq!(recorded(&both), expected);
    let size = both["groups"][0]["rules"][0]["expr"].as_str().unwrap();
    let active = r#"envoy_cluster_upstream_cx_active{envoy_cluster_name=~"a|b"}"#;
    assert_eq!(size, format!("sum without (envoy_cluster_name) ({active})"));
    assert_eq!(recorded(&groups(&registry(json!([mcp("a")])), "r")).len(), 4, "no rule of servers that are not there");
    let score = json!({"record": "mcp_server_health_score", "expr": "mcp_server_health_percent / 100"});
    assert_eq!(both["groups"][1], json!({"name": "dualpath-health", "rules": [score]}));
}

#[test]
fn opentelemetry_s_names_are_those_of_its_histogram_and_its_attributes() {
    let group = opentelemetry();
    let rules = group["rules"].as_array().unwrap();
    for rule in rules {
        assert!(rule["record"].as_str().unwrap().starts_with("mcp_server_operation_duration_seconds_"), "{rule}");
        assert_eq!(rule["labels"]["mcp_method_name"], "tools/call", "{rule}");
        assert!(rule["expr"].as_str().unwrap().contains("\"gen_ai_tool_name\""), "{rule}");
    }
    let of = |end: &str| rules.iter().filter(|rule| rule["record"].as_str().unwrap().ends_with(end)).count();
    assert!(of("_bucket") > 10);
    assert_eq!((of("_sum"), of("_count")), (1, 1));
    assert!(rules.last().unwrap()["expr"].as_str().unwrap().contains("\"error_type\""));
}

/// The headings of the runbooks as links have them.
fn pages() -> BTreeSet<String> {
    let text = include_str!("../../../envoy/guide/runbooks.md");
    let link = |heading: &str| heading.to_lowercase().replace(' ', "-").replace(',', "");
    text.lines().filter_map(|line| line.strip_prefix("## ")).map(link).collect()
}

#[test]
fn every_alert_names_a_page_that_names_the_alert() {
    let mcp = json!({"id": "a", "kind": "mcp", "url": "https://a.example/mcp"});
    let rest = json!({"id": "c", "kind": "rest", "url": "https://c.example"});
    let mut named = BTreeSet::new();
    for alert in alerts(&registry(json!([mcp, rest]))) {
        assert!(pages().contains(alert.page), "{}: {}", alert.name, alert.page);
        named.insert(alert.page.to_owned());
        let text = include_str!("../../../envoy/guide/runbooks.md");
        assert!(text.contains(&format!("`{}`", alert.name)), "{} is in no runbook", alert.name);
        let rule = alert.rule("https://wiki.example/dualpath");
        assert!(rule["annotations"]["runbook_url"].as_str().unwrap().starts_with("https://wiki.example/dualpath#"));
    }
    let without: Vec<_> = pages().into_iter().filter(|page| !named.contains(page)).collect();
    assert_eq!(without, ["going-back-quickly"], "a page that nothing leads to");
}

#[test]
fn tasks_with_the_same_servers_have_one_alert_and_others_one_of_their_own() {
    let server = |id: &str, kind: &str| json!({"id": id, "kind": kind, "url": format!("https://{id}.example")});
    let with = |name: &str| json!({"name": name, "task": name, "rest": {"server": "c", "preset": "snowflake.sql", "with": {}}});
    let tree = json!({"version": 1, "servers": [server("a", "mcp"), server("c", "rest")],
        "tools": [with("one"), with("two"), {"name": "three", "task": "three"}]});
    let registry = Registry::from_wire(&tree).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let labels: Vec<_> = alerts(&registry)
        .into_iter()
        .filter(|alert| alert.name == "DualpathNoPath")
        .map(|alert| (alert.label.unwrap().1, alert.expression.contains("\"a|c\"")))
        .collect();
    assert_eq!(labels, [("three".to_owned(), false), ("one, two".to_owned(), true)]);
}
