//! The server behind all contestants: a process of its own that answers as fast as it can, always the same.

use std::convert::Infallible;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Answered to every request, as if to a `tools/call` with the id 1.
pub(super) const ANSWER: &str = include_str!("answer.json");

/// Requests to this path are answered with 503.
pub(super) const FAILING_PATH: &str = "/failing/mcp";

/// The running server. It ends when it is dropped, and when this process ends in whatever way: its input closes then.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) addr: SocketAddr,
    child: Child,
}

impl Upstream {
    /// Starts `dualpath-lab bench-upstream` (the binary at `program`) and waits for its port.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn spawn(program: &Path) -> io::Result<Upstream> {
        let mut child =
            Command::new(program).arg("bench-upstream").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let addr = line.trim().parse();
        let mut upstream = Upstream { addr: SocketAddr::from(([0; 4], 0)), child };
        upstream.addr = addr.map_err(|_| io::Error::other("the benchmark's server did not start"))?;
        Ok(upstream)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The child's side: prints its address and answers until its input closes.
///
/// # Errors
/// When no port can be had.
pub async fn run_upstream() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    let (mut input, mut nowhere) = (tokio::io::stdin(), tokio::io::sink());
    tokio::select! {
        served = serve(listener) => served,
        ended = tokio::io::copy(&mut input, &mut nowhere) => ended.map(drop),
    }
}

async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let failing = request.uri().path() == FAILING_PATH;
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::from(if failing { "" } else { ANSWER }));
    if failing {
        *response.status_mut() = hyper::StatusCode::SERVICE_UNAVAILABLE;
    } else {
        let json = hyper::header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    }
    Ok(response)
}
