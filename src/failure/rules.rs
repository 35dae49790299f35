//! What only a particular vendor's answers can tell, as data.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::Class;

/// Texts and codes in answers that mean more than the HTTP status or the JSON-RPC code does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Tried in order; the first that fits decides.
    pub messages: Vec<MessageRule>,
    /// Vendor codes in an error body (`{"code": "394400"}`) that mean a bad credential.
    pub credential_codes: Vec<RangeInclusive<u32>>,
}

/// A text that gives an error its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRule {
    /// Where to look.
    pub place: Place,
    /// What to look for, lower case; case is ignored.
    pub text: Cow<'static, str>,
    /// What it means.
    pub class: Class,
}

/// Where a [`MessageRule`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Anywhere in the body of an HTTP 400.
    BadRequest,
    /// The same, but only of an MCP server.
    McpBadRequest,
    /// Anywhere in the message of a JSON-RPC error -32603 that came with HTTP 200.
    InternalError,
    /// At the beginning of that message: for classes that have the call sent again, since what follows may be the
    /// caller's own text.
    InternalErrorStart,
    /// Anywhere in the first text of a result with `isError`.
    ToolError,
}

/// How much of a text is searched, in bytes.
const SEARCHED: usize = 4096;

impl Rules {
    /// No rule at all.
    pub const NONE: Rules = Rules { messages: Vec::new(), credential_codes: Vec::new() };

    /// The class that the first rule for one of `places` gives to `message`.
    pub(super) fn class_of(&self, places: &[Place], message: &[u8]) -> Option<Class> {
        let message = message.get(..SEARCHED).unwrap_or(message);
        let message = String::from_utf8_lossy(message).to_ascii_lowercase();
        let fits = |rule: &&MessageRule| match rule.place {
            Place::InternalErrorStart => message.trim_start().starts_with(&*rule.text),
            _ => message.contains(&*rule.text),
        };
        self.messages.iter().filter(|rule| places.contains(&rule.place)).find(fits).map(|rule| rule.class)
    }

    /// Whether a vendor's code means a bad credential.
    pub(super) fn is_credential_code(&self, code: u32) -> bool {
        self.credential_codes.iter().any(|codes| codes.contains(&code))
    }
}

impl Default for Rules {
    /// What is known of Snowflake and of the MCP SDKs' servers.
    fn default() -> Self {
        let rule = |place, text, class| MessageRule { place, text: Cow::Borrowed(text), class };
        Rules {
            messages: vec![
                rule(Place::InternalErrorStart, "programmatic access token is ", Class::Credential),
                rule(Place::InternalError, "does not exist or not authorized", Class::Authorization),
                rule(Place::BadRequest, "all requests were throttled by remote service", Class::Overload),
                rule(Place::McpBadRequest, "session", Class::Session),
                rule(Place::McpBadRequest, "server not initialized", Class::Session),
            ],
            credential_codes: vec![390_000..=390_999, 394_000..=394_999],
        }
    }
}
