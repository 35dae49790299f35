//! The error codes Dualpath answers with.

/// A JSON-RPC error code Dualpath answers with.
///
/// Those below zero are JSON-RPC's and MCP's own, and said where a server would say them. Everything that is about Dualpath has a number outside -32768..-32000, the band
/// that JSON-RPC and MCP keep for themselves: the HTTP status it travels with, then a running number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// -32601: there is no such method in the client's version.
    MethodNotFound,
    /// -32602: the method does not take these parameters.
    InvalidParams,
    /// -32020: a header does not say what the body says.
    HeaderMismatch,
    /// -32022: the version is not spoken here.
    UnsupportedVersion,
    /// 40001: a GET or DELETE has a body.
    BodyNotAllowed,
    /// 40301: the request comes from a web page that may not call this endpoint.
    OriginNotAllowed,
    /// 40401: the client's session is over; it has to initialize again.
    SessionEnded,
    /// 40601: a GET does not accept a stream of events.
    NotAcceptable,
    /// 41301: the request is longer than what may be held.
    BodyTooLarge,
    /// 41501: the body is encoded.
    BodyEncoded,
    /// 42201: the drill that the request orders can't be carried out.
    DrillMalformed,
    /// 42202: the path has a query.
    QueryNotAllowed,
    /// 42203: the server that the request names is not in the registry.
    ServerUnknown,
    /// 42901: calls of the tool are over the registry's limit.
    RateLimited,
    /// 50301: no server that could answer takes calls at present; none was asked.
    NoPath,
    /// 50302: there is no usable credential for the server that would have to be asked.
    CredentialUnavailable,
    /// 50303: every server asked has failed, and none of them has executed the call.
    UpstreamFailed,
    /// 50304: the call was sent and its outcome is not known; it may have been executed.
    OutcomeUnknown,
    /// 50305: a server has answered, but nothing that can be passed on.
    AnswerUnusable,
    /// 50307: a fault of Dualpath's own.
    Internal,
    /// 50308: too much is held already for the request to be read.
    NoRoom,
    /// 50401: the client's time was over before its call could be sent.
    TimeOver,
}

impl ErrorCode {
    /// Every code; the guide has a section for each.
    pub const ALL: [ErrorCode; 22] = [
        ErrorCode::MethodNotFound,
        ErrorCode::InvalidParams,
        ErrorCode::HeaderMismatch,
        ErrorCode::UnsupportedVersion,
        ErrorCode::BodyNotAllowed,
        ErrorCode::OriginNotAllowed,
        ErrorCode::SessionEnded,
        ErrorCode::NotAcceptable,
        ErrorCode::BodyTooLarge,
        ErrorCode::BodyEncoded,
        ErrorCode::DrillMalformed,
        ErrorCode::QueryNotAllowed,
        ErrorCode::ServerUnknown,
        ErrorCode::RateLimited,
        ErrorCode::NoPath,
        ErrorCode::CredentialUnavailable,
        ErrorCode::UpstreamFailed,
        ErrorCode::OutcomeUnknown,
        ErrorCode::AnswerUnusable,
        ErrorCode::Internal,
        ErrorCode::NoRoom,
        ErrorCode::TimeOver,
    ];

    /// The `code` of the error.
    pub fn number(self) -> i32 {
        match self {
            ErrorCode::MethodNotFound => -32601,
            ErrorCode::InvalidParams => -32602,
            ErrorCode::HeaderMismatch => -32020,
            ErrorCode::UnsupportedVersion => -32022,
            ErrorCode::BodyNotAllowed => 40001,
            ErrorCode::OriginNotAllowed => 40301,
            ErrorCode::SessionEnded => 40401,
            ErrorCode::NotAcceptable => 40601,
            ErrorCode::BodyTooLarge => 41301,
            ErrorCode::BodyEncoded => 41501,
            ErrorCode::DrillMalformed => 42201,
            ErrorCode::QueryNotAllowed => 42202,
            ErrorCode::ServerUnknown => 42203,
            ErrorCode::RateLimited => 42901,
            ErrorCode::NoPath => 50301,
            ErrorCode::CredentialUnavailable => 50302,
            ErrorCode::UpstreamFailed => 50303,
            ErrorCode::OutcomeUnknown => 50304,
            ErrorCode::AnswerUnusable => 50305,
            ErrorCode::Internal => 50307,
            ErrorCode::NoRoom => 50308,
            ErrorCode::TimeOver => 50401,
        }
    }

    /// Whether a request gets it by a mistake of its client's, rather than because Dualpath or its servers can't answer now.
    pub fn is_clients_mistake(self) -> bool {
        match self {
            ErrorCode::NoPath | ErrorCode::CredentialUnavailable | ErrorCode::UpstreamFailed => false,
            ErrorCode::OutcomeUnknown | ErrorCode::AnswerUnusable | ErrorCode::Internal | ErrorCode::NoRoom => false,
            // What a client waits for is its own choice.
            ErrorCode::TimeOver => true,
            ErrorCode::MethodNotFound | ErrorCode::InvalidParams | ErrorCode::HeaderMismatch => true,
            ErrorCode::UnsupportedVersion | ErrorCode::BodyNotAllowed | ErrorCode::OriginNotAllowed => true,
            ErrorCode::SessionEnded | ErrorCode::NotAcceptable | ErrorCode::BodyTooLarge => true,
            ErrorCode::BodyEncoded | ErrorCode::DrillMalformed | ErrorCode::QueryNotAllowed => true,
            ErrorCode::ServerUnknown | ErrorCode::RateLimited => true,
        }
    }

    /// The name that `data.reason` and the logs give it.
    pub fn name(self) -> &'static str {
        match self {
            ErrorCode::MethodNotFound => "METHOD_NOT_FOUND",
            ErrorCode::InvalidParams => "INVALID_PARAMS",
            ErrorCode::HeaderMismatch => "HEADER_MISMATCH",
            ErrorCode::UnsupportedVersion => "UNSUPPORTED_VERSION",
            ErrorCode::BodyNotAllowed => "BODY_NOT_ALLOWED",
            ErrorCode::OriginNotAllowed => "ORIGIN_NOT_ALLOWED",
            ErrorCode::SessionEnded => "SESSION_ENDED",
            ErrorCode::NotAcceptable => "NOT_ACCEPTABLE",
            ErrorCode::BodyTooLarge => "BODY_TOO_LARGE",
            ErrorCode::BodyEncoded => "BODY_ENCODED",
            ErrorCode::DrillMalformed => "DRILL_MALFORMED",
            ErrorCode::QueryNotAllowed => "QUERY_NOT_ALLOWED",
            ErrorCode::ServerUnknown => "SERVER_UNKNOWN",
            ErrorCode::RateLimited => "RATE_LIMITED",
            ErrorCode::NoPath => "NO_PATH",
            ErrorCode::CredentialUnavailable => "CREDENTIAL_UNAVAILABLE",
            ErrorCode::UpstreamFailed => "UPSTREAM_FAILED",
            ErrorCode::OutcomeUnknown => "OUTCOME_UNKNOWN",
            ErrorCode::AnswerUnusable => "ANSWER_UNUSABLE",
            ErrorCode::Internal => "INTERNAL",
            ErrorCode::NoRoom => "NO_ROOM",
            ErrorCode::TimeOver => "TIME_OVER",
        }
    }

    /// The HTTP status it travels with where it is to have one of its own. From 400, 404 and 405 a client concludes which
    /// protocol version the server speaks, so a message gets 405 never, 400 only as a server of its version would say it, and
    /// 404 also to say what it means in MCP, that the session is gone.
    pub fn http_status(self) -> u16 {
        match self {
            ErrorCode::InvalidParams => 200,
            ErrorCode::BodyNotAllowed | ErrorCode::HeaderMismatch | ErrorCode::UnsupportedVersion => 400,
            ErrorCode::OriginNotAllowed => 403,
            ErrorCode::SessionEnded | ErrorCode::MethodNotFound => 404,
            ErrorCode::NotAcceptable => 406,
            ErrorCode::BodyTooLarge => 413,
            ErrorCode::BodyEncoded => 415,
            ErrorCode::TimeOver => 504,
            ErrorCode::RateLimited => 429,
            ErrorCode::DrillMalformed | ErrorCode::QueryNotAllowed | ErrorCode::ServerUnknown => 422,
            _ => 503,
        }
    }
}
