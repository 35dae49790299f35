//! What an operator changes: rules that give answers their class, and what follows from a class.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn status(status: u16, class: Class) -> Rule {
    Rule { when: Condition::Status(status), class }
}

fn code(code: i64, class: Class) -> Rule {
    Rule { when: Condition::Code(code), class }
}

fn message(place: Place, text: &str, class: Class) -> Rule {
    Rule { when: Condition::Message(place, text.into()), class }
}

fn found(rules: &[Rule], status: u16, body: &str) -> (Class, Basis) {
    let verdict = judged(Mcp, rules, &Head { bodiless: body.is_empty(), ..head(status) }, body.as_bytes());
    (verdict.class, verdict.basis)
}

#[test]
fn a_tool_error_that_the_operator_named_is_the_servers_failure() {
    let rules = [message(Place::ToolError, "agent error (code 399504)", Class::Server)];
    let body = tool_error("MCP Server tool error: Agent error (code 399504): no");
    assert_eq!(found(&rules, 200, &body), (Class::Server, Basis::Rule(0)));
    let body = tool_error("MCP Server tool error: SQL compilation error");
    assert_eq!(found(&rules, 200, &body), (Class::ToolError, Basis::Body));
}

#[test]
fn a_text_at_the_beginning_is_not_found_further_on() {
    let rules = [message(Place::ToolErrorStart, "rate limit", Class::Overload)];
    assert_eq!(found(&rules, 200, &tool_error("Rate limit reached")).0, Class::Overload);
    assert_eq!(found(&rules, 200, &tool_error("no table named 'rate limit'")).0, Class::ToolError);
}

#[test]
fn a_status_means_what_the_operator_says() {
    let rules = [status(503, Class::Overload), status(404, Class::Caller), status(409, Class::Server)];
    for kind in [Mcp, Rest] {
        for (at, body) in ["", "x", &error(-32603, "x")].into_iter().enumerate() {
            let judged = |status| {
                judged(kind, &rules, &Head { bodiless: body.is_empty(), ..head(status) }, body.as_bytes()).class
            };
            assert_eq!(
                (judged(503), judged(404), judged(409)),
                (Class::Overload, Class::Caller, Class::Server),
                "{at}"
            );
        }
    }
}

#[test]
fn an_overload_by_rule_takes_its_retry_after_along() {
    let busy = Head { retry_after_ms: Some(3000), ..head(500) };
    let verdict = judged(Mcp, &[status(500, Class::Overload)], &busy, b"x");
    assert_eq!((verdict.class, verdict.retry_after_ms), (Class::Overload, Some(3000)));
    let verdict = judged(Mcp, &[status(500, Class::Server)], &busy, b"x");
    assert_eq!((verdict.class, verdict.retry_after_ms), (Class::Server, None));
}

#[test]
fn a_json_rpc_code_means_what_the_operator_says_whatever_the_status() {
    let rules = [code(-32050, Class::Overload)];
    for status in [200, 400, 403, 404, 422, 500, 503] {
        assert_eq!(found(&rules, status, &error(-32050, "x")), (Class::Overload, Basis::Rule(0)), "{status}");
    }
    assert_eq!(found(&rules, 500, &error(-32051, "x")), (Class::Server, Basis::Status));
    assert_eq!(found(&rules, 500, ""), (Class::Server, Basis::Status));
    assert_eq!(found(&rules, 401, "<html>"), (Class::Credential, Basis::Status));
    let event = judge_event(&Case { rules: &rules, ..case() }, &super::message(&error(-32050, "x")));
    assert_eq!(event, EventJudgement::Answer((Class::Overload, Basis::Rule(0)).into()));
}

#[test]
fn the_first_rule_that_fits_decides_wherever_it_looks() {
    let text = message(Place::BadRequest, "suspended", Class::Server);
    let rules = [text.clone(), status(400, Class::Overload)];
    assert_eq!(found(&rules, 400, "warehouse SUSPENDED"), (Class::Server, Basis::Rule(0)));
    assert_eq!(found(&rules, 400, "other"), (Class::Overload, Basis::Rule(1)));
    assert_eq!(found(&rules, 400, ""), (Class::Overload, Basis::Rule(1)));
    let rules = [status(400, Class::Overload), text];
    assert_eq!(found(&rules, 400, "warehouse suspended"), (Class::Overload, Basis::Rule(0)));
}

#[test]
fn what_is_built_in_stands_behind_every_rule() {
    let expired = error(-32603, "Programmatic access token is expired.");
    assert!(matches!(found(&[], 200, &expired), (Class::Credential, Basis::Known(_))));
    let rules = [code(-32603, Class::Caller)];
    assert_eq!(found(&rules, 200, &expired), (Class::Caller, Basis::Rule(0)));
    assert!(matches!(found(&rules, 400, "Session not found"), (Class::Session, Basis::Known(_))));
    assert_eq!(found(&rules, 200, RESULT), (Class::Success, Basis::Body));
}

fn overrides(class: Class, change: Change) -> Overrides {
    Overrides::new(vec![(class, change)])
}

#[test]
fn the_tools_word_counts_before_the_servers_and_that_before_the_table() {
    let server = Change { breaker: Some(Neutral), failover: Some(Never), ..Change::default() };
    let tool = Change { failover: Some(Always), alert: Some(true), ..Change::default() };
    let (server, tool) = (overrides(Class::Server, server), overrides(Class::Server, tool));
    let all = |breaker, failover, alert| Decisions { breaker, failover, other_slot_first: false, alert };
    assert_eq!(decide(Class::Server, None, None), all(Failure, WhenReplayable, false));
    assert_eq!(decide(Class::Server, None, Some(&server)), all(Neutral, Never, false));
    assert_eq!(decide(Class::Server, Some(&tool), None), all(Failure, Always, true));
    assert_eq!(decide(Class::Server, Some(&tool), Some(&server)), all(Neutral, Always, true));
    for class in Class::ALL.into_iter().filter(|class| *class != Class::Server) {
        assert_eq!(decide(class, Some(&tool), Some(&server)), class.decisions(), "{class:?}");
    }
}

/// ruby-mcp-client #196: a client that retried `tools/call` on its own executed calls twice.
#[test]
fn no_policy_has_a_call_sent_again_that_only_one_server_can_go_on_with() {
    for replay in [Replay::Pinned, Replay::Batch, Replay::Unreadable] {
        for class in Class::ALL.into_iter().filter(|class| class.may_have_been_executed()) {
            for failover in Failover::ALL {
                assert!(!may_fail_over(class, failover, replay), "{class:?} {replay:?}");
            }
        }
    }
}

#[test]
fn an_operator_may_have_a_tools_calls_sent_again_by_name() {
    for replay in [Replay::Allowed, Replay::NotReplayable, Replay::UnknownAnnotation] {
        assert!(may_fail_over(Class::Server, Always, replay), "{replay:?}");
    }
    assert!(!may_fail_over(Class::Server, Never, Replay::Allowed));
}

#[test]
fn only_failures_that_would_have_been_sent_on_count_as_refused_replays() {
    let refused = |class: Class, replay| replay_refused(class, class.decisions().failover, replay);
    for class in Class::ALL {
        let counts = matches!(class, Class::Server | Class::Lost);
        assert_eq!(refused(class, Replay::NotReplayable), counts.then_some("not_replayable"), "{class:?}");
        assert_eq!(refused(class, Replay::Allowed), None, "{class:?}");
    }
    assert_eq!(replay_refused(Class::Server, Never, Replay::Allowed), Some("policy"));
    assert_eq!(replay_refused(Class::Caller, WhenReplayable, Replay::Pinned), Some("pinned"));
}
