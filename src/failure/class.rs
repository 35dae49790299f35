//! The classes of outcome and their decisions.

/// What an attempt's outcome is. Written down, it is its position here: new classes go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
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
    /// It was refused unread: a redirect, no such endpoint, or a session or version that this server doesn't have.
    Refused,
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

impl BreakerEffect {
    /// Every effect.
    pub const ALL: [BreakerEffect; 4] =
        [BreakerEffect::Failure, BreakerEffect::Limited, BreakerEffect::Neutral, BreakerEffect::Success];

    /// Its name in the registry.
    pub fn as_str(self) -> &'static str {
        match self {
            BreakerEffect::Failure => "failure",
            BreakerEffect::Limited => "limited",
            BreakerEffect::Neutral => "neutral",
            BreakerEffect::Success => "success",
        }
    }
}

impl Failover {
    /// Every word for it.
    pub const ALL: [Failover; 3] = [Failover::Always, Failover::WhenReplayable, Failover::Never];

    /// Its name in the registry.
    pub fn as_str(self) -> &'static str {
        match self {
            Failover::Always => "always",
            Failover::WhenReplayable => "when_replayable",
            Failover::Never => "never",
        }
    }
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
    pub const ALL: [Class; 12] = [
        Class::NotSent,
        Class::Refused,
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
            Class::Refused => "refused",
        }
    }

    /// The class that [`Class::as_str`] calls so.
    pub fn parse(name: &str) -> Option<Self> {
        Class::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// What happened, for a person who reads an error message.
    pub fn explanation(self) -> &'static str {
        match self {
            Class::NotSent => "it could not be reached",
            Class::Overload => "it asked for fewer calls",
            Class::Credential => "it did not accept the proxy's credential",
            Class::Authorization => "the proxy's credential may not do this",
            Class::Server => "it failed",
            Class::Lost => "it gave no answer, and may have executed the call",
            Class::Session => "it does not know the session",
            Class::Caller => "it refused the call",
            Class::ToolError => "the tool failed",
            Class::Cancelled => "the client went away",
            Class::Success => "it answered",
            Class::Refused => "it refused the call unread",
        }
    }

    /// Whether an answer of this class is about the call rather than about the server: the client has been served, if
    /// with a "no".
    pub fn is_about_the_call(self) -> bool {
        match self {
            Class::NotSent | Class::Refused | Class::Overload | Class::Credential | Class::Server | Class::Lost => {
                false
            }
            Class::Authorization | Class::Session | Class::Caller => true,
            Class::ToolError | Class::Cancelled | Class::Success => true,
        }
    }

    /// Whether the server may have executed the call, so that sending it again may execute it twice.
    pub fn may_have_been_executed(self) -> bool {
        match self {
            Class::NotSent | Class::Refused | Class::Overload | Class::Credential | Class::Session => false,
            // A refusal may come in the middle of an agent's work.
            Class::Server | Class::Lost | Class::Authorization | Class::Caller => true,
            Class::ToolError | Class::Cancelled | Class::Success => true,
        }
    }

    /// What follows from it where the registry says nothing else.
    pub fn decisions(self) -> Decisions {
        use BreakerEffect::*;
        use Failover::*;
        let plain = |breaker, failover| Decisions { breaker, failover, other_slot_first: false, alert: false };
        match self {
            Class::NotSent | Class::Refused => plain(Failure, Always),
            Class::Overload => plain(Limited, Always),
            Class::Credential => Decisions { other_slot_first: true, alert: true, ..plain(Neutral, Always) },
            Class::Authorization => plain(Neutral, Never),
            Class::Server | Class::Lost => plain(Failure, WhenReplayable),
            Class::Session | Class::Caller | Class::Cancelled => plain(Neutral, Never),
            Class::ToolError | Class::Success => plain(Success, Never),
        }
    }
}
