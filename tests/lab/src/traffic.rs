//! A steady flow of tool calls, every answer checked.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::client::{Client, Reply};

/// What became of one call.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// When it was sent.
    pub sent: Instant,
    /// Until its answer was complete.
    pub took: Duration,
    /// Who answered; or why the call counts as failed.
    pub answered_by: Result<String, String>,
    /// How many attempts it took, as far as the answer says.
    pub attempts: u32,
}

/// Calls in flight until it is dropped.
#[derive(Debug)]
pub struct Traffic {
    outcomes: Arc<Mutex<Vec<Outcome>>>,
    callers: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// `callers` clients, each of which calls, waits for the answer, pauses, and calls again. The tools called may be
    /// replayed, so that none of the calls may fail while one server lives.
    pub fn start(client: &Client, callers: usize, pause: Duration) -> Traffic {
        let outcomes: Arc<Mutex<Vec<Outcome>>> = Arc::default();
        let caller = |number: usize| {
            let (client, outcomes) = (client.clone(), Arc::clone(&outcomes));
            tokio::spawn(async move {
                for turn in 0_u64.. {
                    let outcome = call(&client, &format!("\"{number}-{turn}\""), turn).await;
                    outcomes.lock().unwrap().push(outcome);
                    tokio::time::sleep(pause).await;
                }
            })
        };
        let callers = (0..callers).map(caller).collect();
        Traffic { outcomes, callers }
    }

    /// The outcomes so far, in the order in which the answers came.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.outcomes.lock().unwrap().clone()
    }

    /// Waits until `count` calls sent from now on have been answered, and returns them.
    pub async fn next(&self, count: usize) -> Vec<Outcome> {
        let from = Instant::now();
        loop {
            let since: Vec<_> = self.outcomes().into_iter().filter(|outcome| outcome.sent >= from).collect();
            if since.len() >= count {
                return since;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        for caller in &self.callers {
            caller.abort();
        }
    }
}

async fn call(client: &Client, id: &str, turn: u64) -> Outcome {
    let params = match turn % 2 {
        0 => json!({"name": "search", "arguments": {"query": "snow"}}),
        _ => json!({"name": "complete", "arguments": {"prompt": "snow"}}),
    };
    let sent = Instant::now();
    let reply = client.request(id, "tools/call", &params).await;
    let took = sent.elapsed();
    let attempts = reply.as_ref().ok().and_then(|r| r.answer.header("x-dualpath-attempts")?.parse().ok());
    let answered_by = match reply {
        Ok(reply) => judge(&reply, id),
        Err(error) => Err(error.to_string()),
    };
    Outcome { sent, took, answered_by, attempts: attempts.unwrap_or(1) }
}

/// Who answered, if the answer is one that a client is content with.
fn judge(reply: &Reply, id: &str) -> Result<String, String> {
    let complaint = |what: &str| format!("{what}: HTTP {}: {}", reply.status(), reply.answer.text());
    if reply.status() != 200 {
        return Err(complaint("refused"));
    }
    if reply.id().as_deref() != Some(id) {
        return Err(complaint("another id than the request's"));
    }
    if reply.result()["isError"] == Value::Bool(true) {
        return Err(complaint("a tool error"));
    }
    if reply.is_stale() {
        return Ok("cache".to_owned());
    }
    reply.served_by().ok_or_else(|| complaint("not a result"))
}

/// The middle one of some durations; zero when there are none.
pub fn median(durations: impl IntoIterator<Item = Duration>) -> Duration {
    let mut sorted: Vec<_> = durations.into_iter().collect();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
