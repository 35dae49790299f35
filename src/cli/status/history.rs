//! The readings of the last minute.

use std::collections::VecDeque;
use std::time::Duration;

use super::model::{Status, Transition};
use super::reading::Reading;

/// What rates, shares and times are of.
const WINDOW: Duration = Duration::from_secs(60);

/// The readings of the last minute.
#[derive(Debug, Default)]
pub(super) struct History {
    readings: VecDeque<Reading>,
    last: Option<Status>,
}

impl History {
    /// What a new reading says, and which breakers have changed since the one before.
    pub fn add(&mut self, reading: Reading) -> (Status, Vec<Transition>) {
        // One that is as old as the window is kept, to compare with.
        while self.readings.get(1).is_some_and(|next| reading.at.saturating_duration_since(next.at) >= WINDOW) {
            self.readings.pop_front();
        }
        let oldest = self.readings.front();
        let status = Status::new(&reading, oldest, oldest);
        let changes = self.last.as_ref().map(|last| status.transitions_since(last)).unwrap_or_default();
        self.readings.push_back(reading);
        self.last = Some(status.clone());
        (status, changes)
    }
}
