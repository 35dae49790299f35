//! An attempt's request: what this server gets of the client's call.

use super::{Attempt, Body, Flow, Reaction, Scene};
use crate::failure::Class;
use crate::jsonrpc::{self, Incoming, parse};
use crate::mcp::Params;
use crate::translate::{self, RestRequest, ToolAnswer};

/// Headers that Envoy adds to requests of its own, such as the prober's.
const LEFT_BY_ENVOY: [&str; 2] = ["x-envoy-internal", "x-envoy-expected-rq-timeout-ms"];

/// Whether Envoy says this of itself in a probe, as it does not in calls.
pub fn is_left_by_envoy(name: &str) -> bool {
    LEFT_BY_ENVOY.contains(&name)
}

/// What becomes of the client's request at a REST server.
pub enum Outgoing {
    /// The rest of it is waited for.
    Wait,
    /// This goes out in its place.
    Send(Box<RestRequest>),
    /// The client is told what is wrong with it. Every server would say the same, so this ends the call.
    Answer(Box<Reaction>),
}

impl Attempt {
    /// More of the request's body has arrived, `size` bytes in all; only of a call that is translated.
    pub fn request_body(&mut self, scene: &mut Scene<'_>, size: usize, end: bool, body: &Body<'_>) -> Outgoing {
        if !end {
            return Outgoing::Wait;
        }
        match translate_request(scene, &body(0, size)) {
            Ok(request) => Outgoing::Send(Box::new(request)),
            Err(answer) => {
                let mut reaction = Reaction::flow(Flow::Reply(response(scene, &answer)));
                self.conclude(scene, Class::Caller.into(), true, &mut reaction);
                Outgoing::Answer(Box::new(reaction))
            }
        }
    }
}

/// The API's request for the call; an answer instead if the call can't be sent.
fn translate_request(scene: &Scene<'_>, body: &[u8]) -> Result<RestRequest, ToolAnswer> {
    let unmapped = || ToolAnswer::failure("this tool has no direct path");
    let Incoming::Request(request) = parse(body) else { return Err(unmapped()) };
    let direct = scene.direct().ok_or_else(unmapped)?;
    let call = Params::of_tool_call(request.params).map_err(|error| ToolAnswer::failure(&error.to_string()))?;
    let base = (scene.server.url.path.as_str(), scene.server.query.as_str());
    let mut request = translate::request(&direct.mapping, base, call.arguments, scene.call.uuid)
        .map_err(|error| ToolAnswer::from(&error))?;
    if let Some(path) = &scene.call.poll {
        request.method = "GET";
        request.path_and_query = path.to_string();
        request.body = None;
        request.headers.retain(|(name, _)| name != "content-type");
    }
    match request.body.as_ref().is_some_and(|body| body.len() > scene.registry.limits.room()) {
        true => Err(ToolAnswer::failure("the translated request is too long for the direct path")),
        false => Ok(request),
    }
}

/// The JSON-RPC response that carries `answer`.
pub(super) fn response(scene: &Scene<'_>, answer: &ToolAnswer) -> Vec<u8> {
    scene.call.request_id().map(|id| jsonrpc::result(id, answer.result())).unwrap_or_default()
}
