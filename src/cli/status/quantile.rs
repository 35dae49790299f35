//! Percentiles of a histogram in Prometheus' form.

use std::collections::BTreeMap;

use crate::cli::metrics::{Metrics, label_of};

/// How many values were at most so large, by upper bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Buckets(Vec<(f64, f64)>);

impl Buckets {
    /// Those of the histogram `name`, all its series with these labels together.
    pub fn of(metrics: &Metrics, name: &str, labels: &[(&str, &str)]) -> Self {
        let name = format!("{name}_bucket");
        // By the bits of the bound, which are in order for what is not negative.
        let mut sums: BTreeMap<u64, f64> = BTreeMap::new();
        for (series, count) in metrics.series(&name, labels) {
            let Some(bound) = label_of(series, "le").and_then(bound) else { continue };
            *sums.entry(bound.to_bits()).or_default() += count;
        }
        Buckets(sums.into_iter().map(|(bits, count)| (f64::from_bits(bits), count)).collect())
    }

    /// What has come since `before`; all of it, if the counting has begun anew since.
    pub fn since(self, before: &Self) -> Self {
        let earlier = |bound: f64| before.0.iter().find(|(other, _)| *other == bound).map_or(0.0, |(_, count)| *count);
        if self.0.iter().any(|(bound, count)| *count < earlier(*bound)) {
            return self;
        }
        Buckets(self.0.iter().map(|(bound, count)| (*bound, count - earlier(*bound))).collect())
    }

    /// The value that a share `of` all values does not exceed, as if the values of a bucket were spread evenly. What lies
    /// beyond the last bound is told as that bound. `None` if there are no values.
    pub fn quantile(&self, of: f64) -> Option<f64> {
        let total = self.0.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
        let rank = of * total;
        let (mut low, mut below) = (0.0, 0.0);
        for &(bound, count) in &self.0 {
            if bound.is_infinite() {
                return Some(low);
            }
            if count >= rank && count > below {
                return Some(low + (bound - low) * (rank - below) / (count - below));
            }
            (low, below) = (bound, count);
        }
        Some(low)
    }
}

fn bound(text: &str) -> Option<f64> {
    if text == "+Inf" { Some(f64::INFINITY) } else { text.parse().ok().filter(|bound| *bound >= 0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(counts: [f64; 3]) -> Buckets {
        let line = |(le, count): (&str, f64)| format!("took_bucket{{mode=\"mcp\",task=\"t\",le=\"{le}\"}} {count}\n");
        let text: String = ["10", "20", "+Inf"].into_iter().zip(counts).map(line).collect();
        Buckets::of(&Metrics::parse(&text), "took", &[("mode", "mcp")])
    }

    #[test]
    fn a_percentile_lies_within_its_bucket() {
        let all = buckets([50.0, 90.0, 100.0]);
        assert_eq!([0.25, 0.5, 0.7, 0.99].map(|of| all.quantile(of)), [Some(5.0), Some(10.0), Some(15.0), Some(20.0)]);
        assert_eq!(buckets([0.0, 0.0, 0.0]).quantile(0.5), None);
        assert_eq!(Buckets::default().quantile(0.5), None);
    }

    #[test]
    fn only_what_has_come_since_counts_unless_the_counting_began_anew() {
        let before = buckets([50.0, 50.0, 50.0]);
        assert_eq!(buckets([50.0, 60.0, 60.0]).since(&before).quantile(0.5), Some(15.0));
        assert_eq!(buckets([4.0, 4.0, 4.0]).since(&before).quantile(0.5), Some(5.0));
    }
}
