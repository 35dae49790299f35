//! Reading the answer to `tools/list`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::known::Word;
use crate::jsonrpc::{from_object, text};

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Listing<'a>,
}

#[derive(Deserialize)]
struct Listing<'a> {
    #[serde(borrow)]
    tools: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow)]
    name: &'a RawValue,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hints {
    read_only_hint: Option<bool>,
    idempotent_hint: Option<bool>,
}

/// The tools that `body` lists; `None` if it is no answer to `tools/list`. A tool that can't be read is left out, and
/// annotations that can't be read vouch for nothing.
pub(super) fn read(body: &[u8]) -> Option<Vec<(String, Word)>> {
    let answer: Answer<'_> = from_object(std::str::from_utf8(body).ok()?).ok()?;
    let tools = answer.result.tools.into_iter().filter_map(|raw| from_object::<Tool<'_>>(raw.get()).ok());
    Some(tools.filter_map(|tool| Some((text(tool.name)?.into_owned(), word(tool.annotations)))).collect())
}

fn word(annotations: Option<&RawValue>) -> Word {
    let hints = annotations.and_then(|raw| from_object::<Hints>(raw.get()).ok());
    match hints {
        Some(Hints { read_only_hint: Some(true), .. } | Hints { idempotent_hint: Some(true), .. }) => Word::Repeatable,
        _ => Word::NotRepeatable,
    }
}
