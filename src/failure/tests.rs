#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use BreakerEffect::{Failure, Limited, Neutral, Success};
use Failover::{Always, Never, WhenReplayable};

use super::*;
use crate::failure::ServerKind::{self, Mcp, Rest};
use crate::jsonrpc::RequestId;
use crate::sse::Event;

fn head(status: u16) -> Head {
    Head { status, ..Head::default() }
}

/// The class of an answer to request 1, judged as an attempt does it: by the head, then by the body if need be.
fn class(kind: ServerKind, status: u16, body: &str) -> Class {
    judged(kind, &[], &Head { bodiless: body.is_empty(), ..head(status) }, body.as_bytes()).class
}

fn judged(kind: ServerKind, rules: &[Rule], head: &Head, body: &[u8]) -> Verdict {
    judged_as(&Case { kind, rules, ..case() }, head, body)
}

fn judged_as(case: &Case<'_>, head: &Head, body: &[u8]) -> Verdict {
    match judge_head(case, head) {
        Judgement::Decided(verdict) => verdict,
        Judgement::NeedsBody => judge_body(case, head, body),
    }
}

/// The answer of one of Snowflake's MCP servers to request 1 of a client in its session, without rules of an operator's.
fn case() -> Case<'static> {
    let expected = Expected::Answer(RequestId::from_json("1").unwrap());
    Case { kind: Mcp, dialect: Dialect::Snowflake, rules: &[], expected, standing: Standing::Own }
}

fn error(code: i64, message: &str) -> String {
    serde_json::json!({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}}).to_string()
}

fn tool_error(text: &str) -> String {
    serde_json::json!({"jsonrpc": "2.0", "id": 1,
        "result": {"content": [{"type": "image"}, {"type": "text", "text": text}], "isError": true}})
    .to_string()
}

const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;

fn assert_decisions(class: Class, breaker: BreakerEffect, failover: Failover, other_slot_first: bool, alert: bool) {
    assert_eq!(class.decisions(), Decisions { breaker, failover, other_slot_first, alert }, "{class:?}");
}

#[test]
fn what_was_not_sent_goes_elsewhere_and_counts() {
    assert_eq!(judge_no_answer(false, false).class, Class::NotSent);
    assert_decisions(Class::NotSent, Failure, Always, false, false);
}

#[test]
fn overload_goes_elsewhere_and_is_limited() {
    for kind in [Mcp, Rest] {
        assert_eq!(class(kind, 429, "x"), Class::Overload);
        let busy = Head { retry_after_ms: Some(7000), ..head(503) };
        let verdict = judged(kind, &[], &busy, b"");
        let expected = Verdict { retry_after_ms: Some(7000), ..(Class::Overload, Basis::RetryAfter).into() };
        assert_eq!(verdict, expected);
        let throttled = r#"{"message":"All requests were throttled by remote service."}"#;
        assert_eq!(class(kind, 400, throttled), Class::Overload);
    }
    assert_decisions(Class::Overload, Limited, Always, false, false);
}

#[test]
fn a_bad_credential_tries_the_other_slot_and_does_not_open_the_breaker() {
    for kind in [Mcp, Rest] {
        assert_eq!(class(kind, 401, ""), Class::Credential);
        assert_eq!(class(kind, 403, r#"{"code":"394400","message":"x"}"#), Class::Credential);
        assert_eq!(class(kind, 403, r#"{"error_code":390432}"#), Class::Credential);
        assert_eq!(class(kind, 400, r#"{"code":"394401"}"#), Class::Credential);
    }
    assert_eq!(class(Mcp, 200, r#"{"code":"390114","success":false}"#), Class::Credential);
    assert_eq!(class(Mcp, 200, &error(-32603, "Programmatic access token is expired.")), Class::Credential);
    assert_decisions(Class::Credential, Neutral, Always, true, true);
}

#[test]
fn a_missing_privilege_stays_with_the_caller() {
    for kind in [Mcp, Rest] {
        assert_eq!(class(kind, 403, ""), Class::Authorization);
        assert_eq!(class(kind, 403, "<html>"), Class::Authorization);
    }
    let message = "MCP server DB.S.M does not exist or not authorized.";
    assert_eq!(class(Mcp, 200, &error(-32603, message)), Class::Authorization);
    assert_decisions(Class::Authorization, Neutral, Never, false, false);
}

#[test]
fn a_failed_server_goes_elsewhere_for_replayable_calls() {
    for kind in [Mcp, Rest] {
        for status in [500, 501, 502, 503, 504, 599] {
            assert_eq!(class(kind, status, "x"), Class::Server, "{status}");
        }
    }
    assert_eq!(class(Mcp, 200, &error(-32603, "boom")), Class::Server);
    assert_decisions(Class::Server, Failure, WhenReplayable, false, false);
}

#[test]
fn an_answer_that_is_none_is_the_servers_failure() {
    for body in ["", "{", "<html>", "[]", "{}", "true", r#"{"jsonrpc":"2.0","id":2,"result":{}}"#, "data: x"] {
        assert_eq!(class(Mcp, 200, body), Class::Server, "{body}");
    }
    assert_eq!(class(Mcp, 200, r#"{"jsonrpc":"2.0","method":"ping","id":1}"#), Class::Server);
    assert_eq!(class(Mcp, 202, ""), Class::Server, "a request wants an answer");
}

#[test]
fn a_redirect_is_not_followed_and_an_api_may_have_done_its_work_before_it() {
    for status in [301, 302, 303, 304] {
        assert_eq!(class(Mcp, status, ""), Class::Refused, "{status}");
        assert_eq!(class(Rest, status, ""), Class::Server, "{status}");
    }
    for (kind, status) in [(Mcp, 307), (Mcp, 308), (Rest, 307), (Rest, 308)] {
        assert_eq!(class(kind, status, "<html>"), Class::Refused, "{status}");
    }
}

#[test]
fn what_was_sent_and_lost_goes_elsewhere_for_replayable_calls() {
    assert_eq!(judge_no_answer(true, false).class, Class::Lost);
    assert_eq!(class(Rest, 408, "x"), Class::Lost);
    assert_decisions(Class::Lost, Failure, WhenReplayable, false, false);
}

#[test]
fn a_lost_session_is_told_to_the_client_and_does_not_count() {
    assert_eq!(class(Mcp, 404, ""), Class::Session);
    assert_eq!(class(Mcp, 404, &error(-32600, "Session not found")), Class::Session);
    assert_eq!(class(Mcp, 400, &error(-32000, "Bad Request: No valid session ID provided")), Class::Session);
    assert_eq!(class(Mcp, 400, &error(-32000, "Bad Request: Server not initialized")), Class::Session);
    assert_decisions(Class::Session, Neutral, Never, false, false);
}

#[test]
fn a_plain_http_api_has_no_sessions_to_lose() {
    assert_eq!(class(Rest, 404, "session"), Class::Caller);
    assert_eq!(class(Rest, 400, "session parameter unknown"), Class::Caller);
}

#[test]
fn what_the_caller_did_wrong_stays_with_the_caller() {
    for code in [-32700, -32600, -32601, -32602, -32002, -32042, -32000, 7] {
        assert_eq!(class(Mcp, 200, &error(code, "x")), Class::Caller, "{code}");
    }
    for status in [400, 402, 406, 409, 413, 415, 422] {
        for kind in [Mcp, Rest] {
            assert_eq!(class(kind, status, "x"), Class::Caller, "{status}");
        }
    }
    assert_eq!(class(Rest, 405, "x"), Class::Caller);
    assert_decisions(Class::Caller, Neutral, Never, false, false);
}

#[test]
fn refusals_of_the_stateless_versions_are_not_taken_for_a_lost_session() {
    assert_eq!(class(Mcp, 404, &error(-32601, "Method not found")), Class::Caller);
    for code in [-32020, -32021, -32022] {
        assert_eq!(class(Mcp, 400, &error(code, "the session header does not match")), Class::Caller);
    }
}

#[test]
fn a_tool_error_is_a_success_of_the_server() {
    let text = "MCP error calling tool t: MCP Server tool error: Agent error (code 399504): no";
    assert_eq!(class(Mcp, 200, &tool_error(text)), Class::ToolError);
    assert_decisions(Class::ToolError, Success, Never, false, false);
}

#[test]
fn a_client_that_left_is_nobodys_failure() {
    assert_eq!(judge_no_answer(true, true).class, Class::Cancelled);
    assert_eq!(judge_no_answer(false, true).class, Class::Cancelled);
    assert_decisions(Class::Cancelled, Neutral, Never, false, false);
}

#[test]
fn an_answered_call_is_a_success() {
    assert_eq!(class(Mcp, 200, RESULT), Class::Success);
    for status in [200, 201, 202, 204] {
        assert_eq!(class(Rest, status, ""), Class::Success, "{status}");
    }
    assert_decisions(Class::Success, Success, Never, false, false);
}

#[test]
fn a_message_that_wants_no_answer_is_served_by_any_2xx() {
    for status in [200, 202, 204] {
        for expected in [Expected::Nothing, Expected::Anything] {
            let head = Head { bodiless: true, ..head(status) };
            let verdict = (Class::Success, Basis::Status).into();
            assert_eq!(judge_head(&Case { expected, ..case() }, &head), Judgement::Decided(verdict));
        }
    }
}

#[test]
fn a_text_of_the_callers_own_does_not_have_the_call_sent_again() {
    let echoed = "SQL error near 'Programmatic access token is invalid', code 394400";
    assert_eq!(class(Mcp, 200, &error(-32603, echoed)), Class::Server);
    let echoed = tool_error("Programmatic access token is invalid; all requests were throttled by remote service");
    assert_eq!(class(Mcp, 200, &echoed), Class::ToolError);
}

fn message(data: &str) -> Event {
    Event { data: data.as_bytes().to_vec(), kind: Vec::new(), is_message: true }
}

/// Servers and gateways keep streams alive by events of their own, with `{}` or a time as data. No client reads them.
#[test]
fn an_event_of_another_type_is_a_sign_of_life_whatever_it_holds() {
    for data in ["{}", "ping", RESULT, &error(-32603, "boom")] {
        let other = Event { is_message: false, ..message(data) };
        assert_eq!(judge_event(&case(), &other), EventJudgement::LifeSign, "{data}");
    }
}

/// A CDN may compress what nobody asked it to: every client can read that, and we can't.
#[test]
fn an_encoded_answer_is_a_success_and_an_encoded_refusal_is_judged_by_its_status() {
    for value in ["gzip", "br", " zstd", "GZIP, identity"] {
        assert!(is_encoded(value.as_bytes()), "{value}");
    }
    for value in ["", " ", "identity", "Identity "] {
        assert!(!is_encoded(value.as_bytes()), "{value}");
    }
    for (status, class) in [
        (200, Class::Success),
        (400, Class::Caller),
        (401, Class::Credential),
        (403, Class::Authorization),
        (404, Class::Session),
        (500, Class::Server),
    ] {
        let head = Head { encoded: true, ..head(status) };
        let rules = [Rule { when: Condition::Code(7), class: Class::Overload }];
        for rules in [&[][..], &rules] {
            assert_eq!(judged(Mcp, rules, &head, b"\x1f\x8b\x08").class, class, "{status}");
            let judged = judge_head(&Case { rules, ..case() }, &head);
            assert!(matches!(judged, Judgement::Decided(_)), "nobody need wait for it");
        }
    }
    assert_eq!(judged(Mcp, &[], &Head { encoded: true, bodiless: true, ..head(200) }, b"").class, Class::Server);
}

#[test]
fn events_are_judged_as_answers_and_everything_else_is_passed_on() {
    let event = |data: &str| judge_event(&case(), &message(data));
    assert_eq!(event(RESULT), EventJudgement::Answer((Class::Success, Basis::Body).into()));
    assert_eq!(event(&error(-32603, "boom")), EventJudgement::Answer((Class::Server, Basis::Code).into()));
    assert_eq!(event("x"), EventJudgement::Answer((Class::Server, Basis::Body).into()));
    assert_eq!(event(r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#), EventJudgement::Interim);
    assert_eq!(judge_event(&Case { expected: Expected::Anything, ..case() }, &message("x")), EventJudgement::Interim);
}

#[test]
fn empty_data_says_nothing_and_the_done_marker_that_nothing_follows() {
    let judged = |data: &str| judge_event(&case(), &message(data));
    for data in ["", " "] {
        assert_eq!(judged(data), EventJudgement::LifeSign, "{data:?}");
    }
    for data in ["[DONE]", " [DONE]\n"] {
        let judged = judged(data);
        assert!(matches!(judged, EventJudgement::Answer(Verdict { class: Class::Server, .. })), "{data:?}: {judged:?}");
    }
}

/// Whether a call is sent on by the table alone.
fn goes_on(class: Class, replay: Replay) -> bool {
    may_fail_over(class, class.decisions().failover, replay)
}

#[test]
fn an_unreplayable_call_goes_elsewhere_only_if_it_was_not_executed() {
    let refusals =
        [Replay::NotReplayable, Replay::UnknownAnnotation, Replay::Pinned, Replay::Batch, Replay::Unreadable];
    for replay in refusals {
        let found: Vec<_> = Class::ALL.into_iter().filter(|class| goes_on(*class, replay)).collect();
        assert_eq!(found, [Class::NotSent, Class::Refused, Class::Overload, Class::Credential], "{replay:?}");
    }
    let found: Vec<_> = Class::ALL.into_iter().filter(|class| goes_on(*class, Replay::Allowed)).collect();
    assert_eq!(found, [Class::NotSent, Class::Refused, Class::Overload, Class::Credential, Class::Server, Class::Lost]);
}

#[test]
fn the_names_of_the_classes_differ_and_fit_a_stat_name() {
    let mut names: Vec<_> = Class::ALL.into_iter().map(Class::as_str).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Class::ALL.len());
    assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
}

/// Sun, 06 Nov 1994 08:49:37 GMT
const NOW_MS: u64 = 784_111_777_000;

#[test]
fn retry_after_is_read_in_seconds() {
    assert_eq!(retry_after::parse(b" 120 ", NOW_MS), Some(120_000));
    assert_eq!(retry_after::parse(b"0", NOW_MS), Some(0));
}

/// ContextForge passed the header to `float()`, which raised on a date and so turned a 503 into a crash.
#[test]
fn retry_after_is_read_as_a_date() {
    assert_eq!(retry_after::parse(b"Sun, 06 Nov 1994 08:49:47 GMT", NOW_MS), Some(10_000));
    assert_eq!(retry_after::parse(b"Sunday, 06-Nov-94 08:49:47 GMT", NOW_MS), Some(10_000));
    assert_eq!(retry_after::parse(b"Sun Nov  6 08:49:47 1994", NOW_MS), Some(10_000));
    assert_eq!(retry_after::parse(b"Sun, 06 Nov 1994 08:00:00 GMT", NOW_MS), Some(0));
}

#[test]
fn retry_after_is_clamped() {
    for value in ["3601", "18446744073709551615", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        assert_eq!(retry_after::parse(value.as_bytes(), NOW_MS), Some(retry_after::MAX_MS), "{value}");
    }
}

#[test]
fn retry_after_that_says_nothing_is_ignored() {
    let cases: [&[u8]; 9] =
        [b"", b" ", b"-5", b"1.5", b"+3", b"soon", b"\xff", b"Sun, 99 Nov 1994 08:49:37 GMT", b"1e3"];
    for value in cases {
        assert_eq!(retry_after::parse(value, NOW_MS), None);
    }
}

mod dialect;
mod policy;
mod refused;
mod properties {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn hostile_bytes_never_panic_and_never_have_an_executed_call_sent_again(
            status in prop_oneof![Just(200u16), 200..600u16, any::<u16>()],
            body: Vec<u8>,
            bodiless: bool,
            encoded: bool,
            retry_after_ms: Option<u64>,
            rest: bool,
        ) {
            let kind = if rest { Rest } else { Mcp };
            let head = Head { status, retry_after_ms, bodiless, encoded };
            let verdict = judged(kind, &[], &head, &body);
            if goes_on(verdict.class, Replay::NotReplayable) {
                // A 405 to a message is an ingress's: every MCP server takes messages by POST.
                let refused = if rest { matches!(status, 307 | 308 | 421) } else { matches!(status, 300..=399 | 405 | 421) };
                prop_assert!(matches!(status, 401 | 429) || status == 503 && retry_after_ms.is_some() || refused);
            }
        }

        #[test]
        fn no_message_of_an_error_has_an_executed_call_sent_again(code: i64, message: String, is_result: bool) {
            let body = if is_result { tool_error(&message) } else { error(code, &message) };
            prop_assert!(!goes_on(class(Mcp, 200, &body), Replay::NotReplayable));
        }

        #[test]
        fn no_bytes_make_retry_after_panic_or_exceed_its_bound(value: Vec<u8>, text in "[A-Za-z0-9 ,:-]{0,40}", now: u64) {
            for value in [value.as_slice(), text.as_bytes()] {
                prop_assert!(retry_after::parse(value, now).is_none_or(|ms| ms <= retry_after::MAX_MS));
            }
        }
    }
}
