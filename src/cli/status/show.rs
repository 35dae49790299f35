//! A status in words and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::model::{Calls, Credential, Server, Status, Transition};
use crate::cli::credentials::days_left;
use crate::credential::date;

/// In lines, for people. `admin` is whom it was asked of.
pub(super) fn text(status: &Status, admin: &str) -> String {
    let mut text = format!("{} at {}\n", admin, date::show(status.time_s));
    let mut line = |title: &str, says: &str| {
        let _ = writeln!(text, "{title:<12} {says}");
    };
    for runs in &status.runs {
        line("registry", &format!("{}, module {}", runs.registry, runs.version));
    }
    line("switches", &switches(status));
    for calls in &status.calls {
        line("calls", &calls_line(calls));
    }
    for server in &status.servers {
        line("server", &format!("{}: {}", server.id, server_says(server).join(", ")));
        if !server.why.is_empty() {
            line("", &server.why);
        }
    }
    for credential in &status.credentials {
        line("credential", &format!("{}: {}", credential.id, credential_says(credential)));
    }
    for transition in &status.transitions {
        line("transition", &transition_says(transition));
    }
    text
}

/// In one line, for a log.
pub(super) fn line(status: &Status) -> String {
    let mut line = date::show(status.time_s);
    for calls in status.calls.iter().filter(|calls| calls.total > 0.0) {
        let _ = write!(line, "  {} {}", calls.mode, rate(calls.per_s));
    }
    for server in &status.servers {
        let _ = write!(line, "  {}={}", server.id, server.state);
        if let Some(wait) = server.probe_in_ms {
            let _ = write!(line, "({})", seconds(wait));
        }
    }
    let switches = switches(status);
    if switches != NOTHING_OFF {
        let _ = write!(line, "  {switches}");
    }
    line.push('\n');
    line
}

/// What is said where nothing is switched off.
pub(super) const NOTHING_OFF: &str = "MCP is on";

/// What is switched off.
pub(super) fn switches(status: &Status) -> String {
    let mut said = match status.mcp_enabled.as_deref() {
        Some("100") => vec![NOTHING_OFF.to_owned()],
        Some("0") => vec!["MCP IS SWITCHED OFF".to_owned()],
        Some(percent) => vec![format!("MCP FOR {percent} % OF CALLS")],
        None => vec!["whether MCP is on is not to be seen here".to_owned()],
    };
    said.extend(status.tasks_off.iter().map(|task| format!("MCP IS OFF FOR TASK {task}")));
    for server in &status.servers {
        said.extend(server.overrides.iter().map(|state| format!("{} IS {}", server.id, state.to_uppercase())));
    }
    said.join(", ")
}

fn calls_line(calls: &Calls) -> String {
    let mut said = vec![format!("{}: {}, {} in all", calls.mode, rate(calls.per_s), calls.total)];
    said.extend(shares(&calls.shares));
    said.extend(calls.latency_ms.map(latency));
    said.join(", ")
}

/// What is to be said of a server, the most important first.
pub(super) fn server_says(server: &Server) -> Vec<String> {
    let mut said = vec![breaker(server)];
    said.extend(server.health.map(|health| format!("health {health} %")));
    said.push(rate(server.per_s).replace("/s", " attempts/s"));
    said.extend(shares(&server.errors).map(|errors| format!("failed: {errors}")));
    said.push(pool(server));
    said.extend(server.tools.map(|tools| format!("tools {tools}")));
    said
}

/// The state of a server's breaker, and when it is probed.
pub(super) fn breaker(server: &Server) -> String {
    match (server.state, server.probe_in_ms) {
        ("closed" | "unknown", _) | (_, None) => server.state.to_owned(),
        (state, Some(0.0)) => format!("{} (a probe is due)", state.to_uppercase()),
        (state, Some(wait)) => format!("{} (probe in {})", state.to_uppercase(), seconds(wait)),
    }
}

/// A server's connections.
pub(super) fn pool(server: &Server) -> String {
    let pool = &server.pool;
    let full = if pool.is_full { ", POOL FULL" } else { "" };
    let [hosts, used] = pool.hosts;
    let hosts = if used < hosts { format!(", {used} of {hosts} addresses in use") } else { String::new() };
    format!("connections {}, under way {}, waiting {}{full}{hosts}", pool.connections, pool.requests, pool.waiting)
}

/// A credential's need for a new token, and its slots.
pub(super) fn credential_says(credential: &Credential) -> String {
    let mut said = vec![match credential.severity {
        "none" => "no token ends soon".to_owned(),
        "unknown" => "when its tokens end is unknown".to_owned(),
        urgent => urgent.to_uppercase(),
    }];
    for slot in &credential.slots {
        let sent = if slot.is_sent { "" } else { " NOT SENT" };
        let left = slot.days_left.map(|days| format!(" {} left", days_left(days))).unwrap_or_default();
        let refused = if slot.rejected > 0 { format!(" refused {} times", slot.rejected) } else { String::new() };
        said.push(format!("slot {}{sent}{left}{refused}", slot.slot));
    }
    said.join(", ")
}

/// A change of a breaker, and how often.
pub(super) fn transition_says(transition: &Transition) -> String {
    let Transition { server, from, to, times } = transition;
    format!("{server}: {from} to {to}, {times} times")
}

/// p50, p95 and p99, in words.
pub(super) fn latency([p50, p95, p99]: [f64; 3]) -> String {
    format!("p50 {p50:.0} ms, p95 {p95:.0} ms, p99 {p99:.0} ms")
}

/// Calls in a second, in words.
pub(super) fn rate(per_s: Option<f64>) -> String {
    per_s.map_or("-/s".to_owned(), |per_s| format!("{per_s:.1}/s"))
}

/// Shares in percent; `None` if there are none.
pub(super) fn shares(shares: &[(String, f64)]) -> Option<String> {
    let said: Vec<_> = shares.iter().map(|(name, share)| format!("{name} {:.1} %", share * 100.0)).collect();
    (!said.is_empty()).then(|| said.join(" "))
}

fn seconds(ms: f64) -> String {
    format!("{:.1} s", ms / 1000.0)
}

/// For programs. Its keys are stable. `last` are the changes of breakers since the reading before.
pub(super) fn json(status: &Status, admin: &str, last: &[Transition]) -> Value {
    json!({
        "time": date::show(status.time_s),
        "admin": admin,
        "window_s": status.window_s,
        "runs": status.runs.iter().map(|it| json!({"registry": it.registry, "version": it.version})).collect::<Vec<_>>(),
        "mcp_enabled": status.mcp_enabled,
        "tasks_off": status.tasks_off,
        "calls": status.calls.iter().map(calls_json).collect::<Vec<_>>(),
        "servers": status.servers.iter().map(server_json).collect::<Vec<_>>(),
        "credentials": status.credentials.iter().map(credential_json).collect::<Vec<_>>(),
        "transitions": status.transitions.iter().map(transition_json).collect::<Vec<_>>(),
        "last_transitions": last.iter().map(transition_json).collect::<Vec<_>>(),
    })
}

fn calls_json(calls: &Calls) -> Value {
    let [p50, p95, p99] = calls.latency_ms.map_or([None; 3], |all| all.map(Some));
    json!({
        "mode": calls.mode, "per_s": calls.per_s, "total": calls.total, "shares": shares_json(&calls.shares),
        "p50_ms": p50, "p95_ms": p95, "p99_ms": p99,
    })
}

fn shares_json(shares: &[(String, f64)]) -> Value {
    shares.iter().map(|(name, share)| (name.clone(), json!(share))).collect()
}

fn server_json(server: &Server) -> Value {
    let [hosts, used] = server.pool.hosts;
    json!({
        "server": server.id, "tier": server.tier, "state": server.state, "probe_in_ms": server.probe_in_ms,
        "why": server.why, "health": server.health, "overrides": server.overrides,
        "attempts_per_s": server.per_s, "errors": shares_json(&server.errors), "tools": server.tools,
        "pool": {
            "connections": server.pool.connections, "under_way": server.pool.requests, "waiting": server.pool.waiting,
            "full": server.pool.is_full, "addresses": hosts, "addresses_in_use": used,
        },
    })
}

fn credential_json(credential: &Credential) -> Value {
    let slots = credential.slots.iter().map(
        |slot| json!({"slot": slot.slot, "sent": slot.is_sent, "days_left": slot.days_left, "rejected": slot.rejected}),
    );
    json!({"credential": credential.id, "severity": credential.severity, "slots": slots.collect::<Vec<_>>()})
}

fn transition_json(transition: &Transition) -> Value {
    let Transition { server, from, to, times } = transition;
    json!({"server": server, "from": from, "to": to, "times": times})
}
