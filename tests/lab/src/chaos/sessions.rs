//! Clients that keep a session: they begin it, call in it, listen to its stream now and then, and end it. The server whose
//! session it is dies meanwhile, or forgets it.
//!
//! Several calls of one session are under way at a time. It is ended only when none is, so that a client has no other
//! reason to hear that there is no such session than that it was lost: which it must never hear.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio::task::JoinHandle;

use super::calls::{Call, Sort};
use super::seeded::Seeded;
use super::verdict::{Fate, judge};
use crate::client::request_text;
use crate::http::{self, Answer, Streaming};
use crate::stub::CLIENT;
use crate::stub::journal::{MARK, marks, now_ms};

/// How many there are.
pub(super) const CLIENTS: usize = 16;

/// The seed's stream for the sessions of a client.
const SESSIONS: u64 = 1 << 56;

/// Calls in a session: from, up to and not including.
const CALLS: (u64, u64) = (20, 80);

/// Each so many calls the client listens for a while.
const LISTENS_EVERY: u64 = 16;

/// How long it listens at most.
const LISTENS: Duration = Duration::from_millis(1500);

/// Longer than whatever is not a stream may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The version that all speak.
const VERSION: &str = "2025-11-25";

/// One session.
#[derive(Debug)]
pub struct Session {
    /// The word by which its client is known to servers and journals; each session has another one.
    pub name: String,
    /// Its id; none where the server that began it has no sessions.
    pub id: Option<String>,
    left: AtomicU64,
}

impl Session {
    /// What requests in it say beside the usual.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = self.id.iter().flat_map(|id| [("mcp-session-id", id.as_str()), (CLIENT, self.name.as_str())]);
        named.chain([("mcp-protocol-version", VERSION)])
    }
}

/// A session that goes on for as long as this is kept.
pub(super) type Entered = OwnedRwLockReadGuard<Option<Session>>;

/// What a client asks for beside calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Errand {
    /// A session.
    Initialize,
    /// Nothing: it tells that it is ready.
    Initialized,
    /// The session's stream.
    Listen,
    /// The end of the session.
    End,
}

/// What came of everything that was no call.
#[derive(Debug, Default)]
pub struct Errands {
    /// How often each HTTP status came, by what was asked for.
    pub statuses: BTreeMap<(Errand, u16), u64>,
    /// Events heard on streams.
    pub events: u64,
    /// What no client may ever hear, in words.
    pub complaints: Vec<String>,
}

/// All of them.
pub(super) struct Clients {
    addr: SocketAddr,
    seed: u64,
    begun: AtomicU64,
    clients: Vec<Arc<RwLock<Option<Session>>>>,
    errands: Mutex<Errands>,
    streams: Mutex<Vec<JoinHandle<()>>>,
}

impl Clients {
    /// Clients of the Envoy at `addr`; none is in a session yet.
    pub(super) fn new(addr: SocketAddr, seed: u64) -> Self {
        let clients = (0..CLIENTS).map(|_| Arc::default()).collect();
        Clients { addr, seed, begun: AtomicU64::new(0), clients, errands: Mutex::default(), streams: Mutex::default() }
    }

    /// The session of a client, begun if need be; one more call is made in it.
    pub(super) async fn enter(self: &Arc<Self>, client: usize) -> Entered {
        let place = &self.clients[client];
        loop {
            let entered = Arc::clone(place).read_owned().await;
            if let Some(session) = &*entered {
                let left = session
                    .left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(1)));
                let listens = left.unwrap_or_default() % LISTENS_EVERY == 1 && session.id.is_some();
                // Whoever waits for this behind one who wants to write would wait for ever: that one waits for us.
                if let Some(Ok(stays)) = listens.then(|| Arc::clone(place).try_read_owned()) {
                    let this = Arc::clone(self);
                    self.streams.lock().unwrap().push(tokio::spawn(async move { this.listen(stays).await }));
                }
                return entered;
            }
            drop(entered);
            let mut empty = place.write().await;
            if empty.is_none() {
                *empty = Some(self.begin(client).await);
            }
        }
    }

    /// Ends the session of a client if it has made all its calls and none is under way.
    pub(super) async fn leave(&self, client: usize, entered: Entered) {
        let is_over = entered.as_ref().is_some_and(|session| session.left.load(Ordering::Relaxed) == 0);
        drop(entered);
        if let Some(mut place) = is_over.then(|| self.clients[client].try_write().ok()).flatten()
            && let Some(session) = place.take().filter(|session| session.id.is_some())
        {
            // A server that has forgotten it says 404, one without sessions 405.
            let fits = |status| matches!(status, 200..=299 | 404 | 405 | 429 | 500..);
            self.send(Errand::End, &session, String::new(), fits).await;
        }
    }

    /// What came of everything, once all streams have ended.
    pub(super) async fn finish(&self) -> Errands {
        let streams = std::mem::take(&mut *self.streams.lock().unwrap());
        for stream in streams {
            let _ = stream.await;
        }
        std::mem::take(&mut *self.errands.lock().unwrap())
    }

    async fn begin(&self, client: usize) -> Session {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let left = Seeded::new(self.seed, SESSIONS + number).between(CALLS.0, CALLS.1);
        let mut session = Session { name: format!("{MARK}client-{client}-{number}"), id: None, left: left.into() };
        let info = json!({ "name": session.name, "version": "1" });
        let params = json!({ "protocolVersion": VERSION, "capabilities": {}, "clientInfo": info });
        let call = Call {
            number,
            sort: Sort::Protocol,
            method: "initialize",
            id: r#""begin""#.to_owned(),
            token: session.name.clone(),
            body: request_text(r#""begin""#, "initialize", &params),
            abandoned_after_ms: None,
            client: None,
            padding: 0,
        };
        if let Some(answer) = self.send(Errand::Initialize, &session, call.body.clone(), |status| status == 200).await {
            let answer = whole(answer).await;
            let heard = judge(&call, &answer, false);
            if heard != Fate::Result.into() {
                self.complain(format!("{} begins: {heard:?}", session.name));
            }
            session.id = answer.header("mcp-session-id").map(str::to_owned);
        }
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
        self.send(Errand::Initialized, &session, initialized, |status| matches!(status, 200..=299 | 405 | 429 | 500..))
            .await;
        session
    }

    /// Listens to the session's stream: what it says must be this client's own.
    async fn listen(&self, entered: Entered) {
        let Some(session) = &*entered else { return };
        let name = session.name.clone();
        // A server without streams says 405.
        let answer = self.send(Errand::Listen, session, String::new(), |s| matches!(s, 200 | 405 | 429 | 500..)).await;
        drop(entered);
        let Some(mut stream) = answer.filter(|answer| answer.status == 200) else { return };
        let mut heard = String::new();
        let listening = async {
            while let Ok(Some(piece)) = stream.chunk().await {
                heard.push_str(&String::from_utf8_lossy(&piece));
            }
        };
        let _ = tokio::time::timeout(LISTENS, listening).await;
        let events = heard.matches("data: ").count() as u64;
        self.errands.lock().unwrap().events += events;
        if marks(&heard).iter().any(|mark| *mark != name) {
            self.complain(format!("{name} hears {heard}"));
        }
    }

    /// Sends what is no call; an answer that does not come, or has another status than those that fit, is complained of.
    async fn send(
        &self,
        errand: Errand,
        session: &Session,
        body: String,
        fits: impl Fn(u16) -> bool,
    ) -> Option<Streaming> {
        let method = match errand {
            Errand::Initialize | Errand::Initialized => "POST",
            Errand::Listen => "GET",
            Errand::End => "DELETE",
        };
        let mut headers: Vec<_> = session.headers().collect();
        match errand {
            Errand::Listen => headers.push(("accept", "text/event-stream")),
            Errand::End => {}
            Errand::Initialize => headers.push((CLIENT, &session.name)),
            Errand::Initialized => {}
        }
        if method == "POST" {
            headers.extend([("content-type", "application/json"), ("accept", "application/json, text/event-stream")]);
        }
        let sent_ms = now_ms();
        let patience = if errand == Errand::Listen { LISTENS } else { PATIENCE };
        let sent = tokio::time::timeout(patience, http::send(self.addr, method, "/mcp", &headers, body)).await;
        if errand == Errand::Listen && sent.is_err() {
            // A stream may be silent from its very beginning.
            return None;
        }
        let answer =
            sent.map_err(|_| "nothing within 15 s".to_owned()).and_then(|sent| sent.map_err(|error| error.to_string()));
        let complaint = match &answer {
            Ok(answer) if fits(answer.status) => None,
            Ok(answer) => Some(format!("HTTP {}", answer.status)),
            Err(error) => Some(error.clone()),
        };
        if let Some(complaint) = complaint {
            let Session { name, id, .. } = session;
            self.complain(format!("{name} ({id:?}), {errand:?} at {sent_ms}: {complaint}"));
        }
        let answer = answer.ok()?;
        *self.errands.lock().unwrap().statuses.entry((errand, answer.status)).or_default() += 1;
        Some(answer)
    }

    fn complain(&self, what: String) {
        self.errands.lock().unwrap().complaints.push(format!("{what} (now {})", now_ms()));
    }
}

/// The rest of an answer, as far as it comes.
async fn whole(answer: Streaming) -> Answer {
    let (status, headers) = (answer.status, answer.headers.clone());
    answer.whole().await.unwrap_or(Answer { status, headers, body: Default::default() })
}
