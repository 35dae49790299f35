//! What is added up, of all calls or of those of one tool, server, caller, model.

use hdrhistogram::Histogram;

use super::flaps::Flaps;
use super::judge::{End, Verdict};
use crate::cli::calls::record::Record;

/// Tenths of a millisecond in a day: what takes longer counts as that.
const LONGEST: u64 = 864_000_000;

/// How long things took; a quantile is right to one in a hundred.
#[derive(Debug, Default)]
pub struct Times(Option<Histogram<u32>>);

impl Times {
    /// Adds one, in ms.
    pub fn add(&mut self, ms: f64) {
        if self.0.is_none() {
            self.0 = Histogram::new(2).ok();
        }
        if let Some(times) = &mut self.0 {
            let _ = times.record(((ms * 10.0).round() as u64).clamp(1, LONGEST));
        }
    }

    /// Adds all of `others`.
    pub fn join(&mut self, others: &Times) {
        match (&mut self.0, &others.0) {
            (Some(own), Some(others)) => drop(own.add(others)),
            (None, Some(others)) => self.0 = Some(others.clone()),
            (_, None) => {}
        }
    }

    /// In how many ms this share of them was done; `None` if there are none.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let times = self.0.as_ref().filter(|times| !times.is_empty())?;
        Some(times.value_at_quantile(share) as f64 / 10.0)
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }
}

/// Adds one.
pub fn up(count: &mut u64) {
    *count = count.saturating_add(1);
}

/// What calls used of models.
#[derive(Debug, Default, Clone)]
pub struct Usage {
    /// Calls.
    pub calls: u64,
    /// Calls without an answer.
    pub unanswered: u64,
    /// Tokens that were read.
    pub input_tokens: u64,
    /// Tokens that were written.
    pub output_tokens: u64,
    /// Credits.
    pub credits: f64,
}

impl Usage {
    /// Adds a call.
    pub fn add(&mut self, record: &Record<'_>, verdict: &Verdict<'_>) {
        up(&mut self.calls);
        if verdict.end == End::Unanswered {
            up(&mut self.unanswered);
        }
        self.input_tokens = self.input_tokens.saturating_add(record.input_tokens.whole().unwrap_or_default());
        self.output_tokens = self.output_tokens.saturating_add(record.output_tokens.whole().unwrap_or_default());
        self.credits += record.credits.number().unwrap_or_default();
    }
}

/// Calls, by how they ended.
#[derive(Debug, Default)]
pub struct Sums {
    /// Calls, and what they used.
    pub usage: Usage,
    /// Calls with an answer.
    pub answered: u64,
    /// Of these: with an error, or with a result that says the tool failed.
    pub errors: u64,
    /// Of these: from the cache.
    pub cached: u64,
    /// Of these: saved by failover.
    pub saved: u64,
    /// Of these: by another server, as an operator wanted it so.
    pub moved: u64,
    /// Of these: by the first server, when it was asked again.
    pub retried: u64,
    /// Calls that the gate turned away for what they were.
    pub refused: u64,
    /// Calls that clients gave up.
    pub cancelled: u64,
    /// How long answered calls took.
    pub times: Times,
}

impl Sums {
    /// Adds a call.
    pub fn add(&mut self, record: &Record<'_>, verdict: &Verdict<'_>) {
        self.usage.add(record, verdict);
        match verdict.end {
            End::Answered => up(&mut self.answered),
            End::Unanswered => {}
            End::Refused => up(&mut self.refused),
            End::Cancelled => up(&mut self.cancelled),
        }
        if verdict.end != End::Answered {
            return;
        }
        let cached = record.mode.text() == Some("cache");
        for (holds, count) in [
            (verdict.is_error, &mut self.errors),
            (cached, &mut self.cached),
            (verdict.saved, &mut self.saved),
            (verdict.moved, &mut self.moved),
            (verdict.retried, &mut self.retried),
        ] {
            if holds {
                up(count);
            }
        }
        record.duration_ms.number().into_iter().for_each(|ms| self.times.add(ms));
    }

    /// The share of calls that got an answer, of those that were to get one, with failover and without.
    pub fn availability(&self) -> Option<(f64, f64)> {
        let wanted = self.answered.saturating_add(self.usage.unanswered);
        let share = |answered: u64| answered as f64 / wanted as f64;
        (wanted > 0).then(|| (share(self.answered), share(self.answered.saturating_sub(self.saved))))
    }
}

/// What is known of a server.
#[derive(Debug, Default)]
pub struct ServerSums {
    /// Attempts.
    pub asked: u64,
    /// Attempts that say it is failing.
    pub failed: u64,
    /// Calls that went past it.
    pub passed_by: u64,
    /// From well to failing.
    pub flaps: Flaps,
    /// How long attempts that succeeded took.
    pub times: Times,
}

/// What is known of a class of failure.
#[derive(Debug, Default, Clone, Copy)]
pub struct ClassSums {
    /// Attempts that ended so.
    pub attempts: u64,
    /// Calls whose last attempt ended so, and which got no answer.
    pub unanswered: u64,
}

/// What is known of a token.
#[derive(Debug, Default, Clone)]
pub struct TokenSums {
    /// When it was first seen, in ms since 1970.
    pub first_ms: Option<u64>,
    /// When it was last seen.
    pub last_ms: Option<u64>,
    /// How often a call was sent with it.
    pub used: u64,
    /// How often a server refused it.
    pub refused: u64,
}

impl TokenSums {
    /// It was seen then.
    pub fn seen(&mut self, at_ms: Option<u64>) {
        let Some(at) = at_ms else { return };
        self.first_ms = Some(self.first_ms.map_or(at, |first| first.min(at)));
        self.last_ms = Some(self.last_ms.map_or(at, |last| last.max(at)));
    }
}
