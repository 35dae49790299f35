use serde_json::json;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::tests::{UUID, body, call, mapping, raw};
use super::*;

#[test]
fn the_base_path_of_the_server_comes_first_without_doubling_the_slash() {
    let wire = json!({"method": "GET", "path": "/items/${arguments.id}"});
    for (base, whole) in [("/", "/items/7"), ("", "/items/7"), ("/v2", "/v2/items/7"), ("/v2/", "/v2/items/7")] {
        let made = request(&mapping(&wire), (base, ""), Some(raw(r#"{"id": 7}"#)), UUID).unwrap();
        assert_eq!(made.path_and_query, whole);
        assert_eq!(made.method, "GET");
        assert_eq!(made.body, None);
    }
}

#[test]
fn the_query_of_the_servers_url_comes_first_and_no_argument_changes_it() {
    let wire = json!({"method": "GET", "path": "/items", "query": {"a": "${arguments.a?}", "b": "${arguments.b?}"}});
    for (base, arguments, whole) in [
        ("/v2", r#"{"a": "1", "b": "&tenant=y"}"#, "/v2/items?tenant=x&a=1&b=%26tenant%3Dy"),
        ("/v2/", r#"{"b": "?"}"#, "/v2/items?tenant=x&b=%3F"),
        ("/", "{}", "/items?tenant=x"),
    ] {
        let made = request(&mapping(&wire), (base, "tenant=x"), Some(raw(arguments)), UUID).unwrap();
        assert_eq!(made.path_and_query, whole);
    }
}

#[test]
fn the_call_uuid_is_a_version_4_uuid_and_the_same_for_every_attempt() {
    let made = call(("query", json!({"id": "${call.uuid}"})), "{}").unwrap();
    assert_eq!(made.path_and_query, "/p?id=ffffffff-ffff-4fff-bfff-ffffffffffff");
    let (first, second) = (call(("body", json!("${call.uuid}")), "{}"), call(("body", json!("${call.uuid}")), "{}"));
    assert_eq!(first, second);
    assert_eq!(uuid_v4([0; 16]), "00000000-0000-4000-8000-000000000000");
}

#[test]
fn a_call_without_arguments_has_an_empty_object_of_them() {
    let mapping = mapping(&json!({"method": "POST", "path": "/p", "body": "${arguments}"}));
    let null = raw("null");
    for arguments in [None, Some(null)] {
        assert_eq!(request(&mapping, ("/", ""), arguments, UUID).unwrap().body.as_deref(), Some(b"{}".as_slice()));
    }
}

#[test]
fn arguments_that_are_no_object_are_the_callers_error() {
    for arguments in ["[]", "1", "\"x\"", "true"] {
        let refused = body(json!("${arguments}"), arguments).unwrap_err();
        assert_eq!(refused.to_string(), "invalid arguments: the arguments must be an object");
    }
}

#[test]
fn an_error_names_the_argument_and_never_its_value() {
    let refused = call(("headers", json!({"x-a": "${arguments.a.b}"})), r#"{"a": {"b": "secret\n"}}"#).unwrap_err();
    assert!(refused.to_string().contains("\"a.b\" must not have control characters"));
    assert!(!format!("{refused:?}{refused}").contains("secret"));
}

#[test]
fn a_missing_argument_is_the_callers_error_wherever_it_is_needed() {
    for part in [
        ("path", json!("/x/${arguments.id}")),
        ("query", json!({"q": "${arguments.id}"})),
        ("headers", json!({"x-h": "${arguments.id}"})),
        ("body", json!({"b": ["${arguments.id}"]})),
        ("body", json!("text ${arguments.id}")),
    ] {
        let refused = call(part, r#"{"other": 1}"#).unwrap_err();
        assert_eq!(refused.to_string(), "invalid arguments: \"id\" is required");
    }
}

#[test]
fn an_object_list_or_null_cannot_stand_in_the_head_of_a_request() {
    for part in [
        ("path", json!("/x/${arguments.v}")),
        ("query", json!({"q": "${arguments.v}"})),
        ("headers", json!({"x-h": "${arguments.v}"})),
    ] {
        for value in ["{}", "[1]", "null"] {
            assert!(call(part.clone(), &format!("{{\"v\": {value}}}")).is_err());
        }
        assert!(call(part, r#"{"v": true}"#).is_ok());
    }
}

#[test]
fn half_a_surrogate_pair_has_no_text() {
    let refused = call(("path", json!("/${arguments.v}")), r#"{"v": "\ud800"}"#).unwrap_err();
    assert_eq!(refused.to_string(), "invalid arguments: \"v\" must be valid Unicode");
}

#[test]
fn a_header_value_has_no_spaces_around_it() {
    let made = call(("headers", json!({"x-a": "${arguments.v}"})), r#"{"v": "  a b "}"#).unwrap();
    assert_eq!(made.headers.first(), Some(&("x-a".to_owned(), "a b".to_owned())));
}

#[test]
fn a_body_says_that_it_is_json_unless_the_mapping_says_more() {
    let made = call(("body", json!({})), "{}").unwrap();
    assert!(made.headers.contains(&("content-type".to_owned(), "application/json".to_owned())));
    let wire = json!({"method": "PATCH", "path": "/", "body": [], "headers": {"content-type": "application/merge-patch+json"}});
    let made = request(&mapping(&wire), ("/", ""), None, UUID).unwrap();
    assert_eq!(made.headers.iter().filter(|(name, _)| name == "content-type").count(), 1);
}

#[test]
fn text_of_the_registry_is_encoded_like_a_value() {
    let wire = json!({"method": "GET", "path": "/db/${with.db}", "query": {"a b": "c&d", "n": 5, "t": true},
        "with": {"db": "My/DB"}});
    let made = request(&mapping(&wire), ("/", ""), None, UUID).unwrap();
    assert_eq!(made.path_and_query, "/db/My%2FDB?a%20b=c%26d&n=5&t=true");
}
