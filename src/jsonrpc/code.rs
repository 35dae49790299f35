//! The error codes Dualpath answers with.

/// A JSON-RPC error code Dualpath answers with.
///
/// Those below zero are JSON-RPC's own. Everything that is about Dualpath has a number outside -32768..-32000, the band
/// that JSON-RPC and MCP keep for themselves: the HTTP status it travels with, then a running number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// -32602: the method does not take these parameters.
    InvalidParams,
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
    /// 42201: the drill that the request orders can't be carried out.
    DrillMalformed,
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
    pub const ALL: [ErrorCode; 15] = [
        ErrorCode::InvalidParams,
        ErrorCode::BodyNotAllowed,
        ErrorCode::OriginNotAllowed,
        ErrorCode::SessionEnded,
        ErrorCode::NotAcceptable,
        ErrorCode::BodyTooLarge,
        ErrorCode::DrillMalformed,
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
            ErrorCode::InvalidParams => -32602,
            ErrorCode::BodyNotAllowed => 40001,
            ErrorCode::OriginNotAllowed => 40301,
            ErrorCode::SessionEnded => 40401,
            ErrorCode::NotAcceptable => 40601,
            ErrorCode::BodyTooLarge => 41301,
            ErrorCode::DrillMalformed => 42201,
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

    /// The name that `data.reason` and the logs give it.
    pub fn name(self) -> &'static str {
        match self {
            ErrorCode::InvalidParams => "INVALID_PARAMS",
            ErrorCode::BodyNotAllowed => "BODY_NOT_ALLOWED",
            ErrorCode::OriginNotAllowed => "ORIGIN_NOT_ALLOWED",
            ErrorCode::SessionEnded => "SESSION_ENDED",
            ErrorCode::NotAcceptable => "NOT_ACCEPTABLE",
            ErrorCode::BodyTooLarge => "BODY_TOO_LARGE",
            ErrorCode::DrillMalformed => "DRILL_MALFORMED",
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

    /// The HTTP status it travels with where it is to have one of its own. Never 400 or 405 to a message, and 404 only to say
    /// what it means in MCP, that the session is gone: from these a client concludes which protocol version the server speaks.
    pub fn http_status(self) -> u16 {
        match self {
            ErrorCode::InvalidParams => 200,
            ErrorCode::BodyNotAllowed => 400,
            ErrorCode::OriginNotAllowed => 403,
            ErrorCode::SessionEnded => 404,
            ErrorCode::NotAcceptable => 406,
            ErrorCode::BodyTooLarge => 413,
            ErrorCode::TimeOver => 504,
            ErrorCode::DrillMalformed => 422,
            _ => 503,
        }
    }
}
