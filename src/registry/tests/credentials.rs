//! Slots, their sources and dates, environments, the age policy.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::time::Duration;

use serde_json::{Value, json};

use super::super::*;
use super::{full, problems, with, without};
use crate::credential::{AgePolicy, Declared, Secret, date};

fn read(registry: &Value) -> Registry {
    Registry::from_wire(registry).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn url(host: &str, port: u16, path: &str) -> Url {
    Url { tls: true, host: host.to_owned(), port, path: path.to_owned() }
}

/// The source of a slot of the second credential.
fn source(registry: &Registry, slot: usize) -> Option<&Source> {
    registry.credentials[1].slots[slot].as_ref().map(|slot| &slot.source)
}

/// One change to a registry that is right, and the problem that an operator then sees.
fn assert_refused(cases: &[(&str, Value, &str)]) {
    for (pointer, value, expected) in cases {
        let found: Vec<String> =
            problems(&with(full(), pointer, value.clone())).iter().map(ToString::to_string).collect();
        assert_eq!(found, [*expected], "{pointer}: {value}");
    }
}

#[test]
fn what_the_operator_says_of_a_tokens_life_is_read_in_utc() {
    let registry = read(&full());
    let declared = registry.credentials[0].slots.each_ref().map(|slot| slot.as_ref().map(|slot| slot.declared));
    let a = Declared { issued_s: date::parse("2026-11-01"), expires_s: date::parse("2027-01-30T08:00:00Z") };
    assert!(a.issued_s.is_some() && a.expires_s.is_some());
    assert_eq!(declared, [Some(a), Some(Declared::default())]);
}

#[test]
fn the_environment_chooses_among_the_slots_of_several() {
    let prod = read(&full());
    assert_eq!(source(&prod, 1), Some(&Source::SdsGrpc(url("sds.example", 8443, "/"))));
    let stg = read(&with(full(), "/environment", json!("stg")));
    assert_eq!(source(&stg, 0), Secret::new(b"not-a-secret").map(Source::Inline).as_ref());
    assert_eq!(source(&stg, 1), None);
    assert_eq!(stg.credentials[0], prod.credentials[0], "one with slots of its own is the same in both");
}

#[test]
fn a_token_endpoint_has_its_documented_defaults() {
    let full = full();
    let expected = Endpoint {
        url: url("vault.example", 443, "/pat"),
        field: Some("token".to_owned()),
        every: Duration::from_secs(60),
        timeout: Duration::from_secs(5),
    };
    assert_eq!(source(&read(&full), 0), Some(&Source::Endpoint(expected.clone())));
    let bare = with(full, "/credentials/1/environments/prod/slots/a/http", json!({"url": "https://vault.example/pat"}));
    assert_eq!(source(&read(&bare), 0), Some(&Source::Endpoint(Endpoint { field: None, ..expected })));
}

#[test]
fn both_slots_may_come_from_one_secret_server_but_not_from_one_endpoint() {
    let slots = |source: Value| with(full(), "/credentials/0/slots", json!({"a": source.clone(), "b": source}));
    read(&slots(json!({"sds_grpc": "https://sds.example"})));
    let found = problems(&slots(json!({"http": {"url": "https://vault.example"}})));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].rule, "must be another source than slot a");
}

#[test]
fn a_policy_may_give_some_of_its_numbers() {
    let registry = read(&with(full(), "/credentials/0/policy", json!({"alert": "14d"})));
    let expected = AgePolicy { alert_s: 14 * date::DAY_S, ..AgePolicy::default() };
    assert_eq!(registry.credentials[0].policy, expected);
}

#[test]
fn problems_of_dates() {
    const RULE: &str = "(not shown): must be a date such as 2026-11-26 or 2026-11-26T08:30:00Z";
    for date in
        [json!("26.11.2026"), json!("2026-11-26T08:30:00+01:00"), json!("2026-02-30"), json!(20261126), json!("")]
    {
        for key in ["issued", "expires"] {
            let found = problems(&with(full(), &format!("/credentials/0/slots/a/{key}"), date.clone()));
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, [format!("credentials[0].slots.a.{key}: {RULE}")]);
        }
    }
    assert_refused(&[(
        "/credentials/0/slots/a/expires",
        json!("2026-11-01"),
        "credentials[0].slots.a: {expires, issued, sds_file}: must have expires after issued",
    )]);
}

#[test]
fn problems_of_sources_on_the_network() {
    const HTTPS: &str = "must be https, because a secret comes from there\n    hint: http is allowed only to this machine: 127.0.0.1, [::1] or localhost";
    let slot = "credentials[0].slots.a";
    let cases = [
        (json!({"sds_grpc": "http://sds.example"}), format!("{slot}.sds_grpc: (not shown): {HTTPS}")),
        (
            json!({"sds_grpc": "https://sds.example/path"}),
            format!("{slot}.sds_grpc: (not shown): must be the URL of a gRPC server, without a path"),
        ),
        (json!({"http": {"url": "http://vault.example/pat"}}), format!("{slot}.http.url: (not shown): {HTTPS}")),
        (json!({"http": {}}), format!("{slot}.http.url: is required")),
        (json!({"http": "https://vault.example/pat"}), format!("{slot}.http: (not shown): must be a mapping")),
        (
            json!({"http": {"url": "https://vault.example", "every": "500ms"}}),
            format!("{slot}.http.every: (not shown): must be a duration from 1s to 1d"),
        ),
        (
            json!({"http": {"url": "https://vault.example", "timeout": "2m"}}),
            format!("{slot}.http.timeout: (not shown): must be a duration from 1s to 1m"),
        ),
        (
            json!({"http": {"url": "https://vault.example", "field": 1}}),
            format!("{slot}.http.field: (not shown): must be a non-empty string"),
        ),
        (
            json!({"http": {"url": "https://vault.example", "token": "x"}}),
            format!(
                "{slot}.http.token: (not shown): must not be given: a registry never holds a secret\n    hint: name its source in a slot, such as sds_file"
            ),
        ),
    ];
    for (source, expected) in cases {
        assert_refused(&[("/credentials/0/slots/a", source, &expected)]);
    }
    for host in ["127.0.0.1:8200", "[::1]", "localhost"] {
        read(&with(full(), "/credentials/0/slots/a", json!({"http": {"url": format!("http://{host}/pat")}})));
    }
}

#[test]
fn an_inline_secret_is_for_servers_on_this_machine_only() {
    let mut registry = with(full(), "/credentials/0/slots", json!({"a": {"inline": "demo"}}));
    let found: Vec<String> = problems(&registry).iter().map(ToString::to_string).collect();
    let expected = "credentials[0]: {header, headers, id, policy, prefix, slots}: must not be inline unless all its servers are on this machine\n    hint: inline is for demonstrations; name the place of the secret instead, such as sds_file";
    assert_eq!(found, [expected]);
    registry["servers"][1]["url"] = json!("http://127.0.0.1:3/mcp");
    registry["servers"][1].as_object_mut().unwrap().remove("ca_file");
    assert!(matches!(
        read(&registry).credentials[0].slots[0].as_ref().map(|slot| &slot.source),
        Some(Source::Inline(_))
    ));
    let nothing = with(full(), "/credentials/0/slots", json!({"a": {"inline": "two words"}}));
    assert_eq!(
        problems(&nothing)[0].to_string(),
        "credentials[0].slots.a.inline: (not shown): must be visible ASCII characters"
    );
}

#[test]
fn problems_of_environments() {
    let environments = "/credentials/1/environments";
    let slots = json!({"slots": {"a": {"env": "A"}}});
    assert_refused(&[
        (
            "/environment",
            json!("pord"),
            "credentials[1].environments: {prod, stg}: must have slots for the environment pord\n    hint: did you mean prod? known here: prod, stg",
        ),
        (
            environments,
            json!({"Prod": slots}),
            "credentials[1].environments.Prod: {slots}: must be under the name of an environment: a-z, 0-9, - and _",
        ),
        (environments, json!({"prod": {}}), "credentials[1].environments.prod.slots: is required"),
        (
            "/credentials/1/slots",
            json!({"a": {"env": "A"}}),
            "credentials[1].slots: {a}: must not be given beside environments",
        ),
        (
            "/credentials/1/environments/stg",
            json!({"slots": {"a": {"env": "lower"}}}),
            "credentials[1].environments.stg.slots.a.env: (not shown): must be the name of an environment variable: A-Z, 0-9 and _\n    hint: the name only, never the secret",
        ),
    ]);
    let found = problems(&without(full(), "/environment"));
    assert_eq!(found.len(), 1, "{found:?}");
    let expected = "credentials[1].environments: {prod, stg}: needs the registry's environment, to choose one of them\n    hint: write environment: prod at the top of the registry, or give --environment prod";
    assert_eq!(found[0].to_string(), expected);
}

#[test]
fn problems_of_the_age_policy() {
    const ORDER: &str = "must have critical no longer than alert, and alert shorter than max_age\n    hint: what is left out keeps its default, max_age: 90d, alert: 7d, critical: 1d";
    let policy = "credentials[0].policy";
    let cases = [
        (json!({"max_age": "5d"}), format!("{policy}: {{max_age}}: {ORDER}")),
        (json!({"alert": "1h"}), format!("{policy}: {{alert}}: {ORDER}")),
        (json!({"critical": "8d"}), format!("{policy}: {{critical}}: {ORDER}")),
        (json!({"max_age": "400d"}), format!("{policy}.max_age: \"400d\": must be a duration from 1m to 366d")),
        (
            json!({"max_age": 90}),
            format!(
                "{policy}.max_age: 90: must be a duration such as 500ms, 30s or 5m\n    hint: a number alone has no unit"
            ),
        ),
        (
            json!({"alerts": "7d"}),
            format!(
                "{policy}.alerts: (not shown): is not a known key\n    hint: did you mean alert? known here: max_age, alert, critical"
            ),
        ),
    ];
    for (value, expected) in cases {
        assert_refused(&[("/credentials/0/policy", value, &expected)]);
    }
}
