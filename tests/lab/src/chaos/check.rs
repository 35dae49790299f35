//! The invariants, checked from what the clients heard and what the servers wrote down.

use std::collections::BTreeMap;

use super::caller::Outcome;
use super::calls::Sort;
use super::servers::{SERVERS, secret};
use super::timeline::Times;
use super::verdict::{Fate, Wrong};
use crate::stub::Kind;
use crate::stub::journal::{Entry, MARK};

/// Everything that is known after a run.
#[derive(Debug)]
pub struct Evidence<'e> {
    /// What became of every call.
    pub outcomes: &'e [Outcome],
    /// The servers' journals, by name.
    pub journals: &'e BTreeMap<String, Vec<Entry>>,
    /// When each server was well.
    pub well: &'e BTreeMap<String, Times>,
    /// When each server's breaker was closed; a server that is not named never opened.
    pub closed: &'e BTreeMap<&'e str, Times>,
    /// What Envoy wrote: its log, its statistics.
    pub written: &'e [(&'static str, String)],
}

/// The calls by which an invariant was broken, by number, and what else was.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Violations {
    /// Calls that could be replayed and were not answered although a path was up.
    pub replayable_failed: Vec<u64>,
    /// Calls that must not be executed twice, and were.
    pub duplicated: Vec<u64>,
    /// Calls whose answer was another call's.
    pub wrong_id: Vec<u64>,
    /// Calls that ended without any JSON-RPC response.
    pub unanswered: Vec<u64>,
    /// Where a secret was that must not be there.
    pub leaked: Vec<String>,
    /// Traps of the module.
    pub traps: usize,
}

impl Violations {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Violations::default()
    }

    /// The calls that broke an invariant.
    pub fn calls(&self) -> impl Iterator<Item = u64> + '_ {
        [&self.replayable_failed, &self.duplicated, &self.wrong_id, &self.unanswered].into_iter().flatten().copied()
    }
}

/// Longest time between something that happened and the line about it in Envoy's log, ms.
const LOG_LAG_MS: u64 = 5;

impl Evidence<'_> {
    /// Every violation.
    pub fn violations(&self) -> Violations {
        let numbers = |broken: &dyn Fn(&Outcome) -> bool| {
            self.outcomes.iter().filter(|outcome| broken(outcome)).map(|outcome| outcome.call.number).collect()
        };
        Violations {
            replayable_failed: numbers(&|outcome| {
                let excused = outcome.heard.fate.is_answered()
                    || matches!(outcome.heard.fate, Fate::CutOff | Fate::Abandoned)
                    || outcome.call.sort == Sort::Once;
                !excused && self.is_up(outcome)
            }),
            duplicated: self.duplicated(),
            wrong_id: numbers(&|outcome| outcome.heard.wrong.iter().any(|wrong| matches!(wrong, Wrong::Id(_)))),
            unanswered: numbers(&|outcome| matches!(outcome.heard.fate, Fate::Unanswered(_))),
            leaked: self.leaked(),
            traps: self.written.iter().map(|(_, text)| text.matches(" critical wasm ").count()).sum(),
        }
    }

    /// Whether a path was up for a call. *Up*, from before the call was sent until after its answer was there, without
    /// a pause: an MCP server that was well and whose breaker was closed; or the direct path, if it was well, whatever
    /// its breaker said; or, for a method of the protocol, the gate, which is always there. *Well*: no fault was in
    /// force at the server, or only slowness that stays within half of its time limit.
    pub fn is_up(&self, outcome: &Outcome) -> bool {
        let (from, to) = (outcome.sent_ms.saturating_sub(LOG_LAG_MS), outcome.done_ms.saturating_add(LOG_LAG_MS));
        let admits = |name: &str| self.closed.get(name).is_none_or(|times| times.cover(from, to));
        outcome.call.sort == Sort::Protocol
            || SERVERS.iter().any(|(name, kind)| self.is_well(name, outcome) && (*kind == Kind::Rest || admits(name)))
    }

    /// Whether a server was well during a call.
    pub fn is_well(&self, server: &str, outcome: &Outcome) -> bool {
        let (from, to) = (outcome.sent_ms.saturating_sub(LOG_LAG_MS), outcome.done_ms.saturating_add(LOG_LAG_MS));
        self.well.get(server).is_some_and(|times| times.cover(from, to))
    }

    fn duplicated(&self) -> Vec<u64> {
        let mut executions: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in self.journals.values().flatten().filter(|entry| entry.executed) {
            for token in entry.marks.iter().filter(|mark| !is_secret(mark)) {
                *executions.entry(token).or_default() += 1;
            }
        }
        let once = self.outcomes.iter().filter(|outcome| outcome.call.sort == Sort::Once);
        once.filter(|outcome| executions.get(&*outcome.call.token).is_some_and(|times| *times > 1))
            .map(|outcome| outcome.call.number)
            .collect()
    }

    fn leaked(&self) -> Vec<String> {
        let mut leaked = Vec::new();
        for (server, entries) in self.journals {
            let own = secret(server);
            for entry in entries {
                let secrets: Vec<_> = entry.marks.iter().filter(|mark| is_secret(mark)).collect();
                if secrets != [&own] {
                    leaked.push(format!("{server} was sent {secrets:?} with {:?}", entry.marks));
                }
            }
        }
        for outcome in self.outcomes {
            if outcome.heard.wrong.iter().any(|wrong| matches!(wrong, Wrong::Secret(_))) {
                leaked.push(format!("the answer to call {}", outcome.call.number));
            }
        }
        let prefix = format!("{MARK}pat");
        leaked
            .extend(self.written.iter().filter(|(_, text)| text.contains(&prefix)).map(|(what, _)| (*what).to_owned()));
        leaked
    }
}

fn is_secret(mark: &str) -> bool {
    mark.strip_prefix(MARK).is_some_and(|rest| rest.starts_with("pat"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::calls::Call;
    use super::super::verdict::Heard;
    use super::*;
    use crate::stub::Behaviour;

    fn outcome(sort: Sort, heard: impl Into<Heard>) -> Outcome {
        let call = (0..).map(|number| Call::of(1, number)).find(|call| call.sort == sort).unwrap();
        Outcome {
            call,
            sent_ms: 1000,
            done_ms: 1100,
            took: Duration::from_millis(100),
            attempts: 1,
            heard: heard.into(),
        }
    }

    fn failed() -> Fate {
        Fate::Error(503, "no server".to_owned())
    }

    /// A server that was well all the time, or not at all; its breaker likewise.
    struct World {
        well: BTreeMap<String, Times>,
        closed: BTreeMap<&'static str, Times>,
        journals: BTreeMap<String, Vec<Entry>>,
        written: Vec<(&'static str, String)>,
    }

    impl World {
        fn with_well(names: &[&str]) -> World {
            let always = || {
                let mut times = Times::default();
                times.begin(0);
                times
            };
            let closed = SERVERS.map(|(name, _)| (name, always())).into();
            let well = names.iter().map(|name| ((*name).to_owned(), always())).collect();
            World { well, closed, journals: BTreeMap::new(), written: Vec::new() }
        }

        fn executed(mut self, server: &str, marks: &[&str]) -> World {
            let entry = Entry {
                at_ms: 1050,
                marks: marks.iter().map(|mark| (*mark).to_owned()).collect(),
                executed: true,
                behaviour: Behaviour::Normal,
            };
            self.journals.entry(server.to_owned()).or_default().push(entry);
            self
        }

        fn violations(&self, outcomes: &[Outcome]) -> Violations {
            let Self { well, closed, journals, written } = self;
            Evidence { outcomes, journals, well, closed, written }.violations()
        }
    }

    #[test]
    fn a_replayable_call_may_fail_only_while_no_path_is_up() {
        let call = outcome(Sort::Replayable, failed());
        let number = vec![call.call.number];
        for up in ["primary", "tertiary", "rest"] {
            assert_eq!(
                World::with_well(&[up]).violations(std::slice::from_ref(&call)).replayable_failed,
                number,
                "{up}"
            );
        }
        assert!(World::with_well(&[]).violations(std::slice::from_ref(&call)).is_empty());
        let mut opened = World::with_well(&["primary"]);
        opened.closed.get_mut("primary").unwrap().end(1050);
        assert!(opened.violations(std::slice::from_ref(&call)).is_empty(), "its breaker let nothing in");
        let mut fell_ill = World::with_well(&["rest"]);
        fell_ill.well.get_mut("rest").unwrap().end(1099);
        assert!(fell_ill.violations(&[call]).is_empty());
    }

    #[test]
    fn a_breaker_is_no_excuse_on_the_direct_path() {
        let mut world = World::with_well(&["rest"]);
        world.closed.get_mut("rest").unwrap().end(0);
        assert_eq!(world.violations(&[outcome(Sort::Replayable, failed())]).replayable_failed.len(), 1);
    }

    #[test]
    fn a_protocol_method_is_always_answered() {
        assert_eq!(World::with_well(&[]).violations(&[outcome(Sort::Protocol, failed())]).replayable_failed.len(), 1);
    }

    #[test]
    fn a_call_executed_by_two_servers_is_a_duplicate_unless_replayable() {
        for (sort, duplicates) in [(Sort::Once, 1), (Sort::Replayable, 0)] {
            let call = outcome(sort, Fate::Result);
            let (own, token) = (secret("primary"), call.call.token.clone());
            let world = World::with_well(&["primary"])
                .executed("primary", &[&own, &token])
                .executed("rest", &[&secret("rest"), &token]);
            assert_eq!(world.violations(&[call]).duplicated.len(), duplicates, "{sort:?}");
        }
    }

    #[test]
    fn no_response_at_all_is_a_violation_whatever_the_call() {
        for sort in [Sort::Protocol, Sort::Replayable, Sort::Once] {
            let violations = World::with_well(&[]).violations(&[outcome(sort, Fate::Unanswered(String::new()))]);
            assert_eq!(violations.unanswered.len(), 1, "{sort:?}");
        }
    }

    #[test]
    fn a_foreign_secret_or_none_is_a_leak() {
        for marks in [vec![], vec![secret("rest")], vec![secret("primary"), secret("rest")]] {
            let marks: Vec<_> = marks.iter().map(String::as_str).collect();
            assert_eq!(World::with_well(&[]).executed("primary", &marks).violations(&[]).leaked.len(), 1, "{marks:?}");
        }
        let mut world = World::with_well(&[]);
        world.written.push(("its log", format!("token {}", secret("rest"))));
        assert_eq!(world.violations(&[]).leaked, ["its log"]);
        let wrong = vec![Wrong::Secret(secret("rest"))];
        let answer = outcome(Sort::Once, Heard { fate: Fate::Result, wrong });
        assert_eq!(World::with_well(&[]).violations(&[answer]).leaked.len(), 1);
    }
}
