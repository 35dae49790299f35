//! An attempt that has to open a session for its client first: see [`crate::call::session`].
//!
//! The request is held while `initialize` and `notifications/initialized` go out. They go to a listener inside this Envoy:
//! its connection is accepted while they are dispatched, but read in a later event, so that the attempt which they meet
//! enters the VM after this one has left it.

use std::time::Duration;

use proxy_wasm::types::Action;

use super::super::host::{self, Body, Headers};
use super::super::metrics::Metric;
use super::{Attempt, Phase};
use crate::call::session::{self, LONGEST_ID, enter};
use crate::call::{Opening, Session};
use crate::mcp::introduction;
use crate::wiring::{cluster, header};

/// The longest that a server may take for each of the two messages. Together they fit into an attempt's time.
const LONGEST: Duration = Duration::from_secs(5);

/// An answer to `initialize` is read so far, in bytes.
const LONGEST_ANSWER: usize = 256 * 1024;

/// The message whose answer is waited for.
pub(super) struct Waiting {
    token: u32,
    /// The version that the new session must have; `None` once it has it.
    version: Option<String>,
}

impl Attempt {
    /// Brings the request into the client's session at this server, if there is one or can be.
    pub(super) fn join_session(&mut self) -> Action {
        let wanted = self.flown.as_ref().is_some_and(|(flown, attempt)| {
            let call = flown.call.borrow();
            flown.server().is_some_and(|server| session::opens_session(&call, server, attempt.begun().leg))
        });
        if wanted && !self.has_moved_here() {
            match self.open() {
                Ok(waiting) => {
                    self.waiting = Some(waiting);
                    self.phase = Phase::Opening;
                    return Action::Pause;
                }
                Err(why) => self.set_opening(why),
            }
        }
        if let Some((flown, _)) = &self.flown {
            flown.name_session();
        }
        Action::Continue
    }

    /// Whether another call has brought the client's session here already; this one joins it then.
    fn has_moved_here(&self) -> bool {
        let Some((flown, attempt)) = &self.flown else { return false };
        let Some(server) = flown.server().map(|server| server.id.clone()) else { return false };
        let found = flown.call.borrow().session_id.as_deref().and_then(|id| flown.vm.where_moved(id));
        let Some(found) = found.filter(|found| found.server == server.as_str()) else { return false };
        let found = Session::Server { owner: server, id: found.id };
        // The one that the server has just denied is no use.
        let is_news = !attempt.begun().leg.anew || flown.call.borrow().session != found;
        if is_news {
            flown.with_scene(|scene| enter(scene.call, found));
        }
        is_news
    }

    /// Sends the `initialize`.
    fn open(&self) -> Result<Waiting, Opening> {
        let (flown, _) = self.flown.as_ref().ok_or(Opening::NotNow)?;
        let spoken =
            Headers::Request.get("mcp-protocol-version").map(|version| String::from_utf8(version).unwrap_or_default());
        let opened = {
            let call = flown.call.borrow();
            let session_id = call.session_id.as_deref().unwrap_or_default();
            if flown.vm.has_ended(session_id) {
                return Err(Opening::Impossible);
            }
            let short = session::introduction(session_id);
            introduction::initialize(short, spoken.as_deref())
        };
        let (body, version) = opened.ok_or(Opening::Impossible)?;
        if !flown.vm.may_open_session() {
            return Err(Opening::NotNow);
        }
        let token = self.dispatch("POST", None, &body).ok_or(Opening::NotNow)?;
        Ok(Waiting { token, version: Some(version) })
    }

    /// Sends a message of our own to this server, in the client's name: `session` and the version that is spoken in it, once
    /// there is one.
    fn dispatch(&self, method: &str, session: Option<(&str, &str)>, body: &str) -> Option<u32> {
        let (flown, _) = self.flown.as_ref()?;
        let server = flown.server()?;
        let text = |value: Vec<u8>| String::from_utf8(value).ok();
        let mut headers = vec![
            (":method", method.to_owned()),
            (":path", server.target("", &flown.call.borrow().query).into_owned()),
            (":authority", flown.vm.authority(flown.at).to_owned()),
            (header::TO, server.id.as_str().to_owned()),
            (header::PROBE, self.site.probe_pass.to_string()),
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
        ];
        if let Some(agent) = Headers::Request.get("user-agent").and_then(text) {
            headers.push(("user-agent", agent));
        }
        if flown.vm.registry.gets_client_authorization(server) {
            let own = flown.call.borrow().authorization.as_ref().map(|own| own.header_value(""));
            headers.extend(own.and_then(text).map(|own| ("authorization", own)));
        }
        if let Some((id, version)) = session {
            headers.push(("mcp-session-id", id.to_owned()));
            headers.push(("mcp-protocol-version", version.to_owned()));
        }
        let attempt_ms = flown.call.borrow().flight.time().per_try_ms;
        let share = Duration::from_millis(attempt_ms.checked_div(3).unwrap_or_default());
        let timeout = if attempt_ms == 0 { LONGEST } else { share.clamp(Duration::from_millis(1), LONGEST) };
        host::dispatch(cluster::SESSIONS, &headers, body.as_bytes(), timeout).ok()
    }

    /// The answer to a message of our own. `any`: there is one, if only headers.
    pub(super) fn answered(&mut self, token: u32, any: bool, size: usize) {
        let Some(Waiting { version, .. }) = self.waiting.take_if(|waiting| waiting.token == token) else { return };
        if let Some(version) = version.filter(|_| any) {
            self.waiting = self.initialized(&version, size);
            if self.waiting.is_some() {
                return;
            }
        } else if !any {
            self.set_opening(Opening::NotNow);
        }
        self.phase = Phase::Sent;
        if let Some((flown, attempt)) = &mut self.flown {
            flown.name_session();
            flown.with_scene(|scene| attempt.has_waited(scene.now_ms));
        }
        host::resume_request();
    }

    /// The answer to `initialize`: on to `notifications/initialized`, if there is a session to say it in.
    fn initialized(&self, version: &str, size: usize) -> Option<Waiting> {
        let body = if size > 0 { Body::Dispatched.read(0, size.min(LONGEST_ANSWER)) } else { Vec::new() };
        let status = Headers::Dispatched.status().unwrap_or_default();
        let opening = session::judge(status, Headers::Dispatched.are_of_events(), &body, version);
        let id = Headers::Dispatched.get("mcp-session-id").unwrap_or_default();
        let usable = id.len() <= LONGEST_ID && id.iter().all(u8::is_ascii_graphic);
        let opening = if opening == Opening::Opened && !usable { Opening::Impossible } else { opening };
        self.set_opening(opening);
        let id = String::from_utf8(id).ok().filter(|_| usable)?;
        if opening != Opening::Opened {
            // A server keeps a session until it is told, or for hours.
            if !id.is_empty() {
                self.dispatch("DELETE", Some((&id, version)), "");
            }
            return None;
        }
        let (flown, _) = self.flown.as_ref()?;
        let server = flown.server()?.id.clone();
        if let Some(session_id) = &flown.call.borrow().session_id {
            flown.vm.note_moved(session_id, (server.as_str(), id.as_bytes()));
        }
        flown.vm.metrics.count(Metric::SessionsOpened(flown.vm.names.server(flown.at)));
        if flown.call.borrow().session_is_elsewhere(Some(&server)) {
            flown.vm.metrics.count(Metric::SessionsMoved(flown.vm.names.server(flown.at)));
        }
        let session = Session::Server { owner: server, id: id.clone().into_bytes() };
        flown.with_scene(|scene| enter(scene.call, session));
        if id.is_empty() {
            return None;
        }
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let token = self.dispatch("POST", Some((&id, version)), initialized)?;
        Some(Waiting { token, version: None })
    }

    fn set_opening(&self, opening: Opening) {
        if let Some((flown, _)) = &self.flown {
            flown.with_scene(|scene| scene.call.opening = opening);
        }
    }
}
