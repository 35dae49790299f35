//! What a stub's connections share: its configuration, its record, and what an order can change while it runs.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use super::journal::Journal;
use super::record::{Received, Recorder};
use super::{Behaviour, Config, Control};

/// What all connections of a stub share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) recorder: Recorder,
    pub(super) journal: Option<Journal>,
    pub(super) state: Mutex<State>,
}

/// What may change while it runs.
#[derive(Debug)]
pub(super) struct State {
    behaviour: Behaviour,
    /// How many more requests `behaviour` is for; `None` = all.
    times: Option<u32>,
    /// The share of requests that meet it, in percent.
    percent: u8,
    /// How long every answer takes besides, in ms.
    work_ms: u64,
    tokens: Vec<String>,
    lacks: Vec<String>,
    /// The sessions that it knows, with the names of the clients that have opened them.
    pub(super) sessions: HashMap<String, String>,
    /// The number of the session that is issued next, so that no id is issued twice.
    pub(super) next_session: u64,
    /// Statements that were answered with 202 and have not been asked for again.
    pub(super) pending: HashSet<String>,
}

impl Shared {
    pub(super) fn new(config: Config, recorder: Recorder) -> io::Result<Self> {
        let state = State {
            behaviour: Behaviour::Normal,
            times: None,
            percent: 100,
            work_ms: 0,
            tokens: config.tokens.clone(),
            lacks: config.lacks.clone(),
            sessions: HashMap::new(),
            next_session: config.first_session,
            pending: HashSet::new(),
        };
        let journal = config.journal.as_deref().map(Journal::open).transpose()?;
        Ok(Shared { config, recorder, journal, state: Mutex::new(state) })
    }

    pub(super) fn control(&self, order: Control) {
        let mut state = self.state.lock().unwrap();
        if let Some(behaviour) = order.behaviour {
            state.behaviour = behaviour;
            state.times = order.times;
            state.percent = order.percent.unwrap_or(100);
        }
        if let Some(work_ms) = order.work_ms {
            state.work_ms = work_ms;
        }
        if let Some(tokens) = order.tokens {
            state.tokens = tokens;
        }
        if let Some(lacks) = order.lacks {
            state.lacks = lacks;
        }
        if order.forget_sessions {
            state.sessions.clear();
        }
    }

    /// How long its usual work takes.
    pub(super) fn work(&self) -> Duration {
        Duration::from_millis(self.state.lock().unwrap().work_ms)
    }

    /// The behaviour for one more request, which has this body.
    pub(super) fn next_behaviour(&self, body: &str) -> Behaviour {
        let mut state = self.state.lock().unwrap();
        if lot(body) >= state.percent {
            return Behaviour::Normal;
        }
        match &mut state.times {
            None => state.behaviour.clone(),
            Some(0) => Behaviour::Normal,
            Some(left) => {
                *left -= 1;
                state.behaviour.clone()
            }
        }
    }

    /// The tools that it doesn't have.
    pub(super) fn lacks(&self) -> Vec<String> {
        self.state.lock().unwrap().lacks.clone()
    }

    /// Whether the request carries a token this stub accepts.
    pub(super) fn admits(&self, received: &Received) -> bool {
        let tokens = &self.state.lock().unwrap().tokens;
        let sent = received.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        tokens.is_empty() || sent.is_some_and(|sent| tokens.iter().any(|t| t == sent))
    }
}

/// A number below 100 that only depends on the text.
fn lot(text: &str) -> u8 {
    let hash = text
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    u8::try_from((hash >> 32) % 100).unwrap_or_default()
}
