//! What a line of a log tells of a call.
//!
//! Three formats are read. The call log has a line for each call, with everything in its top level. The failover log
//! (`failover.access_log`, or any log of an operator's own) has the story of a call as a member, whatever the member's name,
//! and also where it is JSON as text. The audit (`audit.access_log`) says which credentials a call was sent with.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::scalar::Scalar;

/// A line.
#[derive(Debug)]
pub enum Line<'a> {
    /// It tells of a call.
    Call(Record<'a>),
    /// It tells of a call that the failover log has a line for; that log has none for others.
    Story(Record<'a>),
    /// It tells of a call's credentials.
    Audit(Record<'a>),
    /// It is JSON, and tells of no call.
    Other,
    /// It is no object of JSON: torn, or of another log.
    Garbage,
}

macro_rules! record {
    ($($(#[$meaning:meta])* $name:ident),* $(,)?) => {
        /// The members, each as the line has it.
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        pub struct Record<'a> {
            $($(#[$meaning])* #[serde(borrow)] pub $name: Scalar<'a>,)*
            /// The servers that it went past or was sent to, in order; `None` if the line does not say.
            #[serde(borrow)]
            pub hops: Hops<'a>,
        }

        impl<'a> Record<'a> {
            /// Takes from `other` what is absent here.
            fn fill(&mut self, other: Record<'a>) {
                $(if self.$name == Scalar::Absent { self.$name = other.$name; })*
            }

            /// The members that the line does not have.
            #[cfg(test)]
            fn absent(&self) -> Vec<&'static str> {
                let all = [$((stringify!($name), &self.$name)),*];
                all.into_iter().filter(|(_, value)| **value == Scalar::Absent).map(|(name, _)| name).collect()
            }
        }
    };
}

record! {
    /// `call` or `credential` in lines of the audit.
    audit,
    /// When it began, RFC 3339.
    time,
    /// Envoy's id of the request.
    request_id,
    /// Who called: an address or a name.
    caller,
    /// Who called, by certificate.
    caller_identity,
    /// The owner of the client's session, or what stands for the session.
    session,
    /// Method of JSON-RPC.
    method,
    /// The tool.
    tool,
    /// The tool's task; `other` if the registry does not list the tool.
    task,
    /// Who answered: `mcp`, `direct`, `gate` or `cache`.
    mode,
    /// The server that answered.
    server,
    /// The class of the last attempt.
    class,
    /// How it ended for the client.
    outcome,
    /// HTTP status.
    status,
    /// Code of the JSON-RPC error.
    error_code,
    /// Why a failed call was not sent on.
    stopped,
    /// How many attempts.
    attempts,
    /// How long it took, in ms.
    duration_ms,
    /// The model that was used.
    model,
    /// Tokens that the model has read.
    input_tokens,
    /// Tokens that the model has written.
    output_tokens,
    /// What it cost, in credits.
    credits,
    /// What it was sent with: credential, slot and fingerprint, with `/` between; in the audit the credential.
    credential,
    /// Of the audit: which of the credential's slots.
    slot,
    /// Of the audit: fingerprint of the token.
    fingerprint,
    /// Of the audit: what happened with the credentials, a list as text.
    decisions,
}

/// Where a call went. `None` where that is not told.
#[derive(Debug, Default)]
pub struct Hops<'a>(pub Option<Vec<Hop<'a>>>);

/// A server that a call went past or was sent to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Hop<'a> {
    /// The server.
    #[serde(borrow)]
    pub server: Scalar<'a>,
    /// Why it was asked, or was not.
    #[serde(borrow)]
    pub reason: Scalar<'a>,
    /// What came of it; absent if it was not asked.
    #[serde(borrow)]
    pub class: Scalar<'a>,
    /// How long that took.
    #[serde(borrow)]
    pub ms: Scalar<'a>,
}

impl<'a> Record<'a> {
    /// The hops; none if the line does not say.
    pub fn hops(&self) -> &[Hop<'a>] {
        self.hops.0.as_deref().unwrap_or_default()
    }

    /// Who called: an identity says more than an address.
    pub fn caller(&self) -> Option<&str> {
        self.caller_identity.text().or_else(|| self.caller.text())
    }

    fn is_call(&self) -> bool {
        self.hops.0.is_some() || self.outcome.text().is_some()
    }
}

/// Gives `each` what the line tells.
pub fn read<T>(line: &str, each: impl FnOnce(Line<'_>) -> T) -> T {
    let line = line.trim();
    let Some(record) = object(line) else { return each(Line::Garbage) };
    match record.audit.text() {
        Some(_) => return each(Line::Audit(record)),
        // The call log says what the outcome was; what else is flat is a story alone.
        None if record.is_call() && record.outcome.text().is_some() => return each(Line::Call(record)),
        None if record.is_call() => return each(Line::Story(record)),
        None => {}
    }
    let Ok(Value::Object(members)) = serde_json::from_str(line) else { return each(Line::Garbage) };
    for member in members.values() {
        let text;
        let found = match member {
            // Some log formats have JSON only as text.
            Value::String(member) => {
                text = member;
                object(text)
            }
            Value::Object(_) => Record::deserialize(member).ok(),
            _ => None,
        };
        if let Some(mut story) = found.filter(|story| story.hops.0.is_some()) {
            story.fill(record);
            return each(Line::Story(story));
        }
    }
    each(Line::Other)
}

fn object(text: &str) -> Option<Record<'_>> {
    // A list would be read as members in their order.
    if text.starts_with('{') { serde_json::from_str(text).ok() } else { None }
}

impl<'de: 'a, 'a> Deserialize<'de> for Hops<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(List)
    }
}

struct List;

impl<'de> Visitor<'de> for List {
    type Value = Hops<'de>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a list of hops")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut hops = Vec::new();
        while let Some(hop) = list.next_element()? {
            hops.push(hop);
        }
        Ok(Hops(Some(hops)))
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Hops(serde_json::from_str(text).ok()))
    }
    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Hops(None))
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Hops(None))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Hops(None))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Hops(None))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Hops(None))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Hops(None))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Hops(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(line: &str) -> String {
        read(line, |line| match line {
            Line::Call(it) => format!("call {:?} {}", it.tool.text(), it.hops().len()),
            Line::Story(it) => format!("story {:?} {:?} {}", it.tool.text(), it.duration_ms.whole(), it.hops().len()),
            Line::Audit(it) => format!("audit {:?}", it.request_id.text()),
            Line::Other => "other".to_owned(),
            Line::Garbage => "garbage".to_owned(),
        })
    }

    #[test]
    fn each_format_is_told_by_what_it_has() {
        let hop = r#""hops":[{"server":"one","reason":"first","class":"lost","ms":3}]"#;
        let cases = [
            (format!(r#"{{"tool":"a","outcome":"success",{hop}}}"#), r#"call Some("a") 1"#),
            (r#"{"tool":"a","outcome":"refused","hops":null,"status":"200"}"#.to_owned(), r#"call Some("a") 0"#),
            (format!(r#"{{"failover":{{"tool":"a",{hop}}},"duration_ms":"7"}}"#), r#"story Some("a") Some(7) 1"#),
            (format!(r#"{{"tool":null,{hop}}}"#), "story None None 1"),
            (r#"{"audit":"call","request_id":"r"}"#.to_owned(), r#"audit Some("r")"#),
            (r#"{"hops":1}"#.to_owned(), "other"),
            (r#"{"failover":"-","status":200}"#.to_owned(), "other"),
        ];
        for (line, expected) in cases {
            assert_eq!(kind(&line), expected, "{line}");
        }
    }

    #[test]
    fn every_member_that_is_read_is_one_of_the_call_logs_or_of_the_older_ones() {
        let mut line = serde_json::Map::new();
        for member in crate::cli::call_log::MEMBERS {
            line.insert(member.name.to_owned(), if member.name == "hops" { serde_json::json!([]) } else { "x".into() });
        }
        read(&Value::Object(line).to_string(), |line| {
            let Line::Call(record) = line else { panic!("{line:?}") };
            let absent = record.absent();
            let of_the_audit = ["audit", "caller_identity", "slot", "fingerprint", "decisions"];
            assert_eq!(absent, of_the_audit);
        });
    }

    #[test]
    fn what_is_torn_or_of_another_log_is_garbage_and_nothing_panics() {
        let whole = r#"{"tool":"a","outcome":"success","hops":[{"server":"one","class":"success"}],"time":"x"}"#;
        for end in 0..whole.len() {
            assert_eq!(kind(&whole[..end]), "garbage", "{}", &whole[..end]);
        }
        for line in
            ["[1]", "[2026-11-28 09:12:44.301][1][info] x", "\u{0}", r#"{"hops":[1]}"#, r#"{"hops":[{"ms":[]},{}"#]
        {
            assert_eq!(kind(line), "garbage", "{line}");
        }
    }
}
