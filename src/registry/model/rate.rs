//! How often tools may be called. Envoy's local rate limit filter keeps to it; the module only tells it the tool.

use std::time::Duration;

/// One limit: a bucket that holds `calls`, and fills evenly within `per`. All workers of a process share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// The tool.
    pub tool: String,
    /// How many calls at once.
    pub calls: u32,
    /// The time in which so many come back.
    pub per: Duration,
    /// Who has a bucket of their own.
    pub caller: Caller,
}

/// Who has a bucket of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// All callers share one.
    All,
    /// Each address that connections come from.
    Address,
    /// Each value of this request header. Calls without it are not limited.
    Header(String),
}
