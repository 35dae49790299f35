//! What a probe sends. It goes through the server's own cluster, where the attempt filter adds the credential.

use crate::json::{Value, quoted};
use crate::mcp::ProtocolVersion;
use crate::registry::{HttpProbe, ProbeRequest, Server};

/// Who is asking. Nothing of any client's goes into a probe.
const USER_AGENT: &str = concat!("dualpath-prober/", env!("CARGO_PKG_VERSION"));

/// The id of every probe's JSON-RPC request, as it stands in the body.
pub(super) const ID: &str = "\"dualpath-probe\"";

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its headers, the pseudo-headers among them.
    pub headers: Vec<(&'static str, String)>,
    /// Its body; empty for none.
    pub body: String,
}

/// The request that probes `server`.
pub fn request(server: &Server, request: &ProbeRequest) -> Message {
    match request {
        ProbeRequest::Ping => rpc(server, "ping", ""),
        ProbeRequest::Initialize(version) => {
            let version = version.as_str();
            let params =
                format!(r#","params":{{"protocolVersion":"{version}","capabilities":{{}},"clientInfo":{INFO}}}"#);
            rpc(server, "initialize", &params)
        }
        ProbeRequest::Discover => stateless(server, "server/discover", ""),
        ProbeRequest::Http(HttpProbe { method, path, body, .. }) => {
            let mut headers = head(server, method, path);
            headers.push(("accept", "application/json, */*".to_owned()));
            if body.is_some() {
                headers.push(("content-type", "application/json".to_owned()));
            }
            Message { headers, body: body.clone().unwrap_or_default() }
        }
    }
}

/// The request that has `server` list its tools, from its beginning or from `cursor` on. `is_stateless`: in a version
/// without a handshake.
pub fn list(server: &Server, is_stateless: bool, cursor: Option<&str>) -> Message {
    let cursor = cursor.map(quoted);
    match (is_stateless, cursor) {
        (true, Some(cursor)) => stateless(server, LIST, &[r#""cursor":"#, &cursor, ","].concat()),
        (true, None) => stateless(server, LIST, ""),
        (false, Some(cursor)) => rpc(server, LIST, &[r#","params":{"cursor":"#, &cursor, "}"].concat()),
        (false, None) => rpc(server, LIST, ""),
    }
}

const LIST: &str = "tools/list";

/// A notification, which wants no answer.
pub fn notification(server: &Server, method: &str) -> Message {
    let body = [r#"{"jsonrpc":"2.0","method":""#, method, r#""}"#].concat();
    Message { body, ..rpc(server, method, "") }
}

/// Whether this is the answer to a request of the prober's.
pub fn is_answer(message: &Value) -> bool {
    message.get("id").and_then(Value::as_str) == ID.get(1..ID.len().saturating_sub(1))
}

/// The request that closes the session which a probe has opened.
pub fn farewell(server: &Server, session: String) -> Message {
    let mut headers = head(server, "DELETE", "");
    headers.push(("mcp-session-id", session));
    Message { headers, body: String::new() }
}

/// MCP's `Implementation` of the prober.
const INFO: &str = concat!(r#"{"name":"dualpath-prober","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

/// A request of a version without a handshake, which says in itself and in headers who asks. `params`: what comes before.
fn stateless(server: &Server, method: &str, params: &str) -> Message {
    let version = ProtocolVersion::V2026_07_28.as_str();
    let prefix = "io.modelcontextprotocol/";
    let params = format!(
        r#","params":{{{params}"_meta":{{"{prefix}protocolVersion":"{version}","{prefix}clientInfo":{INFO},"{prefix}clientCapabilities":{{}}}}}}"#
    );
    let mut message = rpc(server, method, &params);
    message.headers.push(("mcp-protocol-version", version.to_owned()));
    message.headers.push(("mcp-method", method.to_owned()));
    message
}

fn rpc(server: &Server, method: &str, params: &str) -> Message {
    let mut headers = head(server, "POST", "");
    headers.push(("content-type", "application/json".to_owned()));
    headers.push(("accept", "application/json, text/event-stream".to_owned()));
    Message { headers, body: format!(r#"{{"jsonrpc":"2.0","id":{ID},"method":"{method}"{params}}}"#) }
}

/// `below`: where, below the path of the server's URL.
fn head(server: &Server, method: &str, below: &str) -> Vec<(&'static str, String)> {
    vec![
        (":method", method.to_owned()),
        (":path", server.target(below, "").into_owned()),
        (":authority", server.url.authority()),
        (":scheme", if server.url.tls { "https" } else { "http" }.to_owned()),
        ("user-agent", USER_AGENT.to_owned()),
        // What is compressed can't be judged.
        ("accept-encoding", "identity".to_owned()),
    ]
}
