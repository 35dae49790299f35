//! `failure.rules`, `servers[].rules`, `servers[].outcomes` and `tools[].outcomes`.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use super::super::*;
use super::{full, problems, with};
use crate::failure::{BreakerEffect, Class, Condition, Failover, Place, decide};

fn read(registry: &Value) -> Registry {
    Registry::from_wire(registry).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// What an operator is told when this stands there.
fn told(pointer: &str, value: Value) -> Vec<String> {
    problems(&with(full(), pointer, value)).iter().map(ToString::to_string).collect()
}

#[test]
fn a_servers_own_rules_stand_before_those_of_all_servers() {
    let registry = read(&full());
    let when = |at: usize| registry.servers[at].rules.iter().map(|rule| (&rule.when, rule.class)).collect::<Vec<_>>();
    let throttled = Condition::Message(Place::ToolErrorStart, "throttled".into());
    let shared = (&Condition::Code(-32050), Class::Server);
    assert_eq!(when(0), [(&throttled, Class::Overload), (&Condition::Status(409), Class::Server), shared]);
    assert_eq!((when(1), when(2)), (vec![shared], vec![shared]));
}

#[test]
fn what_is_not_overridden_follows_the_table() {
    let registry = read(&full());
    let (server, tool) = (&registry.servers[0], &registry.tools[0]);
    for class in Class::ALL {
        let decisions = decide(class, Some(&tool.on), Some(&server.on));
        let mut expected = class.decisions();
        match class {
            Class::Server => expected.failover = Failover::Never,
            Class::Credential => expected.alert = false,
            _ => {}
        }
        assert_eq!(decisions, expected, "{class:?}");
        assert_eq!(decide(class, Some(&registry.tools[1].on), Some(&registry.servers[1].on)), class.decisions());
    }
}

#[test]
fn every_class_but_success_can_be_overridden() {
    for class in Class::ALL.into_iter().filter(|class| *class != Class::Success) {
        let on = json!({class.as_str(): {"breaker": "limited", "alert": true}});
        for pointer in ["/servers/1/outcomes", "/tools/1/outcomes"] {
            let registry = read(&with(full(), pointer, on.clone()));
            let decisions = decide(class, Some(&registry.tools[1].on), Some(&registry.servers[1].on));
            assert_eq!((decisions.breaker, decisions.alert), (BreakerEffect::Limited, true), "{class:?}");
        }
    }
}

#[test]
fn only_its_tools_word_sends_on_a_call_that_may_have_been_executed() {
    for class in Class::ALL.into_iter().filter(|class| class.may_have_been_executed()) {
        if matches!(class, Class::Success | Class::Cancelled) {
            continue;
        }
        let on = json!({class.as_str(): {"failover": "always"}});
        let found = told("/servers/1/outcomes", on.clone());
        let name = class.as_str();
        assert_eq!(
            found,
            [format!(
                "servers[1].outcomes.{name}.failover: \"always\": must not be always for {name} of a server: its calls may have been executed\n    hint: say so for single tools, in tools[].outcomes"
            )]
        );
        assert_eq!(told("/tools/1/outcomes", on), [""; 0], "{name}");
    }
}

#[test]
fn what_an_override_may_not_say() {
    let cases: [(Value, &[&str]); 9] = [
        (
            json!({"success": {"alert": true}}),
            &["tools[1].outcomes.success: {alert}: must not be given: what follows from success can't be changed"],
        ),
        (
            json!({"cancelled": {"failover": "always"}}),
            &[
                "tools[1].outcomes.cancelled.failover: \"always\": must be never for cancelled: nobody waits for the answer",
            ],
        ),
        (
            json!({"not_sent": {"failover": "never"}}),
            &[
                "tools[1].outcomes.not_sent.failover: \"never\": must be always for not_sent: the call has certainly not been executed",
            ],
        ),
        (
            json!({"lost": {"breaker": "success"}}),
            &[
                "tools[1].outcomes.lost.breaker: \"success\": must not be success for lost: a probe that ends so would close the breaker",
            ],
        ),
        (
            json!({"server": {"other_slot": true}}),
            &[
                "tools[1].outcomes.server.other_slot: true: must be false for server: another secret helps only with overload and credential",
            ],
        ),
        (
            json!({"server": {"failover": "sometimes"}}),
            &["tools[1].outcomes.server.failover: \"sometimes\": must be one of always, when_replayable, never"],
        ),
        (
            json!({"server": {"breaker": "open"}}),
            &["tools[1].outcomes.server.breaker: \"open\": must be one of failure, limited, neutral, success"],
        ),
        (
            json!({"server": {"alerts": true}}),
            &[
                "tools[1].outcomes.server.alerts: true: is not a known key\n    hint: did you mean alert? known here: breaker, failover, other_slot, alert",
            ],
        ),
        (
            json!({"sever": {}, "lost": 1}),
            &[
                "tools[1].outcomes.lost: 1: must be a mapping",
                "tools[1].outcomes.sever: {}: is not a known key\n    hint: did you mean server? known here: not_sent, refused, overload, credential, authorization, server, lost, session, caller, tool_error, cancelled",
            ],
        ),
    ];
    for (on, expected) in cases {
        assert_eq!(told("/tools/1/outcomes", on.clone()), expected, "{on}");
    }
}

#[test]
fn what_a_rule_may_not_say() {
    const CLASSES: &str =
        "must be one of refused, overload, credential, authorization, server, lost, session, caller, tool_error";
    let one_of_three =
        "servers[1].rules[0]: {class, jsonrpc_code, status}: must have exactly one of status, jsonrpc_code and message";
    let cases = [
        (json!({"status": 500}), "servers[1].rules[0].class: is required".to_owned()),
        (
            json!({"status": 500, "class": "not_sent"}),
            format!("servers[1].rules[0].class: \"not_sent\": {CLASSES}"),
        ),
        (
            json!({"status": 500, "class": "cancelled"}),
            format!("servers[1].rules[0].class: \"cancelled\": {CLASSES}"),
        ),
        (json!({"status": 500, "class": "success"}), format!("servers[1].rules[0].class: \"success\": {CLASSES}")),
        (
            json!({"status": 200, "class": "server"}),
            "servers[1].rules[0].status: 200: must be a whole number from 300 to 599".to_owned(),
        ),
        (json!({"status": 500, "jsonrpc_code": 1, "class": "server"}), one_of_three.to_owned()),
        (
            json!({"jsonrpc_code": "x", "class": "server"}),
            "servers[1].rules[0].jsonrpc_code: \"x\": must be a whole number".to_owned(),
        ),
        (
            json!({"status": 500, "in": "tool_error", "class": "server"}),
            "servers[1].rules[0].in: \"tool_error\": must not be given without message".to_owned(),
        ),
        (
            json!({"message": "boom", "class": "server"}),
            "servers[1].rules[0]: {class, message}: must say where its message stands\n    hint: in: internal_error, internal_error_start, tool_error, tool_error_start, bad_request, bad_request_start".to_owned(),
        ),
        (
            json!({"message": "no", "in": "tool_error", "class": "server"}),
            "servers[1].rules[0].message: \"no\": must be a text of 4 to 200 bytes".to_owned(),
        ),
        (
            json!({"message": "throttled", "in": "tool_error", "class": "overload"}),
            "servers[1].rules[0].in: \"tool_error\": must be tool_error_start for class overload\n    hint: the class says that nothing was executed, and what follows the beginning may be the caller's own text".to_owned(),
        ),
        (
            json!({"message": "throttled", "in": "bad_request", "class": "overload"}),
            "servers[1].rules[0].in: \"bad_request\": must be bad_request_start for class overload\n    hint: the class says that nothing was executed, and what follows the beginning may be the caller's own text".to_owned(),
        ),
    ];
    for (rule, expected) in cases {
        assert_eq!(told("/servers/1/rules", json!([rule])), [expected], "{rule}");
    }
    let many = vec![json!({"status": 500, "class": "server"}); 51];
    assert_eq!(
        told("/servers/1/rules", many.into()),
        ["servers[1].rules: [51 elements]: must have at most 50 entries"]
    );
}

#[test]
fn a_rest_server_has_no_rules_about_json_rpc() {
    let speaks_none =
        "must not be given for a rest server, which speaks no JSON-RPC\n    hint: use status, or in: bad_request";
    let cases = [
        (json!({"jsonrpc_code": 1, "class": "server"}), format!("servers[2].rules[0].jsonrpc_code: 1: {speaks_none}")),
        (
            json!({"message": "boom", "in": "tool_error", "class": "server"}),
            format!("servers[2].rules[0].in: \"tool_error\": {speaks_none}"),
        ),
        (
            json!({"status": 404, "class": "session"}),
            "servers[2].rules[0].class: \"session\": must not be session for a rest server, which has none".to_owned(),
        ),
    ];
    for (rule, expected) in cases {
        assert_eq!(told("/servers/2/rules", json!([rule])), [expected], "{rule}");
    }
    let allowed = json!([{"status": 404, "class": "tool_error"}, {"message": "busy", "in": "bad_request_start", "class": "overload"}]);
    assert_eq!(told("/servers/2/rules", allowed), [""; 0]);
}

#[test]
fn a_tool_is_left_to_annotations_only_if_all_its_servers_are_trusted() {
    let trusting = |ids: &[&str]| {
        let mut registry = with(full(), "/tools/1/replayable", json!("annotations"));
        for server in registry["servers"].as_array_mut().expect("a list") {
            if ids.contains(&server["id"].as_str().expect("a name")) {
                server["trust_annotations"] = json!(true);
            }
        }
        registry
    };
    assert_eq!(read(&trusting(&["first", "second"])).tools[1].replayable, Replayable::Annotations);
    for ids in [&["first"][..], &[]] {
        let found: Vec<_> = problems(&trusting(ids)).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "tools[1].replayable: \"annotations\": must not be annotations unless all MCP servers of the tool have trust_annotations: true\n    hint: else its calls are never sent again"
            ]
        );
    }
    assert_eq!(
        told("/servers/2/trust_annotations", json!(true)),
        ["servers[2].trust_annotations: true: must not be true for a rest server, which lists no tools"]
    );
    assert_eq!(
        told("/servers/1/trust_annotations", json!("yes")),
        ["servers[1].trust_annotations: \"yes\": must be true or false\n    hint: write true, without quotes"]
    );
}

#[test]
fn annotations_are_forgotten_after_a_minute_at_the_earliest() {
    let age = |text: &str| told("/failure", json!({"annotations_max_age": text}));
    assert_eq!(age("1m"), [""; 0]);
    for text in ["59s", "31d"] {
        assert_eq!(age(text), [format!("failure.annotations_max_age: \"{text}\": must be a duration from 1m to 30d")]);
    }
    assert_eq!(read(&full()).failure.annotations_max_age, std::time::Duration::from_secs(86_400));
}

#[test]
fn the_former_name_of_outcomes_is_read_and_what_yaml_1_1_makes_of_it_is_told() {
    for place in ["/servers/1", "/tools/1"] {
        let given = |key: &str| with(full(), &format!("{place}/{key}"), json!({"overload": {"alert": true}}));
        assert_eq!(read(&given("on")), read(&given("outcomes")));
        let twice = told(&format!("{place}/on"), json!({}));
        assert_eq!(twice.len(), usize::from(full().pointer(&format!("{place}/outcomes")).is_some()), "{twice:?}");
        let both = with(given("on"), &format!("{place}/outcomes"), json!({}));
        assert!(problems(&both)[0].rule.contains("must not be given beside outcomes"));
        let hint = problems(&given("true"))[0].hint.clone().unwrap_or_default();
        assert!(hint.contains("the key is called outcomes now"), "{hint}");
    }
}
