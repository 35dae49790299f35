//! What a stub does with the requests that reach it.

use serde::{Deserialize, Serialize};

/// How a stub answers. Everything but [`Behaviour::Normal`] is a way in which real servers fail or are slow.
///
/// The JSON form, used by `POST /_control`, is `{"do": "status", "status": 503}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Behaviour {
    /// Answers as the real server would.
    Normal,
    /// Answers as the real server would, after a while.
    Delay {
        /// Milliseconds to wait before the answer.
        ms: u64,
    },
    /// Answers every request with this status.
    Status {
        /// HTTP status code.
        status: u16,
        /// Headers to add, for instance `retry-after`.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body; an empty one is sent without content type, another one as JSON unless `headers` say what it is.
        #[serde(default)]
        body: String,
    },
    /// Reads the request, then resets the connection.
    ResetBeforeHeaders,
    /// Declares a length, sends a part of the body, then resets the connection.
    ResetMidBody,
    /// Reads the request and never answers.
    Hang,
    /// Answers JSON-RPC requests with HTTP 200 and a JSON-RPC error.
    RpcError {
        /// `error.code`.
        code: i64,
        /// `error.message`.
        message: String,
    },
    /// Answers JSON-RPC requests with HTTP 200 and a tool result that has `isError: true`.
    ToolError {
        /// The text of its only content block.
        text: String,
    },
    /// HTTP 200, `application/json`, a body that is not JSON.
    GarbageJson,
    /// Bytes that are not HTTP.
    GarbageHttp,
    /// HTTP 200, an event stream whose first event is a JSON-RPC error.
    SseError {
        /// `error.code`.
        code: i64,
        /// `error.message`.
        message: String,
    },
    /// HTTP 200, an event stream: progress notifications, then the result.
    SseProgress {
        /// How many notifications.
        events: u32,
        /// Milliseconds before each of them and before the result.
        every_ms: u64,
    },
    /// HTTP 200, an event stream that is reset after its first event, a progress notification.
    SseBreaks,
    /// HTTP 200, an event stream of one comment, then a reset: alive, and no answer.
    SseSilent,
    /// HTTP 200, an event stream of one event that does not end, of so many bytes; then nothing more.
    SseEndless {
        /// How many bytes.
        bytes: usize,
    },
    /// Every request is answered by an event stream that begins with an event of the type `keepalive` and is not ended.
    SseOpen {
        /// Milliseconds to the answer, with a comment every 100.
        answer_after_ms: u64,
        /// Milliseconds for which the stream stays open after that.
        open_ms: u64,
    },
    /// As [`Behaviour::Normal`], the result in an event that says `event: message`, among events of other types. One of these
    /// has the answer to somebody else's request in it, which is none of the client's business.
    SseNamed {
        /// Whether the stream begins with an event that has an id and no data, from which a client could go on.
        primed: bool,
        /// Milliseconds before each event.
        every_ms: u64,
    },
    /// HTTP 200, an event stream that ends with `data: [DONE]` and has nothing before it.
    OnlyDone,
    /// As [`Behaviour::Normal`], but the answer to somebody else's request.
    WrongId,
    /// As [`Behaviour::Normal`], but a JSON answer that says it is a web page.
    WrongType,
    /// As [`Behaviour::Normal`], but what tools say is compressed, whatever the client has said that it accepts.
    Gzip,
    /// As [`Behaviour::Normal`], the answer padded to about this size.
    Huge {
        /// Bytes of padding.
        bytes: usize,
    },
    /// As [`Behaviour::Normal`], the answer sent in small pieces.
    Drip {
        /// Bytes in a piece.
        bytes: usize,
        /// Milliseconds between pieces.
        every_ms: u64,
    },
}

impl Behaviour {
    /// A bare status with no body and no headers.
    pub fn status(status: u16) -> Self {
        Behaviour::Status { status, headers: Vec::new(), body: String::new() }
    }

    /// A redirect to where nobody is.
    pub fn redirect(status: u16) -> Self {
        let headers = vec![("location".to_owned(), "http://127.0.0.1:1/elsewhere".to_owned())];
        Behaviour::Status { status, headers, body: String::new() }
    }

    /// 429, with `Retry-After` when `seconds` is given. Snowflake sends none.
    pub fn too_many_requests(seconds: Option<u64>) -> Self {
        let headers = seconds.map(|s| ("retry-after".to_owned(), s.to_string())).into_iter().collect();
        Behaviour::Status {
            status: 429,
            headers,
            body: r#"{"message":"Too many requests.","code":"390506"}"#.to_owned(),
        }
    }

    /// An error in a tool's place: HTTP 200 with a JSON-RPC error.
    pub fn rpc_error(code: i64, message: &str) -> Self {
        Behaviour::RpcError { code, message: message.to_owned() }
    }

    /// HTTP 200 with `isError: true`, worded as Snowflake words it.
    pub fn tool_error(cause: &str) -> Self {
        let text = format!("MCP error calling tool search: MCP Server tool error: {cause}\nrequest-id: 01c0ffee");
        Behaviour::ToolError { text }
    }

    /// An event stream that begins with a JSON-RPC error.
    pub fn sse_error(code: i64, message: &str) -> Self {
        Behaviour::SseError { code, message: message.to_owned() }
    }
}

/// An order to a running stub; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// The behaviour from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<Behaviour>,
    /// With `behaviour`: go back to normal after this many requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// With `behaviour`: only this share of requests meets it, in percent, and the others are answered normally. Which
    /// ones, the request's own bytes decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// The bearer tokens accepted from now on; an empty list accepts anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<String>>,
    /// The tools that it doesn't have from now on, of those that stubs know (MCP).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<Vec<String>>,
    /// Milliseconds that every answer takes from now on, whatever the behaviour: the server's usual work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_ms: Option<u64>,
    /// Forget every session, as a restarted server does.
    #[serde(default)]
    pub forget_sessions: bool,
}
