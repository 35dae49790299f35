//! The client's request: what is taken off it, and when it is complete.

use proxy_wasm::types::Action;

use super::super::host::{Body, Headers};
use super::super::metrics::{Metric, Mode, Status};
use super::super::{clock, host};
use super::call::Session;
use super::{Gate, Phase};
use crate::credential::Secret;
use crate::drill::{self, Malformed, Orders};
use crate::jsonrpc::{self, Details, ErrorCode};
use crate::mcp::SessionId;
use crate::mcp::local::LocalAnswer;
use crate::registry::ClientAuthorization;
use crate::wiring::header;

/// Header in which an Envoy before this one says how many milliseconds the client waits for the answer.
const EXPECTED_TIMEOUT: &str = "x-envoy-expected-rq-timeout-ms";

/// Headers by which Envoy's router lets a request change its own retries and timeouts. They are the gate's to set; from
/// a client they would override the operator's policy, above all "never send this twice".
const ROUTER_CONTROLS: [&str; 14] = [
    "x-envoy-attempt-count",
    EXPECTED_TIMEOUT,
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-is-timeout-retry",
    "x-envoy-max-retries",
    "x-envoy-retriable-header-names",
    "x-envoy-retriable-status-codes",
    "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
];

/// Headers of a client that the gate takes off: its own credentials (MCP forbids passing them on, the server gets its own;
/// where the operator wants it otherwise, attempts put the one of this header back), cookies (the next server has no
/// business with those of this one), and the wish for compression (a compressed answer can't be judged).
const NEVER_PASSED_ON: [&str; 4] = ["accept-encoding", "authorization", "cookie", "proxy-authorization"];

/// Whether a client may not send this header through.
fn is_reserved(name: &str) -> bool {
    name.starts_with(header::PREFIX) || NEVER_PASSED_ON.contains(&name) || ROUTER_CONTROLS.contains(&name)
}

impl Gate {
    pub(super) fn request_headers(&mut self, end_of_stream: bool) -> Action {
        let headers = Headers::Request.all();
        let get = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice());
        let path = get(":path").unwrap_or_default().split(|b| *b == b'?').next().unwrap_or_default();
        if path != self.vm.registry.listener.path.as_bytes() {
            return Action::Continue;
        }
        self.call.started = clock::now_ms();
        if get("origin").is_some_and(|origin| !self.is_allowed(origin)) {
            return self.refuse(
                ErrorCode::OriginNotAllowed,
                "listener.allowed_origins does not name this origin",
                None,
            );
        }
        let mut sessions = headers.iter().filter(|(name, _)| name == "mcp-session-id").map(|(_, id)| id.as_slice());
        self.call.session = match (sessions.next(), sessions.next()) {
            // Nobody can tell whose it is, so nobody gets to see it.
            (_, Some(_)) => Session::Gate,
            (session, None) => self.session(session),
        };
        match self.ordered_drill(&headers) {
            Ok(orders) => self.call.drill = orders,
            Err(malformed) => return self.refuse(ErrorCode::DrillMalformed, &malformed.to_string(), None),
        }
        if self.vm.registry.listener.client_authorization != ClientAuthorization::Drop {
            self.call.authorization = authorization(&headers);
        }
        for (name, value) in &headers {
            if is_reserved(name) {
                if name == EXPECTED_TIMEOUT {
                    self.call.told_ms = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                }
                Headers::Request.remove(name);
            }
        }
        if self.call.session == Session::Gate {
            Headers::Request.remove("mcp-session-id");
        }
        if get(":method") != Some(b"POST") {
            return self.plan_stream(get(":method") == Some(b"DELETE"));
        }
        let declared = get("content-length").and_then(|v| std::str::from_utf8(v).ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| length > u64::from(self.vm.registry.limits.request_body)) {
            return self.refuse_too_large();
        }
        self.phase = Phase::Reading;
        if end_of_stream { self.plan_message(b"") } else { Action::Pause }
    }

    /// The drill that the request orders, if it may. Who may not is not told so: the header is taken off like any other
    /// that is not a client's to send.
    fn ordered_drill(&self, headers: &[(String, Vec<u8>)]) -> Result<Orders, Malformed> {
        let mut orders = Orders::default();
        let mut values = headers.iter().filter(|(name, _)| name == header::DRILL).map(|(_, value)| value).peekable();
        if values.peek().is_none() {
            return Ok(orders);
        }
        let registry = &self.vm.registry;
        let source = host::attribute(&["source", "address"]).unwrap_or_default();
        let ignored = match &registry.drill {
            None => Some("off"),
            Some(drill) => (!drill::is_allowed(&drill.sources, &source)).then_some("source"),
        };
        if let Some(reason) = ignored {
            self.vm.metrics.count(Metric::DrillIgnored(reason));
            return Ok(orders);
        }
        values.try_for_each(|value| orders.add(value, registry))?;
        Ok(orders)
    }

    fn is_allowed(&self, origin: &[u8]) -> bool {
        self.vm.registry.listener.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin)
    }

    /// Whose session the client is in. A server that has left the registry can't be asked any more, so its sessions
    /// are treated like the gate's own.
    fn session(&self, header: Option<&[u8]>) -> Session {
        match header.map(SessionId::parse) {
            None | Some(SessionId::Unknown(_)) => Session::None,
            Some(SessionId::Gate | SessionId::Forged) => Session::Gate,
            Some(SessionId::Server { server, original }) => match self.vm.registry.server_by_id(server) {
                Some((index, _)) => Session::Server(index, original.to_vec()),
                None => Session::Gate,
            },
        }
    }

    pub(super) fn request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if size > usize::try_from(self.vm.registry.limits.request_body).unwrap_or(usize::MAX) {
            return self.refuse_too_large();
        }
        if end_of_stream { self.request_complete() } else { Action::Pause }
    }

    /// The body is whole.
    pub(super) fn request_complete(&mut self) -> Action {
        let limit = usize::try_from(self.vm.registry.limits.request_body).unwrap_or(usize::MAX);
        let body = Body::Request.read(0, limit);
        self.plan_message(&body)
    }

    fn refuse_too_large(&mut self) -> Action {
        let limit = self.vm.registry.limits.request_body;
        let message = format!("the request is larger than the {limit} bytes that limits.request_body allows");
        self.refuse(ErrorCode::BodyTooLarge, &message, None)
    }

    /// Turns the call away before any server is asked.
    pub(super) fn refuse(&mut self, code: ErrorCode, message: &str, retry_after_ms: Option<u64>) -> Action {
        let details = Details { retry_after_ms, ..Details::default() };
        let body = jsonrpc::error(self.call.request_id(), code, message, &details);
        let seconds = retry_after_ms.map(|ms| ms.div_ceil(1000).to_string());
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(seconds.as_deref().map(|seconds| ("retry-after", seconds)));
        self.answer(code.http_status(), &headers, &body, Status::Refused)
    }

    /// Answers with what the gate knows itself.
    pub(super) fn answer_locally(&mut self, local: &LocalAnswer, end: Status) -> Action {
        match local {
            LocalAnswer::Reply { body, opens_session } => {
                let session = opens_session.then(mint_session).flatten();
                let mut headers = vec![("content-type", "application/json")];
                headers.extend(session.as_deref().map(|session| ("mcp-session-id", session)));
                self.answer(200, &headers, body, end)
            }
            LocalAnswer::Accepted | LocalAnswer::NotLocal => self.answer(202, &[], b"", end),
        }
    }

    /// Answers the call here and now.
    pub(super) fn answer(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8], end: Status) -> Action {
        self.phase = Phase::Answered;
        self.call.end = Some((Mode::Gate, end));
        host::reply(status, headers, body);
        Action::Pause
    }
}

/// What the client authenticates with. Of several nobody can tell which one counts.
fn authorization(headers: &[(String, Vec<u8>)]) -> Option<Secret> {
    let mut values = headers.iter().filter(|(name, _)| name == "authorization").map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(only), None) => Secret::new(only),
        _ => None,
    }
}

/// An id for a session with the gate; none without a source of randomness, as it must not be guessed.
pub(super) fn mint_session() -> Option<String> {
    clock::random().and_then(|random| String::from_utf8(SessionId::mint(random)).ok())
}
