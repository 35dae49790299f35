//! A request of the prober's, or one that opens a session: it gets the server's credential. Its answer need not end, and is
//! handed on without the token: tools are named in the log and in the shared data as the server names them.

use proxy_wasm::types::Action;

use super::super::clock;
use super::super::host::{self, Body, Headers};
use super::super::metrics::Metric;
use super::super::shared_data::EnvoySharedData;
use super::headers::take_off_slots;
use super::{Attempt, Phase};
use crate::call::attempt::is_left_by_envoy;
use crate::call::flight::Grounded;
use crate::failure::{Class, is_encoded};
use crate::json::Value;
use crate::probe::note_begun;
use crate::wiring::header;

/// No answer to a request of ours is longer, in bytes, and none comes so late in a stream.
const SEARCHED: usize = 1 << 20;

const JSON: (&str, &str) = ("content-type", "application/json");

impl Attempt {
    /// A request that no gate has planned: the prober's, or one that must not get the server's credential.
    pub(super) fn probe(&mut self) -> Action {
        let bears = Headers::Request.get(header::PROBE);
        if bears.as_deref() != Some(self.site.probe_pass.as_bytes()) {
            log::error!("a request that no gate has planned was not sent");
            return self.refuse(Grounded { class: Class::NotSent, too_late: false });
        }
        Headers::Request.remove(header::PROBE);
        let (Some((vm, at)), now) = (self.site.best(), clock::now_ms()) else { return self.refuse_bare() };
        let credential = vm.registry.server(at).and_then(|server| vm.registry.credential(server.credential?));
        if let Some(credential) = credential {
            let read = |name: &str| Headers::Request.get(name);
            let chosen = vm.credentials.choose(credential, at, read, now, false);
            take_off_slots(credential);
            let Some(chosen) = chosen else { return self.refuse_bare() };
            self.selection = Some(chosen.selection);
            self.sent = Some(chosen.secret);
            Headers::Request.set(&credential.header, &chosen.value);
            for (name, value) in &credential.headers {
                Headers::Request.set(name, value.as_bytes());
            }
        }
        for (name, _) in &Headers::Request.all() {
            if is_left_by_envoy(name) {
                Headers::Request.remove(name);
            }
        }
        Action::Continue
    }

    /// Tells the prober of the token that it has used.
    fn tell_of_token(&self) {
        let Some(selection) = self.selection else { return Headers::Response.remove(header::TOKEN) };
        Headers::Response.set(header::TOKEN, selection.fingerprint.to_string().as_bytes());
        let Some((vm, at)) = self.site.best() else { return };
        // So that the next probe tries the other slot.
        match Headers::Response.status() {
            Some(401) => vm.credentials.refused(&EnvoySharedData, at, selection, clock::now_ms()),
            Some(200..=299) => vm.credentials.worked(&EnvoySharedData, at, selection, clock::now_ms()),
            _ => {}
        }
    }

    /// The answer to a probe has begun. The prober gets answers whole, and a server may leave a stream of events open, so the
    /// answer is looked for here.
    pub(super) fn probe_answered(&mut self, end: bool) -> Action {
        // To the prober this header says that the probe was not sent. A server can't say so.
        Headers::Response.remove(header::ANSWER);
        for (name, value) in &Headers::Response.all() {
            if self.sent.as_ref().is_some_and(|sent| sent.find(value).is_some()) {
                Headers::Response.remove(name);
                self.is_quoted = true;
            }
        }
        self.tell_of_token();
        let is_success = Headers::Response.status().is_some_and(|status| (200..300).contains(&status));
        if end || !is_success || !Headers::Response.are_of_events() {
            if end || self.sent.is_none() {
                self.tell_prober_quoted();
                return Action::Continue;
            }
            self.phase = Phase::Probe(None, 0);
            return Action::Pause;
        }
        if let Some(coding) = Headers::Response.get("content-encoding").filter(|coding| is_encoded(coding)) {
            // It can't be searched, and may not end: the prober gets as much of it as it looks at.
            return self.answer_prober(200, &[JSON, ("content-encoding", &String::from_utf8_lossy(&coding))], b"-");
        }
        note_begun(&EnvoySharedData, self.site.server.as_str(), clock::now_ms());
        self.phase = Phase::Probe(Some(Box::default()), 0);
        Action::Pause
    }

    /// More of the answer has arrived, `size` bytes in all; none more since the last time if it ends with trailers.
    pub(super) fn probe_body(&mut self, size: Option<usize>, end: bool) -> Action {
        let Phase::Probe(answer, read) = &mut self.phase else { return Action::Continue };
        let size = size.unwrap_or(*read);
        let before = std::mem::replace(read, size);
        let is_stream = answer.is_some();
        if let Some(answer) = answer
            && let Some(event) = answer.push(&Body::Response.read(before, size.saturating_sub(before)))
        {
            let clean = self.without_token(event.data);
            return self.answer_prober(200, &[JSON], &clean);
        }
        if size > SEARCHED {
            // As if no answer had come in time, which is what would come of waiting for it.
            let status = Headers::Response.status().filter(|_| !is_stream).unwrap_or(504);
            return self.answer_prober(status, &[JSON], b"");
        }
        if !end {
            return Action::Pause;
        }
        self.phase = Phase::Other;
        if size > 0 && self.sent.is_some() {
            let clean = self.without_token(Body::Response.read(0, size));
            Headers::Response.remove("content-length");
            Body::Response.replace(size, &clean);
        }
        self.tell_prober_quoted();
        Action::Continue
    }

    /// What the server has said without the token that it was sent, also where JSON writes that in another way.
    fn without_token(&mut self, mut said: Vec<u8>) -> Vec<u8> {
        if said.contains(&b'\\')
            && let Ok(plain) = Value::parse_bytes(&said)
        {
            said = plain.to_json().into_bytes();
        }
        self.is_quoted |= self.sent.as_ref().is_some_and(|sent| sent.hide_in(&mut said));
        said
    }

    fn tell_prober_quoted(&mut self) {
        if let (true, Some((vm, at))) = (std::mem::take(&mut self.is_quoted), self.site.best()) {
            vm.metrics.count(Metric::PatQuoted(vm.names.server(at)));
            vm.metrics.maintain(clock::now_ms());
        }
    }

    /// Answers the prober in the server's place, which ends the server's stream.
    fn answer_prober(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Action {
        self.phase = Phase::Refused;
        self.tell_prober_quoted();
        host::reply_instead(status, &["mcp-session-id", header::TOKEN], headers, body);
        Action::Pause
    }
}
