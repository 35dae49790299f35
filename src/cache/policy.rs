//! What the operator says of keeping a tool's answers.

/// Who may get an answer that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Who asked for it: by a client certificate, by the header that the operator names, or by what the client
    /// authenticates with.
    Caller,
    /// The session that it was asked for in.
    Session,
    /// Everybody who may call.
    Shared,
}

/// How answers of a tool are kept. Times in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachePolicy {
    /// So long an answer is given again without a server being asked.
    pub ttl_ms: u64,
    /// So much longer it is given where no server has answered.
    pub stale_ms: u64,
    /// To whom.
    pub scope: Scope,
    /// The longest answer that is kept, in bytes.
    pub max_size: u32,
}
