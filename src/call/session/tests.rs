#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::budget::Budget;

const VERSION: &str = "2025-11-25";

fn answer(version: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"dualpath-session","result":{{"protocolVersion":"{version}","capabilities":{{}}}}}}"#
    )
}

#[test]
fn a_session_is_open_once_the_server_speaks_the_clients_version() {
    let good = answer(VERSION);
    assert_eq!(judge(200, false, good.as_bytes(), VERSION), Opening::Opened);
    let events = format!(
        "id: 1\ndata:\n\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}}\n\ndata: {good}\n\n"
    );
    assert_eq!(judge(200, true, events.as_bytes(), VERSION), Opening::Opened);
    assert_eq!(judge(200, false, answer("2025-03-26").as_bytes(), VERSION), Opening::Impossible);
}

#[test]
fn only_what_a_server_says_of_this_client_makes_a_session_impossible() {
    let error =
        |code: i64| format!(r#"{{"jsonrpc":"2.0","id":"dualpath-session","error":{{"code":{code},"message":"no"}}}}"#);
    assert_eq!(judge(200, false, error(-32602).as_bytes(), VERSION), Opening::Impossible);
    assert_eq!(judge(400, false, error(-32602).as_bytes(), VERSION), Opening::Impossible);
    assert_eq!(judge(200, false, error(-32603).as_bytes(), VERSION), Opening::NotNow);
    for status in [0, 302, 401, 403, 404, 405, 429, 500, 502, 503, 504] {
        assert_eq!(judge(status, false, b"", VERSION), Opening::NotNow, "{status}");
    }
    for body in ["", "[DONE]", "{}", r#"{"jsonrpc":"2.0","id":7,"result":{}}"#] {
        assert_eq!(judge(200, false, body.as_bytes(), VERSION), Opening::NotNow, "{body}");
        assert_eq!(judge(200, true, format!("data: {body}\n\n").as_bytes(), VERSION), Opening::NotNow, "{body}");
    }
}

#[test]
fn a_worker_opens_a_bounded_number_of_sessions_in_a_second() {
    let mut budget = Budget::new(BUDGET);
    let mut open = |now_ms: u64| {
        (0..10_000)
            .filter(|_| {
                budget.allows(now_ms) && {
                    budget.spend();
                    true
                }
            })
            .count()
    };
    assert_eq!(open(0), 500);
    assert_eq!(open(1), 0);
    assert_eq!(open(1_000), 100);
}
