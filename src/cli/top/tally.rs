//! Calls, counted by who made them, of what, and which way they went.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::entry::Entry;

/// Calls that are alike.
#[derive(Debug, Clone, PartialEq)]
struct Group {
    first: Entry,
    times: u64,
    /// The longest that one took.
    slowest_ms: Option<u64>,
}

/// All calls of a log.
#[derive(Debug, Default)]
pub struct Tally {
    groups: HashMap<[String; 4], Group>,
    calls: u64,
    /// How many of them simply went to their first server.
    plain: u64,
}

impl Tally {
    /// Counts a call.
    pub fn add(&mut self, entry: Entry) {
        self.calls = self.calls.saturating_add(1);
        self.plain = self.plain.saturating_add(entry.is_plain.into());
        let key = [&entry.caller, &entry.tool, &entry.mode, &entry.path].map(Clone::clone);
        let took = entry.duration_ms;
        let group = self.groups.entry(key).or_insert(Group { first: entry, times: 0, slowest_ms: None });
        group.times = group.times.saturating_add(1);
        group.slowest_ms = group.slowest_ms.max(took);
    }

    /// The most frequent, at most so many.
    fn top(&self, most: usize) -> Vec<&Group> {
        let mut groups: Vec<_> = self.groups.values().collect();
        groups.sort_by_key(|group| {
            (std::cmp::Reverse(group.times), &group.first.caller, &group.first.tool, &group.first.path)
        });
        groups.truncate(most);
        groups
    }

    /// A table.
    pub fn text(&self, most: usize) -> String {
        let groups = self.top(most);
        let width = |of: fn(&Entry) -> &String| {
            groups.iter().map(|group| of(&group.first).chars().count()).max().unwrap_or(0).max(6)
        };
        let (callers, tools) = (width(|it| &it.caller), width(|it| &it.tool));
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{:>7}  {:<callers$}  {:<tools$}  {:<6}  {:>9}  path",
            "calls", "caller", "tool", "by", "slowest"
        );
        for Group { first, times, slowest_ms } in &groups {
            let slowest = slowest_ms.map_or("-".to_owned(), |ms| format!("{ms} ms"));
            let Entry { caller, tool, mode, path, .. } = first;
            let _ = writeln!(text, "{times:>7}  {caller:<callers$}  {tool:<tools$}  {mode:<6}  {slowest:>9}  {path}");
        }
        let more = self.groups.len().saturating_sub(groups.len());
        let more = if more > 0 { format!(", {more} more rows (--rows)") } else { String::new() };
        let others = self.calls.saturating_sub(self.plain);
        let plain = if self.plain > 0 { format!(", {} that did", self.plain) } else { String::new() };
        let _ = writeln!(text, "{others} calls that did not simply go to their first server{plain}{more}");
        text
    }

    /// As one JSON object.
    pub fn json(&self, most: usize) -> String {
        let row = |Group { first, times, slowest_ms }: &&Group| {
            json!({
                "calls": times, "caller": first.caller, "tool": first.tool, "mode": first.mode, "path": first.path,
                "why": first.why, "slowest_ms": slowest_ms,
            })
        };
        let rows: Vec<Value> = self.top(most).iter().map(row).collect();
        format!("{:#}\n", json!({"calls": self.calls, "plain": self.plain, "rows": rows}))
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Lines;
    use super::*;

    fn tally() -> Tally {
        let line = |caller: &str, class: &str, ms: u64| {
            format!(
                r#"{{"f":{{"tool":"search","mode":"mcp","attempts":2,"hops":[{{"server":"one","reason":"first","class":"{class}"}},{{"server":"two","reason":"next","class":"success"}}]}},"caller":"{caller}","duration_ms":{ms}}}"#
            )
        };
        let mut tally = Tally::default();
        for line in [
            line("10.0.0.7", "lost", 9),
            line("10.0.0.8", "lost", 5),
            line("10.0.0.7", "lost", 30),
            line("10.0.0.7", "server", 1),
        ] {
            tally.add(Lines::default().read(&line).unwrap());
        }
        tally
    }

    #[test]
    fn plain_calls_are_told_apart() {
        let plain = r#"{"mode":"mcp","attempts":1,"hops":[{"server":"one","reason":"first","class":"success"}]}"#;
        let mut tally = tally();
        tally.add(Lines::default().read(plain).unwrap());
        let text = tally.text(9);
        let last = text.lines().last().unwrap();
        assert_eq!(last, "4 calls that did not simply go to their first server, 1 that did");
    }

    #[test]
    fn what_is_alike_is_counted_together_the_most_frequent_first() {
        assert_eq!(
            tally().text(2),
            concat!(
                "  calls  caller    tool    by        slowest  path\n",
                "      2  10.0.0.7  search  mcp         30 ms  one lost, two success\n",
                "      1  10.0.0.7  search  mcp          1 ms  one server, two success\n",
                "4 calls that did not simply go to their first server, 1 more rows (--rows)\n"
            )
        );
        let tree: Value = serde_json::from_str(&tally().json(9)).unwrap();
        assert_eq!(
            (&tree["calls"], &tree["rows"][0]["calls"], &tree["rows"][0]["slowest_ms"]),
            (&json!(4), &json!(2), &json!(30))
        );
        assert_eq!(
            Tally::default().text(9).lines().last(),
            Some("0 calls that did not simply go to their first server")
        );
    }
}
