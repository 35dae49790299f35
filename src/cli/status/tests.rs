mod page;

use std::time::{Duration, Instant};

use serde_json::json;

use super::history::History;
use super::model::Status;
use super::reading::Reading;
use super::show;
use crate::cli::metrics::Metrics;

const ADMIN: &str = "http://127.0.0.1:9901";

/// What an Envoy of the demo has shown: with all well, and 10 s later, when primary was dead and MCP had been off for a while.
const WELL: &str = include_str!("tests/well.prom");
const DEAD: &str = include_str!("tests/dead.prom");

fn reading(text: &str, begun: Instant, after_s: u64, mcp_enabled: &str) -> Reading {
    Reading {
        at: begun + Duration::from_secs(after_s),
        time_s: 1_795_000_000 + after_s,
        metrics: Metrics::parse(text),
        mcp_enabled: Some(mcp_enabled.to_owned()),
    }
}

/// The two, as a status that began to look with the first.
fn statuses() -> (Status, Status) {
    let (mut history, begun) = (History::default(), Instant::now());
    let (first, _) = history.add(reading(WELL, begun, 0, "100"));
    let (second, _) = history.add(reading(DEAD, begun, 10, "0"));
    (first, second)
}

#[test]
fn an_open_breaker_says_when_it_is_probed_and_why_it_is_open() {
    let (first, second) = statuses();
    assert!(
        first
            .servers
            .iter()
            .all(|server| server.state == "closed" && server.probe_in_ms.is_none() && server.why.is_empty())
    );
    let primary = &second.servers[0];
    assert_eq!((primary.id.as_str(), primary.tier.as_deref(), primary.state), ("primary", Some("primary"), "open"));
    assert_eq!((primary.probe_in_ms, primary.health), (Some(3121.0), Some(0.0)));
    let why = "attempts: lost 5: it gave no answer, and may have executed the call; probes: server 2: it failed";
    assert_eq!(primary.why, why);
    let text = show::text(&second, ADMIN);
    assert!(
        text.contains("server       primary: OPEN (probe in 3.1 s), health 0 %, 0.5 attempts/s, failed: lost 100.0 %"),
        "{text}"
    );
    assert!(text.contains("switches     MCP IS SWITCHED OFF"), "{text}");
}

#[test]
fn rates_and_shares_are_of_what_has_come_since_and_totals_of_everything() {
    let (first, second) = statuses();
    let mcp = &second.calls[0];
    assert_eq!((mcp.mode, mcp.per_s, mcp.total), ("mcp", Some(6.0), 100.0));
    assert_eq!(mcp.shares, [("fallback".to_owned(), 1.0)]);
    let [p50, p95, p99] = mcp.latency_ms.unwrap();
    assert!(0.0 < p50 && p50 <= p95 && p95 <= p99, "{mcp:?}");
    assert_eq!((first.calls[0].per_s, first.window_s), (None, None));
    assert_eq!(first.calls[0].shares, [("success".to_owned(), 1.0)]);
    assert_eq!(second.servers[2].per_s, Some(6.0), "attempts at secondary");
}

#[test]
fn an_envoy_that_has_begun_anew_gives_no_negative_rates() {
    let (mut history, begun) = (History::default(), Instant::now());
    history.add(reading(DEAD, begun, 0, "100"));
    let (status, _) = history.add(reading(WELL, begun, 10, "100"));
    assert_eq!(status.calls[0].per_s, Some(4.0));
    assert!(status.servers.iter().all(|server| server.per_s.is_some_and(|rate| rate >= 0.0)), "{status:?}");
}

#[test]
fn changes_of_breakers_are_told_once() {
    let (mut history, begun) = (History::default(), Instant::now());
    assert_eq!(history.add(reading(WELL, begun, 0, "100")).1, []);
    let (_, changes) = history.add(reading(DEAD, begun, 1, "100"));
    let said: Vec<_> = changes.iter().map(show::transition_says).collect();
    assert_eq!(
        said,
        [
            "primary: closed to open, 1 times",
            "primary: half_open to open, 2 times",
            "primary: open to half_open, 2 times"
        ]
    );
    assert_eq!(history.add(reading(DEAD, begun, 2, "100")).1, []);
}

#[test]
fn scripts_find_the_same_keys_whatever_there_is_to_tell() {
    let (first, second) = statuses();
    let keys = |status: &Status| {
        let tree = show::json(status, ADMIN, &[]);
        let names = |pointer: &str| {
            tree.pointer(pointer).and_then(|it| it.as_object()).map(|it| it.keys().cloned().collect::<Vec<_>>())
        };
        ["", "/servers/0", "/servers/0/pool", "/calls/0", "/credentials/0", "/credentials/0/slots/0"]
            .map(|it| names(it).unwrap())
    };
    assert_eq!(keys(&first), keys(&second));
    let tree = show::json(&second, ADMIN, &[]);
    assert_eq!(tree["servers"][0]["probe_in_ms"], json!(3121.0));
    assert_eq!(tree["mcp_enabled"], json!("0"));
    assert_eq!(
        tree["credentials"][0],
        json!({"credential": "primary-pat", "severity": "unknown", "slots": [{"slot": "a", "sent": true, "days_left": null, "rejected": 0}]})
    );
}

#[test]
fn a_log_gets_a_line_each_time() {
    let (_, second) = statuses();
    assert_eq!(
        show::line(&second),
        "2026-11-18T11:06:50Z  mcp 6.0/s  primary=open(3.1 s)  rest=closed  secondary=closed  MCP IS SWITCHED OFF\n"
    );
}

#[test]
fn overrides_and_tokens_that_end_stand_out() {
    let text = "cortex_circuit_breaker_state{server=\"a\"} 1\n\
                dualpath_override{server=\"a\",state=\"forced_open\"} 1\n\
                dualpath_override{server=\"a\",state=\"drained\"} 0\n\
                dualpath_mcp_off{task=\"search\"} 1\n\
                dualpath_pat_present{credential=\"pat\",slot=\"a\"} 1\n\
                dualpath_pat_sent{credential=\"pat\",slot=\"a\"} 0\n\
                dualpath_pat_expiry_known{credential=\"pat\",slot=\"a\"} 1\n\
                snowflake_pat_days_until_expiry{credential=\"pat\",slot=\"a\"} 0\n\
                snowflake_pat_rotation_alerts{credential=\"pat\",severity=\"alert\"} 1\n\
                snowflake_pat_rotation_alerts{credential=\"pat\",severity=\"critical\"} 1\n\
                dualpath_pat_rejected_total{credential=\"pat\",slot=\"a\"} 3\n";
    let status = Status::new(&reading(text, Instant::now(), 0, "50"), None, None);
    assert_eq!(show::switches(&status), "MCP FOR 50 % OF CALLS, MCP IS OFF FOR TASK search, a IS FORCED_OPEN");
    let says = show::credential_says(&status.credentials[0]);
    assert_eq!(says, "CRITICAL, slot a NOT SENT less than a day left refused 3 times");
}
