//! Answers that say that a call was not even read.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn verdict(standing: Standing, status: u16, body: &str) -> Verdict {
    let head = Head { bodiless: body.is_empty(), ..head(status) };
    judged_as(&Case { standing, dialect: Dialect::None, ..case() }, &head, body.as_bytes())
}

fn found(standing: Standing, status: u16, body: &str) -> (Class, BreakerEffect) {
    let verdict = verdict(standing, status, body);
    (verdict.class, decide_on(&verdict, None, None).breaker)
}

/// How the official SDKs' servers refuse a request without a session, or of a version that they don't speak.
const REFUSALS: [(i64, &str); 7] = [
    (-32600, "Bad Request: Missing session ID"),
    (-32000, "Bad Request: No valid session ID provided"),
    (-32000, "Bad Request: Server not initialized"),
    (-32000, "Bad Request: Mcp-Session-Id header is required"),
    (-32000, "Bad Request: A new session can only be created by an initialize request."),
    (-32000, "Bad Request: Unsupported protocol version: 2026-07-28 (supported versions: 2025-11-25)"),
    (-32022, "the version is not supported"),
];

#[test]
fn what_a_server_refuses_a_client_without_a_session_of_its_goes_elsewhere_and_does_not_count() {
    for (code, text) in REFUSALS {
        assert_eq!(found(Standing::Outside, 400, &error(code, text)), (Class::Refused, Neutral), "{text}");
    }
    for status in [404, 405, 406, 410, 421] {
        let refusal = error(-32001, "Session not found");
        assert_eq!(found(Standing::Outside, status, &refusal), (Class::Refused, Neutral), "{status}");
    }
    assert_eq!(
        found(Standing::Outside, 400, "Session ID required in mcp-session-id header"),
        (Class::Refused, Neutral)
    );
    assert_decisions(Class::Refused, Failure, Always, false, false);
}

/// anthropics/claude-code#94273: an ingress says 404 during a redeploy.
#[test]
fn an_answer_without_json_rpc_is_an_ingress_without_a_server() {
    for (status, body) in [
        (404, "404 page not found"),
        (404, ""),
        (410, "gone"),
        (405, "<html>"),
        (421, "Invalid Host header"),
        (307, ""),
        (302, "<html>login</html>"),
        (404, r#"{"error":"no route"}"#),
    ] {
        assert_eq!(found(Standing::Outside, status, body), (Class::Refused, Failure), "{status} {body}");
    }
}

#[test]
fn what_a_client_accepts_is_its_own_choice_and_counts_against_no_server() {
    assert_eq!(found(Standing::Outside, 406, ""), (Class::Refused, Neutral));
}

#[test]
fn in_a_session_of_its_own_a_server_says_that_this_is_over() {
    assert_eq!(found(Standing::Own, 404, ""), (Class::Session, Neutral));
    assert_eq!(found(Standing::Own, 400, &error(-32600, "Session not found")), (Class::Session, Neutral));
    assert_eq!(found(Standing::Own, 410, ""), (Class::Session, Neutral));
    let no = error(-32000, "Method not allowed.");
    for (status, body) in [(405, no.as_str()), (406, ""), (400, "Unsupported protocol version"), (400, "x")] {
        assert_eq!(found(Standing::Own, status, body), (Class::Caller, Neutral), "{status}");
    }
    assert_eq!(verdict(Standing::Own, 421, "x").class, Class::Refused, "it was not the server that was meant");
}

/// A web server says 405 to what is posted to a page of its; an MCP server that has begun a session takes messages.
#[test]
fn a_bare_405_to_a_message_is_an_ingress_also_in_a_session_and_one_to_a_stream_is_the_servers_own_word() {
    for body in ["", "<html>405 Not Allowed</html>"] {
        assert_eq!(found(Standing::Own, 405, body), (Class::Refused, Failure), "{body}");
        let head = Head { bodiless: body.is_empty(), ..head(405) };
        let stream = Case { standing: Standing::Own, expected: Expected::Anything, ..case() };
        assert_eq!(judged_as(&stream, &head, body.as_bytes()).class, Class::Caller, "{body}");
    }
}

#[test]
fn a_client_in_the_gates_session_begins_one_with_a_server_that_wants_one() {
    for (status, text) in [(404, "Session not found"), (400, "Bad Request: Missing session ID")] {
        assert_eq!(verdict(Standing::Gate, status, &error(-32600, text)).class, Class::Session, "{status}");
    }
    assert_eq!(found(Standing::Gate, 404, "404 page not found"), (Class::Refused, Failure));
}

#[test]
fn refusals_of_the_call_itself_stay_with_the_caller() {
    for (status, code) in [(404, -32601), (400, -32020), (400, -32021), (400, -32602), (400, -32700)] {
        assert_eq!(found(Standing::Outside, status, &error(code, "no")), (Class::Caller, Neutral), "{status} {code}");
    }
    for status in [404, 405, 406] {
        assert_eq!(class(Rest, status, r#"{"message":"no such row"}"#), Class::Caller, "{status} of an API");
    }
    assert_eq!(class(Rest, 421, "x"), Class::Refused);
}

#[test]
fn the_operator_has_the_last_word_on_what_a_refusal_tells_the_breaker() {
    let of_mcp = verdict(Standing::Outside, 404, &error(-32001, "Session not found"));
    let bare = verdict(Standing::Outside, 404, "");
    let change =
        |breaker| Overrides::new(vec![(Class::Refused, Change { breaker: Some(breaker), ..Change::default() })]);
    assert_eq!(decide_on(&of_mcp, None, Some(&change(Failure))).breaker, Failure);
    assert_eq!(decide_on(&bare, Some(&change(Neutral)), Some(&change(Limited))).breaker, Neutral);
}

#[test]
fn an_internal_error_in_a_200_counts_in_the_rate_only() {
    let told = |verdict: &Verdict| decide_on(verdict, None, None).breaker;
    let boom = error(-32603, "workspace name cannot be empty");
    assert_eq!(told(&verdict(Standing::Own, 200, &boom)), Limited);
    let EventJudgement::Answer(event) = judge_event(&case(), &message(&boom)) else { panic!("an answer") };
    assert_eq!(told(&event), Limited);
    assert_eq!(told(&verdict(Standing::Own, 500, &boom)), Failure);
    assert_eq!(told(&verdict(Standing::Own, 200, "<html>")), Failure);
}

#[test]
fn a_method_or_version_of_http_that_a_server_lacks_counts_against_no_server() {
    for kind in [Mcp, Rest] {
        for (status, effect) in [(501, Neutral), (505, Neutral), (500, Failure), (502, Failure), (503, Failure)] {
            let verdict = judged(kind, &[], &head(status), b"x");
            assert_eq!((verdict.class, decide_on(&verdict, None, None).breaker), (Class::Server, effect), "{status}");
        }
    }
}
