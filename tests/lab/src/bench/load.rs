//! The clients: a fixed number of connections that are kept, on each of which a call follows the answer to the one before.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::upstream::ANSWER;

/// A call as a client writes one.
const CALL: &str = include_str!("call.json");

pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// The text of a call of `tool`.
pub(super) fn call_of(tool: &str) -> Bytes {
    CALL.replace("TOOL", tool).into()
}

/// One connection of one client.
pub(super) struct Caller {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Caller {
    pub(super) async fn connect(addr: SocketAddr) -> Result<Caller, Failure> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Caller { sender, host: addr.to_string() })
    }

    /// Sends a call, reads its whole answer, and returns the time between. Anything but the expected answer is a failure:
    /// a contestant that does not do the work must not win.
    pub(super) async fn call(&mut self, call: &Bytes) -> Result<Duration, Failure> {
        let request = Request::post("/mcp")
            .header("host", &self.host)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .header("user-agent", "dualpath-lab")
            .body(Full::new(call.clone()))?;
        let sent = Instant::now();
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let took = sent.elapsed();
        if status != 200 || body != ANSWER {
            return Err(format!("HTTP {status}: {}", String::from_utf8_lossy(&body)).into());
        }
        self.sender.ready().await?;
        Ok(took)
    }
}

/// Calls on `callers` for `time`, each as fast as the answers come; how many.
pub(super) async fn run(callers: &mut Vec<Caller>, call: &Bytes, time: Duration) -> Result<usize, Failure> {
    let end = Instant::now() + time;
    let tasks: Vec<_> = callers
        .drain(..)
        .map(|mut caller| {
            let call = call.clone();
            tokio::spawn(async move {
                let mut calls = 0;
                while calls == 0 || Instant::now() < end {
                    caller.call(&call).await?;
                    calls += 1;
                }
                Ok::<_, Failure>((caller, calls))
            })
        })
        .collect();
    let mut all = 0;
    for task in tasks {
        let (caller, calls) = task.await??;
        callers.push(caller);
        all += calls;
    }
    Ok(all)
}
