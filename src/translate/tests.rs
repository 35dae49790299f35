use serde_json::{Value, json};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{CallerError, Mapping, RestRequest, request};
use crate::json::Raw;
use crate::wire::Node;
use crate::wire::{Problem, Problems};

mod properties;

pub(super) const UUID: [u8; 16] = [0xff; 16];

/// Reads a mapping and everything that is wrong with it.
pub(super) fn read(wire: &Value) -> (Option<Mapping>, Vec<Problem>) {
    let problems = Problems::default();
    let wire = wire.into();
    let table = Node::root(&wire, &problems).table().unwrap();
    let mapping = Mapping::read(&table);
    table.done();
    (mapping, problems.into_vec())
}

pub(super) fn mapping(wire: &Value) -> Mapping {
    let (mapping, problems) = read(wire);
    assert_eq!(problems, []);
    mapping.unwrap()
}

pub(super) fn raw(json: &str) -> Raw<'_> {
    Raw::of(json).unwrap()
}

/// The request that a mapping with this part and these arguments makes.
pub(super) fn call(part: (&str, Value), arguments: &str) -> Result<RestRequest, CallerError> {
    let mut wire = json!({"method": "POST", "path": "/p"});
    wire[part.0] = part.1;
    request(&mapping(&wire), ("/", ""), Some(raw(arguments)), UUID)
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
