//! Lists of tools on their way to a client: without what it may not call (`listener.allowed_tools`). What stays is what the
//! server has sent, byte for byte.

use crate::json::Raw;
use crate::jsonrpc::{RequestId, Unreadable, members};
use crate::registry::AllowedTools;

/// The answer to request `id` without the tools that are not allowed; `None` if there is nothing to take out. A list that two
/// readers could read differently is an empty one; nothing, in a stream that a client has opened itself (no `id`), where it may
/// be the answer to any earlier request.
pub(super) fn filtered(answer: &str, id: Option<RequestId<'_>>, allowed: &AllowedTools) -> Option<Vec<u8>> {
    let Ok(tools) = tools_of(answer) else {
        let empty =
            |id: RequestId<'_>| [r#"{"jsonrpc":"2.0","id":"#, id.as_json(), r#","result":{"tools":[]}}"#].concat();
        return Some(id.map(empty).unwrap_or_default().into_bytes());
    };
    let tools = tools?;
    let items = Raw::of(tools).and_then(Raw::elements).unwrap_or_default();
    let kept: Vec<&str> = items.iter().map(|item| item.get()).filter(|item| is_allowed(item, allowed)).collect();
    if kept.len() == items.len() && !items.is_empty() {
        return None;
    }
    // Where the list stands in the answer, of which it is a part.
    let start = (tools.as_ptr() as usize).checked_sub(answer.as_ptr() as usize)?;
    let end = start.checked_add(tools.len())?;
    Some([answer.get(..start)?, "[", &kept.join(","), "]", answer.get(end..)?].concat().into_bytes())
}

/// The list that an answer brings, as it stands there; `None` if it brings none.
fn tools_of(answer: &str) -> Result<Option<&str>, Unreadable> {
    let mut result = [None];
    members(answer, &["result"], &mut result)?;
    let [Some(result)] = result else { return Ok(None) };
    let mut tools = [None];
    members(result.get(), &["tools"], &mut tools)?;
    Ok(tools.first().copied().flatten().map(Raw::get))
}

fn is_allowed(tool: &str, allowed: &AllowedTools) -> bool {
    let mut name = [None];
    if members(tool, &["name"], &mut name).is_err() {
        return false;
    }
    name.first().copied().flatten().and_then(Raw::text).is_some_and(|name| allowed.allows(&name))
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn of(answer: &str) -> Option<String> {
        let allowed = AllowedTools::only(vec!["a*".to_owned()]);
        filtered(answer, RequestId::from_json("7"), &allowed).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn what_is_not_allowed_is_taken_out_and_the_rest_stays_as_it_is() {
        let answer = r#" {"id": 7, "result" : {"x":1e5, "tools": [ {"name":"b"}, {"name":"\u0061", "n": 1.0} ,{"name":"ac"}], "nextCursor":"c"}}"#;
        let expected = r#" {"id": 7, "result" : {"x":1e5, "tools": [{"name":"\u0061", "n": 1.0},{"name":"ac"}], "nextCursor":"c"}}"#;
        assert_eq!(of(answer).as_deref(), Some(expected));
        assert_eq!(of(expected), None, "nothing is left to take out");
        for other in
            [r#"{"id":7,"error":{"code":1,"message":"tools"}}"#, r#"{"method":"p"}"#, r#"{"id":7,"result":{}}"#]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_shown() {
        for doubtful in [
            r#"{"id":7,"result":{"tools":[{"name":"ab"}]},"result":{"tools":[{"name":"b"}]}}"#,
            r#"{"id":7,"result":{"tools":[],"Tools":[{"name":"b"}]}}"#,
            r#"[{"id":7,"result":{"tools":[{"name":"b"}]}}]"#,
        ] {
            let in_stream = filtered(doubtful, None, &AllowedTools::only(vec!["a*".to_owned()]));
            assert_eq!(in_stream.as_deref(), Some(&b""[..]), "{doubtful}");
            assert_eq!(
                of(doubtful).as_deref(),
                Some(r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[]}}"#),
                "{doubtful}"
            );
        }
        for tools in [r#"[{"name":"ab","name":"b"}]"#, r#"[{"name":7}]"#, r#"["ab"]"#, r#"{"name":"ab"}"#, "7"] {
            let answer = [r#"{"id":7,"result":{"tools":"#, tools, "}}"].concat();
            assert_eq!(of(&answer).as_deref(), Some(r#"{"id":7,"result":{"tools":[]}}"#), "{tools}");
        }
    }
}
