//! Judging one answer, by what the client knows: its own id, its own token.

use serde_json::Value;

use std::borrow::Cow;

use super::calls::{Call, Sort};
use crate::client::Reply;
use crate::gzip;
use crate::http::Answer;
use crate::stub::journal::{MARK, marks};
use crate::stub::{PADDING, padding};

/// How a call ended for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// With a result.
    Result,
    /// With a result that says `isError`.
    ToolError,
    /// With a JSON-RPC error. Status and text.
    Error(u16, String),
    /// With a stream that broke off after its first event with data had reached the client (for a call that must not be
    /// repeated, and so is not held for longer: its first comment), or in the middle of an answer that is too long to be held, or
    /// compressed. What has gone out can't be taken back, so this is the one ending that nobody can prevent.
    CutOff,
    /// Without a JSON-RPC response. What came instead.
    Unanswered(String),
    /// The client left first.
    Abandoned,
}

/// What is wrong with an answer beyond how the call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// It carries another id than the request, or another call's token, or not its own.
    Id(String),
    /// It carries a secret.
    Secret(String),
}

/// What the client makes of it all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// How the call ended.
    pub fate: Fate,
    /// What is wrong besides.
    pub wrong: Vec<Wrong>,
}

impl From<Fate> for Heard {
    fn from(fate: Fate) -> Self {
        Heard { fate, wrong: Vec::new() }
    }
}

impl Fate {
    /// Whether the client has what it asked for.
    pub fn is_answered(&self) -> bool {
        matches!(self, Fate::Result | Fate::ToolError)
    }
}

/// Judges an answer. `cut`: the connection ended before it was complete.
pub fn judge(call: &Call, answer: &Answer, cut: bool) -> Heard {
    let is_passed_on = call.padding > 0 && answer.status == 200 && !answer.body.is_empty();
    let (plain, is_encoded) = match unzipped(answer) {
        Ok(plain) => (plain, false),
        Err(()) if cut => return Fate::CutOff.into(),
        Err(()) => return Fate::Unanswered(format!("HTTP {}: gzip that nobody can read", answer.status)).into(),
    };
    let (answer, padded) = unpadded(call, plain);
    let mut heard = judge_short(call, &answer, cut);
    if cut && (is_passed_on || is_encoded) && matches!(heard.fate, Fate::Unanswered(_)) {
        return Fate::CutOff.into();
    }
    if heard.fate == Fate::Result && call.padding > 0 && !padded {
        heard.wrong.push(Wrong::Id(format!("{} bytes that are not the call's own", answer.body.len())));
    }
    heard
}

/// The answer without compression.
fn unzipped(answer: &Answer) -> Result<Cow<'_, Answer>, ()> {
    if answer.header("content-encoding") != Some("gzip") {
        return Ok(Cow::Borrowed(answer));
    }
    let body = gzip::decode(&answer.body).ok_or(())?.into();
    Ok(Cow::Owned(Answer { status: answer.status, headers: answer.headers.clone(), body }))
}

/// The answer without what makes it long, and whether that is the call's own to the last byte. The direct path adds nothing.
fn unpadded<'a>(call: &Call, answer: Cow<'a, Answer>) -> (Cow<'a, Answer>, bool) {
    if call.padding == 0 {
        return (answer, true);
    }
    let own = padding(&call.token, call.padding);
    let (mut body, mut rest, mut found) = (Vec::new(), &answer.body[..], false);
    while let Some((first, tail)) = rest.split_first() {
        rest = match rest.strip_prefix(own.as_bytes()) {
            Some(tail) => {
                found = true;
                tail
            }
            None => {
                body.push(*first);
                tail
            }
        };
    }
    let short = Answer { status: answer.status, headers: answer.headers.clone(), body: body.into() };
    let reply = Reply { took: std::time::Duration::ZERO, answer: short };
    let padded = match reply.result().get(PADDING) {
        Some(left) => found && left == "",
        None => reply.served_by().as_deref() == Some("rest"),
    };
    (Cow::Owned(reply.answer), padded)
}

fn judge_short(call: &Call, answer: &Answer, cut: bool) -> Heard {
    let reply = Reply { took: std::time::Duration::ZERO, answer: answer.clone() };
    let all = answer.headers.iter().map(|(_, value)| value.as_str()).chain([&*answer.text()]).flat_map(marks).collect();
    let all: Vec<String> = all;
    let (secrets, tokens): (Vec<_>, Vec<_>) = all.into_iter().partition(|mark| mark.starts_with(&format!("{MARK}pat")));
    let mut wrong: Vec<_> = secrets.into_iter().map(Wrong::Secret).collect();
    wrong.extend(tokens.iter().filter(|token| **token != call.token).map(|token| Wrong::Id(format!("token {token}"))));

    let kind = answer.header("content-type").unwrap_or_default();
    let response = reply.response();
    let fate = if !response.is_object() || !matches!(kind, "application/json" | "text/event-stream") {
        if cut && kind == "text/event-stream" && has_begun(call, &answer.text()) {
            Fate::CutOff
        } else {
            Fate::Unanswered(format!("HTTP {} {kind}: {}", answer.status, clipped(answer)))
        }
    } else if let Some(result) = response.get("result") {
        let failed = result["isError"] == Value::Bool(true);
        if call.sort != Sort::Protocol && !failed && !tokens.contains(&call.token) {
            wrong.push(Wrong::Id(format!("no token of its own: {}", clipped(answer))));
        }
        if failed { Fate::ToolError } else { Fate::Result }
    } else if cut && response.get("method").is_some() {
        Fate::CutOff
    } else if response.get("error").is_some() {
        Fate::Error(answer.status, reply.response_text())
    } else {
        Fate::Unanswered(format!("HTTP {}: {}", answer.status, clipped(answer)))
    };
    if matches!(fate, Fate::Result | Fate::ToolError | Fate::Error(..)) && reply.id().as_deref() != Some(&call.id) {
        wrong.push(Wrong::Id(format!("id {:?}", reply.id())));
    }
    Heard { fate, wrong }
}

/// As much of an answer as a history shows.
fn clipped(answer: &Answer) -> String {
    answer.text().chars().take(400).collect()
}

/// Whether this much of an event stream forbids that the call is sent elsewhere.
fn has_begun(call: &Call, stream: &str) -> bool {
    let mut events = stream.rsplit_once("\n\n").map_or("", |(whole, _)| whole).split("\n\n");
    events.any(|event| !event.is_empty() && (event.contains("data:") || call.sort == Sort::Once))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call() -> Call {
        (0..).map(|number| Call::of(1, number)).find(|call| call.sort == Sort::Once).unwrap()
    }

    fn answer(status: u16, kind: &str, body: &str) -> Answer {
        Answer { status, headers: vec![("content-type".to_owned(), kind.to_owned())], body: body.to_owned().into() }
    }

    fn result(id: &str, text: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#)
    }

    #[test]
    fn a_right_answer_is_a_result_with_nothing_wrong() {
        let call = call();
        let text = result(&call.id, &call.token);
        assert_eq!(judge(&call, &answer(200, "application/json", &text), false), Fate::Result.into());
        let stream = format!("data: {text}\n\ndata: [DONE]\n\n");
        assert_eq!(judge(&call, &answer(200, "text/event-stream", &stream), false), Fate::Result.into());
    }

    #[test]
    fn somebody_else_s_answer_is_noticed() {
        let call = call();
        let wrong = |text: &str| judge(&call, &answer(200, "application/json", text), false).wrong;
        assert!(matches!(wrong(&result("99999", &call.token))[..], [Wrong::Id(_)]));
        assert!(matches!(wrong(&result(&call.id, "mark-call-99999"))[..], [Wrong::Id(_), Wrong::Id(_)]));
        assert!(matches!(wrong(&result(&call.id, "nothing"))[..], [Wrong::Id(_)]));
    }

    #[test]
    fn a_secret_is_noticed_in_body_and_headers() {
        let call = call();
        let mut leaking = answer(200, "application/json", &result(&call.id, &format!("{} mark-pat-x", call.token)));
        leaking.headers.push(("x-debug".to_owned(), "Bearer mark-pat-x".to_owned()));
        let secret = Wrong::Secret("mark-pat-x".to_owned());
        assert_eq!(judge(&call, &leaking, false).wrong, [secret.clone(), secret]);
    }

    #[test]
    fn what_is_no_response_is_no_answer() {
        let call = call();
        let text = result(&call.id, &call.token);
        let fate = |kind: &str, body: &str| judge(&call, &answer(200, kind, body), false).fate;
        assert!(matches!(fate("text/html", &text), Fate::Unanswered(_)), "clients refuse it");
        assert!(matches!(fate("text/event-stream", "data: [DONE]\n\n"), Fate::Unanswered(_)));
        assert!(matches!(fate("application/json", "<html>"), Fate::Unanswered(_)));
    }

    #[test]
    fn a_compressed_answer_is_read_and_one_that_is_not_whole_is_cut_off() {
        let call = call();
        let mut answer = answer(200, "application/json", &result(&call.id, &call.token));
        answer.headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
        answer.body = gzip::encode(&answer.body).into();
        assert_eq!(judge(&call, &answer, false), Fate::Result.into());
        answer.body.truncate(20);
        assert_eq!(judge(&call, &answer, true), Fate::CutOff.into());
        assert!(matches!(judge(&call, &answer, false).fate, Fate::Unanswered(_)));
    }

    #[test]
    fn a_long_answer_is_the_calls_own_to_the_last_byte() {
        let call = Call { padding: 5000, ..call() };
        let long = |padding: &str| {
            let result = json!({ "content": [{ "type": "text", "text": call.token }], PADDING: padding });
            answer(200, "application/json", &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, call.id))
        };
        let own = padding(&call.token, call.padding);
        assert_eq!(judge(&call, &long(&own), false), Fate::Result.into());
        let others = padding("mark-call-other", call.padding);
        for wrong in [&own[1..], &format!("{own}x"), &others, ""] {
            assert!(matches!(judge(&call, &long(wrong), false).wrong[..], [Wrong::Id(_)]), "{}", wrong.len());
        }
        let mut cut = long(&own);
        cut.body.truncate(3000);
        assert_eq!(judge(&call, &cut, true), Fate::CutOff.into());
        assert!(matches!(judge(&call, &cut, false).fate, Fate::Unanswered(_)));
    }

    #[test]
    fn only_events_of_the_type_message_are_messages() {
        let call = call();
        let text = result(&call.id, &call.token);
        let other = result("99999", "nothing");
        let stream = format!("id: 1\ndata:\n\nevent: message\nid: 2\ndata: {text}\n\nevent: ping\ndata: {other}\n\n");
        assert_eq!(judge(&call, &answer(200, "text/event-stream", &stream), false), Fate::Result.into());
    }

    #[test]
    fn a_stream_that_breaks_off_after_it_began_is_its_own_case() {
        let progress = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n";
        assert_eq!(judge(&call(), &answer(200, "text/event-stream", progress), true).fate, Fate::CutOff);
        assert!(matches!(judge(&call(), &answer(200, "text/event-stream", ""), true).fate, Fate::Unanswered(_)));
    }
}
