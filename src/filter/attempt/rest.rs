//! The direct path: the tool call goes out as the API's request, the API's answer comes back as the tool's result.

use proxy_wasm::types::Action;

use super::super::host::{self, Body, Headers};
use super::super::mark::ANSWER_MARK;
use super::Attempt;
use super::response::Holding;
use crate::failure::{Class, Head, Verdict};
use crate::jsonrpc::{self, Incoming, RequestId, parse};
use crate::mcp::ToolCall;
use crate::plan::is_of_mcp;
use crate::registry::Direct;
use crate::translate::{self, RestRequest, ToolAnswer};

/// Headers of an API's answer that are about that answer and not about the one the client gets.
const OF_THE_API: [&str; 7] =
    ["cache-control", "content-encoding", "content-length", "etag", "transfer-encoding", "vary", "www-authenticate"];

/// How far a call on the direct path has come.
pub(super) enum RestCall {
    /// The client's body is being collected; so many bytes of it are there.
    Awaited(usize),
    /// Sent to the API.
    Sent,
    /// Answered here; nothing was sent.
    Refused,
}

impl Attempt {
    pub(super) fn rest_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if !end_of_stream {
            self.rest = Some(RestCall::Awaited(size));
            return Action::Pause;
        }
        match self.translate_request(&Body::Request.read(0, size)) {
            Ok(request) => {
                self.send_rest(&request, size);
                Action::Continue
            }
            Err(answer) => {
                self.refuse_call(&answer);
                Action::Pause
            }
        }
    }

    /// The API's request for the call; an answer instead if the call can't be sent.
    fn translate_request(&self, body: &[u8]) -> Result<RestRequest, ToolAnswer> {
        let unmapped = || ToolAnswer::failure("this tool has no direct path");
        let (Some(plan), Incoming::Request(request)) = (&self.plan, parse(body)) else { return Err(unmapped()) };
        let direct = self.direct().ok_or_else(unmapped)?;
        let base = self.placement.server().map_or("/", |server| server.url.path.as_str());
        let call = ToolCall::parse(request.params).map_err(|error| ToolAnswer::failure(&error.to_string()))?;
        translate::request(&direct.mapping, base, call.arguments, plan.call_uuid).map_err(|error| (&error).into())
    }

    /// How the planned tool is called on this server.
    fn direct(&self) -> Option<&Direct> {
        let tool = self.placement.vm.registry.tool(self.plan.as_ref()?.tool.as_deref()?)?;
        tool.rest.as_ref().filter(|direct| direct.server == self.placement.index)
    }

    fn send_rest(&mut self, request: &RestRequest, size: usize) {
        // Nothing that is about the client's MCP connection belongs into a plain API call.
        for (name, _) in &Headers::Request.all() {
            if is_of_mcp(name) {
                Headers::Request.remove(name);
            }
        }
        let body = request.body.as_deref().unwrap_or_default();
        Headers::Request.set(":method", request.method.as_bytes());
        Headers::Request.set("content-length", body.len().to_string().as_bytes());
        for (name, value) in &request.headers {
            Headers::Request.set(name, value.as_bytes());
        }
        self.placement.address(&request.path_and_query);
        Body::Request.replace(size, body);
        self.rest = Some(RestCall::Sent);
    }

    /// Tells the client what is wrong with its call. Every server would say the same, so this ends it.
    fn refuse_call(&mut self, answer: &ToolAnswer) {
        let body = self.response(answer);
        self.settle(Class::Caller, None);
        self.rest = Some(RestCall::Refused);
        let mark = self.mark(Class::Caller, true).encode();
        host::reply(200, &[(ANSWER_MARK, &mark), ("content-type", "application/json")], &body);
    }

    /// Turns the API's answer into the tool's result. `size` is the number of bytes in the body buffer.
    pub(super) fn translate_answer(&mut self, head: &Head, verdict: Verdict, size: usize) -> Action {
        let body = if head.bodiless { Vec::new() } else { Body::Response.read(0, size) };
        let answer = self.direct().map(|direct| translate::answer(&direct.mapping, head.status, &body));
        let Some(Ok(answer)) = answer else {
            if let Some(Err(error)) = answer {
                log::warn!("{}: {error}", self.server_id());
            }
            self.conclude(Class::Server.into(), false);
            return Action::Continue;
        };
        let class = if answer.is_error() { Class::Caller } else { verdict.class };
        let body = self.response(&answer);
        if head.bodiless {
            // There is no body to replace, so only a local reply can bring one.
            self.settle(class, None);
            let mark = self.mark(class, true).encode();
            host::reply(200, &[(ANSWER_MARK, &mark), ("content-type", "application/json")], &body);
            return Action::Pause;
        }
        Headers::Response.set(":status", b"200");
        for name in OF_THE_API {
            Headers::Response.remove(name);
        }
        Headers::Response.set("content-type", b"application/json");
        self.conclude(class.into(), true);
        Body::Response.replace(size, &body);
        // Of an error that is too long to be held, more is to come.
        self.holding = Holding::Drop;
        Action::Continue
    }

    /// The JSON-RPC response that carries `answer`.
    fn response(&self, answer: &ToolAnswer) -> Vec<u8> {
        let id = self.plan.as_ref().and_then(|plan| RequestId::from_json(plan.id.as_deref()?));
        id.map(|id| jsonrpc::result(id, answer)).unwrap_or_default()
    }
}
