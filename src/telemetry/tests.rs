use std::collections::{BTreeSet, HashSet};

use serde_json::json;

use super::*;
use crate::breaker::State;
use crate::credential::{Cause, Severity, Slot};
use crate::failure::Class;
use crate::held::Holding;
use crate::json::Value;
use crate::registry::Registry;

/// One series of every family.
fn samples(name: Name) -> Vec<Metric> {
    vec![
        Metric::Calls(AnsweredBy::Mcp, name, CallStatus::Success),
        Metric::Latency(AnsweredBy::Direct, name),
        Metric::Fallback(name, name, "open"),
        Metric::ToolCalls(name, name, Class::ToolError, AnsweredBy::Direct),
        Metric::ToolLatency(name, AnsweredBy::Mcp),
        Metric::ToolBytes(name),
        Metric::Tokens(name, name, "input"),
        Metric::Credits(name, name),
        Metric::Cache(name, "hit"),
        Metric::BreakerState(name),
        Metric::ProbeIn(name),
        Metric::Health(name, "primary"),
        Metric::ServerTime(name),
        Metric::Override(name, "forced_open"),
        Metric::McpOff(name),
        Metric::KillSwitch,
        Metric::RuntimeIgnored,
        Metric::Attempts(name, Class::NotSent),
        Metric::Drills(name, Class::Lost),
        Metric::DrillIgnored("off"),
        Metric::NameIgnored,
        Metric::Probes(name, Class::Success),
        Metric::ToolsListed(name),
        Metric::ToolDrift(name, "missing"),
        Metric::ToolLists(name, "whole"),
        Metric::ToolsRefused,
        Metric::Alerts(name, Class::Credential),
        Metric::ReplayRefused(name, "budget"),
        Metric::SessionsOpened(name),
        Metric::SessionsMoved(name),
        Metric::Held,
        Metric::HeldRefused(Holding::Answer),
        Metric::ConcurrencyLimit(name),
        Metric::ConcurrencyUnderWay(name),
        Metric::ConcurrencyOver(name),
        Metric::PatDays(name, Slot::A),
        Metric::PatPresent(name, Slot::B),
        Metric::PatSent(name, Slot::B),
        Metric::PatExpiryKnown(name, Slot::A),
        Metric::PatAlert(name, Severity::Critical),
        Metric::PatAgeViolation(name),
        Metric::PatRejected(name, Slot::B),
        Metric::PatSwitch(name, Slot::A, Slot::B, Cause::Newer),
        Metric::PatQuoted(name),
        Metric::Transitions(name, State::HalfOpen, State::Closed),
        Metric::OpenPeriod(name),
        Metric::BreakerEvents(name, "probe_ok"),
        Metric::Info(name),
    ]
}

#[test]
fn a_series_gives_a_value_to_each_label_of_its_family_and_to_no_other() {
    let mut names = Names::default();
    let name = names.intern("primary");
    let samples = samples(name);
    for metric in &samples {
        let values = metric.values(&names);
        let given = values.iter().filter(|value| !value.is_empty()).count();
        assert_eq!(given, metric.family().labels.len(), "{metric:?}");
        assert!(values[..given].iter().all(|value| !value.is_empty()), "{metric:?}");
    }
    let seen: Vec<_> = samples.iter().map(|metric| metric.family().name).collect();
    assert_eq!(seen, FAMILIES.iter().map(|family| family.name).collect::<Vec<_>>());
}

#[test]
fn a_stat_is_named_as_the_rules_of_the_bootstrap_read_it() {
    let mut names = Names::default();
    let (task, server) = (names.intern("search"), names.intern("mcp-a"));
    for (metric, expected) in [
        (
            Metric::Calls(AnsweredBy::Mcp, task, CallStatus::Fallback),
            "cortex_calls_total.mode.mcp.task.search.status.fallback",
        ),
        (
            Metric::Calls(AnsweredBy::Gate, Name::PROTOCOL, CallStatus::Success),
            "cortex_calls_total.mode.gate.task.protocol.status.success",
        ),
        (Metric::Latency(AnsweredBy::Direct, Name::OTHER), "cortex_latency_ms.mode.direct.task.other"),
        (Metric::Fallback(server, server, "lost"), "cortex_fallback_total.from.mcp-a.to.mcp-a.reason.lost"),
        (Metric::BreakerState(server), "cortex_circuit_breaker_state.server.mcp-a"),
        (
            Metric::Transitions(server, State::Closed, State::Open),
            "dualpath_breaker_transitions_total.server.mcp-a.from.closed.to.open",
        ),
        (
            Metric::PatSwitch(server, Slot::A, Slot::B, Cause::Expired),
            "dualpath_pat_switch_total.credential.mcp-a.from.a.to.b.reason.expired",
        ),
        (Metric::PatAlert(server, Severity::Alert), "snowflake_pat_rotation_alerts.credential.mcp-a.severity.alert"),
    ] {
        assert_eq!(metric.stat_name(&names), expected);
    }
}

#[test]
fn every_label_and_namespace_has_its_rule_and_none_is_left_over() {
    let used: BTreeSet<_> = FAMILIES.iter().flat_map(|family| family.labels).copied().collect();
    assert_eq!(used, BTreeSet::from(LABELS));
    let namespaces: BTreeSet<_> = FAMILIES.iter().filter_map(|family| family.name.split('_').next()).collect();
    assert_eq!(namespaces, BTreeSet::from(NAMESPACES));
}

#[test]
fn a_family_is_named_and_counted_once() {
    let names: BTreeSet<_> = FAMILIES.iter().map(|family| family.name).collect();
    assert_eq!(names.len(), FAMILIES.len());
    for family in FAMILIES {
        assert_eq!(family.name.ends_with("_total"), family.kind == Kind::Counter, "{}", family.name);
        assert!(family.bound.starts_with(|first: char| first.is_ascii_digit()), "{}", family.name);
    }
}

fn registry_of(servers: usize, tools: usize) -> Registry {
    let server = |n: usize| json!({"id": format!("s{n}"), "kind": "mcp", "url": "https://a.example/mcp", "credential": "c", "concurrency": {"max": 4}});
    let tool = |n: usize| json!({"name": format!("t{n}"), "task": format!("t{n}")});
    let servers: Vec<_> = (0..servers).map(server).collect();
    let tools: Vec<_> = (0..tools).map(tool).collect();
    let tree = json!({"version": 1, "credentials": [{"id": "c", "slots": {"a": {"env": "PAT"}}}], "servers": servers, "tools": tools});
    Registry::from_json(&Value::from(&tree)).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Every part's counters.
fn standing_of(registry: &Registry) -> Vec<Vec<Metric>> {
    let names = RegistryNames::of(registry, &mut Names::default());
    let part = |at| {
        let mut told = Vec::new();
        standing(at, registry, &names, &mut |metric| told.push(metric)).then_some(told)
    };
    (0..).map_while(part).collect()
}

#[test]
fn what_is_there_from_the_start_are_the_counters_that_the_table_says() {
    let told: HashSet<_> = standing_of(&registry_of(2, 2)).into_iter().flatten().collect();
    let families: BTreeSet<_> = told.iter().map(|metric| metric.family().name).collect();
    assert_eq!(families, document::STANDING.map(|family| family.name).into_iter().collect());
    assert!(told.iter().all(|metric| metric.family().kind == Kind::Counter), "0 is no value of a distribution");
    let stops = |metric: &&Metric| matches!(metric, Metric::ReplayRefused(Name::OTHER, _));
    let reasons = told.iter().filter(stops).count();
    assert_eq!(family::REPLAY_REFUSED.bound, format!("{reasons} per task"));
}

#[test]
fn a_large_registry_has_thousands_of_counters_from_the_start_and_no_tick_many() {
    let parts = standing_of(&registry_of(64, 1000));
    assert_eq!(parts.len(), 1 + 64 + 1 + MOST_TOOLS);
    assert!(parts.iter().all(|part| part.len() <= 60));
    assert!(parts.iter().map(Vec::len).sum::<usize>() < 5_000);
}

#[test]
fn a_name_is_the_same_however_often_it_is_interned() {
    let mut names = Names::default();
    let first = names.intern("primary");
    assert_ne!(names.intern("secondary"), first);
    assert_eq!(names.intern("primary"), first);
    assert_eq!(names.text(first), "primary");
    assert_eq!((names.intern("other"), names.intern("protocol")), (Name::OTHER, Name::PROTOCOL));
}

#[test]
fn names_beyond_the_last_number_are_counted_together() {
    let mut names = Names::default();
    let all: BTreeSet<_> = (0..70_000).map(|n| names.text_of_interned(&format!("s{n}"))).collect();
    assert_eq!(all.len(), 65_536 - 2 + 1);
    assert!(all.contains("other"));
    assert_eq!(names.text_of_interned("s0"), "s0");
}

impl Names {
    fn text_of_interned(&mut self, text: &str) -> String {
        let name = self.intern(text);
        self.text(name).to_owned()
    }
}

#[test]
fn what_is_pending_is_taken_once_and_whole() {
    let mut pending = Pending::default();
    let name = Names::default().intern("primary");
    let (attempts, latency) = (Metric::Attempts(name, Class::Success), Metric::Latency(AnsweredBy::Mcp, name));
    pending.add(attempts, 2);
    pending.add(Metric::ToolsRefused, 1);
    pending.add(attempts, 3);
    assert!(pending.record(latency, 7) && pending.record(latency, 9));
    let take = |pending: &mut Pending| {
        let (mut sums, mut values) = (Vec::new(), Vec::new());
        pending.take(|metric, sum| sums.push((metric, sum)), |metric, value| values.push((metric, value)));
        sums.sort_by_key(|(_, sum)| *sum);
        (sums, values)
    };
    let (sums, values) = take(&mut pending);
    assert_eq!(sums, [(Metric::ToolsRefused, 1), (attempts, 5)]);
    assert_eq!(values, [(latency, 7), (latency, 9)]);
    assert_eq!(take(&mut pending), (Vec::new(), Vec::new()));
}

#[test]
fn a_histogram_asks_to_be_taken_before_it_grows_without_bound() {
    let mut pending = Pending::default();
    let kept = (0..2000).take_while(|value| pending.record(Metric::OpenPeriod(Name::OTHER), *value)).count();
    assert!(kept < 2000);
    let mut values = 0;
    pending.take(|_, _| (), |_, _| values += 1);
    assert_eq!(values, kept + 1, "the value that filled it is kept, too");
}

#[test]
fn sixty_four_servers_with_a_thousand_tools_stay_within_the_bound_and_leave_the_tick_as_it_was() {
    let mut names = Names::default();
    let tools: Vec<_> = (0..1000).map(|at| names.intern(&format!("tool-{at}"))).collect();
    let servers: Vec<_> = (0..64).map(|at| names.intern(&format!("server-{at}"))).collect();
    let (mut pending, mut series) = (Pending::default(), Series::default());
    let mut told = 0_u64;
    for _ in 0..2 {
        for tool in &tools {
            for server in &servers {
                pending.add(Metric::ToolCalls(*tool, *server, Class::Success, AnsweredBy::Mcp), 1);
            }
        }
        pending.take(
            |metric, times| {
                let (shown, id) = series.find(metric);
                if id.is_none() {
                    series.define(shown, 0);
                }
                told += times;
            },
            |_, _| (),
        );
    }
    assert_eq!(told, 2 * 64_000, "nothing is lost");
    assert_eq!(series.len(), super::series::MOST_OF_TOOLS + 1);
    let other = Metric::ToolCalls(Name::OTHER, Name::OTHER, Class::Success, AnsweredBy::Mcp);
    assert!(series.find(other).1.is_some());
    pending.add(Metric::Held, 1);
    assert!(pending.room() < 64, "an idle tick goes through {} places", pending.room());
}

#[test]
fn a_dot_in_a_name_does_not_end_a_label() {
    let registry = serde_json::json!({
        "version": 1,
        "servers": [{"id": "s", "kind": "mcp", "url": "https://host.example"}],
        "prices": {"as_of": "2026-11-01", "models": [{"model": "gpt-4.1", "input": 1, "output": 1}]},
        "tools": [{"name": "get.weather", "task": "t"}]
    });
    let registry = crate::registry::Registry::from_wire(&registry).unwrap();
    let mut names = Names::default();
    let of = RegistryNames::of(&registry, &mut names);
    assert_eq!((names.text(of.tool(0)), names.text(of.model(0))), ("get_weather", "gpt-4_1"));
}
