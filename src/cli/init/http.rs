//! The connection to a server that is to be learned from: HTTP, and TLS with the system's authorities or those of a file.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::cli::render::SYSTEM_CA_FILE;
use crate::json::Value;
use crate::probe::{self, Message};
use crate::sse::Scanner;

/// How long one answer may take, all of it.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const LONGEST: u64 = 4 << 20;

/// An answer.
pub(super) struct Answer {
    pub status: u16,
    /// The id of a session, if it brings one.
    pub session: Option<String>,
    /// JSON, also where the server has sent events.
    pub body: Vec<u8>,
}

/// Asks servers, and nobody that they name: no redirect is followed, as the token would follow it.
pub(super) struct Client(ureq::Agent);

impl Client {
    /// One that trusts the system's authorities, or those of `ca_file` alone. `here`: the server is on this machine, so no
    /// proxy is asked for it.
    ///
    /// # Errors
    /// Why the file can't be used.
    pub fn new(ca_file: Option<&str>, here: bool) -> Result<Self, String> {
        let roots = match ca_file {
            Some(file) => roots(file)?,
            // Without it no server with TLS is trusted; others can be asked.
            None => roots(SYSTEM_CA_FILE).unwrap_or_else(|_| RootCerts::from(Vec::new())),
        };
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls_graviola::default_provider()))
            .root_certs(roots);
        let mut config = ureq::Agent::config_builder();
        if here {
            config = config.proxy(None);
        }
        let config = config
            .tls_config(tls.build())
            .timeout_global(Some(PATIENCE))
            .timeout_connect(Some(CONNECT))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false);
        Ok(Client(config.build().into()))
    }

    /// Sends a message of the prober's to the server at `origin`, with these headers besides.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn send(&self, origin: &str, message: Message, more: &[(String, String)]) -> Result<Answer, ureq::Error> {
        let of = |name: &str| message.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str());
        let (method, path) = (of(":method").unwrap_or_default(), of(":path").unwrap_or_default());
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{origin}{path}"));
        for (name, value) in message.headers.iter().filter(|(name, _)| !name.starts_with(':')) {
            request = request.header(*name, value);
        }
        for (name, value) in more {
            request = request.header(name, value);
        }
        let mut answer = self.0.run(request.body(message.body)?)?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let is_events = header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let (session, status) = (header("mcp-session-id"), answer.status().as_u16());
        let body = if is_events {
            first_answer(answer.body_mut().as_reader())?
        } else {
            answer.body_mut().with_config().limit(LONGEST).read_to_vec()?
        };
        Ok(Answer { status, session, body })
    }
}

/// The certificates of a PEM file.
fn roots(file: &str) -> Result<RootCerts, String> {
    let pem = std::fs::read(file).map_err(|error| format!("{file}: cannot be read: {error}"))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(format!("{file}: has no certificate"));
    }
    Ok(RootCerts::from(certificates))
}

/// The answer in a stream of events, which the server may keep open behind it; empty if the stream ends before.
fn first_answer(mut stream: impl Read) -> io::Result<Vec<u8>> {
    let (mut scanner, mut piece, mut seen) = (Scanner::default(), [0_u8; 4096], 0_u64);
    loop {
        let read = stream.read(&mut piece)?;
        seen = seen.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        if read == 0 || seen > LONGEST {
            return Ok(Vec::new());
        }
        scanner.push(piece.get(..read).unwrap_or_default());
        while let Some(event) = scanner.next_event() {
            let message = Value::parse_bytes(&event.data);
            if message.is_ok_and(|message| probe::is_answer(&message)) {
                return Ok(event.data);
            }
        }
    }
}
