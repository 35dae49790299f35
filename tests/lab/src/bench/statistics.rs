//! Figures from rounds on a machine that also does other things: medians, and how far they can be trusted.

use std::fmt;

use serde::Serialize;

/// How often an interval's rounds are drawn.
const DRAWS: usize = 1000;

/// An interval that is wider than this share of its figure is called noisy.
const NOISY: f64 = 0.10;

/// A figure with the interval in which it lies with 95 % probability, as far as the rounds can tell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Estimate {
    /// Whether the interval is too wide for the figure to be compared with another run's.
    pub(super) fn is_noisy(&self) -> bool {
        self.high - self.low > NOISY * self.value.abs()
    }
}

impl fmt::Display for Estimate {
    /// With as many decimals as asked for, the interval in brackets; `~` marks a noisy one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = f.precision().unwrap_or(2);
        let mark = if self.is_noisy() { " ~" } else { "" };
        let Estimate { value, low, high } = self;
        let text = format!("{value:.decimals$} ({low:.decimals$} to {high:.decimals$}){mark}");
        write!(f, "{text:<width$}", width = f.width().unwrap_or_default())
    }
}

/// What `statistic` says of all rounds, with its percentile bootstrap interval: it is asked again and again about as many
/// rounds drawn from them, some of which come several times. It gets the rounds' numbers.
///
/// The draws are the same each time, so that the same rounds have the same interval.
pub(super) fn bootstrap(rounds: usize, statistic: impl Fn(&[usize]) -> f64) -> Estimate {
    let all: Vec<_> = (0..rounds).collect();
    let value = statistic(&all);
    let mut random = 1;
    let mut drawn = all;
    let mut values: Vec<_> = (0..DRAWS)
        .map(|_| {
            drawn.iter_mut().for_each(|number| *number = below(&mut random, rounds));
            statistic(&drawn)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    Estimate { value, low: percentile(&values, 0.025), high: percentile(&values, 0.975) }
}

/// The median of `values`, one of each round, with its interval.
pub(super) fn estimate(values: &[f64]) -> Estimate {
    bootstrap(values.len(), |rounds| median(rounds.iter().map(|round| values[*round]).collect()))
}

/// The middle value; of an even number the mean of the two in the middle. 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match (values.get(low), values.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => 0.0,
    }
}

/// The value that this share of `sorted` does not exceed; it is one that occurred. 0 of none.
pub(crate) fn percentile<T: Copy + Default>(sorted: &[T], share: f64) -> T {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// A number below `end`, by splitmix64.
fn below(state: &mut u64, end: usize) -> usize {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle_and_no_outlier_moves_it() {
        assert_eq!(median(vec![3.0, 1.0, 1000.0]), 3.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 1000.0]), 3.0);
        assert_eq!(median(vec![]), 0.0);
    }

    #[test]
    fn a_percentile_is_a_value_that_occurred() {
        let sorted: Vec<_> = (1..=100).map(f64::from).collect();
        assert_eq!([0.2, 0.5, 0.99].map(|share| percentile(&sorted, share)), [20.0, 50.0, 99.0]);
        assert_eq!(percentile(&sorted[..1], 0.99), 1.0);
        assert_eq!(percentile::<f64>(&[], 0.5), 0.0);
    }

    #[test]
    fn rounds_that_agree_leave_no_doubt_and_rounds_that_do_not_are_noisy() {
        assert_eq!(estimate(&[2.0; 20]), Estimate { value: 2.0, low: 2.0, high: 2.0 });
        let spread: Vec<_> = (0..20).map(|n| f64::from(n % 10)).collect();
        let spread = estimate(&spread);
        assert!(spread.low < spread.value && spread.value < spread.high && spread.is_noisy(), "{spread:?}");
    }

    #[test]
    fn an_interval_holds_the_truth_nineteen_times_out_of_twenty() {
        let mut random = 7;
        let trials = 150;
        let holds = (0..trials).filter(|_| {
            let values: Vec<_> = (0..41).map(|_| below(&mut random, 1_000_001) as f64 / 1e6).collect();
            let found = estimate(&values);
            found.low <= 0.5 && 0.5 <= found.high
        });
        let share = holds.count() as f64 / f64::from(trials);
        assert!((0.89..=0.99).contains(&share), "{share}");
    }

    #[test]
    fn more_rounds_narrow_the_interval() {
        let values = |count: u32| (0..count).map(|n| f64::from(n * 37 % 100)).collect::<Vec<_>>();
        let width = |found: Estimate| found.high - found.low;
        assert!(width(estimate(&values(400))) < width(estimate(&values(20))));
    }

    #[test]
    fn a_noisy_figure_says_so_where_it_is_read() {
        let sure = Estimate { value: 1.904, low: 1.86, high: 1.95 };
        let unsure = Estimate { value: 1.904, low: 1.80, high: 2.05 };
        assert_eq!(format!("{sure:.2}|{unsure:.1}"), "1.90 (1.86 to 1.95)|1.9 (1.8 to 2.0) ~");
    }
}
