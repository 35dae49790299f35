//! Methods, and which of them may be sent twice.

use crate::failure::Replay;

/// What a request asks for, as far as routing and repeating it depend on that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `initialize`
    Initialize,
    /// `ping`
    Ping,
    /// `server/discover`
    Discover,
    /// `tools/call`
    ToolsCall,
    /// `tools/list`
    ToolsList,
    /// Any other `*/list`.
    List,
    /// Any `*/get`, such as `prompts/get`.
    Get,
    /// Any `*/read`, such as `resources/read`.
    Read,
    /// Any other.
    Other,
}

impl Method {
    /// The kind of the method with this name.
    pub fn of(name: &str) -> Self {
        match name {
            "initialize" => Method::Initialize,
            "ping" => Method::Ping,
            "server/discover" => Method::Discover,
            "tools/call" => Method::ToolsCall,
            "tools/list" => Method::ToolsList,
            _ => match name.rsplit_once('/') {
                Some((_, "list")) => Method::List,
                Some((_, "get")) => Method::Get,
                Some((_, "read")) => Method::Read,
                _ => Method::Other,
            },
        }
    }
}

/// Whether requests of this method are about tasks, which only the server that has them knows.
pub fn is_about_tasks(method: &str) -> bool {
    method.starts_with("tasks/")
}

/// Whether a notification is about a request or a task that one server has, and means nothing to any other.
pub fn is_for_one_server(notification: &str) -> bool {
    matches!(notification, "notifications/cancelled" | "notifications/progress")
        || notification.starts_with("notifications/tasks/")
}

/// Whether a request may be sent again although it may already have been executed.
///
/// Methods of the protocol that change nothing always may; of a tool call `tool` says it; anything else never.
/// `pinned`, that only one server can answer it or that it starts a task there, forbids it for all of them.
pub fn replay(method: Method, pinned: bool, tool: impl FnOnce() -> Replay) -> Replay {
    match method {
        _ if pinned => Replay::Pinned,
        Method::Initialize
        | Method::Ping
        | Method::Discover
        | Method::ToolsList
        | Method::List
        | Method::Get
        | Method::Read => Replay::Allowed,
        Method::ToolsCall => tool(),
        Method::Other => Replay::NotReplayable,
    }
}
