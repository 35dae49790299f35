//! A client: one connection that is kept, and what came back on it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::calls::Call;
use super::verdict::{Fate, Heard, judge};
use crate::lab::http::Answer;
use crate::lab::stub::journal::now_ms;

/// Longer than all attempts of a call together may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What became of one call.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The call.
    pub call: Call,
    /// When it was about to be sent, ms since 1970.
    pub sent_ms: u64,
    /// When its answer was complete, ms since 1970.
    pub done_ms: u64,
    /// The time between, exactly.
    pub took: Duration,
    /// How many attempts it took, as the answer says; 0 if it doesn't.
    pub attempts: u32,
    /// What the client heard.
    pub heard: Heard,
}

/// One client of Envoy.
pub(super) struct Caller {
    addr: SocketAddr,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Caller {
    pub(super) fn new(addr: SocketAddr) -> Self {
        Caller { addr, connection: None }
    }

    /// Makes the call and judges what comes back.
    pub(super) async fn call(&mut self, call: Call) -> Outcome {
        let (sent_ms, sent) = (now_ms(), Instant::now());
        let patience = call.abandoned_after_ms.map_or(PATIENCE, Duration::from_millis);
        let abandons = call.abandoned_after_ms.is_some();
        let (attempts, heard) = match tokio::time::timeout(patience, self.exchange(&call)).await {
            Ok(Ok((answer, cut))) => {
                let attempts = answer.header("x-dualpath-attempts").and_then(|value| value.parse().ok());
                (attempts.unwrap_or(0), judge(&call, &answer, cut))
            }
            // The connection is given up with the call.
            Err(_) if abandons => (0, Fate::Abandoned.into()),
            Err(_) => (0, Fate::Unanswered("nothing within 15 s".to_owned()).into()),
            Ok(Err(error)) => (0, Fate::Unanswered(error).into()),
        };
        Outcome { call, sent_ms, done_ms: now_ms(), took: sent.elapsed(), attempts, heard }
    }

    /// The answer, and whether the connection ended before it did.
    async fn exchange(&mut self, call: &Call) -> Result<(Answer, bool), String> {
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => connect(self.addr).await.map_err(|error| format!("connecting: {error}"))?,
        };
        let request = Request::post("/mcp")
            .header("host", "chaos")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .body(Full::new(Bytes::from(call.body.clone())))
            .map_err(|error| error.to_string())?;
        let response = connection.send_request(request).await.map_err(|error| format!("no answer: {error}"))?;
        let (head, mut incoming) = response.into_parts();
        let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let (mut body, mut cut) = (Vec::new(), false);
        while let Some(frame) = incoming.frame().await {
            match frame {
                Ok(frame) => body.extend_from_slice(frame.data_ref().map_or(&[], |data| data.as_ref())),
                Err(_) => cut = true,
            }
        }
        if !cut && connection.ready().await.is_ok() {
            self.connection = Some(connection);
        }
        Ok((Answer { status: head.status.as_u16(), headers, body: body.into() }, cut))
    }
}

async fn connect(addr: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
