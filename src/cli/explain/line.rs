//! `dualpath explain --line`: a line of the call log or of the failover log, in words.

use std::fmt::Write;

use serde_json::json;

use crate::cli::calls::record::{self, Line, Record};
use crate::failure::Class;

/// The story of one call, as the filter has written it.
#[derive(Debug)]
pub(in crate::cli) struct Story {
    /// The tool that was called, where the registry lists it.
    pub tool: Option<String>,
    /// Who gave the answer: `mcp`, `direct`, `gate` or `cache`.
    pub mode: String,
    attempts: u64,
    /// How it ended; only in the call log.
    outcome: Option<String>,
    stopped: Option<String>,
    session: Option<String>,
    /// Envoy's id of the request.
    pub request_id: Option<String>,
    hops: Vec<Hop>,
}

#[derive(Debug)]
struct Hop {
    server: String,
    reason: String,
    class: Option<String>,
    /// How long it took; only in the call log.
    ms: Option<u64>,
}

impl Story {
    /// Every story in `text`, which is in `file`: a line of JSON each, in which it is a member, whatever its name, or all there is.
    ///
    /// # Errors
    /// If there is none.
    pub fn all(file: &str, text: &str) -> Result<Vec<Self>, String> {
        let story = |line: Line<'_>| match line {
            Line::Call(record) | Line::Story(record) => record.hops.0.as_ref().map(|_| Story::of(&record)),
            Line::Audit(_) | Line::Other | Line::Garbage => None,
        };
        let stories: Vec<_> = text.lines().filter_map(|line| record::read(line, story)).collect();
        if stories.is_empty() {
            return Err(format!(
                "--line {file}: has no line of the call log or of the failover log; such a line is JSON and has \"hops\": \
                 log.calls and failover.access_log name the files"
            ));
        }
        Ok(stories)
    }

    /// The story that a record tells.
    pub fn of(record: &Record<'_>) -> Self {
        let word = |word: Option<&str>| word.map(str::to_owned);
        let hops = record.hops().iter().filter_map(|hop| {
            let (server, reason) = (hop.server.text()?, hop.reason.text().unwrap_or("first"));
            let class = word(hop.class.text());
            Some(Hop { server: server.to_owned(), reason: reason.to_owned(), class, ms: hop.ms.whole() })
        });
        let hops: Vec<_> = hops.collect();
        let asked = || u64::try_from(hops.iter().filter(|hop| hop.class.is_some()).count()).unwrap_or_default();
        Story {
            tool: word(record.tool.text()),
            mode: record.mode.text().unwrap_or("gate").to_owned(),
            attempts: record.attempts.whole().unwrap_or_else(asked),
            outcome: word(record.outcome.text()),
            stopped: word(record.stopped.text()),
            session: word(record.session.text()),
            request_id: word(record.request_id.text()),
            hops,
        }
    }

    /// Where the call went, in short: each server with why it was not asked or what came of it.
    pub fn path(&self) -> String {
        let hop = |hop: &Hop| format!("{} {}", hop.server, hop.class.as_ref().unwrap_or(&hop.reason));
        self.hops.iter().map(hop).collect::<Vec<_>>().join(", ")
    }

    /// Whether it was asked of the first server of the order, once, and served by it.
    pub fn is_plain(&self) -> bool {
        let [Hop { reason, class, .. }] = &self.hops[..] else { return false };
        let class = class.as_deref().and_then(Class::parse);
        reason == "first" && class.is_some_and(|class| class.is_about_the_call() && class != Class::Cancelled)
    }

    /// Why the call went where it went, in one sentence.
    pub fn why(&self) -> String {
        let Some((last, before)) = self.hops.split_last() else {
            return match self.outcome.as_deref() {
                Some("refused") => "it was refused before any server was asked",
                Some(_) => "no server was asked",
                None => "no server of the registry may answer such a call",
            }
            .to_owned();
        };
        let before: Vec<_> = before.iter().map(|hop| format!("{} {}", hop.server, hop.outcome())).collect();
        let before = before.join(", ");
        match (&last.class, before.is_empty()) {
            (Some(_), true) => format!("{} {}", last.server, last.place()),
            (Some(_), false) => format!("{before}; so {} was asked", last.server),
            (None, true) => format!("{} {}", last.server, last.outcome()),
            (None, false) => format!("{before}, {} {}", last.server, last.outcome()),
        }
    }
}

impl Hop {
    /// What kept the call from this server or what this server made of it.
    fn outcome(&self) -> String {
        match &self.class {
            Some(class) => match Class::parse(class) {
                Some(Class::Success) => "answered".to_owned(),
                Some(class) => format!("failed ({}: {})", class.as_str(), class.explanation()),
                None => format!("ended with {class}"),
            },
            None => format!("was not asked ({})", self.words()),
        }
    }

    fn words(&self) -> &str {
        match self.reason.as_str() {
            "kill_switch" => "MCP is switched off",
            "open" => "its breaker refused",
            "forced_open" => "its breaker is held open by the registry",
            "ramp" => "it has only just come back, and gets a share of the calls",
            "full" => "as many calls were under way there as its pool allows",
            "not_listed" => "it does not list the tool",
            "over_limit" => "as many calls were under way there as its limit allows",
            "no_credential" => "there is no token that may be sent to it",
            other => other,
        }
    }

    /// Why it was asked.
    fn place(&self) -> &str {
        match self.reason.as_str() {
            "first" => "is the first of the order",
            "session" => "has the client's session",
            "next" => "was the next of the order",
            "other_slot" => "was asked again with its other token",
            "again" => "was asked again after a wait",
            "last_resort" => "was asked although its breaker refused or it had too many calls, as nobody else was left",
            other => other,
        }
    }
}

/// In lines, each with its title.
pub(super) fn text(stories: &[Story]) -> String {
    let mut text = String::new();
    for (at, story) in stories.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        let mut line = |title: &str, line: &str| {
            let _ = writeln!(text, "{title:<12} {line}");
        };
        line("tool", story.tool.as_deref().unwrap_or("none that the registry lists"));
        let by = match story.mode.as_str() {
            "mcp" => "an MCP server",
            "direct" => "the direct path",
            "cache" => "the cache",
            _ => "Dualpath itself",
        };
        line("answered by", &format!("{by}, attempts: {}", story.attempts));
        for (title, value) in [("session", &story.session), ("request", &story.request_id)] {
            value.iter().for_each(|value| line(title, value));
        }
        for hop in &story.hops {
            let place = if hop.class.is_some() { format!("{}; it ", hop.place()) } else { String::new() };
            let took = hop.ms.map(|ms| format!(", {ms} ms")).unwrap_or_default();
            line("hop", &format!("{} {place}{}{took}", hop.server, hop.outcome()));
        }
        story.stopped.iter().for_each(|why| line("not sent on", why));
        line("why", &story.why());
    }
    text
}

/// As JSON, an object a line.
pub(super) fn json(stories: &[Story]) -> String {
    let lines = stories.iter().map(|story| {
        let hops: Vec<_> = story
            .hops
            .iter()
            .map(|hop| json!({"server": hop.server, "reason": hop.reason, "class": hop.class, "says": hop.outcome()}))
            .collect();
        let whole = json!({
            "tool": story.tool, "mode": story.mode, "attempts": story.attempts, "session": story.session,
            "request_id": story.request_id, "stopped": story.stopped, "hops": hops, "why": story.why(),
        });
        format!("{whole}\n")
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const DIRECT: &str = r#"{"failover":{"tool":"search","mode":"direct","attempts":2,"session":"one","request_id":"r-1","hops":[{"server":"one","reason":"open"},{"server":"two","reason":"next","class":"overload"},{"server":"api","reason":"next","class":"success"}]},"status":200}"#;

    fn why(line: &str) -> String {
        Story::all("log", line).unwrap_or_else(|problem| panic!("{problem}"))[0].why()
    }

    #[test]
    fn a_line_says_why_a_call_went_direct() {
        let why_direct = "one was not asked (its breaker refused), two failed (overload: it asked for fewer calls); so api was asked";
        assert_eq!(why(DIRECT), why_direct);
        let text = text(&Story::all("log", DIRECT).unwrap());
        assert_eq!(
            text,
            "tool         search\n\
             answered by  the direct path, attempts: 2\n\
             session      one\n\
             request      r-1\n\
             hop          one was not asked (its breaker refused)\n\
             hop          two was the next of the order; it failed (overload: it asked for fewer calls)\n\
             hop          api was the next of the order; it answered\n\
             why          one was not asked (its breaker refused), two failed (overload: it asked for fewer calls); so api was asked\n"
        );
        let value: Value = serde_json::from_str(&json(&Story::all("log", DIRECT).unwrap())).unwrap();
        assert_eq!((&value["why"], &value["hops"][0]["reason"]), (&json!(why_direct), &json!("open")));
    }

    #[test]
    fn each_reason_has_its_words() {
        let line = |reason: &str, class: &str| {
            format!(
                r#"{{"tool":null,"mode":"mcp","attempts":1,"hops":[{{"server":"one","reason":"{reason}"{class}}}]}}"#
            )
        };
        assert_eq!(why(&line("kill_switch", "")), "one was not asked (MCP is switched off)");
        assert_eq!(why(&line("forced_open", "")), "one was not asked (its breaker is held open by the registry)");
        assert_eq!(why(&line("not_listed", "")), "one was not asked (it does not list the tool)");
        assert_eq!(why(&line("no_credential", "")), "one was not asked (there is no token that may be sent to it)");
        let asked = r#","class":"lost""#;
        assert_eq!(why(&line("session", asked)), "one has the client's session");
        assert_eq!(why(&line("first", asked)), "one is the first of the order");
    }

    #[test]
    fn a_story_is_found_wherever_a_log_format_puts_it() {
        let story: Value = serde_json::from_str::<Value>(DIRECT).unwrap()["failover"].take();
        let as_text = json!({"why": story.to_string(), "status": 200}).to_string();
        for line in [story.to_string(), as_text, format!("no JSON\n{DIRECT}\n{{}}\n{DIRECT}\n")] {
            assert!(why(&line).starts_with("one was not asked"), "{line}");
        }
        for line in ["", "{}", "[]", r#"{"hops":1}"#, "not a line"] {
            assert!(Story::all("log", line).is_err(), "{line}");
        }
    }
}
