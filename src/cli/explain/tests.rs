use std::rc::Rc;

use serde_json::{Value, json};

use super::*;
use crate::registry::Registry;

/// Two MCP servers and an API; a credential with two slots.
fn tree() -> Value {
    let rest = json!({"server": "api", "method": "GET", "path": "/s", "answer": {"content": "${response.text}"}});
    json!({
        "version": 1,
        "failure": {"rules": [{"jsonrpc_code": -32050, "class": "overload"}]},
        "credentials": [{"id": "pat", "slots": {"a": {"env": "A"}, "b": {"env": "B"}}}],
        "servers": [
            {"id": "one", "kind": "mcp", "url": "https://one.example", "dialect": "snowflake", "credential": "pat"},
            {"id": "two", "kind": "mcp", "tier": "secondary", "url": "https://two.example"},
            {"id": "api", "kind": "rest", "url": "https://api.example"}
        ],
        "tools": [
            {"name": "search", "task": "search", "replayable": true, "rest": rest},
            {"name": "sql", "task": "sql"},
            {"name": "direct", "task": "direct", "servers": [], "rest": rest}
        ]
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut tree = tree();
    let (parent, key) = pointer.rsplit_once('/').expect("a JSON pointer");
    tree.pointer_mut(parent).expect("the parent exists")[key] = value;
    tree
}

fn explain(tree: &Value, server: &str, tool: Option<&str>, seen: &Description, body: &str) -> Result<Finding, String> {
    let registry = Registry::from_wire(tree).unwrap_or_else(|problems| panic!("{problems:#?}"));
    Finding::new(&Rc::new(registry), server, tool, false, &Seen::new(seen, body.as_bytes().to_vec())?)
}

fn status(status: u16) -> Description {
    Description { status: Some(status), ..Description::default() }
}

fn transport(transport: Transport) -> Description {
    Description { transport: Some(transport), ..Description::default() }
}

/// What is printed under `title`, without what decided it.
fn line(finding: &Finding, title: &str) -> String {
    let text = show::text(finding);
    let found = text.lines().find_map(|line| line.strip_prefix(&format!("{title:<12} ")));
    let found = found.unwrap_or_else(|| panic!("no {title} in\n{text}"));
    found.split("  [").next().unwrap_or(found).to_owned()
}

fn error(code: i64, message: &str) -> String {
    json!({"jsonrpc": "2.0", "id": "x-7", "error": {"code": code, "message": message}}).to_string()
}

#[test]
fn a_401_of_a_server_that_gets_the_clients_own_token_is_the_clients() {
    let ours = explain(&tree(), "two", Some("sql"), &status(401), "{}").unwrap();
    assert_eq!((line(&ours, "class").starts_with("credential"), line(&ours, "alert").as_str()), (true, "yes"));
    let passing = with("/listener", json!({"client_authorization": "pass"}));
    let clients = explain(&passing, "two", Some("sql"), &status(401), "{}").unwrap();
    assert!(line(&clients, "class").starts_with("authorization"), "{}", line(&clients, "class"));
    assert_eq!((line(&clients, "alert"), clients.conclusion), ("no".to_owned(), crate::call::answer::Conclusion::Pass));
}

/// Every class of the table in the README, for a tool that is replayable and one that is not.
#[test]
fn the_default_table_is_explained_as_it_is() {
    let busy = Description { headers: vec!["Retry-After: 7".to_owned()], ..status(503) };
    let is_error = json!({"jsonrpc": "2.0", "id": 1, "result": {"isError": true, "content": []}}).to_string();
    let result = json!({"jsonrpc": "2.0", "id": 1, "result": {"content": []}}).to_string();
    let no_session = error(-32600, "Bad Request: Missing session ID");
    let in_session = |code| Description { in_session: true, ..status(code) };
    let internal = error(-32603, "boom");
    let invalid = error(-32602, "no such argument");
    let (all, none, replayable) = ("always", "never", "when_replayable");
    let rows = [
        (transport(Transport::Refused), "", "not_sent", "failure", all),
        (busy, "x", "overload", "limited", all),
        (status(429), "x", "overload", "limited", all),
        (status(401), "x", "credential", "neutral", all),
        (status(403), r#"{"code":"394400"}"#, "credential", "neutral", all),
        (status(403), "", "authorization", "neutral", none),
        (status(502), "x", "server", "failure", replayable),
        (status(200), "<html>", "server", "failure", replayable),
        (status(501), "x", "server", "neutral", replayable),
        (status(200), internal.as_str(), "server", "limited", replayable),
        (transport(Transport::Reset), "", "lost", "failure", replayable),
        (transport(Transport::Timeout), "", "lost", "failure", replayable),
        (status(404), "", "refused", "failure", all),
        (status(307), "", "refused", "failure", all),
        (status(421), "x", "refused", "failure", all),
        (status(400), no_session.as_str(), "refused", "neutral", all),
        (in_session(404), "", "session", "neutral", none),
        (status(200), invalid.as_str(), "caller", "neutral", none),
        (status(422), "x", "caller", "neutral", none),
        (status(200), is_error.as_str(), "tool_error", "success", none),
        (transport(Transport::Cancelled), "", "cancelled", "neutral", none),
        (status(200), result.as_str(), "success", "success", none),
    ];
    for (seen, body, class, breaker, policy) in rows {
        for (tool, is_replayable) in [("search", true), ("sql", false)] {
            let finding = explain(&tree(), "one", Some(tool), &seen, body).expect(class);
            assert_eq!(finding.judged.settled.verdict.class.as_str(), class, "{seen:?}");
            assert_eq!(line(&finding, "breaker").split(':').next(), Some(breaker), "{class}");
            let sent_on = policy == all || policy == replayable && is_replayable;
            let to = if is_replayable { "two, then api" } else { "two" };
            let failover = line(&finding, "failover");
            match sent_on {
                true => assert_eq!(failover, format!("yes ({policy}), to {to}"), "{class}"),
                false => assert!(failover.starts_with(&format!("no ({policy}): ")), "{class}: {failover}"),
            }
            let is_credential = class == "credential";
            assert_eq!((finding.other_slot, finding.decisions.alert), (is_credential, is_credential), "{class}");
            assert_eq!(finding.origins.failover, format!("default table, class {class}"));
        }
    }
}

#[test]
fn the_place_that_says_so_is_named_for_each_decision() {
    let mut tree = with("/servers/0/outcomes", json!({"server": {"failover": "never", "breaker": "neutral"}}));
    tree["tools"][1]["outcomes"] = json!({"server": {"failover": "always", "alert": true}});
    let finding = explain(&tree, "one", Some("sql"), &status(500), "x").unwrap();
    assert_eq!(finding.origins.failover, "tools[1].outcomes.server.failover");
    assert_eq!(finding.origins.alert, "tools[1].outcomes.server.alert");
    assert_eq!(finding.origins.breaker, "servers[0].outcomes.server.breaker");
    assert_eq!(finding.origins.other_slot, "default table, class server");
    assert_eq!(line(&finding, "failover"), "yes (always), to two");
    let finding = explain(&tree, "one", Some("search"), &status(500), "x").unwrap();
    assert_eq!(line(&finding, "failover"), "no (never): never for this class");
    assert_eq!(line(&finding, "client"), "HTTP 200 with the JSON-RPC error 50303 UPSTREAM_FAILED");
}

#[test]
fn the_rule_that_gave_the_class_is_named() {
    let tree = with("/servers/1/rules", json!([{"message": "suspended", "in": "tool_error", "class": "server"}]));
    let by = |server, status_of, body: &str| {
        explain(&tree, server, None, &status(status_of), body).map(|finding| finding.decided_by).unwrap()
    };
    let suspended = json!({"jsonrpc": "2.0", "id": 1, "result": {"isError": true,
        "content": [{"type": "text", "text": "Warehouse suspended"}]}});
    assert_eq!(
        by("two", 200, &suspended.to_string()),
        "servers[1].rules[0]: \"suspended\" in the text of a result with isError"
    );
    assert_eq!(by("one", 200, &suspended.to_string()), "built in: what the body is");
    for server in ["one", "two"] {
        assert_eq!(by(server, 500, &error(-32050, "x")), "failure.rules[0]: JSON-RPC error code -32050");
    }
    assert_eq!(
        by("one", 200, &error(-32603, "Programmatic access token is expired")),
        "dialect snowflake: \"programmatic access token is \" at the beginning of the message of a JSON-RPC error -32603"
    );
    assert_eq!(by("one", 502, ""), "built in: HTTP status 502");
}

#[test]
fn the_last_server_has_nobody_after_it() {
    let finding = explain(&tree(), "api", Some("search"), &status(500), "x").unwrap();
    assert_eq!(line(&finding, "failover"), "no (when_replayable): there is no server after api");
    let tree = with("/servers/2/attempts", json!(3));
    let finding = explain(&tree, "api", Some("search"), &transport(Transport::Refused), "").unwrap();
    assert_eq!(
        line(&finding, "failover"),
        "no (always): there is no server after api; it is asked up to 3 times itself (servers[2].attempts)"
    );
    let finding = explain(&tree, "api", Some("search"), &status(500), "x").unwrap();
    assert_eq!(line(&finding, "failover"), "no (when_replayable): there is no server after api");
}

#[test]
fn a_lost_call_stays_lost_if_any_other_server_of_it_says_so() {
    let tree = with("/servers/1/outcomes", json!({"lost": {"failover": "never"}}));
    let finding = explain(&tree, "one", Some("search"), &transport(Transport::Reset), "").unwrap();
    assert!(line(&finding, "failover").contains("another server"), "{}", line(&finding, "failover"));
    let finding = explain(&tree, "one", Some("search"), &status(500), "").unwrap();
    assert_eq!(line(&finding, "failover"), "yes (when_replayable), to two, then api", "an answer is judged on its own");
}

#[test]
fn a_stream_is_judged_by_its_first_event_with_data() {
    let seen = Description { event_stream: true, ..status(200) };
    let class = |body: &str| {
        explain(&tree(), "one", Some("search"), &seen, body)
            .map(|finding| finding.judged.settled.verdict.class.as_str())
            .unwrap()
    };
    let failed = error(-32603, "boom");
    assert_eq!(class(&format!(": hello\n\ndata: {failed}\n\n")), "server");
    let progress = r#"data: {"jsonrpc":"2.0","method":"notifications/progress"}"#;
    assert_eq!(class(&format!("{progress}\n\ndata: {failed}\n\n")), "success", "the client has the first event");
    assert_eq!(class("data: {\n"), "server");
}

#[test]
fn an_api_is_judged_by_what_the_tools_mapping_makes_of_its_answer() {
    let class = |status_of, body: &str| {
        let finding = explain(&tree(), "api", Some("direct"), &status(status_of), body).unwrap();
        (finding.judged.settled.verdict.class.as_str(), line(&finding, "client"))
    };
    assert_eq!(class(200, r#"{"text":"x"}"#), ("success", "this answer, with HTTP 200".to_owned()));
    assert_eq!(class(200, "<html>").0, "server");
    assert_eq!(class(422, r#"{"message":"x"}"#), ("caller", "this answer, with HTTP 200".to_owned()));
}

#[test]
fn a_client_never_gets_a_401() {
    for (class, wanted, status_shown) in [
        ("caller", "jsonrpc", 200),
        ("authorization", "jsonrpc", 200),
        ("server", "http", 503),
        ("overload", "http", 503),
    ] {
        let mut tree = with("/failure", json!({"rules": [{"status": 401, "class": class}]}));
        tree["listener"]["error_status"] = json!(wanted);
        let finding = explain(&tree, "two", Some("sql"), &status(401), "x").unwrap();
        let error = format!("HTTP {status_shown} with the JSON-RPC error 50302 CREDENTIAL_UNAVAILABLE");
        assert!(line(&finding, "client").ends_with(&error), "{class}");
    }
}

#[test]
fn what_is_not_known_is_refused_with_what_is() {
    let told = |server, tool, seen: &Description| explain(&tree(), server, tool, seen, "").expect_err("a problem");
    assert_eq!(told("on", None, &status(500)), "--server on: is not in the registry; it has one, two, api");
    assert_eq!(
        told("one", Some("serch"), &status(500)),
        "--tool serch: is not in the registry, which lists search, sql, direct; leave --tool out for any other"
    );
    assert_eq!(told("one", Some("direct"), &status(500)), "--server one: is never asked for direct; that goes to api");
    assert_eq!(
        told("api", None, &status(500)),
        "--server api: is never asked for a tool that the registry does not list; that goes to one, two"
    );
    assert_eq!(told("one", None, &Description::default()), "say what was seen: --status, --body or --transport");
    let header = |text: &str| Description { headers: vec![text.to_owned()], ..status(503) };
    assert_eq!(told("one", None, &header("retry-after")), "--header retry-after: must be NAME: VALUE");
    assert_eq!(
        told("one", None, &header("retry-after: soon")),
        "--header retry-after: soon: must be a number of seconds or an HTTP date"
    );
}

#[test]
fn programs_get_the_same_as_people() {
    let seen = Description { headers: vec!["retry-after: 7".to_owned()], ..status(503) };
    let finding = explain(&tree(), "one", Some("search"), &seen, "busy").unwrap();
    let found: Value = serde_json::from_str(&show::json(&finding)).expect("JSON");
    let table = "default table, class overload";
    assert_eq!(
        found,
        json!({
            "server": "one",
            "tool": "search",
            "seen": "HTTP 503 with a body of 4 bytes",
            "class": {"name": "overload", "by": "built in: HTTP status 503 with Retry-After (7 s)"},
            "breaker": {"effect": "limited", "rate": true, "run": false, "retry_after_ms": 7000, "by": table},
            "other_slot": {"answer": false, "by": table},
            "failover": {"answer": true, "policy": "always", "to": ["two", "api"], "why_not": null, "by": table},
            "alert": {"answer": false, "by": table},
            "client": {"answer": "next"}
        })
    );
}

#[test]
fn a_tool_that_is_left_to_annotations_depends_on_them() {
    let mut tree = tree();
    tree["servers"][0]["trust_annotations"] = json!(true);
    tree["servers"][1]["trust_annotations"] = json!(true);
    let registry = Rc::new(Registry::from_wire(&tree).unwrap_or_else(|problems| panic!("{problems:#?}")));
    let seen = Seen::new(&status(500), Vec::new()).unwrap();
    for tool in [Some("sql"), None] {
        let failover = |annotated| line(&Finding::new(&registry, "one", tool, annotated, &seen).unwrap(), "failover");
        assert!(failover(false).contains("--annotated"), "{tool:?}: {}", failover(false));
        assert_eq!(failover(true), "yes (when_replayable), to two");
    }
}
