//! When which server was well, and when which breaker was closed. Both decide whether a path was up.

use std::collections::BTreeMap;

/// Times at which something held, as pairs of beginning and end, ms since 1970.
#[derive(Debug, Clone, Default)]
pub struct Times {
    whole: Vec<(u64, u64)>,
    since: Option<u64>,
}

impl Times {
    /// It holds from now on.
    pub fn begin(&mut self, now_ms: u64) {
        self.since.get_or_insert(now_ms);
    }

    /// It no longer does.
    pub fn end(&mut self, now_ms: u64) {
        self.whole.extend(self.since.take().map(|since| (since, now_ms)));
    }

    /// Whether it held all the time between two moments.
    pub fn cover(&self, from_ms: u64, to_ms: u64) -> bool {
        let since = self.since.map(|since| (since, u64::MAX));
        self.whole.iter().copied().chain(since).any(|(begin, end)| begin <= from_ms && to_ms <= end)
    }
}

/// One change of a breaker's state, as the filter has logged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// The server.
    pub server: String,
    /// The state before and after, as logged.
    pub from: String,
    /// See `from`.
    pub to: String,
}

/// The format of Envoy's log that [`transitions`] reads: the time as seconds and milliseconds since 1970 comes first.
pub const LOG_FORMAT: &str = "%E.%e %l %n %v";

/// The changes of state in Envoy's log, in order.
pub fn transitions(log: &str) -> Vec<Transition> {
    log.lines().filter_map(transition).collect()
}

fn transition(line: &str) -> Option<Transition> {
    let (time, rest) = line.split_once(' ')?;
    let (seconds, millis) = time.split_once('.')?;
    let at_ms = seconds.parse::<u64>().ok()? * 1000 + millis.parse::<u64>().ok()?;
    let (server, change) = rest.split_once("breaker of ")?.1.split_once(": ")?;
    let (from, rest) = change.split_once(" -> ")?;
    let to = rest.split_once(' ')?.0;
    Some(Transition { at_ms, server: server.to_owned(), from: from.to_owned(), to: to.to_owned() })
}

/// For each server named in `transitions`, when its breaker was closed. It was so before the first of them.
pub fn closed(transitions: &[Transition]) -> BTreeMap<&str, Times> {
    let mut closed: BTreeMap<&str, Times> = BTreeMap::new();
    for change in transitions {
        let times = closed.entry(&change.server).or_insert_with(|| Times { whole: Vec::new(), since: Some(0) });
        if change.to == "closed" {
            times.begin(change.at_ms);
        } else {
            times.end(change.at_ms);
        }
    }
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_covered_only_by_one_stretch() {
        let mut times = Times::default();
        times.begin(10);
        times.end(20);
        times.begin(30);
        assert!(times.cover(10, 20) && times.cover(31, 1000));
        assert!(!times.cover(9, 12) && !times.cover(15, 35) && !times.cover(21, 22));
    }

    #[test]
    fn changes_are_read_from_envoy_s_log() {
        let log = "1764176912.007 warning wasm wasm log dualpath gate dualpath: breaker of one: closed -> open (consecutive; failures in a row 5)\n\
                   1764176912.500 info main something else\n\
                   1764176913.100 warning wasm wasm log dualpath gate dualpath: breaker of one: half_open -> closed (probe)\n";
        let read = transitions(log);
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].at_ms, read[0].server.as_str()), (1_764_176_912_007, "one"));
        assert_eq!((read[0].from.as_str(), read[0].to.as_str()), ("closed", "open"));
        let closed = &closed(&read)["one"];
        assert!(closed.cover(0, 1_764_176_912_006) && closed.cover(1_764_176_913_100, u64::MAX - 1));
        assert!(!closed.cover(1_764_176_912_000, 1_764_176_913_200));
    }
}
