//! The trace that a call belongs to: W3C's trace context, which a client of MCP brings in its headers or in `params._meta`
//! (SEP-414).

use crate::jsonrpc::{Incoming, members, parse};

/// The header, and the member of `_meta`, with the ids of the trace and of what is above the call in it.
pub const PARENT: &str = "traceparent";

/// The header, and the member of `_meta`, with what tracing systems have to say of the trace.
pub const STATE: &str = "tracestate";

/// The longest that every system must take of it, in bytes.
const LONGEST_STATE: usize = 512;

/// A trace context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// As the header has it.
    pub parent: String,
    /// As the header has it; empty for none.
    pub state: String,
}

impl Context {
    /// The one in a message's `params._meta`, if it is a right one.
    #[inline(never)]
    pub fn of_message(body: &[u8]) -> Option<Self> {
        let (Incoming::Request(crate::jsonrpc::Request { params, .. }) | Incoming::Notification(_, params)) =
            parse(body)
        else {
            return None;
        };
        let mut found = [None];
        members(params?.get(), &["_meta"], &mut found).ok()?;
        let [meta] = found;
        let mut found = [None; 2];
        members(meta?.get(), &[PARENT, STATE], &mut found).ok()?;
        let [parent, state] = found;
        let parent = parent?.text().filter(|text| is_parent(text))?.into_owned();
        let state = state.and_then(crate::json::Raw::text).filter(|text| is_state(text));
        Some(Context { parent, state: state.unwrap_or_default().into_owned() })
    }

    /// A new trace, of which these are the ids. It is marked as sampled: it was asked for to be seen, and nobody before has
    /// decided otherwise.
    pub fn begun(trace: [u8; 16], span: [u8; 8]) -> Self {
        let mut parent = "00-".to_owned();
        push_hex(&trace, &mut parent);
        parent.push('-');
        push_hex(&span, &mut parent);
        parent.push_str("-01");
        Context { parent, state: String::new() }
    }
}

/// Ids of zeros only mean that there is none, so the last bit is set.
fn push_hex(bytes: &[u8], out: &mut String) {
    for (at, byte) in bytes.iter().enumerate() {
        let byte = if at == 0 { byte | 1 } else { *byte };
        for digit in [byte >> 4, byte & 15] {
            out.extend(char::from_digit(digit.into(), 16));
        }
    }
}

/// Whether it is a `traceparent` that may be passed on. Of a later version nobody knows what follows the flags.
fn is_parent(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut part = |digits: usize| {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        parts.next().filter(|part| part.len() == digits && part.bytes().all(is_hex))
    };
    let (version, trace, span, flags) = (part(2), part(32), part(16), part(2));
    let is_id = |id: Option<&str>| id.is_some_and(|id| id.bytes().any(|digit| digit != b'0'));
    version.is_some_and(|version| version != "ff")
        && is_id(trace)
        && is_id(span)
        && flags.is_some()
        && parts.next().is_none()
}

fn is_state(text: &str) -> bool {
    text.len() <= LONGEST_STATE && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn of(meta: &str) -> Option<Context> {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x","_meta":{meta}}}}}"#);
        Context::of_message(body.as_bytes())
    }

    #[test]
    fn a_message_tells_its_trace_and_what_is_no_trace_is_none() {
        let right = Context { parent: PARENT.to_owned(), state: "a=1,b=2".to_owned() };
        assert_eq!(of(&format!(r#"{{"traceparent":"{PARENT}","tracestate":"a=1,b=2"}}"#)), Some(right.clone()));
        let bare = Context { state: String::new(), ..right };
        for state in ["\"a\\u000ab\"", "7", "null"] {
            assert_eq!(
                of(&format!(r#"{{"tracestate":{state},"traceparent":"{PARENT}"}}"#)),
                Some(bare.clone()),
                "{state}"
            );
        }
        for parent in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(of(&format!(r#"{{"traceparent":"{parent}"}}"#)), None, "{parent}");
        }
        assert_eq!((of("{}"), of("[]"), of(r#"{"traceparent":7}"#)), (None, None, None));
        for body in ["", "[]", "{}", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#] {
            assert_eq!(Context::of_message(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn a_trace_that_begins_here_is_a_right_one() {
        for byte in [0, 1, 0x7f, 0xff] {
            let Context { parent, state } = Context::begun([byte; 16], [byte; 8]);
            assert!(is_parent(&parent), "{parent}");
            assert_eq!(state, "");
        }
    }
}
