//! Reading the answer to `tools/list`.

use serde_json::Value;

use super::known::Word;

/// A longer answer is not read, in bytes.
const LONGEST: usize = 1 << 20;

/// The tools that `body` lists; `None` if it is no answer to `tools/list`, or too long. A tool without a name is left out,
/// and annotations that can't be read vouch for nothing.
pub(super) fn read(body: &[u8]) -> Option<Vec<(String, Word)>> {
    let body = Some(body).filter(|body| body.len() <= LONGEST)?;
    let answer: Value = serde_json::from_slice(body).ok()?;
    let tools = answer.get("result")?.get("tools")?.as_array()?;
    Some(tools.iter().filter_map(|tool| Some((tool.get("name")?.as_str()?.to_owned(), word(tool)))).collect())
}

fn word(tool: &Value) -> Word {
    let hints = tool.get("annotations");
    let says = |hint| hints.and_then(|hints| hints.get(hint)) == Some(&Value::Bool(true));
    if says("readOnlyHint") || says("idempotentHint") { Word::Repeatable } else { Word::NotRepeatable }
}
