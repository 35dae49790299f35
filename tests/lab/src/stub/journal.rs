//! A stub's journal: what it received and what it did, on disk before the answer leaves, so that a stub that is killed
//! has told everything.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::record::Received;
use super::{Behaviour, Kind};

/// What the words begin with that a journal notes wherever in a request they stand.
pub const MARK: &str = "mark-";

/// One request in a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Every word of path, headers and body that begins with [`MARK`].
    pub marks: Vec<String>,
    /// Whether the stub did what the request asks for: it changed something, whatever became of its answer.
    pub executed: bool,
    /// The session that it says it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The session that it was given. Such a request stands in the journal twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<String>,
    /// How it answered.
    pub behaviour: Behaviour,
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal(Mutex<File>);

impl Journal {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Journal(Mutex::new(OpenOptions::new().create(true).append(true).open(path)?)))
    }

    /// Notes a request. `admitted`: its token and its session are good.
    pub(super) fn note(&self, kind: Kind, received: &Received, behaviour: &Behaviour, admitted: bool) {
        let work = match kind {
            Kind::Mcp => received.rpc_method.as_deref() == Some("tools/call"),
            Kind::Rest => received.method == "POST",
        };
        let executed = work && admitted && executes(behaviour);
        self.write(&Entry {
            executed,
            session: received.header("mcp-session-id").map(str::to_owned),
            ..entry(received, behaviour)
        });
    }

    /// Notes that a request was given this session.
    pub(super) fn note_opened(&self, received: &Received, session: &str) {
        self.write(&Entry { opened: Some(session.to_owned()), ..entry(received, &Behaviour::Normal) });
    }

    fn write(&self, entry: &Entry) {
        let mut line = serde_json::to_vec(entry).unwrap_or_default();
        line.push(b'\n');
        // One write, so that a kill leaves whole lines.
        let _ = self.0.lock().unwrap().write_all(&line);
    }
}

/// What an entry about this request has to say in any case.
fn entry(received: &Received, behaviour: &Behaviour) -> Entry {
    let values = received.headers.iter().map(|(_, value)| value.as_str());
    let texts = values.chain([received.path.as_str(), received.body.as_str()]);
    Entry {
        at_ms: now_ms(),
        marks: texts.flat_map(marks).collect(),
        executed: false,
        session: None,
        opened: None,
        behaviour: behaviour.clone(),
    }
}

/// Reads a journal. A last line that is not whole is left out.
pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The words of `text` that begin with [`MARK`]: letters, digits and hyphens.
pub fn marks(text: &str) -> Vec<String> {
    let word = |at: usize| {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        rest[..end].to_owned()
    };
    text.match_indices(MARK).map(|(at, _)| word(at)).collect()
}

/// Milliseconds since 1970, the clock that all journals share.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a server that answers so has done what it was asked for. One that asks for fewer calls, refuses the caller, or
/// sends it elsewhere has not; any other failure may come after the deed, so here it does.
fn executes(behaviour: &Behaviour) -> bool {
    match behaviour {
        Behaviour::Status { status, headers, .. } => {
            !matches!(status, 300..=399 | 401 | 403..=406 | 421 | 429)
                && !headers.iter().any(|(name, _)| name == "retry-after")
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_wherever_they_stand() {
        assert_eq!(
            marks(r#"Bearer mark-a1 {"q":"mark-call-7","r":"mark-call-70"}"#),
            ["mark-a1", "mark-call-7", "mark-call-70"]
        );
        assert!(marks("nothing, mar-k").is_empty());
    }

    #[test]
    fn only_a_refusal_leaves_a_call_undone() {
        assert!(!executes(&Behaviour::too_many_requests(None)));
        for status in [301, 302, 307, 308, 404, 405] {
            assert!(!executes(&Behaviour::redirect(status)), "{status}");
        }
        assert!(!executes(&Behaviour::Status {
            status: 503,
            headers: vec![("retry-after".to_owned(), "1".to_owned())],
            body: String::new()
        }));
        for behaviour in [Behaviour::Normal, Behaviour::Hang, Behaviour::status(503), Behaviour::ResetMidBody] {
            assert!(executes(&behaviour), "{behaviour:?}");
        }
    }
}
