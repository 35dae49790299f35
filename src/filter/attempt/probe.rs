//! A request of the prober's: it gets the server's credential, and its answer need not end.

use proxy_wasm::types::Action;

use super::super::clock;
use super::super::host::{self, Body, Headers};
use super::super::shared_data::EnvoySharedData;
use super::headers::take_off_slots;
use super::{Attempt, Phase};
use crate::call::attempt::is_left_by_envoy;
use crate::call::flight::Grounded;
use crate::failure::{Class, is_encoded};
use crate::probe::note_begun;
use crate::wiring::header;

/// A stream in which no answer has come by then is left to the prober, in bytes.
const SEARCHED: usize = 1 << 20;

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
        self.tell_of_token();
        let is_success = Headers::Response.status().is_some_and(|status| (200..300).contains(&status));
        if end || !is_success || !Headers::Response.are_of_events() {
            return Action::Continue;
        }
        if let Some(coding) = Headers::Response.get("content-encoding").filter(|coding| is_encoded(coding)) {
            // It can't be searched, and may not end: the prober gets as much of it as it looks at.
            return self.answer_prober(&[("content-encoding", &String::from_utf8_lossy(&coding))], b"-");
        }
        note_begun(&EnvoySharedData, self.site.server.as_str(), clock::now_ms());
        self.phase = Phase::Probe(Box::default(), 0);
        Action::Pause
    }

    /// More of the stream has arrived, `size` bytes in all.
    pub(super) fn probe_body(&mut self, size: usize, end: bool) -> Action {
        let Phase::Probe(answer, searched) = &mut self.phase else { return Action::Continue };
        let found = answer.push(&Body::Response.read(*searched, size.saturating_sub(*searched)));
        *searched = size;
        match found {
            Some(event) => self.answer_prober(&[], &event.data),
            None if end || size > SEARCHED => {
                self.phase = Phase::Other;
                Action::Continue
            }
            None => Action::Pause,
        }
    }

    /// Answers the prober in the server's place, which ends the server's stream.
    fn answer_prober(&mut self, more: &[(&str, &str)], body: &[u8]) -> Action {
        self.phase = Phase::Refused;
        const KEPT: [&str; 2] = ["mcp-session-id", header::TOKEN];
        let kept = KEPT.map(|name| Headers::Response.get(name).and_then(|value| String::from_utf8(value).ok()));
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(KEPT.into_iter().zip(&kept).filter_map(|(name, value)| Some((name, value.as_deref()?))));
        headers.extend(more);
        host::reply(200, &headers, body);
        Action::Pause
    }
}
