//! Whether a call may be executed twice, and if not, why.

/// Whether a call may be sent again after a server may have executed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Replay {
    /// It may: it changes nothing, or what it changes stays the same the second time.
    Allowed,
    /// The operator has not said that it may.
    NotReplayable,
    /// The operator leaves it to the annotations of trusted servers, and they do not vouch for it.
    UnknownAnnotation,
    /// Only the server that holds its state can answer it: it continues an exchange, or belongs to a task.
    Pinned,
    /// It is a batch, a message that wants no answer, or a stream.
    Batch,
    /// It can't be read, so it might be anything.
    Unreadable,
}

impl Replay {
    /// Whether it may be sent again.
    pub fn is_allowed(self) -> bool {
        self == Replay::Allowed
    }

    /// Whether no policy can allow it: what forbids it lies in the call, not in the tool.
    pub fn is_out_of_question(self) -> bool {
        matches!(self, Replay::Pinned | Replay::Batch | Replay::Unreadable)
    }

    /// The value of the `reason` label in metrics: why a call was not sent again. One that may be was kept back by the
    /// policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Replay::Allowed => "policy",
            Replay::NotReplayable => "not_replayable",
            Replay::UnknownAnnotation => "unknown_annotation",
            Replay::Pinned => "pinned",
            Replay::Batch => "batch",
            Replay::Unreadable => "unreadable",
        }
    }
}
