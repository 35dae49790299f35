//! How a client has introduced itself: what its `initialize` says, in the short form that a session id carries, so that a
//! session can be opened for it again.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ProtocolVersion;
use super::session::LONGEST_INTRODUCTION;
use crate::jsonrpc::from_object;

/// The id of an `initialize` that is not the client's own, as it stands in its body.
pub const ID: &str = "\"dualpath-session\"";

/// The parameters of `initialize`, without what is only for people to look at.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    protocol_version: Cow<'a, str>,
    #[serde(borrow)]
    capabilities: &'a RawValue,
    #[serde(borrow)]
    client_info: Implementation<'a>,
}

#[derive(Serialize, Deserialize)]
struct Implementation<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
}

impl<'a> Parameters<'a> {
    fn read(json: &'a str) -> Option<Self> {
        from_object(json).ok().filter(|read: &Self| read.capabilities.get().starts_with('{'))
    }
}

/// The short form of these parameters of `initialize`; `None` if they are not what MCP wants, or too long to be carried.
pub fn shorten(params: Option<&RawValue>) -> Option<String> {
    let json = serde_json::to_string(&Parameters::read(params?.get())?).ok()?;
    Some(URL_SAFE_NO_PAD.encode(json)).filter(|short| short.len() <= LONGEST_INTRODUCTION)
}

/// An `initialize` from a short form that somebody sends: its body, and the version that it asks for. `version`: the one
/// that the client speaks, where its request says so; it is the one that a new session must have. `None` if that version
/// has no sessions, or if the short form is none of ours.
pub fn initialize(short: &[u8], version: Option<&str>) -> Option<(String, String)> {
    let json = String::from_utf8(URL_SAFE_NO_PAD.decode(short).ok()?).ok()?;
    let mut parameters = Parameters::read(&json)?;
    if let Some(version) = version {
        parameters.protocol_version = version.into();
    }
    let version = parameters.protocol_version.clone().into_owned();
    if ProtocolVersion::parse(&version).is_none_or(ProtocolVersion::is_stateless) {
        return None;
    }
    let parameters = serde_json::to_string(&parameters).ok()?;
    let body = [r#"{"jsonrpc":"2.0","id":"#, ID, r#","method":"initialize","params":"#, &parameters, "}"].concat();
    Some((body, version))
}

/// The version that an answer to `initialize` names.
pub fn negotiated(answer: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Message {
        result: Negotiated,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Negotiated {
        protocol_version: String,
    }
    let message: Message = from_object(std::str::from_utf8(answer).ok()?).ok()?;
    Some(message.result.protocol_version)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::{Value, json};

    use super::*;

    fn short(params: &Value) -> Option<String> {
        let raw = RawValue::from_string(params.to_string()).unwrap();
        shorten(Some(&raw))
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
