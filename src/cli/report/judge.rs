//! What a call counts as: how it ended, and whether failover has saved it.

use crate::cli::calls::record::{Hop, Record};
use crate::failure::Class;

/// How a call ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It got an answer, also one that says the call is at fault or the tool failed.
    Answered,
    /// It got none: no path was left, or no room.
    Unanswered,
    /// The gate turned it away for what it was; no server was asked.
    Refused,
    /// The client left first.
    Cancelled,
}

/// A call, judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict<'r> {
    /// How it ended.
    pub end: End,
    /// The answer is an error, or says that the tool failed.
    pub is_error: bool,
    /// Another server than the first has answered, as the first one failed or could not be asked.
    pub saved: bool,
    /// Another server than the first has answered, as an operator has switched the first one off or it lacks the tool.
    pub moved: bool,
    /// The first server answered when it was asked again.
    pub retried: bool,
    /// The server that was asked last.
    pub server: Option<&'r str>,
    /// What came of that.
    pub class: Option<&'r str>,
}

/// What an attempt says about its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It is well.
    Well,
    /// It is failing.
    Failing,
    /// Nothing.
    Neither,
}

/// What a class says about the server.
pub fn sign(class: &str) -> Sign {
    match Class::parse(class) {
        Some(Class::Success | Class::ToolError | Class::Caller) => Sign::Well,
        Some(Class::NotSent | Class::Overload | Class::Credential | Class::Server | Class::Lost | Class::Refused) => {
            Sign::Failing
        }
        Some(Class::Authorization | Class::Session | Class::Cancelled) | None => Sign::Neither,
    }
}

/// Whether a server was left out because of how it is, not because somebody wanted it so.
pub fn is_unwell(reason: &str) -> bool {
    !matches!(reason, "kill_switch" | "forced_open" | "not_listed")
}

/// Judges a call.
pub fn judge<'r>(record: &'r Record<'_>) -> Verdict<'r> {
    let hops = record.hops();
    let last = hops.iter().rev().find(|hop| hop.class.text().is_some());
    let server = record.server.text().or_else(|| last?.server.text());
    let class = last.and_then(|hop| hop.class.text()).or_else(|| record.class.text());
    let (end, is_error) = ending(record, class);
    let answered = end == End::Answered && record.mode.text() != Some("cache");
    let (saved, moved) = if answered { elsewhere(record, hops, server) } else { (false, false) };
    let attempts = record.attempts.whole().unwrap_or_default();
    let retried = answered && !saved && attempts > 1;
    Verdict { end, is_error, saved, moved, retried, server, class }
}

fn ending(record: &Record<'_>, class: Option<&str>) -> (End, bool) {
    let by_class = || match class.map(Class::parse) {
        Some(Some(Class::Success)) => (End::Answered, false),
        Some(Some(Class::Cancelled)) => (End::Cancelled, false),
        Some(Some(Class::Caller | Class::ToolError | Class::Authorization | Class::Session)) => (End::Answered, true),
        _ => (End::Unanswered, true),
    };
    let is_error = class.is_some_and(|class| class != "success");
    match record.outcome.text() {
        Some("success" | "fallback") => (End::Answered, is_error),
        Some("error") => (End::Answered, true),
        Some("failed") => (End::Unanswered, true),
        Some("cancelled") => (End::Cancelled, false),
        // Codes begin as the HTTP status that they stand for: 503xx is want of room, 4xxxx what the call is.
        Some("refused") => {
            let of_code = record.error_code.number().is_some_and(|code| code >= 50_000.0);
            let of_status = record.status.number().is_some_and(|status| status >= 500.0);
            (if of_code || of_status { End::Unanswered } else { End::Refused }, true)
        }
        _ => by_class(),
    }
}

/// Whether failover or an operator's hand has taken the call to `server`.
fn elsewhere(record: &Record<'_>, hops: &[Hop<'_>], server: Option<&str>) -> (bool, bool) {
    let by_hand = |hop: &&Hop<'_>| hop.class.text().is_none() && !is_unwell(hop.reason.text().unwrap_or_default());
    let chosen = hops.iter().find(|hop| !by_hand(hop)).and_then(|hop| hop.server.text());
    match chosen.or(server) {
        Some(chosen) if !hops.is_empty() => {
            let saved = server.is_some_and(|server| server != chosen);
            (saved, !saved && hops.first().is_some_and(|first| by_hand(&first)))
        }
        _ => (record.outcome.text() == Some("fallback"), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::calls::record::{Line, read};

    /// `end saved moved retried server`.
    fn told(line: &str) -> String {
        read(line, |line| match line {
            Line::Call(record) | Line::Story(record) => {
                let it = judge(&record);
                let mark = |is: bool, word: &'static str| if is { word } else { "" };
                let words = [
                    mark(it.saved, " saved"),
                    mark(it.moved, " moved"),
                    mark(it.retried, " retried"),
                    mark(it.is_error, " error"),
                ];
                format!("{:?}{} {}", it.end, words.concat(), it.server.unwrap_or("-"))
            }
            other => panic!("{other:?}"),
        })
    }

    fn hops(hops: &str) -> String {
        let hops = hops.split(", ").map(|hop| match hop.split(' ').collect::<Vec<_>>()[..] {
            [server, reason, class] => format!(r#"{{"server":"{server}","reason":"{reason}","class":"{class}"}}"#),
            [server, reason] => format!(r#"{{"server":"{server}","reason":"{reason}"}}"#),
            _ => panic!("{hop}"),
        });
        let hops = hops.collect::<Vec<_>>();
        let attempts = hops.iter().filter(|hop| hop.contains("class")).count();
        format!(r#"{{"tool":"t","attempts":{attempts},"hops":[{}]}}"#, hops.join(","))
    }

    #[test]
    fn a_call_is_saved_if_another_server_answered_because_the_first_could_not() {
        for (story, expected) in [
            ("one first success", "Answered one"),
            ("one first lost, two next success", "Answered saved two"),
            ("one open, two next success", "Answered saved two"),
            ("one no_credential, two next success", "Answered saved two"),
            ("one kill_switch, two next success", "Answered moved two"),
            ("one forced_open, two next lost, api next success", "Answered saved api"),
            ("two session success", "Answered two"),
            ("one first not_sent, one again success", "Answered retried one"),
            ("one first credential, one other_slot success", "Answered retried one"),
            ("one first lost, two next tool_error", "Answered saved error two"),
            ("one first lost, two next server", "Unanswered error two"),
            ("one open, two open", "Unanswered error -"),
            ("one first cancelled", "Cancelled one"),
            ("one first caller", "Answered error one"),
        ] {
            assert_eq!(told(&hops(story)), expected, "{story}");
        }
    }

    #[test]
    fn the_call_log_says_how_a_call_ended() {
        for (members, expected) in [
            (r#""outcome":"success","server":"one""#, "Answered one"),
            (r#""outcome":"fallback","server":"two""#, "Answered saved two"),
            (r#""outcome":"error","server":"one","class":"tool_error""#, "Answered error one"),
            (r#""outcome":"failed","mode":"gate""#, "Unanswered error -"),
            (r#""outcome":"refused","status":200,"error_code":42201"#, "Refused error -"),
            (r#""outcome":"refused","status":200,"error_code":50304"#, "Unanswered error -"),
            (r#""outcome":"refused","status":403"#, "Refused error -"),
            (r#""outcome":"success","mode":"cache""#, "Answered -"),
            (r#""outcome":"cancelled","server":"one""#, "Cancelled one"),
        ] {
            assert_eq!(told(&format!("{{{members}}}")), expected, "{members}");
        }
    }
}
