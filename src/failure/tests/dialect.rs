//! What vendors say counts in the vendor's own words only, and of the vendor's own servers.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn plain(kind: ServerKind, status: u16, body: &str) -> Class {
    judged_as(&Case { kind, dialect: Dialect::None, ..case() }, &head(status), body.as_bytes()).class
}

/// Bodies of an HTTP 400 in which `words` stand somewhere, but not where the server begins to speak.
fn quoting(words: &str) -> Vec<String> {
    vec![
        serde_json::json!({"message": format!("SQL compilation error: unknown column '{words}'")}).to_string(),
        serde_json::json!({"error": {"message": format!("bad filter: {words}")}}).to_string(),
        serde_json::json!({"message": "invalid", "arguments": {"query": words}}).to_string(),
        serde_json::json!({"query": words, "code": "x"}).to_string(),
        error(-32602, &format!("Invalid arguments: {words}")),
        format!("cannot parse: {words}"),
    ]
}

#[test]
fn words_of_the_callers_in_a_400_mean_nothing() {
    for words in [
        "all requests were throttled by remote service",
        "session not found",
        "Missing session ID",
        "server not initialized",
        "Programmatic access token is expired",
        "{\"code\":\"394400\"}",
    ] {
        for body in quoting(words) {
            for kind in [Mcp, Rest] {
                assert_eq!(class(kind, 400, &body), Class::Caller, "{kind:?} {body}");
            }
        }
    }
}

#[test]
fn the_servers_own_words_stand_at_the_beginning_of_its_message() {
    for body in [
        r#"{"message":"All requests were throttled by remote service."}"#,
        r#"{"error":{"message":"All requests were throttled by remote service"}}"#,
        r#"{"error":"All requests were throttled by remote service"}"#,
        "All requests were throttled by remote service",
    ] {
        for kind in [Mcp, Rest] {
            assert_eq!(class(kind, 400, body), Class::Overload, "{body}");
        }
    }
}

#[test]
fn a_vendors_words_and_codes_mean_nothing_at_another_vendors_server() {
    let throttled = r#"{"message":"All requests were throttled by remote service."}"#;
    for kind in [Mcp, Rest] {
        assert_eq!(plain(kind, 400, throttled), Class::Caller);
        assert_eq!(plain(kind, 403, r#"{"code":"394400"}"#), Class::Authorization);
    }
    assert_eq!(plain(Mcp, 200, r#"{"code":"394400"}"#), Class::Server);
    assert_eq!(plain(Mcp, 200, &error(-32603, "Programmatic access token is expired.")), Class::Server);
    assert_eq!(plain(Mcp, 200, &error(-32603, "MCP server X does not exist or not authorized.")), Class::Server);
    assert_eq!(plain(Mcp, 400, &error(-32600, "Bad Request: Missing session ID")), Class::Session, "MCP's own");
}

#[test]
fn a_missing_privilege_is_told_by_the_whole_beginning_of_the_message() {
    let found = |message: &str| class(Mcp, 200, &error(-32603, message));
    for message in [
        "MCP server DB.S.M does not exist or not authorized.",
        "Database 'X' does not exist or not authorized.",
        "Schema 'X.Y' does not exist or not authorized.",
    ] {
        assert_eq!(found(message), Class::Authorization, "{message}");
    }
    for message in [
        "tool failed: object 'x' does not exist or not authorized",
        "MCP server timed out; table X does not exist or not authorized",
        "MCP server does not exist or not authorized",
    ] {
        assert_eq!(found(message), Class::Server, "{message}");
    }
}

/// A mapping may let callers name a role; Snowflake answers 390317 where the token may not take it.
#[test]
fn a_code_that_is_not_about_the_token_is_not_a_refused_credential() {
    for code in ["390317", "390142", "390404", "390400", "390506", "394304", "390000", "394999"] {
        let body = format!(r#"{{"code":"{code}","message":"x"}}"#);
        assert_eq!(class(Rest, 403, &body), Class::Authorization, "{code}");
        assert_eq!(class(Rest, 400, &body), Class::Caller, "{code}");
        assert_eq!(class(Mcp, 200, &body), Class::Server, "{code}");
    }
}

#[test]
fn a_servers_host_tells_its_dialect() {
    for (host, dialect) in [
        ("org-account.snowflakecomputing.com", Dialect::Snowflake),
        ("org-account.privatelink.snowflakecomputing.com", Dialect::Snowflake),
        ("org-account.snowflakecomputing.cn", Dialect::Snowflake),
        ("snowflakecomputing.com", Dialect::None),
        ("evilsnowflakecomputing.com", Dialect::None),
        ("org.snowflakecomputing.com.evil.example", Dialect::None),
        ("127.0.0.1", Dialect::None),
    ] {
        assert_eq!(Dialect::of_host(host), dialect, "{host}");
    }
}

#[test]
fn the_beginning_of_a_400_is_the_operators_to_name_as_well() {
    let rules = [Rule { when: Condition::Message(Place::BadRequestStart, "suspended".into()), class: Class::Overload }];
    let found = |body: &str| judged(Rest, &rules, &head(400), body.as_bytes()).class;
    assert_eq!(found(r#"{"message":"Suspended: try later"}"#), Class::Overload);
    for body in quoting("suspended") {
        assert_eq!(found(&body), Class::Caller, "{body}");
    }
}
