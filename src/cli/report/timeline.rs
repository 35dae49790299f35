//! Calls over time, in so few pieces that a plot can show them.

use std::collections::BTreeMap;

use super::judge::{End, Verdict};
use super::sums::{Times, up};

/// More pieces are joined to longer ones.
const MOST: usize = 240;

const MINUTE_MS: u64 = 60_000;

/// How long a piece may be, in minutes, each a multiple of the one before; then twice as long, and so on.
const WIDTHS: [u64; 9] = [1, 5, 15, 30, 60, 120, 360, 720, 1440];

/// A piece of the time.
#[derive(Debug, Default)]
pub struct Piece {
    /// Answered without failover.
    pub plain: u64,
    /// Saved by failover.
    pub saved: u64,
    /// Not answered.
    pub unanswered: u64,
    /// How long answered calls took.
    pub times: Times,
}

/// The whole time.
#[derive(Debug)]
pub struct Timeline {
    /// How long a piece is.
    pub width_ms: u64,
    pieces: BTreeMap<u64, Piece>,
}

impl Default for Timeline {
    fn default() -> Self {
        Timeline { width_ms: MINUTE_MS, pieces: BTreeMap::new() }
    }
}

impl Timeline {
    /// Adds a call.
    pub fn add(&mut self, at_ms: u64, took_ms: Option<f64>, verdict: &Verdict<'_>) {
        let piece = self.pieces.entry(at_ms.checked_div(self.width_ms).unwrap_or_default()).or_default();
        match verdict.end {
            End::Answered if verdict.saved => up(&mut piece.saved),
            End::Answered => up(&mut piece.plain),
            End::Unanswered => up(&mut piece.unanswered),
            End::Refused | End::Cancelled => {}
        }
        if verdict.end == End::Answered {
            took_ms.into_iter().for_each(|ms| piece.times.add(ms));
        }
        while self.is_too_fine() {
            self.coarsen();
        }
    }

    /// Far apart is too fine as well: a plot has a place for what is between.
    fn is_too_fine(&self) -> bool {
        let ends = self.pieces.first_key_value().zip(self.pieces.last_key_value());
        let most = u64::try_from(MOST).unwrap_or(u64::MAX);
        ends.is_some_and(|((first, _), (last, _))| last.saturating_sub(*first) >= most)
    }

    fn coarsen(&mut self) {
        let before = self.width_ms;
        let longer = WIDTHS.into_iter().map(|minutes| minutes.saturating_mul(MINUTE_MS)).find(|width| *width > before);
        self.width_ms = longer.unwrap_or_else(|| before.saturating_mul(2));
        let times = self.width_ms.checked_div(before).unwrap_or(1);
        for (at, piece) in std::mem::take(&mut self.pieces) {
            let whole = self.pieces.entry(at.checked_div(times).unwrap_or_default()).or_default();
            whole.plain = whole.plain.saturating_add(piece.plain);
            whole.saved = whole.saved.saturating_add(piece.saved);
            whole.unanswered = whole.unanswered.saturating_add(piece.unanswered);
            whole.times.join(&piece.times);
        }
    }

    /// Every piece in order, each with its beginning in ms since 1970; also those without a call.
    pub fn pieces(&self) -> Vec<(u64, Option<&Piece>)> {
        let Some(((first, _), (last, _))) = self.pieces.first_key_value().zip(self.pieces.last_key_value()) else {
            return Vec::new();
        };
        (*first..=*last).map(|at| (at.saturating_mul(self.width_ms), self.pieces.get(&at))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_fits_into_few_pieces_and_none_is_lost() {
        let answered = Verdict {
            end: End::Answered,
            is_error: false,
            saved: false,
            moved: false,
            retried: false,
            server: None,
            class: None,
        };
        let mut timeline = Timeline::default();
        for hour in 0..24 * 90_u64 {
            timeline.add(1_790_000_000_000 + hour * 3_600_000, Some(5.0), &answered);
        }
        timeline.add(0, None, &answered);
        let pieces = timeline.pieces();
        assert!(pieces.len() <= MOST, "{}", pieces.len());
        assert_eq!(pieces.iter().filter_map(|(_, piece)| Some(piece.as_ref()?.plain)).sum::<u64>(), 24 * 90 + 1);
    }
}
