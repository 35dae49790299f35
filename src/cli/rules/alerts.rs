//! The alerts, one or more for each page of the runbooks.
//!
//! A page is for what clients feel, or will within hours; the rest is a ticket. Burn rates are those of the SRE Workbook
//! (chapter 5, multiwindow, multi-burn-rate) for 99.9 % of calls in 30 days.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ids;
use super::shares::failed;
use crate::registry::{Registry, ServerKind};

/// A server's own failures, by class. What is about the call or its client is none.
const FAILURES: &str = "not_sent|overload|server|lost|refused|credential";

/// An alert.
#[derive(Debug, Clone)]
pub struct Alert {
    /// Its name.
    pub name: &'static str,
    /// The heading of its page in the runbooks, as a link has it.
    pub page: &'static str,
    /// Whether somebody is woken for it.
    pub wakes: bool,
    /// For how long it must be so.
    pub lasting: &'static str,
    /// The condition, in PromQL.
    pub expression: String,
    /// What is so, for people.
    pub summary: String,
    /// A label of its own.
    pub label: Option<(&'static str, String)>,
}

impl Alert {
    /// The rule.
    pub(super) fn rule(self, runbooks: &str) -> Value {
        let severity = ("severity", if self.wakes { "page" } else { "ticket" }.to_owned());
        let labels: BTreeMap<&str, String> = [severity].into_iter().chain(self.label).collect();
        json!({
            "alert": self.name,
            "expr": self.expression,
            "for": self.lasting,
            "labels": labels,
            "annotations": {"summary": self.summary, "runbook_url": format!("{runbooks}#{}", self.page)},
        })
    }
}

/// All alerts for a registry.
pub fn alerts(registry: &Registry) -> Vec<Alert> {
    let mut alerts = no_path(registry);
    alerts.extend(direct_path(registry));
    alerts.extend(budget_of_errors());
    alerts.extend(servers());
    alerts.extend(tokens());
    alerts.extend(module(registry));
    alerts.push(switched_off());
    alerts
}

fn page(name: &'static str, page: &'static str, lasting: &'static str, expression: String, summary: &str) -> Alert {
    Alert { name, page, wakes: true, lasting, expression, summary: summary.to_owned(), label: None }
}

fn ticket(name: &'static str, on: &'static str, lasting: &'static str, expression: String, summary: &str) -> Alert {
    Alert { wakes: false, ..page(name, on, lasting, expression, summary) }
}

/// One alert for each set of servers that tasks rely on.
fn no_path(registry: &Registry) -> Vec<Alert> {
    let mut sets: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
    for tool in &registry.tools {
        let servers = tool.mcp.iter().copied().chain(tool.rest.as_ref().map(|direct| direct.server));
        let mut servers: Vec<&str> =
            servers.filter_map(|at| registry.server(at)).map(|server| server.id.as_str()).collect();
        servers.sort_unstable();
        let tasks = sets.entry(servers).or_default();
        if !tasks.contains(&tool.task.as_str()) {
            tasks.push(tool.task.as_str());
        }
    }
    let alert = |(servers, tasks): (Vec<&str>, Vec<&str>)| {
        let state = format!("cortex_circuit_breaker_state{{server=~\"{}\"}}", servers.join("|"));
        let expression = format!("min by (job, instance) ({state} > bool 0) == 1");
        let summary = "Every server of these tasks is left alone: {{ $labels.tasks }}";
        let alert = page("DualpathNoPath", "all-paths-down", "1m", expression, summary);
        Alert { label: Some(("tasks", tasks.join(", "))), ..alert }
    };
    sets.into_iter().filter(|(servers, _)| !servers.is_empty()).map(alert).collect()
}

fn direct_path(registry: &Registry) -> Option<Alert> {
    let servers = ids(registry, ServerKind::Rest).join("|");
    let rate = |outcome: &str| {
        format!("sum by (job, server) (rate(dualpath_attempts_total{{server=~\"{servers}\"{outcome}}}[5m]))")
    };
    let expression = format!("{} / {} > 0.2", rate(&format!(",outcome=~\"{FAILURES}\"")), rate(""));
    let summary = "The direct path {{ $labels.server }} fails in {{ $value | humanizePercentage }} of its attempts";
    (!servers.is_empty()).then(|| ticket("DualpathDirectPathFails", "all-paths-down", "5m", expression, summary))
}

fn budget_of_errors() -> [Alert; 2] {
    let both = |factor: &str, long: &str, short: &str| {
        format!("({} > {factor} * 0.001 and {} > {factor} * 0.001)", failed(long), failed(short))
    };
    let fast = format!("{} or {}", both("14.4", "1h", "5m"), both("6", "6h", "30m"));
    let slow = format!("{} or {}", both("3", "1d", "2h"), both("1", "3d", "6h"));
    let summary = "{{ $value | humanizePercentage }} of calls fail; 99.9 % are promised";
    [
        page("DualpathErrorBudgetFast", "all-paths-down", "2m", fast, summary),
        ticket("DualpathErrorBudgetSlow", "all-paths-down", "15m", slow, summary),
    ]
}

fn servers() -> [Alert; 6] {
    let flaps = "increase(dualpath_breaker_transitions_total{from=\"closed\",to=\"open\"}[1h]) > 3";
    let empty = "sum by (job, instance, task) (rate(dualpath_replay_refused_total{reason=\"budget\"}[5m])) > 0";
    let left_alone = "a-server-is-left-alone-or-flaps";
    [
        ticket(
            "DualpathBreakerOpen",
            left_alone,
            "10m",
            "cortex_circuit_breaker_state > 0".to_owned(),
            "{{ $labels.server }} is left alone for ten minutes",
        ),
        ticket(
            "DualpathFlapping",
            left_alone,
            "0m",
            flaps.to_owned(),
            "{{ $labels.server }} was left alone {{ $value | humanize }} times in an hour",
        ),
        ticket(
            "DualpathFallbackShare",
            left_alone,
            "10m",
            "dualpath:calls_fallback:ratio_rate10m > 0.1".to_owned(),
            "{{ $value | humanizePercentage }} of calls are answered by another server than the first",
        ),
        page(
            "DualpathBudgetEmpty",
            "the-budget-is-empty",
            "2m",
            empty.to_owned(),
            "Failed calls of {{ $labels.task }} are not sent on: the budget is empty",
        ),
        ticket(
            "DualpathLatency",
            "a-server-is-slow",
            "10m",
            "dualpath:latency_ms:p95_5m > 400".to_owned(),
            "The 95th percentile of calls is {{ $value | humanize }} ms; 400 are promised",
        ),
        ticket(
            "DualpathDrift",
            "servers-drift-apart",
            "15m",
            "sum by (job, instance, server) (dualpath_tool_drift) > 0".to_owned(),
            "{{ $labels.server }} differs in {{ $value }} tools from the first MCP server",
        ),
    ]
}

fn tokens() -> [Alert; 5] {
    let alert = |severity: &str| {
        format!("max by (job, instance, credential) (snowflake_pat_rotation_alerts{{severity=\"{severity}\"}}) == 1")
    };
    let ended = "snowflake_pat_days_until_expiry == 0 and dualpath_pat_present == 1 and dualpath_pat_sent == 0";
    [
        ticket(
            "DualpathTokenEndsSoon",
            "a-token-ends-soon",
            "5m",
            alert("alert"),
            "A token of {{ $labels.credential }} ends within days",
        ),
        page(
            "DualpathTokenCritical",
            "a-token-ends-soon",
            "5m",
            alert("critical"),
            "{{ $labels.credential }}: a token is in its last day, has ended, or none may be sent",
        ),
        ticket(
            "DualpathTokenEnded",
            "a-token-ends-soon",
            "1m",
            ended.to_owned(),
            "The token in slot {{ $labels.slot }} of {{ $labels.credential }} is not sent any more: it has ended",
        ),
        ticket(
            "DualpathTokenRefused",
            "a-token-is-refused",
            "1m",
            "increase(dualpath_pat_rejected_total[5m]) > 0".to_owned(),
            "A server refuses the token in slot {{ $labels.slot }} of {{ $labels.credential }}",
        ),
        page(
            "DualpathTokenNone",
            "a-token-is-refused",
            "1m",
            "max by (job, instance, credential) (dualpath_pat_sent) == 0".to_owned(),
            "{{ $labels.credential }} has no token that may be sent",
        ),
    ]
}

fn module(registry: &Registry) -> [Alert; 2] {
    let held =
        format!("dualpath_held_bytes > on (job, instance) (0.8 * {} * envoy_server_concurrency)", registry.limits.held);
    let refused = "sum by (job, instance) (rate(dualpath_held_refused_total[5m])) > 0";
    let traps = "increase(envoy_wasm_dualpath_vm_reload_success[15m]) > 0";
    [
        ticket(
            "DualpathMemory",
            "memory",
            "2m",
            format!("({refused}) or ({held})"),
            "What workers hold of requests and answers is full, or nearly",
        ),
        ticket(
            "DualpathTrap",
            "the-module-has-trapped",
            "0m",
            traps.to_owned(),
            "The module has trapped and was loaded again; the requests in that worker are lost",
        ),
    ]
}

fn switched_off() -> Alert {
    let gauges = ["dualpath_kill_switch", "dualpath_mcp_off", "dualpath_override{state!=\"normal\"}"];
    let conditions = gauges.map(|gauge| format!("max by (job, instance) ({gauge}) == 1"));
    let summary = "MCP, a task or a server has been switched off by hand for an hour";
    ticket("DualpathSwitchedOff", "a-kill-switch-is-left-on", "1h", conditions.join(" or "), summary)
}
