//! The audit trail of credentials: one JSON object for each decision that matters. It tells which token by a keyed
//! fingerprint, never by a part of it.
//!
//! What happens to a token (it is loaded, it expires) goes to Envoy's log; what a call did with it goes to the access log,
//! which knows the request's id, its trace and its caller.

use super::{Fingerprint, Slot, date};
use crate::json::Object;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A slot has a token for the first time.
    Loaded,
    /// A slot has another token than before.
    Changed,
    /// A slot has lost its token.
    Emptied,
    /// What a slot holds now can't be sent, and counts as none.
    Defective,
    /// A date stands beside a slot's token that can't be read.
    BadDate,
    /// A token has come to its end.
    Expired,
    /// A token is or will be older than the policy allows.
    PolicyViolated,
    /// A call was sent with this token.
    Selected,
    /// The server refused it.
    Rejected,
    /// The same call was sent again with this token, of the other slot.
    Switched,
    /// The answer quoted it; it was made unreadable.
    Quoted,
}

/// One decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'a> {
    /// What happened.
    pub event: Event,
    /// The credential's name.
    pub credential: &'a str,
    /// The slot that it happened to.
    pub slot: Slot,
    /// The token.
    pub fingerprint: Option<Fingerprint>,
    /// The server, where one took part.
    pub server: Option<&'a str>,
}

impl Event {
    fn as_str(self) -> &'static str {
        match self {
            Event::Loaded => "loaded",
            Event::Changed => "changed",
            Event::Emptied => "emptied",
            Event::Defective => "defective",
            Event::BadDate => "bad_date",
            Event::Expired => "expired",
            Event::PolicyViolated => "policy_violated",
            Event::Selected => "selected",
            Event::Rejected => "rejected",
            Event::Switched => "switched",
            Event::Quoted => "quoted",
        }
    }
}

impl Decision<'_> {
    /// The decision as a line of its own, with its time in seconds since 1970.
    pub fn line(&self, wall_s: u64) -> String {
        self.added_to(Object::default().text("audit", "credential").text("time", &*date::show(wall_s)))
    }

    fn added_to(&self, line: Object) -> String {
        let fingerprint = self.fingerprint.map(|fingerprint| fingerprint.to_string());
        line.text("event", self.event.as_str())
            .text("credential", self.credential)
            .text("slot", self.slot.as_str())
            .text("fingerprint", fingerprint.as_deref())
            .text("server", self.server)
            .done()
    }
}

/// A call's decisions, a JSON array, with one more. The call's record has the time already.
pub fn appended(decisions: &[u8], decision: &Decision<'_>) -> Vec<u8> {
    let part = decision.added_to(Object::default());
    let before = decisions.strip_suffix(b"]").map(|before| [before, b","].concat());
    [before.as_deref().unwrap_or(b"["), part.as_bytes(), b"]"].concat()
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_decision_is_one_line_of_json() {
        let decision = Decision {
            event: Event::PolicyViolated,
            credential: "pat",
            slot: Slot::B,
            fingerprint: Some(Fingerprint(0xAB)),
            server: None,
        };
        assert_eq!(
            decision.line(0),
            r#"{"audit":"credential","time":"1970-01-01T00:00:00Z","event":"policy_violated","credential":"pat","slot":"b","fingerprint":"00000000000000ab"}"#
        );
        let selected = Decision { event: Event::Selected, server: Some("primary"), ..decision };
        let one = appended(b"", &selected);
        assert_eq!(
            String::from_utf8_lossy(&one),
            r#"[{"event":"selected","credential":"pat","slot":"b","fingerprint":"00000000000000ab","server":"primary"}]"#
        );
        let two: serde_json::Value = serde_json::from_slice(&appended(&one, &decision)).unwrap();
        assert_eq!(two[1]["event"], "policy_violated");
    }
}
