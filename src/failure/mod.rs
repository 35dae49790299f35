//! What an attempt's outcome means: one class, and what follows from it for the breaker, for the next server and for
//! the operator.
//!
//! The judges look at the transport first, then at the operator's rules, then at the HTTP status, then at the JSON-RPC
//! code, then at message texts that are built in: MCP's, and those of the server's [`Dialect`]. They are careful in one direction: an answer that could mean that the
//! call was executed never gets a class that has it sent again regardless.
//!
//! What follows from a class is a table ([`Class::decisions`]) that the operator changes per server and per tool
//! ([`decide`]).

mod class;
mod dialect;
mod judge;
mod mcp;
mod policy;
mod rest;
pub mod retry_after;
mod rules;

pub use class::{BreakerEffect, Class, Decisions, Failover};
pub use dialect::{Dialect, KnownText};
pub use judge::{
    Basis, Case, EventJudgement, Expected, Head, Judgement, Said, ServerKind, Standing, Verdict, is_encoded,
    judge_body, judge_event, judge_head, judge_no_answer, read_body, read_event,
};
pub use policy::{Change, Overrides, Replay, decide, decide_on, may_fail_over, may_follow_loss, replay_refused};
pub use rules::{Condition, Place, Rule};

#[cfg(test)]
mod tests;
