//! The line of a call, but for what Envoy knows itself.

use super::super::account::Account;
use super::super::story::Told;
use super::{Ledger, Noted, Took};
use crate::credential::Fingerprint;
use crate::failure::Class;
use crate::json::Object;
use crate::telemetry::{AnsweredBy, CallStatus};

/// A call at its end.
#[derive(Debug, Clone, Copy)]
pub struct Line<'l> {
    /// What its request says.
    pub noted: &'l Noted,
    /// What its attempts have noted.
    pub ledger: Option<&'l Ledger>,
    /// Who calls, where the header does not say it: the certificate's name, or the address.
    pub caller: Option<&'l str>,
    /// The tool's name in the registry.
    pub tool: Option<&'l str>,
    /// What it is counted under.
    pub task: &'l str,
    /// How it ended.
    pub end: Account,
    /// The server whose word that is.
    pub server: Option<&'l str>,
    /// What it came to, where a server was asked.
    pub class: Option<Class>,
    /// Where it has been.
    pub told: Option<&'l Told<'l>>,
    /// Why it was not sent on where it could have been.
    pub stopped: Option<&'static str>,
}

impl Line<'_> {
    /// The line's members, without the braces around them.
    pub fn members(&self) -> String {
        let Line { noted, end, .. } = self;
        let session = noted.session.map(|hash| Fingerprint(hash).to_string());
        let cancelled = end.status == CallStatus::Cancelled;
        let class = if cancelled { Some(Class::Cancelled) } else { self.class };
        let hops = self.told.map(|told| told.hops_in_json(cancelled)).or_else(|| noted.hops.clone());
        let attempts = self.told.map_or(0, Told::attempts);
        let line = Object::default()
            .text("request_id", noted.request_id.as_deref())
            .text("trace_id", noted.trace_id.as_deref())
            .text("caller", noted.caller.as_deref().or(self.caller))
            .text("session", session.as_deref())
            .text("method", noted.method.as_deref())
            .text("tool", self.tool.or(noted.tool.as_deref()))
            .text("task", self.task)
            .text("mode", end.mode.as_str())
            .text("server", self.server)
            .text("class", class.map(Class::as_str))
            .text("outcome", end.status.as_str());
        let passed = self.ledger.and_then(|ledger| ledger.error_code).filter(|_| end.mode != AnsweredBy::Gate);
        let line = match noted.error_code.map(i64::from).or(passed) {
            Some(code) => line.json("error_code", &code.to_string()),
            None => line,
        };
        let line = line
            .text("stopped", self.stopped)
            .number("attempts", u64::try_from(attempts).ok())
            .json("hops", hops.as_deref().unwrap_or("[]"));
        let line = self.ledger.into_iter().fold(line, |line, ledger| {
            let line = ledger.took.iter().fold(line, with_took);
            line.text("credential", ledger.credential.as_deref())
                .text("upstream_request_id", ledger.upstream_request_id.as_deref())
        });
        let mut whole = line.done();
        whole.pop();
        whole.remove(0);
        whole
    }
}

/// The line with what the call took. Where only the call itself has a price there are no tokens to tell of.
fn with_took(line: Object, took: &Took) -> Object {
    let has_tokens = took.input > 0 || took.output > 0;
    let tokens = |number: u64| has_tokens.then_some(number);
    let line = line
        .text("model", took.model.as_deref())
        .number("input_tokens", tokens(took.input))
        .number("output_tokens", tokens(took.output));
    match took.micros {
        Some(micros) => line.json("credits", &in_units(micros)),
        None => line,
    }
}

/// Millionths as a decimal number.
fn in_units(micros: u64) -> String {
    const MILLION: u64 = 1_000_000;
    // The 1 before them keeps the zeros in front.
    let fraction = micros.checked_rem(MILLION).unwrap_or(0).saturating_add(MILLION).to_string();
    let whole = micros.checked_div(MILLION).unwrap_or(0).to_string();
    [&whole, ".", fraction.get(1..).unwrap_or("0")].concat()
}
