//! What holds for every input.

use proptest::prelude::*;
use serde_json::{Value, json};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::{answer, request};
use super::{UUID, body, call, mapping, raw, read};

/// Parts of hostile text, more likely than random characters to mean something to somebody.
fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("/".to_owned()),
        Just("..".to_owned()),
        Just("?a=b&".to_owned()),
        Just("\r\nx: y".to_owned()),
        Just("%2e%2F".to_owned()),
        Just("#".to_owned()),
        any::<char>().prop_map(String::from),
        "[a-z]{0,4}",
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        hostile().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let key = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), hostile()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..5).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_whole_value_round_trips_any_json(value in any_json()) {
        let arguments = json!({"v": value}).to_string();
        let made = body(json!({"in": ["${arguments.v}"]}), &arguments).unwrap().unwrap();
        prop_assert_eq!(made, json!({"in": [value]}).to_string());
    }

    #[test]
    fn embedded_text_round_trips_any_string(text in hostile()) {
        let made = body(json!("<${arguments.v}>"), &json!({"v": text}).to_string()).unwrap().unwrap();
        prop_assert_eq!(serde_json::from_str::<String>(&made).unwrap(), format!("<{text}>"));
    }

    #[test]
    fn a_path_parameter_adds_neither_a_segment_nor_a_query(text in hostile()) {
        let wire = json!({"method": "GET", "path": "/a/x${arguments.v}:run/${arguments.v}/z"});
        if let Ok(made) = request(&mapping(&wire), ("/base", ""), Some(raw(&json!({"v": text}).to_string())), UUID) {
            let segments: Vec<&str> = made.path_and_query.split('/').collect();
            prop_assert_eq!(segments.len(), 6);
            prop_assert!(!segments.iter().any(|s| matches!(*s, "." | "..")));
            prop_assert!(!made.path_and_query.contains(['?', '#', '\\']));
            prop_assert!(made.path_and_query.bytes().all(|b| b.is_ascii_graphic()));
        }
    }

    #[test]
    fn a_query_value_stays_in_its_pair(text in hostile()) {
        let made = call(("query", json!({"k": "${arguments.v}"})), &json!({"v": text}).to_string()).unwrap();
        prop_assert!(made.path_and_query.starts_with("/p?k="));
        prop_assert!(!made.path_and_query[5..].contains(['&', '=', '#', '?', '+', ' ', '\r', '\n']));
    }

    #[test]
    fn no_header_value_has_a_line_break(text in hostile()) {
        if let Ok(made) = call(("headers", json!({"x-v": "v ${arguments.v}"})), &json!({"v": text}).to_string()) {
            prop_assert!(made.headers.iter().all(|(_, value)| !value.contains(char::is_control)));
        }
    }

    #[test]
    fn no_arguments_make_a_request_panic_or_its_body_something_else_than_json(arguments in any_json()) {
        let wire = json!({"method": "POST", "path": "/${arguments.a}", "query": {"q": "${arguments.b?}"},
            "headers": {"x-h": "${arguments.a.b|x}"},
            "body": ["${arguments}", "${arguments.a.0?}", "t ${arguments.b?}", {"$first": ["${arguments.a.b?}", 1]}]});
        if let Ok(made) = request(&mapping(&wire), ("/", ""), Some(raw(&arguments.to_string())), UUID) {
            prop_assert!(serde_json::from_slice::<Value>(&made.body.unwrap()).is_ok());
        }
    }

    #[test]
    fn no_answer_panics_and_every_result_is_json(status in 0u16..1000, value in any_json(), cut in 0usize..40) {
        let wire = json!({"method": "GET", "path": "/", "answer": {
            "content": ["${response.a}", "t ${response.b?}", {"x": "${response?}"}], "structured": "${response.a?}"}});
        let whole = value.to_string();
        for bytes in [whole.as_bytes(), &whole.as_bytes()[..cut.min(whole.len())]] {
            if let Ok(answer) = answer(&mapping(&wire), status, bytes) {
                prop_assert!(serde_json::from_str::<Value>(answer.result()).is_ok());
            }
        }
    }

    #[test]
    fn no_wire_form_panics(wire in any_json(), key in prop::sample::select(vec!["path", "query", "headers", "body", "answer", "with", "preset"])) {
        let mut table = json!({"method": "POST", "path": "/p"});
        table[key] = wire;
        let (mapping, problems) = read(&table);
        prop_assert!(mapping.is_some() || !problems.is_empty());
    }
}
