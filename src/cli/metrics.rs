//! Envoy's Prometheus text, for assertions.

use std::collections::BTreeMap;
use std::ops::Bound;

/// One reading of `/stats/prometheus`: every series as written, with its value.
#[derive(Debug, Clone, Default)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads the text; lines that are not samples are skipped.
    pub fn parse(text: &str) -> Self {
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        Metrics(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// The sum over the series of metric `name` that carry all these labels; 0 when there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        // The sum of nothing would be -0.
        self.series(name, labels).fold(0.0, |sum, (_, value)| sum + value)
    }

    /// The value of the only series of metric `name` with these labels; `None` when there is none, or several.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.series(name, labels);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value)
    }

    /// The series as they are written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The value of the series that is written exactly so.
    pub fn exactly(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// The series of metric `name` that carry all these labels, with their values.
    pub fn series<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = (&'a str, f64)> + 'a {
        let of_metric = move |series: &str| {
            let (metric, rest) = series.split_once('{').unwrap_or((series, ""));
            metric == name && labels.iter().all(|(label, value)| has_label(rest, label, value))
        };
        let from = self.0.range::<str, _>((Bound::Included(name), Bound::Unbounded));
        let near = from.take_while(move |(series, _)| series.starts_with(name));
        near.filter(move |(series, _)| of_metric(series)).map(|(series, value)| (series.as_str(), *value))
    }
}

/// The value of a series' label.
pub fn label_of<'s>(series: &'s str, label: &str) -> Option<&'s str> {
    let (_, labels) = series.split_once('{')?;
    let mut pairs = labels.trim_end_matches('}').split("\",").filter_map(|pair| pair.split_once("=\""));
    pairs.find(|(name, _)| *name == label).map(|(_, value)| value.trim_end_matches('"'))
}

/// Whether `labels`, the text between the braces, has this label. Envoy writes `a="1",b="2"}`.
fn has_label(labels: &str, label: &str, value: &str) -> bool {
    let wanted = format!("{label}=\"{value}\"");
    labels.trim_end_matches('}').split("\",").any(|pair| {
        let pair = pair.trim_end_matches('"');
        pair == wanted.trim_end_matches('"')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_their_labels_in_any_order() {
        let text =
            "# TYPE calls counter\ncalls{mode=\"mcp\",status=\"ok\"} 3\ncalls{mode=\"direct\",status=\"ok\"} 2\nup 1\n";
        let metrics = Metrics::parse(text);
        assert_eq!(metrics.sum("calls", &[("status", "ok")]), 5.0);
        assert_eq!(metrics.value("calls", &[("status", "ok"), ("mode", "mcp")]), Some(3.0));
        assert_eq!(metrics.value("calls", &[("status", "ok")]), None, "two series");
        assert_eq!(metrics.sum("calls", &[("mode", "mc")]), 0.0);
        assert_eq!(metrics.value("up", &[]), Some(1.0));
        let labels = "calls{mode=\"mcp\",status=\"ok\"}";
        assert_eq!(
            [label_of(labels, "status"), label_of(labels, "stat"), label_of("up", "mode")],
            [Some("ok"), None, None]
        );
    }
}
