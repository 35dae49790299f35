#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::json;

use super::{full, problems, with};

const SECRET: &str = "eyJraWQiOiI0.hunter2";

/// Every place where somebody might paste a secret that belongs elsewhere.
#[test]
fn a_misplaced_secret_is_refused_and_not_shown() {
    let bearer = format!("Bearer {SECRET} {SECRET}");
    let url = format!("https://user:{SECRET}@host.example/");
    let query = format!("https://host.example/?token={SECRET}");
    let misplaced = [
        ("/credentials", json!(SECRET)),
        ("/credentials", json!({"pat": SECRET})),
        ("/credentials/0", json!(SECRET)),
        ("/credentials/0/token", json!(SECRET)),
        ("/credentials/0/unknown", json!(SECRET)),
        ("/credentials/0/unknown", json!([SECRET])),
        ("/credentials/0/prefix", json!(bearer)),
        ("/credentials/0/headers", json!(SECRET)),
        ("/credentials/0/headers", json!({"authorization": SECRET})),
        ("/credentials/0/headers", json!({"x-key": format!("{SECRET}\n")})),
        ("/credentials/0/slots", json!(SECRET)),
        ("/credentials/0/slots", json!([SECRET])),
        ("/credentials/0/slots/a", json!(SECRET)),
        ("/credentials/0/slots/a", json!({"token": SECRET})),
        ("/credentials/0/slots/a", json!({"value": SECRET, "env": "PAT"})),
        ("/credentials/0/slots/a", json!({"env": SECRET})),
        ("/credentials/0/slots/a", json!({"sds_file": format!("{SECRET}\n")})),
        ("/credentials/0/slots/a", json!({"http": SECRET})),
        ("/credentials/0/slots/a", json!({"http": {"url": query}})),
        ("/credentials/0/slots/a", json!({"sds_grpc": url})),
        ("/credentials/0/slots/a", json!({"inline": SECRET})),
        ("/credentials/0/slots/a", json!({"inline": format!("{SECRET} {SECRET}")})),
        ("/credentials/0/slots/a/issued", json!(SECRET)),
        ("/credentials/0/slots/c", json!(SECRET)),
        ("/credentials/1/environments", json!(SECRET)),
        ("/credentials/1/environments/prod", json!(SECRET)),
        ("/credentials/1/environments/prod", json!({"token": SECRET, "slots": {"a": {"env": "PAT"}}})),
        ("/servers/0/credential", json!(SECRET)),
        ("/servers/0/credential", json!({"token": SECRET})),
        ("/servers/0/token", json!(SECRET)),
        ("/servers/0/url", json!(url)),
        ("/servers/0/url", json!(query)),
        ("/token", json!(SECRET)),
    ];
    for (pointer, value) in misplaced {
        let found = problems(&with(full(), pointer, value.clone()));
        assert!(!found.is_empty(), "{pointer}: {value} is accepted");
        for problem in found {
            let shown = format!("{problem} {problem:?}");
            assert!(!shown.contains("hunter2"), "{pointer}: {shown}");
        }
    }
}

#[test]
fn an_inline_secret_is_refused_with_the_right_way_to_name_it() {
    for key in ["token", "value"] {
        let found = problems(&with(full(), "/credentials/0/slots/a", json!({key: SECRET, "env": "PAT"})));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].path, format!("credentials[0].slots.a.{key}"));
        assert_eq!(found[0].rule, "must not be given: a registry never holds a secret");
        assert_eq!(found[0].hint.as_deref(), Some("name its source in a slot, such as sds_file"));
    }
}

/// A registry is no place for a token in any field, whatever would be made of it there.
#[test]
fn what_looks_like_a_token_is_refused_in_every_field_and_not_shown() {
    let tokens = [
        "eyJhbGciOiJIUzI1NiJ9.hunter2hunter2.sig",
        "ver:1-hint:24680-hunter2",
        "Bearer hunter2-hunter2",
        "hunter2aB3dE5fG7hI9jK1lM3nO5pQ7",
    ];
    let strings = {
        let mut found = Vec::new();
        places(&full(), String::new(), &mut found);
        found
    };
    assert!(strings.len() > 40, "{strings:?}");
    for token in tokens {
        for (pointer, text) in &strings {
            for put in [token.to_owned(), format!("{text}/{token}")] {
                let found = problems(&with(full(), pointer, json!(put)));
                assert!(!found.is_empty(), "{pointer}: {put} is accepted");
                for problem in found {
                    let shown = format!("{problem} {problem:?}");
                    assert!(!shown.contains("hunter2"), "{pointer}: {shown}");
                }
            }
        }
        let found = problems(&with(full(), "/servers/0", json!({token: "x", "id": "a"})));
        assert!(
            !found.is_empty() && found.iter().all(|problem| !format!("{problem:?}").contains("hunter2")),
            "{found:?}"
        );
    }
}

/// Every place of text, by pointer, but that of a secret.
fn places(value: &serde_json::Value, at: String, found: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::String(text) if !at.ends_with("/inline") => found.push((at, text.clone())),
        serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
            places(value, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
        }),
        serde_json::Value::Array(values) => {
            values.iter().enumerate().for_each(|(n, value)| places(value, format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

#[test]
fn a_file_with_a_secret_is_named_by_a_path() {
    for file in ["hunter2-hunter2", "hunter2.hunter2", "pat"] {
        let found = problems(&with(full(), "/credentials/0/slots/a", json!({"sds_file": file})));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].rule.contains("path of a file") && !format!("{found:?}").contains("hunter2"), "{found:?}");
    }
}
