//! How a client has introduced itself: what its `initialize` says, in the short form that a session id carries, so that a
//! session can be opened for it again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::ProtocolVersion;
use super::session::LONGEST_INTRODUCTION;
use crate::json::{Map, Raw, Value};

/// The id of an `initialize` that is not the client's own, as it stands in its body.
pub const ID: &str = "\"dualpath-session\"";

const PROTOCOL_VERSION: &str = "protocolVersion";

/// Longer parameters are not looked into, in bytes: icons may be many times as long as what is carried.
const LONGEST_READ: usize = 64 * 1024;

/// The parameters of `initialize`, without what is only for people to look at; `None` if they are not what MCP wants.
fn essential(params: &Value) -> Option<Map> {
    let text = |of: &Value, key: &str| Some(Value::from(of.get(key)?.as_str()?));
    let (mut client, mut essential) = (Map::default(), Map::default());
    for key in ["name", "version"] {
        client.insert(key, text(params.get("clientInfo")?, key)?);
    }
    let capabilities = params.get("capabilities").filter(|capabilities| capabilities.as_object().is_some())?;
    essential.insert("capabilities", capabilities.clone());
    essential.insert("clientInfo", Value::Object(client));
    essential.insert(PROTOCOL_VERSION, text(params, PROTOCOL_VERSION)?);
    Some(essential)
}

/// The short form of these parameters of `initialize`; `None` if they are not what MCP wants, or too long to be carried.
pub fn shorten(params: Option<Raw<'_>>) -> Option<String> {
    let params = params.filter(|params| params.get().len() <= LONGEST_READ)?;
    let essential = essential(&Value::parse(params.get()).ok()?)?;
    let short = URL_SAFE_NO_PAD.encode(Value::Object(essential).to_json());
    Some(short).filter(|short| short.len() <= LONGEST_INTRODUCTION)
}

/// An `initialize` from a short form that somebody sends: its body, and the version that it asks for. `version`: the one
/// that the client speaks, where its request says so; it is the one that a new session must have. `None` if that version
/// has no sessions, or if the short form is none of ours.
pub fn initialize(short: &[u8], version: Option<&str>) -> Option<(String, String)> {
    let json = String::from_utf8(URL_SAFE_NO_PAD.decode(short).ok()?).ok()?;
    let mut parameters = essential(&Value::parse(&json).ok()?)?;
    if let Some(version) = version {
        parameters.insert(PROTOCOL_VERSION, Value::from(version));
    }
    let version = parameters.get(PROTOCOL_VERSION)?.as_str()?.to_owned();
    if ProtocolVersion::parse(&version).is_none_or(ProtocolVersion::is_stateless) {
        return None;
    }
    let parameters = Value::Object(parameters).to_json();
    let body = [r#"{"jsonrpc":"2.0","id":"#, ID, r#","method":"initialize","params":"#, &parameters, "}"].concat();
    Some((body, version))
}

/// The version that an answer to `initialize` names.
pub fn negotiated(answer: &[u8]) -> Option<String> {
    let answer = Value::parse_bytes(answer).ok()?;
    Some(answer.get("result")?.get(PROTOCOL_VERSION)?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::{Value, json};

    use super::*;

    fn short(params: &Value) -> Option<String> {
        shorten(Raw::of(&params.to_string()))
    }

    fn params() -> Value {
        json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"roots": {"listChanged": true}, "sampling": {}},
            "clientInfo": {"name": "a \"client\"", "version": "1.0", "title": "A client", "icons": []},
            "_meta": {"progressToken": 7},
        })
    }

    #[test]
    fn an_introduction_is_made_again_from_its_short_form_in_the_version_that_the_client_speaks() {
        let short = short(&params()).unwrap();
        for (spoken, expected) in [(None, "2025-11-25"), (Some("2025-06-18"), "2025-06-18")] {
            let (body, version) = initialize(short.as_bytes(), spoken).unwrap();
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((version.as_str(), &body["method"]), (expected, &"initialize".into()));
            let client = json!({"name": "a \"client\"", "version": "1.0"});
            let capabilities = params()["capabilities"].clone();
            let wanted = json!({"protocolVersion": expected, "capabilities": capabilities, "clientInfo": client});
            assert_eq!(body["params"], wanted);
        }
    }

    #[test]
    fn what_is_no_introduction_is_not_carried() {
        let with = |pointer: &str, value: Value| {
            let mut params = params();
            *params.pointer_mut(pointer).unwrap() = value;
            short(&params)
        };
        assert_eq!(shorten(None), None);
        assert_eq!(with("/capabilities", json!([])), None);
        assert_eq!(with("/clientInfo", json!("me")), None);
        assert_eq!(with("/protocolVersion", json!(1)), None);
        assert_eq!(with("/clientInfo/name", json!("x".repeat(2000))), None, "too long");
    }

    #[test]
    fn what_somebody_else_has_made_up_opens_no_session() {
        let made_up = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let forged = [
            "".to_owned(),
            "*".to_owned(),
            "AA".to_owned(),
            made_up("[]"),
            made_up("{}"),
            made_up(r#"{"protocolVersion":"2025-11-25","capabilities":{,"clientInfo":{"name":"","version":""}}"#),
            made_up(r#"{"protocolVersion":"2026-07-28","capabilities":{},"clientInfo":{"name":"","version":""}}"#),
            made_up(r#"{"protocolVersion":"soon","capabilities":{},"clientInfo":{"name":"","version":""}}"#),
        ];
        for forged in forged {
            assert_eq!(initialize(forged.as_bytes(), None), None, "{forged}");
        }
        let short = short(&params()).unwrap();
        for spoken in ["2026-07-28", "2099-01-01", ""] {
            assert_eq!(initialize(short.as_bytes(), Some(spoken)), None, "{spoken:?}");
        }
    }
}
