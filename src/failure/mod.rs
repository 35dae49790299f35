//! What an attempt's outcome means: one class, and what follows from it for the breaker, for the next server and for
//! the operator.
//!
//! The judges look at the transport first, then at the HTTP status, then at the JSON-RPC code, then at configured
//! message texts. They are careful in one direction: an answer that could mean that the call was executed never gets a
//! class that has it sent again regardless.

mod class;
mod judge;
mod mcp;
mod rest;
pub mod retry_after;
mod rules;

pub use class::{BreakerEffect, Class, Decisions, Failover, may_fail_over};
pub use judge::{
    EventJudgement, Expected, Head, Judgement, Verdict, judge_body, judge_event, judge_head, judge_no_answer,
};
pub use rules::{MessageRule, Place, Rules};

#[cfg(test)]
mod tests;
