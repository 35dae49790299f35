//! What a run came to: figures for a person, figures for a machine, and the histories of calls that went wrong.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::caller::Outcome;
use super::calls::Sort;
use super::check::{Evidence, Violations, is_client};
use super::schedule::Episode;
use super::servers::SERVERS;
use super::sessions::Errand;
use super::timeline::Transition;
use super::verdict::Fate;
use crate::bench::statistics::percentile;
use crate::stub::Behaviour;
use crate::stub::journal::Entry;

/// Histories that are printed of each kind; after the first ones the rest tells nothing new.
const HISTORIES: usize = 4;

/// A finished run.
pub(super) struct Run<'e> {
    pub(super) seed: u64,
    pub(super) episodes: &'e [Episode],
    pub(super) transitions: &'e [Transition],
    pub(super) evidence: Evidence<'e>,
    pub(super) violations: &'e Violations,
    pub(super) seconds: f64,
}

impl Run<'_> {
    /// The figures as JSON.
    pub(super) fn figures(&self) -> Value {
        let outcomes = self.evidence.outcomes;
        let count = |wanted: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
        let sort = |sort: Sort| move |outcome: &Outcome| outcome.call.sort == sort;
        let answered = |outcome: &Outcome| outcome.heard.fate.is_answered();
        let stayed = |outcome: &Outcome| outcome.heard.fate != Fate::Abandoned;
        let share = |of: &dyn Fn(&Outcome) -> bool| {
            let all = count(&|outcome| of(outcome) && stayed(outcome));
            round(count(&|outcome| of(outcome) && answered(outcome)) as f64 / all.max(1) as f64, 6)
        };
        let took = |wanted: &dyn Fn(&Outcome) -> bool| {
            let of_interest = outcomes.iter().filter(|outcome| answered(outcome) && wanted(outcome));
            let mut took: Vec<_> = of_interest.map(|outcome| outcome.took).collect();
            took.sort_unstable();
            took
        };
        let (straight, over) = (took(&|outcome| outcome.attempts == 1), took(&|outcome| outcome.attempts > 1));
        let at = |sorted: &[Duration], share: f64| round(percentile(sorted, share).as_secs_f64() * 1000.0, 3);
        let lost = |outcome: &Outcome| {
            let failed = matches!(outcome.heard.fate, Fate::Error(..)) && !self.evidence.is_up(outcome);
            failed && outcome.call.sort == Sort::Replayable
        };
        let some_well = |o: &Outcome| SERVERS.iter().any(|(name, _)| self.evidence.is_well(name, o));
        let statuses = &self.evidence.errands.statuses;
        let errands: serde_json::Map<_, _> =
            statuses.iter().map(|((errand, status), times)| (format!("{errand:?} {status}"), json!(times))).collect();
        let begun: u64 = statuses.iter().filter(|((e, _), _)| *e == Errand::Initialize).map(|(_, times)| times).sum();
        let long: Vec<_> =
            outcomes.iter().filter(|o| o.call.padding > 0 && answered(o)).map(|o| o.call.padding).collect();
        let gzip = |entry: &&Entry| entry.executed && entry.behaviour == Behaviour::Gzip;
        let entries = || self.evidence.journals.values().flatten();
        // With its own `initialize` a client says twice who it is, and what is sent in its name says it once.
        let for_client =
            |entry: &&Entry| entry.opened.is_some() && entry.marks.iter().filter(|m| is_client(m)).count() == 1;
        let opened = self.transitions.iter().filter(|change| change.from == "closed" && change.to == "open").count();
        json!({
            "seed": self.seed,
            "calls": outcomes.len(),
            "faults": self.episodes.len(),
            "replayable_failed": self.violations.replayable_failed.len(),
            "duplicated": self.violations.duplicated.len(),
            "wrong_id": self.violations.wrong_id.len(),
            "wrong_session": self.violations.strayed.len(),
            "sessions_ended": self.violations.ended.len() + self.violations.complaints.len(),
            "leaked": self.violations.leaked.len(),
            "unanswered": self.violations.unanswered.len(),
            "traps": self.violations.traps,
            "availability": share(&|_| true),
            "availability_replayable": share(&sort(Sort::Replayable)),
            "availability_once": share(&sort(Sort::Once)),
            "without_a_path": count(&lost),
            "kept_out_by_breakers": count(&|outcome| lost(outcome) && some_well(outcome)),
            "cut_off": count(&|outcome| outcome.heard.fate == Fate::CutOff),
            "abandoned": count(&|outcome| outcome.heard.fate == Fate::Abandoned),
            "failovers": over.len(),
            "p50_ms": at(&straight, 0.5),
            "p99_ms": at(&straight, 0.99),
            "added_p50_ms": round(at(&over, 0.5) - at(&straight, 0.5), 3),
            "added_p99_ms": round(at(&over, 0.99) - at(&straight, 0.99), 3),
            "transitions": self.transitions.len(),
            "opened": opened,
            "seconds": round(self.seconds, 1),
            "sessions": begun,
            "in_sessions": count(&|outcome| outcome.client.is_some()),
            "opened_for_clients": entries().filter(for_client).count(),
            "compressed": entries().filter(gzip).count(),
            "stream_events": self.evidence.errands.events,
            "errands": errands,
            "long_answers": long.len(),
            "long_mib": long.iter().sum::<usize>() >> 20,
        })
    }

    /// The figures in words.
    pub(super) fn summary(&self) -> String {
        let figures = self.figures();
        let number = |name: &str| figures[name].to_string();
        let percent = |name: &str| format!("{:.3} %", figures[name].as_f64().unwrap_or_default() * 100.0);
        format!(
            "seed {}: {} calls in {} s, {} faults\n\
             answered: {} of all, {} of the replayable, {} of those that must not run twice\n\
             failovers: {} calls; they took {} ms more at p50, {} ms more at p99 (others: {} ms, {} ms)\n\
             breakers: {} transitions, {} times from closed to open\n\
             failed with no path up: {} replayable calls ({} of them while a server was well whose breaker was not closed)\n\
             answers cut off after they had begun: {}; left by their client: {}\n\
             sessions: {} begun, {} calls in them, {} opened for clients whose server was gone, {} events heard on streams\n\
             answers: {} compressed, {} of 1 to 50 MiB, {} MiB together\n\
             violations: replayable calls failed {}, duplicated {}, wrong id or session {}, leaked {}, unanswered {}, \
             sessions ended {}, traps {}",
            number("seed"),
            number("calls"),
            number("seconds"),
            number("faults"),
            percent("availability"),
            percent("availability_replayable"),
            percent("availability_once"),
            number("failovers"),
            number("added_p50_ms"),
            number("added_p99_ms"),
            number("p50_ms"),
            number("p99_ms"),
            number("transitions"),
            number("opened"),
            number("without_a_path"),
            number("kept_out_by_breakers"),
            number("cut_off"),
            number("abandoned"),
            number("sessions"),
            number("in_sessions"),
            number("opened_for_clients"),
            number("stream_events"),
            number("compressed"),
            number("long_answers"),
            number("long_mib"),
            number("replayable_failed"),
            number("duplicated"),
            self.violations.wrong_id.len() + self.violations.strayed.len(),
            number("leaked"),
            number("unanswered"),
            number("sessions_ended"),
            number("traps"),
        )
    }

    /// What happened to the first calls that broke an invariant: their own story, the servers' and the breakers'.
    pub(super) fn histories(&self) -> String {
        let mut text = String::new();
        for other in self.violations.others().take(HISTORIES) {
            let _ = writeln!(text, "{other}");
        }
        for (what, numbers) in self.violations.calls() {
            for number in numbers.iter().take(HISTORIES) {
                let at = self.evidence.outcomes.binary_search_by_key(number, |outcome| outcome.call.number);
                if let Some(outcome) = at.ok().and_then(|at| self.evidence.outcomes.get(at)) {
                    let _ = writeln!(text, "{what}:");
                    self.history(&mut text, outcome);
                }
            }
        }
        text
    }

    fn history(&self, text: &mut String, outcome: &Outcome) {
        let Outcome { call, client, sent_ms, took, attempts, status, heard, .. } = outcome;
        let _ = writeln!(
            text,
            "call {} ({:?}), sent at {sent_ms}, took {took:?}, {attempts} attempts",
            call.number, call.sort
        );
        let _ = writeln!(text, "  asked:  {}\n  heard:  {status} {heard:?}", call.body);
        if let Some(client) = client {
            let _ = writeln!(text, "  client: {client}");
        }
        for (server, entries) in self.evidence.journals {
            for entry in entries.iter().filter(|entry| entry.marks.contains(&call.token)) {
                let did = if entry.executed { "executed it" } else { "did not execute it" };
                let after = entry.at_ms.saturating_sub(*sent_ms);
                let _ = writeln!(
                    text,
                    "  server: {server} had it {after} ms later in session {:?}, {did}, {:?}",
                    entry.session, entry.behaviour
                );
            }
        }
        // The calls before the first and the last of an episode may still have been under way when it came.
        let margin = super::CALLERS as u64;
        for episode in self.episodes.iter().filter(|e| e.from <= call.number + margin && call.number < e.to + margin) {
            let _ = writeln!(
                text,
                "  fault:  {} from call {} to {}: {:?}",
                episode.server, episode.from, episode.to, episode.fault
            );
        }
        let near = sent_ms.saturating_sub(1500)..=outcome.done_ms.saturating_add(50);
        for change in self.transitions.iter().filter(|change| near.contains(&change.at_ms)) {
            let when = i128::from(change.at_ms) - i128::from(*sent_ms);
            let _ = writeln!(text, "  breaker of {}: {} -> {} at {when:+} ms", change.server, change.from, change.to);
        }
    }
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}
