//! The stub's HTTP server: connections, recording, and the behaviours that do not depend on what the stub pretends to be.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, channel::Channel};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::answer::{Answer, Inner, Step, Tracked};
use super::message::Message;
use super::record::{End, Exchange, Received};
use super::shared::Shared;
use super::{Behaviour, Kind, mcp, snowflake};

/// How a handler has its connection cut.
enum Cut {
    Reset,
    /// Write these bytes as they are and close.
    Raw(&'static [u8]),
}

/// Accepts connections until told to stop; then resets those that are open.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, stopped: watch::Receiver<()>) {
    let mut stop = stopped.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // An error means that the stub was dropped, which is a stop too.
            _ = stop.changed() => break,
        };
        if let Ok((stream, _)) = accepted {
            tokio::spawn(serve_connection(stream, Arc::clone(&shared), stopped.clone()));
        }
    }
}

async fn serve_connection(stream: TcpStream, shared: Arc<Shared>, mut stopped: watch::Receiver<()>) {
    let _ = stream.set_nodelay(true);
    let (cut, mut cuts) = mpsc::unbounded_channel();
    let service = service_fn(move |request| {
        let (shared, cut) = (Arc::clone(&shared), cut.clone());
        async move { Ok::<_, Infallible>(respond(&shared, request, cut).await) }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let cut = tokio::select! {
        _ = &mut connection => return,
        Some(cut) = cuts.recv() => cut,
        _ = stopped.changed() => Cut::Reset,
    };
    let mut stream = connection.into_parts().io.into_inner();
    match cut {
        // With no linger time, close sends RST instead of FIN.
        Cut::Reset => drop(stream.set_zero_linger()),
        Cut::Raw(bytes) => {
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
        }
    }
}

async fn respond(shared: &Shared, request: Request<Incoming>, cut: mpsc::UnboundedSender<Cut>) -> Response<Tracked> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let body = body.collect().await.map(|b| b.to_bytes());
    if path.starts_with("/_") {
        let answer = control_endpoint(shared, &path, body.as_deref().unwrap_or_default());
        return respond_with(answer, None, cut);
    }
    let text = body.as_deref().map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default();
    let message = serde_json::from_str::<Message>(&text).ok();
    let received = Received {
        at_ms: 0,
        method: head.method.to_string(),
        path,
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        rpc_method: message.as_ref().and_then(|m| m.method.clone()),
        rpc_id: message.as_ref().and_then(|m| m.id).map(|id| id.get().to_owned()),
        body: text.clone(),
        end: End::Open,
    };
    let exchange = match shared.journal {
        None => shared.recorder.add(received.clone()),
        Some(_) => Exchange::unrecorded(),
    };
    if body.is_err() {
        drop(exchange);
        return respond_with(Answer::empty(400), None, cut);
    }
    let behaviour = shared.next_behaviour(&text);
    // What a server makes of a session it knows when the request arrives.
    let refusal = mcp::session_refusal(shared, &received);
    // Nor does one change its mind about a token while it is at work.
    let is_admitted = shared.admits(&received);
    if let Some(journal) = &shared.journal {
        journal.note(shared.config.kind, &received, &behaviour, is_admitted && refusal.is_none());
    }
    let work = shared.work();
    if !work.is_zero() {
        tokio::time::sleep(work).await;
    }
    match behaviour {
        Behaviour::Hang => std::future::pending().await,
        Behaviour::ResetBeforeHeaders => return end_connection(exchange, cut, Cut::Reset).await,
        Behaviour::GarbageHttp => {
            return end_connection(exchange, cut, Cut::Raw(b"\x16\x03\x01 this is not HTTP\r\n\r\n")).await;
        }
        _ => {}
    }
    if let Behaviour::Delay { ms } = behaviour {
        tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
    }
    let answer = if let Some(answer) = regardless_of_kind(&behaviour) {
        answer
    } else if !is_admitted {
        snowflake::invalid_token()
    } else {
        let answer = match shared.config.kind {
            Kind::Mcp => mcp::answer(shared, &received, message.as_ref(), &behaviour, refusal),
            Kind::Rest => snowflake::answer(shared, &received, &behaviour),
        };
        match behaviour {
            Behaviour::Drip { bytes, every_ms } => answer.drip(bytes, every_ms),
            // Refusals are too short to be worth it.
            Behaviour::Gzip
                if answer.status == 200
                    && received.rpc_method.as_deref().is_some_and(|method| method.starts_with("tools/")) =>
            {
                answer.gzip()
            }
            _ => answer,
        }
    };
    respond_with(answer, Some(exchange), cut)
}

/// The answers that look the same from every server.
fn regardless_of_kind(behaviour: &Behaviour) -> Option<Answer> {
    Some(match behaviour {
        Behaviour::Status { status, headers, body } => {
            let has_type = headers.iter().any(|(name, _)| name == "content-type");
            let answer = match body.as_str() {
                "" => Answer::empty(*status),
                _ if has_type => Answer::empty(*status).send(body.clone()),
                _ => Answer::json(*status, body),
            };
            headers.iter().fold(answer, |answer, (name, value)| answer.header(name, value))
        }
        Behaviour::GarbageJson => Answer::json(200, "<html>upstream had a bad day</html>"),
        Behaviour::ResetMidBody => Answer::empty(200)
            .header("content-type", "application/json")
            .header("content-length", "4096")
            .send(r#"{"jsonrpc":"2.0","result":{"#)
            // Time for the part to reach the peer: a reset discards what is still in the sender's buffer.
            .wait(30)
            .reset(),
        _ => return None,
    })
}

/// Cuts the connection under a handler, which therefore never returns.
async fn end_connection(exchange: Exchange, cuts: mpsc::UnboundedSender<Cut>, cut: Cut) -> Response<Tracked> {
    exchange.done();
    let _ = cuts.send(cut);
    std::future::pending().await
}

fn respond_with(answer: Answer, exchange: Option<Exchange>, cut: mpsc::UnboundedSender<Cut>) -> Response<Tracked> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let streamed = answer.headers.iter().any(|(_, value)| value == "text/event-stream");
    let body = match answer.steps.as_slice() {
        [] => Tracked { exchange, inner: Inner::Whole(Full::default()) },
        [Step::Send(bytes)] if !streamed => Tracked { exchange, inner: Inner::Whole(Full::new(bytes.clone())) },
        _ => {
            let (sender, channel) = Channel::new(1);
            let resets = answer.steps.iter().any(|step| matches!(step, Step::Reset));
            // A reset is what the stub meant to do, so the exchange is not followed further.
            let exchange = if resets { exchange.inspect(Exchange::done) } else { exchange };
            tokio::spawn(play(answer.steps, sender, cut));
            Tracked { exchange, inner: Inner::Stepwise(channel) }
        }
    };
    response.body(body).expect("a stub's own headers are legal")
}

/// Plays an answer's script; stops when the peer has gone.
async fn play(steps: Vec<Step>, mut sender: http_body_util::channel::Sender<Bytes>, cut: mpsc::UnboundedSender<Cut>) {
    for step in steps {
        match step {
            Step::Send(bytes) => {
                if sender.send_data(bytes).await.is_err() {
                    return;
                }
            }
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::Reset => {
                let _ = cut.send(Cut::Reset);
                // The body must not end before the connection does.
                pin!(std::future::pending::<()>()).await;
            }
        }
    }
}

fn control_endpoint(shared: &Shared, path: &str, body: &[u8]) -> Answer {
    match path {
        "/_received" => Answer::json(200, serde_json::to_string(&shared.recorder.all()).unwrap_or_default()),
        "/_control" => match serde_json::from_slice(body) {
            Ok(order) => {
                shared.control(order);
                Answer::empty(204)
            }
            Err(error) => Answer::json(400, serde_json::json!({ "message": error.to_string() })),
        },
        _ => Answer::empty(404),
    }
}
