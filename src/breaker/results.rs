//! How a call ended, and the results that a worker has not written yet.

use super::policy::Policy;
use super::record::Lease;
use super::window::Counts;

/// What a call's end says about the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The server did its work, even if the answer is an error of the caller's or the tool's own.
    Success,
    /// The server did not do its work.
    Failure,
    /// It gave no answer in the time that a call has. Counts as a failure, but not in the run if the server has answered another
    /// call since this one began: one caller's slow calls say little of a server that serves the others.
    Overdue {
        /// When the call began, ms.
        since_ms: u64,
        /// Whether a call of this worker is known to have been answered since; filled in by the breaker.
        answered: bool,
    },
    /// The server refused for load. Counts for the rate and ends the run.
    Limited {
        /// When it may be asked again, in ms from now.
        retry_after_ms: Option<u64>,
    },
    /// Nothing, but the server itself said it: it refused the credential, the session or the call.
    Alive,
    /// Nothing: cancelled, never sent.
    Neutral,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallResult {
    /// What it says about the server.
    pub outcome: Outcome,
    /// Time to the answer's first byte, ms. 0 where it should not be judged.
    pub took_ms: u64,
}

impl CallResult {
    /// Whether the server did badly: it failed, refused for load, or was slow.
    pub(super) fn is_adverse(self, policy: &Policy) -> bool {
        match self.outcome {
            Outcome::Neutral | Outcome::Alive => false,
            Outcome::Success => policy.is_slow(self.took_ms),
            Outcome::Failure | Outcome::Overdue { .. } | Outcome::Limited { .. } => true,
        }
    }

    /// Whether the server has answered, and not with a failure.
    pub(super) fn is_answer(self) -> bool {
        matches!(self.outcome, Outcome::Success | Outcome::Limited { .. } | Outcome::Alive)
    }
}

/// Results of normal calls, added up until they are written. All of one epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// The epoch that admitted the calls.
    pub epoch: u32,
    /// How many there were.
    pub counts: Counts,
    /// Whether one of them ended the run of failures.
    pub broke_run: bool,
    /// Failures after that, or all failures if none ended the run.
    pub tail_run: u16,
    /// How many of these were overdue.
    pub overdue: u16,
    /// When the latest of those began, ms.
    pub overdue_since_ms: u64,
    /// The longest time that a server asked for.
    pub retry_after_ms: Option<u64>,
}

impl Delta {
    /// No results yet.
    pub fn new(epoch: u32) -> Self {
        Delta { epoch, ..Delta::default() }
    }

    /// Adds one result.
    pub fn add(&mut self, result: CallResult, policy: &Policy) {
        match result.outcome {
            Outcome::Neutral | Outcome::Alive => return,
            Outcome::Success => {
                self.counts.ok = self.counts.ok.saturating_add(1);
                self.break_run();
            }
            Outcome::Limited { retry_after_ms } => {
                self.counts.fail = self.counts.fail.saturating_add(1);
                self.break_run();
                self.retry_after_ms = self.retry_after_ms.max(retry_after_ms);
            }
            Outcome::Failure => {
                self.counts.fail = self.counts.fail.saturating_add(1);
                self.tail_run = self.tail_run.saturating_add(1);
            }
            Outcome::Overdue { since_ms, answered } => {
                self.counts.fail = self.counts.fail.saturating_add(1);
                let counts = u16::from(!answered);
                self.tail_run = self.tail_run.saturating_add(counts);
                self.overdue = self.overdue.saturating_add(counts);
                self.overdue_since_ms = self.overdue_since_ms.max(since_ms);
            }
        }
        if policy.is_slow(result.took_ms) {
            self.counts.slow = self.counts.slow.saturating_add(1);
        }
    }

    /// Whether there is anything that may open the breaker, and so should not wait.
    pub fn is_adverse(&self) -> bool {
        self.counts.fail > 0 || self.counts.slow > 0
    }

    fn break_run(&mut self) {
        (self.broke_run, self.tail_run, self.overdue) = (true, 0, 0);
    }

    /// The run of failures that follows on `run`. `answered`: the server has answered since the latest overdue call began.
    pub(super) fn run_after(&self, run: u16, answered: bool) -> u16 {
        let tail = if answered { self.tail_run.saturating_sub(self.overdue) } else { self.tail_run };
        if self.broke_run { tail } else { run.saturating_add(tail) }
    }
}

/// How a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeResult {
    /// The epoch that issued the lease.
    pub epoch: u32,
    /// The lease.
    pub lease: Lease,
    /// How the call ended.
    pub result: CallResult,
}
