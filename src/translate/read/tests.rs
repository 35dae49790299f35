use serde_json::{Value, json};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::tests::read;

fn with_part(key: &str, value: Value) -> Value {
    let mut wire = json!({"method": "POST", "path": "/p"});
    wire[key] = value;
    wire
}

/// The path and rule of each problem, and that there is no mapping.
fn refused(wire: Value) -> Vec<String> {
    let (mapping, problems) = read(&wire);
    assert_eq!(mapping, None, "{wire}");
    problems.into_iter().map(|p| format!("{}: {}", p.path, p.rule)).collect()
}

#[test]
fn every_problem_is_noted_not_only_the_first() {
    let found = refused(json!({
        "method": "FETCH",
        "path": "p",
        "query": {"${arguments.k}": 1, "q": ["list"]},
        "headers": {"Authorization": "x", "content-length": "1", "x-a": "${arguments.a"},
        "body": {"a": "${argument.x}", "b": ["${with.db}", "${arguments..x}"]},
        "answer": {"content": "${arguments.x}", "structured": "text", "other": 1},
    }));
    let paths: Vec<&str> = found.iter().map(|problem| problem.split(':').next().unwrap()).collect();
    let expected = [
        "method",
        "path",
        "query.${arguments.k}",
        "query.q",
        "headers.Authorization",
        "headers.content-length",
        "headers.x-a",
        "body.a",
        "body.b[1]",
        "answer.content",
        "answer.structured",
        "answer.other",
        "registry",
    ];
    for path in expected {
        assert!(paths.contains(&path), "{path} not in {found:#?}");
    }
}

#[test]
fn an_unknown_placeholder_is_refused_with_those_that_are_known() {
    let (_, problems) = read(&with_part("body", json!("${args.x}")));
    assert_eq!(problems[0].rule, "has the unknown placeholder ${args.x}");
    assert_eq!(problems[0].hint.as_deref(), Some("known here: ${arguments.NAME}, ${with.NAME}, ${call.uuid}"));
    for template in
        ["${call.uuid}", "${arguments.x}", "${}", "${with}", "${with.a.b}", "${response.a[0]}", "${ response}"]
    {
        let (mapping, problems) = read(&with_part("answer", json!({"content": template})));
        assert!(mapping.is_none() && !problems.is_empty(), "{template}");
    }
}

#[test]
fn an_unclosed_placeholder_is_refused_with_the_way_to_write_it_literally() {
    let (_, problems) = read(&with_part("body", json!("costs ${5")));
    assert_eq!(problems[0].hint.as_deref(), Some("write $${ for the two characters ${"));
}

#[test]
fn a_default_must_fit_the_place_it_stands_in() {
    assert_eq!(refused(json!({"method": "GET", "path": "/a/${arguments.x|..}"})).len(), 1);
    assert_eq!(refused(with_part("query", json!({"q": "${arguments.x|[1]}"}))).len(), 1);
    assert_eq!(refused(with_part("headers", json!({"x-h": "${arguments.x|a\nb}"}))).len(), 1);
    assert_eq!(refused(with_part("body", json!("text ${arguments.x|null}"))).len(), 1);
    assert_eq!(read(&with_part("body", json!("${arguments.x|null}"))).1, []);
}

#[test]
fn a_get_request_has_no_body() {
    let found = refused(json!({"method": "GET", "path": "/", "body": {}}));
    assert_eq!(found, ["body: must not be set: a GET request has no body"]);
}

#[test]
fn a_path_is_a_path_and_nothing_else() {
    for path in [
        "x",
        "/a?b=1",
        "/a#b",
        "/a//b",
        "/a/../b",
        "/.",
        "/a b",
        "/é",
        "/${arguments.a?}",
        "//host/x",
        "/a\r\nb",
        "/a\\b",
    ] {
        assert!(!refused(json!({"method": "GET", "path": path})).is_empty(), "{path}");
    }
    for path in ["/", "/a/", "/a/b:query", "/a%20b/${arguments.x}:run", "/${arguments.x|default}"] {
        assert_eq!(read(&json!({"method": "GET", "path": path})).1, [], "{path}");
    }
}

#[test]
fn a_mapping_cannot_set_credentials_framing_or_the_headers_of_the_proxy() {
    for name in [
        "authorization",
        "cookie",
        "host",
        "content-length",
        "transfer-encoding",
        "x-dualpath-slot-a",
        "x-envoy-retry-on",
        "mcp-session-id",
        ":path",
        "",
        "X-A",
        "x a",
        "x-${arguments.a}",
    ] {
        assert_eq!(refused(with_part("headers", json!({name: "v"}))).len(), 1, "{name}");
    }
}

#[test]
fn a_header_value_of_the_registry_has_no_line_break() {
    assert_eq!(refused(with_part("headers", json!({"x-a": "a\r\nb: c"}))).len(), 1);
    let mut wire = with_part("headers", json!({"x-a": "${with.v}"}));
    wire["with"] = json!({"v": "a\r\nb: c"});
    assert_eq!(refused(wire), ["with.v: must not have control characters: it goes into a header"]);
}

#[test]
fn a_constant_that_would_change_the_path_is_refused_where_it_stands() {
    for value in [json!(""), json!(".."), json!("../x"), json!(["x"])] {
        let found = refused(json!({"method": "GET", "path": "/db/${with.db}", "with": {"db": value}}));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("with.db: "), "{found:?}");
    }
}

#[test]
fn constants_keep_their_type_and_may_be_optional() {
    let wire = json!({"method": "POST", "path": "/", "with": {"n": 5, "o": {"k": [1]}},
        "body": {"n": "${with.n}", "o": "${with.o}", "x": "${with.x?}", "d": "${with.d|7}", "t": "n=${with.n}"}});
    let made = super::super::request(&super::super::tests::mapping(&wire), ("/", ""), None, [0; 16]).unwrap();
    let body: Value = serde_json::from_slice(&made.body.unwrap()).unwrap();
    assert_eq!(body, json!({"n": 5, "o": {"k": [1]}, "d": 7, "t": "n=5"}));
}

#[test]
fn missing_and_unknown_constants_are_noted_once_each() {
    let body = json!(["${with.a}", "${with.a}", "${with.b?}"]);
    let (_, problems) = read(&json!({"method": "POST", "path": "/", "body": body, "with": {"c": 1}}));
    let found: Vec<_> = problems.iter().map(|p| (p.path.as_str(), p.rule.as_str(), p.hint.as_deref())).collect();
    assert_eq!(found, [("with.a", "is required", None), ("with.c", "is not a known key", Some("known here: a, b"))]);
    let (_, problems) = read(&json!({"method": "POST", "path": "/", "body": body}));
    assert_eq!(problems.len(), 1);
    assert_eq!(
        (problems[0].rule.as_str(), problems[0].hint.as_deref()),
        ("must have the key with", Some("it needs a"))
    );
}

#[test]
fn the_caller_can_see_which_headers_a_mapping_sets() {
    let mapping = super::super::tests::mapping(&with_part("headers", json!({"x-b": 1, "x-a": "${arguments.a}"})));
    let mut names: Vec<_> = mapping.header_names().collect();
    names.sort_unstable();
    assert_eq!(names, ["x-a", "x-b"]);
}
