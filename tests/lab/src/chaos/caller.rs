//! A client: one connection that is kept, and what came back on it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::calls::Call;
use super::sessions::Session;
use super::verdict::{Fate, Heard, judge};
use crate::http::{Answer, Connection, Error};
use crate::stub::journal::now_ms;

/// Longer than all attempts of a call together may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What became of one call.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The call.
    pub call: Call,
    /// The client in whose session it was made: the word by which the servers know it.
    pub client: Option<String>,
    /// When it was about to be sent, ms since 1970.
    pub sent_ms: u64,
    /// When its answer was complete, ms since 1970.
    pub done_ms: u64,
    /// The time between, exactly.
    pub took: Duration,
    /// How many attempts it took, as the answer says; 0 if it doesn't.
    pub attempts: u32,
    /// The HTTP status of the answer; 0 if there was none.
    pub status: u16,
    /// What the client heard.
    pub heard: Heard,
}

/// One client of Envoy.
#[derive(Debug)]
pub struct Caller {
    addr: SocketAddr,
    connection: Option<Connection>,
}

impl Caller {
    /// A client that connects with its first call.
    pub fn new(addr: SocketAddr) -> Self {
        Caller { addr, connection: None }
    }

    /// Makes the call, in a session if there is one, and judges what comes back.
    pub async fn call(&mut self, call: Call, session: Option<&Session>) -> Outcome {
        let (sent_ms, sent) = (now_ms(), Instant::now());
        let patience = call.abandoned_after_ms.map_or(PATIENCE, Duration::from_millis);
        let abandons = call.abandoned_after_ms.is_some();
        let exchange = self.exchange(&call, session);
        let (attempts, status, heard) = match tokio::time::timeout(patience, exchange).await {
            Ok(Ok((answer, cut))) => {
                let attempts = answer.header("x-dualpath-attempts").and_then(|value| value.parse().ok());
                (attempts.unwrap_or(0), answer.status, judge(&call, &answer, cut))
            }
            // The connection is given up with the call.
            Err(_) if abandons => (0, 0, Fate::Abandoned.into()),
            Err(_) => (0, 0, Fate::Unanswered("nothing within 15 s".to_owned()).into()),
            Ok(Err(error)) => (0, 0, Fate::Unanswered(error.to_string()).into()),
        };
        let client = session.filter(|session| session.id.is_some()).map(|session| session.name.clone());
        Outcome { call, client, sent_ms, done_ms: now_ms(), took: sent.elapsed(), attempts, status, heard }
    }

    /// The answer, and whether the connection ended before it did.
    async fn exchange(&mut self, call: &Call, session: Option<&Session>) -> Result<(Answer, bool), Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.addr).await?,
        };
        let mut headers = vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        match session {
            Some(session) => headers.extend(session.headers()),
            None => headers.push(("mcp-protocol-version", "2025-11-25")),
        }
        let mut answer = connection.send("POST", "/mcp", &headers, call.body.clone()).await?;
        let mut body = Vec::new();
        let cut = loop {
            match answer.chunk().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        let answer = Answer { status: answer.status, headers: answer.headers, body: body.into() };
        if !cut && connection.is_reusable().await {
            self.connection = Some(connection);
        }
        Ok((answer, cut))
    }
}
