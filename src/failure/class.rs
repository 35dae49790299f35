//! The classes of outcome and their decisions.

/// What an attempt's outcome is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// No byte of the call was sent: connection or TLS failure, refused stream, no healthy host.
    NotSent,
    /// The server asks for fewer calls: 429, 503 with Retry-After.
    Overload,
    /// The server does not accept the credential.
    Credential,
    /// The credential is good, but what it stands for may not do this.
    Authorization,
    /// The server failed, or answered something that is no answer.
    Server,
    /// The call was sent and no answer came: reset or timeout.
    Lost,
    /// The server does not know the client's session.
    Session,
    /// The call itself is at fault.
    Caller,
    /// The tool ran and says that it failed (`isError`). The server is well.
    ToolError,
    /// The client went away.
    Cancelled,
    /// The call was answered.
    Success,
}

/// What the server's breaker makes of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerEffect {
    /// Counts in the failure rate and in the run of failures.
    Failure,
    /// Counts in the failure rate but not in the run; a Retry-After sets the open period.
    Limited,
    /// Says nothing about the server. A probe that ends so gives its lease back.
    Neutral,
    /// Counts as a success.
    Success,
}

/// Whether the same call goes to the next server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failover {
    /// For any call: it has certainly not been executed.
    Always,
    /// Only for calls that may be executed twice.
    WhenReplayable,
    /// For none.
    Never,
}

/// The decisions that follow from a class, each independent of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decisions {
    /// What the breaker is told.
    pub breaker: BreakerEffect,
    /// Whether the next server is asked.
    pub failover: Failover,
    /// Whether the other credential slot is tried on the same server before that.
    pub other_slot_first: bool,
    /// Whether the operator is alerted.
    pub alert: bool,
}

impl Class {
    /// Every class, in the order of the documentation's table.
    pub const ALL: [Class; 11] = [
        Class::NotSent,
        Class::Overload,
        Class::Credential,
        Class::Authorization,
        Class::Server,
        Class::Lost,
        Class::Session,
        Class::Caller,
        Class::ToolError,
        Class::Cancelled,
        Class::Success,
    ];

    /// The value of the `outcome` label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::NotSent => "not_sent",
            Class::Overload => "overload",
            Class::Credential => "credential",
            Class::Authorization => "authorization",
            Class::Server => "server",
            Class::Lost => "lost",
            Class::Session => "session",
            Class::Caller => "caller",
            Class::ToolError => "tool_error",
            Class::Cancelled => "cancelled",
            Class::Success => "success",
        }
    }

    /// What follows from it.
    pub fn decisions(self) -> Decisions {
        use BreakerEffect::*;
        use Failover::*;
        let plain = |breaker, failover| Decisions { breaker, failover, other_slot_first: false, alert: false };
        match self {
            Class::NotSent => plain(Failure, Always),
            Class::Overload => plain(Limited, Always),
            Class::Credential => Decisions { other_slot_first: true, alert: true, ..plain(Neutral, Always) },
            Class::Authorization => plain(Neutral, Never),
            Class::Server | Class::Lost => plain(Failure, WhenReplayable),
            Class::Session | Class::Caller | Class::Cancelled => plain(Neutral, Never),
            Class::ToolError | Class::Success => plain(Success, Never),
        }
    }
}

/// Whether a call whose attempt ended in `class` may be sent to another server, or there once more with another
/// credential. `replayable`: it may be executed twice. `answer_started`: the client has part of an answer, which
/// forbids it without exception.
pub fn may_fail_over(class: Class, replayable: bool, answer_started: bool) -> bool {
    !answer_started
        && match class.decisions().failover {
            Failover::Always => true,
            Failover::WhenReplayable => replayable,
            Failover::Never => false,
        }
}
