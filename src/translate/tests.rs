use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{CallerError, Mapping, RestRequest, answer, request, respond};
use crate::registry::reader::Node;
use crate::registry::{Problem, Problems};

pub(super) const UUID: [u8; 16] = [0xff; 16];

/// Reads a mapping and everything that is wrong with it.
pub(super) fn read(wire: &Value) -> (Option<Mapping>, Vec<Problem>) {
    let problems = Problems::default();
    let table = Node::root(wire, &problems).table().unwrap();
    let mapping = Mapping::read(&table);
    table.done();
    (mapping, problems.into_vec())
}

pub(super) fn mapping(wire: &Value) -> Mapping {
    let (mapping, problems) = read(wire);
    assert_eq!(problems, []);
    mapping.unwrap()
}

pub(super) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

/// The request that a mapping with this part and these arguments makes.
pub(super) fn call(part: (&str, Value), arguments: &str) -> Result<RestRequest, CallerError> {
    let mut wire = json!({"method": "POST", "path": "/p"});
    wire[part.0] = part.1;
    request(&mapping(&wire), "/", Some(&raw(arguments)), UUID)
}

pub(super) fn body(template: Value, arguments: &str) -> Result<Option<String>, CallerError> {
    Ok(call(("body", template), arguments)?.body.map(|bytes| String::from_utf8(bytes).unwrap()))
}

#[test]
fn a_whole_value_keeps_its_type() {
    let arguments = r#"{"n": 7, "b": true, "s": "x", "l": [1, null], "o": {"k": {}}, "z": null}"#;
    let all = json!({"n": "${arguments.n}", "b": "${arguments.b}", "s": "${arguments.s}", "l": "${arguments.l}",
        "o": "${arguments.o}", "z": "${arguments.z}"});
    let made: Value = serde_json::from_str(&body(all, arguments).unwrap().unwrap()).unwrap();
    assert_eq!(made, serde_json::from_str::<Value>(arguments).unwrap());
}

#[test]
fn a_number_keeps_every_digit() {
    for number in ["90071992547409931234567890", "1.0", "0.1000", "1e400", "-0"] {
        let arguments = format!("{{\"n\": {number}}}");
        let made = body(json!(["${arguments.n}", "is ${arguments.n}"]), &arguments).unwrap().unwrap();
        assert_eq!(made, format!("[{number},\"is {number}\"]"));
    }
}

#[test]
fn embedded_text_is_escaped_for_the_string_around_it() {
    let made = body(json!({"q": "say ${arguments.s}!"}), r#"{"s": "\"}, {\"admin\": \"é\n"}"#).unwrap().unwrap();
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(made, json!({"q": "say \"}, {\"admin\": \"é\n!"}));
}

#[test]
fn an_object_embedded_in_a_json_string_is_its_json() {
    let made = body(json!("got ${arguments.o}"), r#"{"o": {"k":[1]}}"#).unwrap().unwrap();
    assert_eq!(made, r#""got {\"k\":[1]}""#);
}

#[test]
fn what_an_absent_or_null_optional_argument_stands_in_is_left_out() {
    let template = json!({"a": "${arguments.a?}", "b": ["${arguments.a?}", 1, "x ${arguments.a?}"], "c": 2});
    for arguments in ["{}", r#"{"a": null}"#] {
        assert_eq!(body(template.clone(), arguments).unwrap().unwrap(), r#"{"b":[1],"c":2}"#);
    }
    assert_eq!(body(json!("${arguments.a?}"), "{}").unwrap(), None);
    let made = call(("query", json!({"a": "${arguments.a?}", "b": "${arguments.b?}"})), r#"{"b": 1}"#).unwrap();
    assert_eq!(made.path_and_query, "/p?b=1");
    let made = call(("headers", json!({"x-a": "n ${arguments.a?}"})), "{}").unwrap();
    assert_eq!(made.headers, [("accept".to_owned(), "application/json".to_owned())]);
}

#[test]
fn the_empty_test_leaves_out_empty_values_and_no_others() {
    let template = json!({"d": "${arguments.d??}"});
    for empty in ["[]", "[ ]", "{}", "\"\"", "null"] {
        assert_eq!(body(template.clone(), &format!("{{\"d\":{empty}}}")).unwrap().unwrap(), "{}");
    }
    for present in ["[[]]", "0", "false", "\"[]\"", "{\"a\":1}"] {
        let made = body(template.clone(), &format!("{{\"d\":{present}}}")).unwrap().unwrap();
        assert_eq!(made, format!("{{\"d\":{present}}}"));
    }
}

#[test]
fn a_default_is_json_where_it_is_json_and_text_otherwise() {
    let template = json!(["${arguments.n|10}", "${arguments.m|large}", "${arguments.t|true}", "n=${arguments.n|10}"]);
    assert_eq!(body(template.clone(), r#"{"n": null}"#).unwrap().unwrap(), r#"[10,"large",true,"n=10"]"#);
    assert_eq!(body(template, r#"{"n": 3, "m": "s", "t": 0}"#).unwrap().unwrap(), r#"[3,"s",0,"n=3"]"#);
}

#[test]
fn paths_lead_through_objects_and_lists() {
    let template = json!(["${arguments.a.b.1.c}", "${arguments.a.0?}"]);
    assert_eq!(body(template, r#"{"a": {"b": [0, {"c": 5}], "0": "key"}}"#).unwrap().unwrap(), r#"[5,"key"]"#);
}

#[test]
fn the_first_present_of_several_templates_is_taken() {
    let template = json!({"m": {"$first": ["${arguments.m?}", [{"text": "${arguments.p}"}]]}});
    assert_eq!(body(template.clone(), r#"{"m": 1}"#).unwrap().unwrap(), r#"{"m":1}"#);
    assert_eq!(body(template.clone(), r#"{"p": "x"}"#).unwrap().unwrap(), r#"{"m":[{"text":"x"}]}"#);
    assert_eq!(body(template, "{}").unwrap_err().to_string(), "invalid arguments: \"p\" is required");
}

#[test]
fn a_doubled_dollar_is_a_literal_placeholder() {
    assert_eq!(body(json!("$${arguments.a} costs $5"), "{}").unwrap().unwrap(), r#""${arguments.a} costs $5""#);
}

#[test]
fn arguments_in_a_value_are_not_templates() {
    let made = body(json!("x ${arguments.a}"), r#"{"a": "${call.uuid}"}"#).unwrap().unwrap();
    assert_eq!(made, r#""x ${call.uuid}""#);
}

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
        if let Ok(made) = request(&mapping(&wire), "/base", Some(&raw(&json!({"v": text}).to_string())), UUID) {
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
        if let Ok(made) = request(&mapping(&wire), "/", Some(&raw(&arguments.to_string())), UUID) {
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
                prop_assert!(serde_json::from_slice::<Value>(&respond("1", &answer)).is_ok());
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
