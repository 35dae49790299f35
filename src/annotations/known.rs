//! What is known of one server's tools: read from its answer to `tools/list`, and kept in the shared data.

use crate::json::Value;

/// Bounds of what is kept of one server; what is beyond them is not known.
pub(super) const MAX_TOOLS: usize = 256;
pub(super) const MAX_NAME: usize = 128;

/// A longer answer is not read, in bytes.
const LONGEST: usize = 1 << 20;

/// Version of the encoding.
const VERSION: u8 = 1;

/// What a server says of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// It may be called twice.
    Repeatable,
    /// It does not say so.
    NotRepeatable,
}

/// What one server has said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Known {
    /// When its list began, ms on the monotonic clock.
    begun_ms: u64,
    tools: Vec<(Box<str>, Word)>,
}

impl Known {
    /// A list that begins now.
    pub fn begun(now_ms: u64) -> Self {
        Known { begun_ms: now_ms, tools: Vec::new() }
    }

    /// Whether it is too old to count.
    pub fn is_older_than(&self, max_age_ms: u64, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.begun_ms) >= max_age_ms
    }

    /// What is said of `tool`; `None` if it is not listed, or too long ago.
    pub fn word_on(&self, tool: &str, now_ms: u64, max_age_ms: u64) -> Option<Word> {
        let found = self.tools.iter().find(|(name, _)| **name == *tool).map(|(_, word)| *word);
        found.filter(|_| !self.is_older_than(max_age_ms, now_ms))
    }

    /// Adds what a page lists. Of a tool that is listed twice the worse word counts.
    pub fn add(&mut self, listed: &[(String, Word)]) {
        for (name, word) in listed.iter().filter(|(name, _)| (1..=MAX_NAME).contains(&name.len())) {
            let has_room = self.tools.len() < MAX_TOOLS;
            match self.tools.iter_mut().find(|(known, _)| **known == **name) {
                Some((_, known)) if *word == Word::NotRepeatable => *known = Word::NotRepeatable,
                None if has_room => self.tools.push((name.as_str().into(), *word)),
                _ => {}
            }
        }
    }

    /// The form in the shared data: version, begin, then for each tool its word, the length of its name and the name.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.begun_ms.to_le_bytes());
        for (name, word) in &self.tools {
            bytes.push(u8::from(*word == Word::Repeatable));
            bytes.push(u8::try_from(name.len()).unwrap_or_default());
            bytes.extend_from_slice(name.as_bytes());
        }
        bytes
    }

    /// Reads that form; `None` for anything that was not written so.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (begun, mut rest) = bytes.strip_prefix(&[VERSION])?.split_first_chunk()?;
        let mut tools = Vec::new();
        while let [word, length, tail @ ..] = rest {
            let (name, tail) = tail.split_at_checked(usize::from(*length))?;
            let word = if *word == 1 { Word::Repeatable } else { Word::NotRepeatable };
            tools.push((std::str::from_utf8(name).ok()?.into(), word));
            rest = tail;
        }
        rest.is_empty().then_some(Known { begun_ms: u64::from_le_bytes(*begun), tools })
    }
}

/// The tools that `body` lists; `None` if it is no answer to `tools/list`, or too long. A tool without a name is left out,
/// and annotations that can't be read vouch for nothing.
pub(super) fn listed_in(body: &[u8]) -> Option<Vec<(String, Word)>> {
    let body = Some(body).filter(|body| body.len() <= LONGEST)?;
    let answer = Value::parse_bytes(body).ok()?;
    let tools = answer.get("result")?.get("tools")?.as_array()?;
    Some(tools.iter().filter_map(|tool| Some((tool.get("name")?.as_str()?.to_owned(), word_of(tool)))).collect())
}

fn word_of(tool: &Value) -> Word {
    let hints = tool.get("annotations");
    let says = |hint| hints.and_then(|hints| hints.get(hint)) == Some(&Value::Bool(true));
    if says("readOnlyHint") || says("idempotentHint") { Word::Repeatable } else { Word::NotRepeatable }
}
