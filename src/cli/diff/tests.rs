use serde_json::json;

use super::*;
use crate::registry::Registry;

fn loaded(wire: &Value) -> Loaded {
    let registry = Registry::from_wire(wire).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let (files, variables, levels) = (Vec::new(), Vec::new(), Vec::new());
    Loaded { registry, wire: wire.clone(), files, variables, root: crate::cli::load::Tree::default(), levels }
}

fn base() -> Value {
    json!({
        "version": 1,
        "breaker": {"window": "60s"},
        "credentials": [{"id": "pat", "headers": {"x-type": "hunter2"}, "slots": {"a": {"env": "PAT"}}}],
        "servers": [
            {"id": "one", "kind": "mcp", "url": "https://one.example/mcp", "credential": "pat"},
            {"id": "two", "kind": "mcp", "tier": "secondary", "url": "https://two.example/mcp"},
            {"id": "api", "kind": "rest", "url": "https://api.example"}
        ],
        "tools": [
            {"name": "search", "task": "search", "replayable": true,
             "rest": {"server": "api", "method": "POST", "path": "/search", "body": {"q": "${arguments.q}"}}},
            {"name": "sql", "task": "sql"}
        ]
    })
}

/// What is told after `change`.
fn told(change: impl Fn(&mut Value)) -> Vec<String> {
    let mut after = base();
    change(&mut after);
    let changes = changes(&loaded(&base()), &loaded(&after));
    changes.into_iter().map(|change| format!("{}: {}", change.about, change.says)).collect()
}

#[test]
fn what_is_written_differently_and_says_the_same_is_no_change() {
    let told = told(|after| {
        after["breaker"]["window"] = json!("1m");
        after["breaker"]["consecutive"] = json!(5);
        after["listener"] = json!({"port": 10000});
        after["servers"][0]["timeout"] = json!("30s");
        after["tools"][0]["rest"]["first"] = json!(false);
    });
    assert_eq!(told, [] as [&str; 0]);
    assert_eq!(text(&[]), "nothing changes for calls\n");
}

#[test]
fn the_ways_of_calls_are_told_of_every_tool_that_goes_another() {
    let told = told(|after| {
        after["servers"][1]["tier"] = json!("primary");
        after["servers"].as_array_mut().unwrap().swap(0, 1);
        after["tools"][1]["servers"] = json!(["one"]);
    });
    assert_eq!(
        told,
        [
            "tool search: calls go to two -> one -> api, instead of one -> two -> api",
            "tool sql: calls go to one, instead of one -> two",
            "tools that are not listed: calls go to two -> one, instead of one -> two",
            "server two: is of tier primary instead of secondary",
        ]
    );
}

#[test]
fn tools_and_servers_that_come_and_go_are_told_with_what_follows() {
    let told = told(|after| {
        after["servers"][1] =
            json!({"id": "three", "kind": "mcp", "url": "https://three.example", "credential": "pat"});
        after["tools"] = json!([after["tools"][1], {"name": "new", "task": "t"}]);
    });
    assert_eq!(
        told,
        [
            "tool search: calls go to one -> three, instead of one -> two -> api",
            "tool search: is not listed any more: it has no direct path, and no call of it may be sent again",
            "tool sql: calls go to one -> three, instead of one -> two",
            "tool new: calls go to one -> three, instead of one -> two",
            "tool new: is listed now, as task t",
            "tool new: a call that may have been executed is sent again only where the lists of trusted servers say that it may",
            "tools that are not listed: calls go to one -> three, instead of one -> two",
            "server two: gets no calls any more (https://two.example/mcp)",
            "server three: is new: an MCP server, primary, at https://three.example/, gets credential pat",
        ]
    );
}

#[test]
fn what_may_be_sent_again_and_where_it_goes_with_what_is_told() {
    let told = told(|after| {
        after["tools"][0]["replayable"] = json!(false);
        after["tools"][0]["rest"]["path"] = json!("/find");
        after["servers"][0]["url"] = json!("https://one.example:8443/mcp");
        after["servers"][1]["credential"] = json!("pat");
        after["listener"] = json!({"port": 8080, "client_timeout": "60s"});
    });
    let meaning = "Path, put behind that of the server's URL. `${arguments.x}` is an argument, percent-encoded.";
    let patience = "How long clients wait. No attempt starts that could not end in time, and the attempts of a replayable call share it.";
    assert_eq!(
        told,
        [
            "clients: connect to http://127.0.0.1:8080/mcp instead of http://127.0.0.1:10000/mcp".to_owned(),
            "tool search: a call that may have been executed is not sent again".to_owned(),
            format!("tool search: rest.path is /find instead of /search. {meaning}"),
            "server one: is reached at https://one.example:8443/mcp instead of https://one.example/mcp".to_owned(),
            "server two: gets credential pat instead of no credential".to_owned(),
            format!("listener: client_timeout is 60s instead of not given (no limit). {patience}"),
        ]
    );
}

#[test]
fn settings_are_told_with_what_they_mean_and_their_defaults() {
    let told = told(|after| {
        after["breaker"]["consecutive"] = json!(3);
        after["servers"][0]["breaker"] = json!({"slow": "2s"});
        after["servers"][0]["outcomes"] = json!({"lost": {"alert": true}});
        after["breaker"].as_object_mut().unwrap().remove("window");
    });
    let expected = [
        "breaker: window is the default of 10s instead of 60s. ",
        "breaker: consecutive is 3 instead of the default of 5. ",
        "server one: breaker.slow is 2s instead of what breaker says. ",
        "server one: outcomes.lost.alert is true instead of ",
    ];
    assert!(told.len() == 4 && told.iter().zip(expected).all(|(told, start)| told.starts_with(start)), "{told:#?}");
}

#[test]
fn credentials_are_told_by_the_places_of_their_secrets_and_nothing_that_may_be_one_is_shown() {
    let told = told(|after| {
        let pat = &mut after["credentials"][0];
        pat["headers"] = json!({"x-type": "hunter3"});
        pat["slots"] = json!({"a": {"sds_file": "/pat-a.yaml"}, "b": {"env": "PAT_B"}});
        pat["policy"] = json!({"max_age": "30d"});
    });
    assert!(!told.iter().any(|told| told.contains("hunter")), "{told:?}");
    assert_eq!(
        told.get(..3).unwrap_or_default(),
        [
            "credential pat: has other headers beside it",
            "credential pat: slot a comes from SDS file /pat-a.yaml instead of environment variable PAT",
            "credential pat: slot b is new, from environment variable PAT_B",
        ]
    );
    assert!(told[3].starts_with("credential pat: policy.max_age is 30d instead of the default of 90d. "), "{told:?}");
    let inline = |secret: &str| {
        json!({"version": 1, "credentials": [{"id": "pat", "slots": {"a": {"inline": secret}}}],
            "servers": [{"id": "one", "kind": "mcp", "url": "http://127.0.0.1", "credential": "pat"}]})
    };
    let changes = changes(&loaded(&inline("hunter2")), &loaded(&inline("hunter3")));
    assert_eq!(
        text(&changes),
        "credential pat\n  slot a still comes from the registry itself, but is another or is asked in another way\n"
    );
}
