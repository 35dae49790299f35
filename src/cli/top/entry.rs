//! A call, as the access log tells of it: who called what, which way it went and why.

use std::collections::VecDeque;

use serde_json::json;

use crate::cli::calls::record::{self, Line, Record};
use crate::cli::explain::line::Story;

/// Of so many calls it is remembered who called: the audit's line and the story's stand close together.
const REMEMBERED: usize = 256;

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When it began.
    pub time: String,
    /// Who called; `-` if the log does not say.
    pub caller: String,
    /// The tool; `-` for one that the registry does not list.
    pub tool: String,
    /// Who gave the answer: `mcp`, `direct`, `gate` or `cache`.
    pub mode: String,
    /// HTTP status of the answer.
    pub status: Option<u64>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// Where it went, in short.
    pub path: String,
    /// The same in a sentence.
    pub why: String,
    /// Whether it simply went to its first server.
    pub is_plain: bool,
}

/// Reads the lines of a log.
#[derive(Debug, Default)]
pub struct Lines {
    /// Request ids of the audit's lines, each with who called.
    callers: VecDeque<(String, String)>,
    /// Whether any line had text.
    has_text: bool,
    /// Whether any was an object of JSON.
    has_json: bool,
}

impl Lines {
    /// Whether there were lines, and none that an access log of this kind has.
    pub fn are_of_something_else(&self) -> bool {
        self.has_text && !self.has_json
    }

    /// The call that a line tells of; `None` if it tells of none that has a story.
    pub fn read(&mut self, line: &str) -> Option<Entry> {
        self.has_text |= !line.trim().is_empty();
        record::read(line, |line| {
            self.has_json |= !matches!(line, Line::Garbage);
            match line {
                Line::Audit(audit) => {
                    self.audit(&audit);
                    None
                }
                Line::Call(record) | Line::Story(record) => self.entry(&record),
                Line::Other | Line::Garbage => None,
            }
        })
    }

    fn audit(&mut self, audit: &Record<'_>) {
        let named = audit.request_id.text().zip(audit.caller());
        self.callers.extend(named.map(|(id, caller)| (id.to_owned(), caller.to_owned())));
        let surplus = self.callers.len().saturating_sub(REMEMBERED);
        self.callers.drain(..surplus);
    }

    fn entry(&self, record: &Record<'_>) -> Option<Entry> {
        record.hops.0.as_ref()?;
        let story = Story::of(record);
        let known = self.callers.iter().rev().find(|(id, _)| Some(id) == story.request_id.as_ref());
        let caller = known.map(|(_, caller)| caller.as_str()).or(record.caller());
        let word = |word: Option<&str>| word.unwrap_or("-").to_owned();
        Some(Entry {
            time: word(record.time.text()),
            caller: word(caller),
            path: Some(story.path()).filter(|path| !path.is_empty()).unwrap_or_else(|| "-".to_owned()),
            is_plain: story.is_plain(),
            why: story.why(),
            tool: word(story.tool.as_deref()),
            mode: story.mode,
            status: record.status.whole(),
            duration_ms: record.duration_ms.whole(),
        })
    }
}

impl Entry {
    /// In one line.
    pub fn text(&self) -> String {
        let Entry { time, caller, tool, mode, why, .. } = self;
        let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
        let (status, took) = (number(self.status), number(self.duration_ms));
        format!("{time}  {caller}  {tool}  {mode}  {status}  {took} ms  {why}\n")
    }

    /// As JSON, in one line.
    pub fn json(&self) -> String {
        let line = json!({
            "time": self.time, "caller": self.caller, "tool": self.tool, "mode": self.mode, "status": self.status,
            "duration_ms": self.duration_ms, "path": self.path, "why": self.why,
        });
        format!("{line}\n")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    pub const DIRECT: &str = r#"{"failover":{"tool":"search","mode":"direct","attempts":2,"request_id":"r-1","hops":[{"server":"one","reason":"open"},{"server":"two","reason":"next","class":"overload"},{"server":"api","reason":"next","class":"success"}]},"time":"2026-11-28T09:12:44.301Z","caller":"10.0.0.7","status":200,"duration_ms":48}"#;

    #[test]
    fn a_line_says_who_called_what_and_which_way_it_went_and_why() {
        let entry = Lines::default().read(DIRECT).unwrap();
        assert_eq!(entry.path, "one open, two overload, api success");
        assert_eq!(
            entry.text(),
            "2026-11-28T09:12:44.301Z  10.0.0.7  search  direct  200  48 ms  one was not asked (its breaker refused), two failed \
             (overload: it asked for fewer calls); so api was asked\n"
        );
        let tree: Value = serde_json::from_str(&entry.json()).unwrap();
        assert_eq!((&tree["caller"], &tree["duration_ms"]), (&json!("10.0.0.7"), &json!(48)));
    }

    #[test]
    fn the_audit_names_who_called_where_both_logs_are_one() {
        let mut lines = Lines::default();
        let audit = r#"{"audit":"call","request_id":"r-1","caller":"10.0.0.7","caller_identity":"spiffe://prod/agent","status":200}"#;
        assert_eq!(lines.read(audit), None);
        assert_eq!(lines.read(DIRECT).unwrap().caller, "spiffe://prod/agent");
        assert_eq!(lines.read(&DIRECT.replace("r-1", "r-2")).unwrap().caller, "10.0.0.7");
    }

    #[test]
    fn a_line_of_the_call_log_is_a_call_too_also_a_plain_one() {
        let line = r#"{"time":"2026-11-28T09:12:44.301Z","status":200,"duration_ms":7,"caller":"agent","tool":"search","task":"search","mode":"mcp","server":"one","class":"success","outcome":"success","attempts":1,"hops":[{"server":"one","reason":"first","class":"success","ms":6}]}"#;
        let entry = Lines::default().read(line).unwrap();
        assert!(entry.is_plain);
        assert_eq!(
            (&*entry.caller, &*entry.path, &*entry.why),
            ("agent", "one success", "one is the first of the order")
        );
        let refused =
            r#"{"time":"-","status":403,"task":"other","mode":"gate","outcome":"refused","attempts":0,"hops":[]}"#;
        let entry = Lines::default().read(refused).unwrap();
        assert_eq!((&*entry.path, &*entry.why), ("-", "it was refused before any server was asked"));
        assert!(!entry.is_plain);
    }

    #[test]
    fn a_line_that_tells_of_no_such_call_is_passed_over() {
        for line in ["", "GET /mcp 200", "{}", "[1]", r#"{"audit":"call"}"#, r#"{"failover":"-","status":200}"#] {
            assert_eq!(Lines::default().read(line), None, "{line}");
        }
    }
}
