use serde_json::{Value, json};

use super::files::Files;
use super::tree::Tree;
use super::*;
use crate::registry::tests::{change, changed};

/// The registry of an environment, in its wire form, with these keys laid over a small one. In the environment of the command
/// are HOST and NUMBER.
fn load(keys: &str, environment: Option<&str>) -> Result<Value, Vec<String>> {
    let text =
        format!("version: 1\nservers:\n  - {{id: s, kind: mcp, url: 'https://host.example', timeout: 20s}}\n{keys}");
    let root = Tree::read("r.yaml", 0, &text).unwrap_or_else(|error| panic!("{error}"));
    let files =
        Files { names: vec!["r.yaml".to_owned()], root, told: Vec::new(), tokens: Vec::new(), levels: Vec::new() };
    let variable = |name: &str| match name {
        "HOST" => Some("mcp.example".to_owned()),
        "NUMBER" => Some("7".to_owned()),
        _ => None,
    };
    let told = files.tell(environment, &variable).map(|loaded| loaded.wire);
    told.map_err(|told| told.into_iter().map(|told| told.problem.to_string()).collect())
}

#[track_caller]
fn loaded(keys: &str, environment: Option<&str>) -> Value {
    load(keys, environment).unwrap_or_else(|told| panic!("{told:#?}"))
}

#[test]
fn mappings_merge_and_null_takes_a_key_away() {
    let base = "listener: {port: 1, path: /a}\nbreaker: {window: 20s}\n";
    let tree = loaded(
        &format!("{base}environments: {{e: {{listener: {{port: 2, address: '::1'}}, breaker: null}}}}\n"),
        Some("e"),
    );
    assert_eq!(tree["listener"], json!({"port": 2, "path": "/a", "address": "::1"}));
    assert_eq!((tree.get("breaker"), &tree["environment"]), (None, &json!("e")));
}

#[test]
fn lists_merge_by_id_or_name_in_the_order_of_what_is_laid_over() {
    let tools = "tools: [{name: a, task: t}, {name: b, task: t}]\n";
    let over = "environments: {e: {servers: [{id: r, kind: rest, url: 'https://r.example'}, {id: s, timeout: 5s}],
        tools: [{name: b, replayable: true}]}}\n";
    let tree = loaded(&format!("{tools}{over}"), Some("e"));
    let ids: Vec<_> = tree["servers"].as_array().unwrap().iter().map(|server| &server["id"]).collect();
    assert_eq!(ids, ["s", "r"]);
    assert_eq!(tree["servers"][0], json!({"id": "s", "kind": "mcp", "url": "https://host.example", "timeout": "5s"}));
    assert_eq!(tree["tools"], json!([{"name": "a", "task": "t"}, {"name": "b", "task": "t", "replayable": true}]));
}

#[test]
fn a_mapping_from_names_merges_into_a_list_and_null_takes_an_entry_away() {
    let over = "tools: [{name: a, task: t}, {name: b, task: t}]
environments: {e: {servers: {s: {timeout: null}, new: {kind: mcp, url: 'https://new.example'}}, tools: {a: null}}}\n";
    let tree = loaded(over, Some("e"));
    assert_eq!(tree["servers"][0], json!({"id": "s", "kind": "mcp", "url": "https://host.example"}));
    assert_eq!(tree["servers"][1], json!({"id": "new", "kind": "mcp", "url": "https://new.example"}));
    assert_eq!(tree["tools"], json!([{"name": "b", "task": "t"}]));
}

#[test]
fn other_lists_and_values_are_replaced() {
    let base = "failure: {rules: [{status: 500, class: server}]}\nlistener: {allowed_origins: ['https://a.example']}\n";
    let over = "environments: {e: {failure: {rules: [{status: 503, class: overload}]}, listener: {allowed_origins: []}, servers: [{id: s, timeout: 1s}]}}\n";
    let tree = loaded(&format!("{base}{over}"), Some("e"));
    assert_eq!(tree["failure"]["rules"], json!([{"status": 503, "class": "overload"}]));
    assert_eq!(tree["listener"]["allowed_origins"], json!([]));
    let tree = loaded("tools: [{name: a, task: t}]\nenvironments: {e: {tools: []}}\n", Some("e"));
    assert_eq!(tree["tools"], json!([]));
}

#[test]
fn what_is_laid_over_by_another_environment_does_not_count() {
    let keys = "environment: e\nenvironments: {e: {}, f: {listener: {port: 2}}}\n";
    assert_eq!(loaded(keys, None).get("listener"), None);
    assert_eq!(loaded(keys, Some("f"))["listener"]["port"], 2);
    assert_eq!(loaded(keys, Some("f"))["environment"], "f");
}

#[test]
fn a_variable_alone_keeps_its_type_and_is_text_beside_text() {
    let keys = "vars: {PORT: 99, DEEP: 'x${PORT}', ON: true}\nlistener: {port: \"${PORT}\", path: '/${DEEP}/${PORT}', expose_headers: '${ON}'}\n";
    assert_eq!(loaded(keys, None)["listener"], json!({"port": 99, "path": "/x99/99", "expose_headers": true}));
    let keys = "listener: {port: '${NUMBER}'}\nbreaker: {window: '${NUMBER}s'}\nfailover: {access_log: '/${HOST}'}\n";
    let tree = loaded(keys, None);
    assert_eq!((&tree["listener"]["port"], &tree["breaker"]["window"]), (&json!(7), &json!("7s")));
    assert_eq!(tree["failover"]["access_log"], "/mcp.example");
}

#[test]
fn what_is_declared_counts_before_the_environment_of_the_command() {
    let keys = "vars: {HOST: own}\nlistener: {path: '/${HOST}'}\n";
    assert_eq!(loaded(keys, None)["listener"]["path"], "/own");
}

#[test]
fn two_dollars_stand_for_one_that_begins_no_variable() {
    let rest = "rest: {server: r, method: POST, path: /x, body: {a: '$${HOST}', b: '${arguments.x} $${arguments.x} ${HOST}'}, with: {}}";
    let keys = format!(
        "tools: [{{name: t, task: t, description: '$${{HOST}} $${{x}} ${{x}} $5 ${{HOST}}', {rest}}}]\nenvironments: {{e: {{servers: {{r: {{kind: rest, url: 'https://r.example'}}}}}}}}\n"
    );
    let tool = &loaded(&keys, Some("e"))["tools"][0];
    assert_eq!(tool["description"], "${HOST} $${x} ${x} $5 mcp.example");
    // A mapping's templates take two dollars for one themselves.
    assert_eq!(tool["rest"]["body"], json!({"a": "$${HOST}", "b": "${arguments.x} $${arguments.x} mcp.example"}));
}

#[test]
fn a_variable_without_a_value_is_told_alone_wherever_it_stands() {
    for keys in [
        "envoy: {wasm_file: '/x/${NONE}/y'}",
        "envoy: {admin_address: '${NONE}'}",
        "breaker: {window: '${NONE}'}",
        "listener: {port: '${NONE}'}",
        "tools: [{name: '${NONE}', task: t}]",
        "tools: [{name: t, task: '${NONE}'}]",
        "failover: {budget: {ratio: '${NONE}'}}",
        "drill: {sources: ['${NONE}']}",
    ] {
        let told = load(keys, None).expect_err(keys);
        assert!(told.len() == 1 && told[0].contains("uses NONE, which has no value"), "{keys}: {told:?}");
    }
    for text in ["${arguments.name}", "${NONE", "$NONE", "${}", "${None}"] {
        assert_eq!(loaded(&format!("failover: {{access_log: '{text}'}}\n"), None)["failover"]["access_log"], text);
    }
}

#[test]
fn the_value_of_a_variable_of_the_command_is_not_shown() {
    let told = load("listener: {address: '${HOST}'}", None).expect_err("no address");
    assert_eq!(
        told,
        [
            "listener.address: \"${HOST}\": must be an IP address\n    hint: HOST is from the environment of this command; 127.0.0.1 for this machine only, 0.0.0.0 for all interfaces"
        ]
    );
}

#[test]
fn no_variable_is_called_like_a_secret() {
    use super::names::is_called_like_a_secret;
    for name in ["SNOWFLAKE_PAT", "TOKEN", "API_KEY", "DB_PASSWORD", "PAT_2", "SECRET"] {
        assert!(is_called_like_a_secret(name), "{name}");
    }
    for name in ["TOKEN_URL", "REGION", "PATH", "PAT_FILE", "KEYS_DIR", "PORT_2", "2"] {
        assert!(!is_called_like_a_secret(name), "{name}");
    }
}

#[test]
fn nothing_of_the_loaders_own_keys_reaches_the_reader() {
    let tree = loaded("vars: {A: 1}\nenvironments: {e: {vars: {A: 2}}}\n", Some("e"));
    let keys: Vec<_> = tree.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["version", "servers", "environment"]);
}

fn refusal(text: &str) -> String {
    parse("r.yaml", text).expect_err(text).to_string()
}

#[test]
fn a_duplicate_key_is_refused_with_line_and_column() {
    assert_eq!(
        refusal("version: 1\nversion: 1\n"),
        "r.yaml:2:1: duplicate mapping key `version` is not allowed here [DP0103]"
    );
    assert_eq!(
        refusal(r#"{"a": {"b": 1, "b": 2}}"#),
        "r.yaml:1:16: duplicate mapping key `b` is not allowed here [DP0103]"
    );
}

#[test]
fn a_syntax_error_is_refused_with_line_and_column() {
    assert!(refusal("servers: [\n  a: }\n").starts_with("r.yaml:1:10: "), "the place of the bracket");
    assert!(refusal("a: 1\n---\nb: 2\n").starts_with("r.yaml:3:1: "));
}

#[test]
fn a_syntax_error_shows_no_text_of_the_file() {
    for text in ["a: \"hunter2\n", "a: hunter2: b", "a: !!int hunter2", "a: *hunter2", "- hunter2\nb: 1"] {
        assert!(!refusal(text).contains("hunter2"), "{}", refusal(text));
    }
}

#[test]
fn json_and_yaml_give_the_same_tree() {
    let yaml = parse("y", "version: 1\ntools: [{name: a, replayable: true, title: yes}]\n").unwrap();
    let json =
        parse("j", "{\n\t\"version\": 1, \"tools\": [{\"name\": \"a\", \"replayable\": true, \"title\": \"yes\"}]}");
    assert_eq!(yaml, json.unwrap());
}

#[test]
fn a_date_stays_text() {
    let tree = parse("y", "a: 2026-12-31\nb: 2026-12-31T08:30:00Z\n").unwrap();
    assert_eq!(tree, serde_json::json!({"a": "2026-12-31", "b": "2026-12-31T08:30:00Z"}));
}

#[test]
fn a_missing_file_is_named() {
    let error = super::load("no/such/file.yaml").expect_err("there is no such file");
    assert!(matches!(&error, LoadError::Read { file, .. } if file == "no/such/file.yaml"));
}

proptest::proptest! {
    /// Whatever is changed, in whichever environment, the answer is a registry or problems that say where.
    #[test]
    fn any_change_of_the_example_is_loaded_or_told(at: proptest::sample::Index, change in change(), prod: bool) {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/envoy/environments.yaml");
        let mut files = files::read(example).unwrap_or_else(|error| panic!("{error}"));
        let changed = changed(files.root.value(), &at, change).to_string();
        files.root = Tree::read("r.json", 0, &changed).unwrap_or_else(|error| panic!("{changed}: {error}"));
        if let Err(told) = files.tell(Some(if prod { "prod" } else { "stg" }), &|_| None) {
            assert!(told.iter().all(|told| !told.problem.path.is_empty() && !told.problem.rule.is_empty()), "{told:?}");
        }
    }
}
