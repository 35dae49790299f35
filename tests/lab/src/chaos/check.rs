//! The invariants, checked from what the clients heard and what the servers wrote down.

use std::collections::BTreeMap;

use super::TIMEOUT_MS;
use super::caller::Outcome;
use super::calls::Sort;
use super::servers::{Health, SERVERS, SLOTS, has_sessions, secret};
use super::sessions::Errands;
use super::timeline::Times;
use super::verdict::{Fate, Wrong};
use crate::stub::Kind;
use crate::stub::journal::{Entry, MARK};

/// Everything that is known after a run.
#[derive(Debug)]
pub struct Evidence<'e> {
    /// What became of every call.
    pub outcomes: &'e [Outcome],
    /// What else the clients with sessions have heard.
    pub errands: &'e Errands,
    /// The servers' journals, by name.
    pub journals: &'e BTreeMap<String, Vec<Entry>>,
    /// How the servers were.
    pub health: &'e Health,
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
    /// Requests that reached a server in a session that is none of theirs.
    pub strayed: Vec<String>,
    /// Calls whose client was told that its session had ended, although it need not have.
    pub ended: Vec<u64>,
    /// What else a client with a session has heard that it must not.
    pub complaints: Vec<String>,
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

    /// The calls that broke an invariant, by invariant.
    pub fn calls(&self) -> [(&'static str, &[u64]); 5] {
        [
            ("failed although replayable", &self.replayable_failed),
            ("executed twice", &self.duplicated),
            ("another's answer", &self.wrong_id),
            ("session ended", &self.ended),
            ("unanswered", &self.unanswered),
        ]
    }

    /// What was wrong beside calls, in words.
    pub fn others(&self) -> impl Iterator<Item = String> + '_ {
        let all = [("leaked", &self.leaked), ("wrong session", &self.strayed), ("session", &self.complaints)];
        all.into_iter().flat_map(|(what, list)| list.iter().map(move |text| format!("{what}: {text}")))
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
                    || outcome.call.sort == Sort::Once
                    || is_own_405(outcome)
                    // Tens of MiB may take all the time there is on a machine that is busy.
                    || outcome.call.padding > 0 && outcome.took.as_millis() >= u128::from(TIMEOUT_MS);
                !excused && self.is_up(outcome)
            }),
            duplicated: self.duplicated(),
            wrong_id: numbers(&|outcome| outcome.heard.wrong.iter().any(|wrong| matches!(wrong, Wrong::Id(_)))),
            strayed: self.strayed(),
            ended: numbers(&|outcome| outcome.client.is_some() && matches!(outcome.status, 400 | 404)),
            complaints: self.errands.complaints.clone(),
            unanswered: numbers(&|outcome| matches!(outcome.heard.fate, Fate::Unanswered(_)) && !is_own_405(outcome)),
            leaked: self.leaked(),
            traps: self.written.iter().map(|(_, text)| text.matches(" critical wasm ").count()).sum(),
        }
    }

    /// Whether a path was up for a call. *Up*, from before the call was sent until after its answer was there, without
    /// a pause: an MCP server that was well and whose breaker was closed; or the direct path, if it was well, whatever
    /// its breaker said; or, for a method of the protocol, the gate, which is always there. *Well*: no fault was in
    /// force at the server, or only one that leaves every call an answer within half of its time limit.
    ///
    /// For a call in a session an MCP server that was well is a path only if none of the others that have sessions was ill
    /// without being dead: the session may have been there, and a server that lives keeps it. And what it says is the
    /// answer to the protocol's methods too, so the gate is no path for these.
    pub fn is_up(&self, outcome: &Outcome) -> bool {
        let (from, to) = span(outcome);
        let admits = |name: &str| self.closed.get(name).is_none_or(|times| times.cover(from, to));
        let is_dead = |name: &str| self.health.dead.get(name).is_some_and(|times| times.cover(from, to));
        let keeps_none = |name: &str| self.is_well(name, outcome) || is_dead(name);
        let is_open_to =
            |name: &str| outcome.client.is_none() || !has_sessions(name) || with_sessions().all(keeps_none);
        let is_protocol = outcome.call.sort == Sort::Protocol;
        is_protocol && outcome.client.is_none()
            || SERVERS.iter().any(|(name, kind)| match kind {
                Kind::Rest => self.is_well(name, outcome) && !is_protocol,
                Kind::Mcp => self.is_well(name, outcome) && admits(name) && is_open_to(name),
            })
    }

    /// Whether a server was well during a call.
    pub fn is_well(&self, server: &str, outcome: &Outcome) -> bool {
        let (from, to) = span(outcome);
        self.health.well.get(server).is_some_and(|times| times.cover(from, to))
    }

    /// In whose session each server has seen what. A client names itself with all that it sends in its session, and has done
    /// so with its `initialize`, which is all that another server is told of it.
    fn strayed(&self) -> Vec<String> {
        let mut strayed = Vec::new();
        let clients: BTreeMap<&str, Option<&str>> =
            self.outcomes.iter().map(|outcome| (&*outcome.call.token, outcome.client.as_deref())).collect();
        for (server, entries) in self.journals {
            let name = |entry: &'_ Entry| entry.marks.iter().find(|mark| is_client(mark)).cloned();
            let opened = entries.iter().filter_map(|entry| Some((entry.opened.as_deref()?, name(entry))));
            let opened: BTreeMap<&str, Option<String>> = opened.collect();
            for entry in entries {
                let Some(session) = entry.session.as_deref() else { continue };
                // The prober has sessions of its own; nobody's call may be in one.
                let owner = opened.get(session).cloned().flatten();
                let caller = entry.marks.iter().find_map(|mark| clients.get(&**mark));
                let of_call = caller.is_none_or(|client| client.is_some() && *client == owner.as_deref());
                let of_client = name(entry).is_none_or(|name| owner.as_ref() == Some(&name));
                if !opened.contains_key(session) || !of_call || !of_client {
                    strayed.push(format!("{server} had {:?} in {session}, which is {owner:?}'s", entry.marks));
                }
            }
        }
        strayed
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
            let own = SLOTS.map(|slot| secret(server, slot));
            for entry in entries {
                let secrets: Vec<_> = entry.marks.iter().filter(|mark| is_secret(mark)).collect();
                if !matches!(secrets[..], [one] if own.contains(one)) {
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

/// From before a call was sent until after its answer was there.
fn span(outcome: &Outcome) -> (u64, u64) {
    (outcome.sent_ms.saturating_sub(LOG_LAG_MS), outcome.done_ms.saturating_add(LOG_LAG_MS))
}

/// Whether the server of the client's own session says 405, which is its word to the client.
fn is_own_405(outcome: &Outcome) -> bool {
    outcome.client.is_some() && outcome.status == 405
}

/// The servers that have sessions.
fn with_sessions() -> impl Iterator<Item = &'static str> {
    SERVERS.iter().map(|(name, _)| *name).filter(|name| has_sessions(name))
}

/// Whether a word is that by which a client is known.
pub(super) fn is_client(mark: &str) -> bool {
    mark.strip_prefix(MARK).is_some_and(|rest| rest.starts_with("client-"))
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
            client: None,
            status: 200,
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
        health: Health,
        errands: Errands,
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
            let health = Health { well, dead: BTreeMap::new() };
            World { health, errands: Errands::default(), closed, journals: BTreeMap::new(), written: Vec::new() }
        }

        fn executed(mut self, server: &str, marks: &[&str]) -> World {
            let entry = Entry {
                at_ms: 1050,
                marks: marks.iter().map(|mark| (*mark).to_owned()).collect(),
                executed: true,
                session: None,
                opened: None,
                behaviour: Behaviour::Normal,
            };
            self.journals.entry(server.to_owned()).or_default().push(entry);
            self
        }

        fn violations(&self, outcomes: &[Outcome]) -> Violations {
            let Self { health, errands, closed, journals, written } = self;
            Evidence { outcomes, errands, journals, health, closed, written }.violations()
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
        fell_ill.health.well.get_mut("rest").unwrap().end(1099);
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
            let (own, token) = (secret("primary", "a"), call.call.token.clone());
            let world = World::with_well(&["primary"])
                .executed("primary", &[&own, &token])
                .executed("rest", &[&secret("rest", "b"), &token]);
            assert_eq!(world.violations(&[call]).duplicated.len(), duplicates, "{sort:?}");
        }
    }

    #[test]
    fn a_living_server_keeps_its_session_and_a_dead_one_does_not() {
        let mut call = outcome(Sort::Replayable, failed());
        call.client = Some("mark-client-1-1".to_owned());
        let failed = |world: &World| world.violations(std::slice::from_ref(&call)).replayable_failed.len();
        assert_eq!(failed(&World::with_well(&["primary", "secondary"])), 1);
        let mut world = World::with_well(&["secondary"]);
        assert_eq!(failed(&world), 0, "the primary may have the session, and fail");
        world.health.dead.entry("primary".to_owned()).or_default().begin(0);
        assert_eq!(failed(&world), 1, "it can be taken over");
        for without_sessions in ["tertiary", "rest"] {
            assert_eq!(failed(&World::with_well(&[without_sessions])), 1, "{without_sessions}");
        }
    }

    #[test]
    fn a_session_that_ends_is_a_violation_for_a_client_that_is_in_one() {
        for status in [400, 404] {
            let mut call = outcome(Sort::Once, Fate::Error(status, "no such session".to_owned()));
            call.status = status;
            assert!(World::with_well(&[]).violations(std::slice::from_ref(&call)).ended.is_empty());
            call.client = Some("mark-client-1-1".to_owned());
            assert_eq!(World::with_well(&[]).violations(&[call]).ended.len(), 1);
        }
    }

    #[test]
    fn a_request_in_a_session_that_is_not_its_clients_has_strayed() {
        let call = outcome(Sort::Once, Fate::Result);
        let own = secret("primary", "a");
        let asked = |client: Option<&str>, opener: &str, session: &str, marks: &[&str]| {
            let mut world = World::with_well(&[]).executed("primary", &[&own, opener]).executed("primary", marks);
            let entries = world.journals.get_mut("primary").expect("two entries");
            entries[0].opened = Some("s-1".to_owned());
            entries[1].session = Some(session.to_owned());
            let call = Outcome { client: client.map(str::to_owned), ..call.clone() };
            world.violations(&[call]).strayed.len()
        };
        let (token, one, two) = (&*call.call.token, "mark-client-1", "mark-client-2");
        assert_eq!(asked(Some(one), one, "s-1", &[&own, one, token]), 0);
        assert_eq!(asked(Some(one), two, "s-1", &[&own, one, token]), 1, "another client's");
        assert_eq!(asked(None, one, "s-1", &[&own, token]), 1, "its client is in none");
        assert_eq!(asked(Some(one), one, "s-2", &[&own, one, token]), 1, "never opened here");
        assert_eq!(asked(Some(one), two, "s-1", &[&own, one]), 1, "no call, but somebody's");
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
        for marks in [vec![], vec![secret("rest", "b")], vec![secret("primary", "a"), secret("rest", "b")]] {
            let marks: Vec<_> = marks.iter().map(String::as_str).collect();
            assert_eq!(World::with_well(&[]).executed("primary", &marks).violations(&[]).leaked.len(), 1, "{marks:?}");
        }
        let mut world = World::with_well(&[]);
        world.written.push(("its log", format!("token {}", secret("rest", "b"))));
        assert_eq!(world.violations(&[]).leaked, ["its log"]);
        let wrong = vec![Wrong::Secret(secret("rest", "b"))];
        let answer = outcome(Sort::Once, Heard { fate: Fate::Result, wrong });
        assert_eq!(World::with_well(&[]).violations(&[answer]).leaked.len(), 1);
    }
}
