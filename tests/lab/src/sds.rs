//! A secret server: Envoy's secret discovery service over gRPC, as far as Envoy's own client uses it. It hands out generic
//! secrets and pushes the new value of one that is replaced. The few messages are written and read by hand.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

const METHOD: &str = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";
const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// Secrets by name, and how often one has been set.
type Secrets = (u64, BTreeMap<String, String>);

/// A running secret server. Dropping it ends it, with all its streams.
#[derive(Debug)]
pub struct SecretServer {
    addr: SocketAddr,
    secrets: watch::Sender<Secrets>,
    accepting: JoinHandle<()>,
}

impl SecretServer {
    /// Listens on this port of 127.0.0.1; 0 is any. It has no secrets yet, and does not answer questions for those that it
    /// does not have.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(port: u16) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
        let listener = socket.listen(64)?;
        let addr = listener.local_addr()?;
        let (secrets, seen) = watch::channel(Secrets::default());
        Ok(SecretServer { addr, secrets, accepting: tokio::spawn(accept(listener, seen)) })
    }

    /// Its URL, as a slot's `sds_grpc`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Gives the secret of this name a value, and pushes that to all who have asked for it.
    pub fn set(&self, name: &str, secret: &str) {
        self.secrets.send_modify(|(version, secrets)| {
            *version += 1;
            secrets.insert(name.to_owned(), secret.to_owned());
        });
    }
}

impl Drop for SecretServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, secrets: watch::Receiver<Secrets>) {
    // Dropping the set ends its tasks.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let secrets = secrets.clone();
        connections.spawn(async move {
            let streams = service_fn(|request| {
                let response = answer(request, secrets.clone());
                async { Ok::<_, Infallible>(response) }
            });
            http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), streams).await
        });
    }
}

fn answer(request: Request<Incoming>, secrets: watch::Receiver<Secrets>) -> Response<Channel<Bytes>> {
    let (answers, body) = Channel::new(16);
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert("content-type", hyper::header::HeaderValue::from_static("application/grpc"));
    if request.uri().path() == METHOD {
        tokio::spawn(stream(request.into_body(), answers, secrets));
    } else {
        headers.insert("grpc-status", hyper::header::HeaderValue::from_static("12"));
    }
    response
}

/// One stream: the first question names the secrets, the others acknowledge answers.
async fn stream(mut questions: Incoming, mut answers: Sender<Bytes>, mut secrets: watch::Receiver<Secrets>) {
    let (mut buffer, mut names) = (Vec::new(), Vec::new());
    loop {
        tokio::select! {
            frame = questions.frame() => {
                let Some(Ok(frame)) = frame else { return };
                buffer.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                let mut asked = false;
                while let Some(question) = take_message(&mut buffer) {
                    asked |= fields(&question).into_iter().all(|(number, _)| number != RESPONSE_NONCE);
                    let named = fields(&question).into_iter().filter(|(number, _)| *number == RESOURCE_NAMES);
                    names = named.map(|(_, name)| String::from_utf8_lossy(name).into_owned()).collect();
                }
                if !asked {
                    continue;
                }
            }
            changed = secrets.changed() => if changed.is_err() { return },
        }
        let response = response(&secrets.borrow_and_update(), &names);
        if let Some(response) = response
            && answers.send(Frame::data(framed(&response))).await.is_err()
        {
            return;
        }
    }
}

/// Numbers of fields of a `DiscoveryRequest`.
const RESOURCE_NAMES: u64 = 3;
const RESPONSE_NONCE: u64 = 5;

/// The `DiscoveryResponse` with these secrets; `None` where there are none.
fn response((version, secrets): &Secrets, names: &[String]) -> Option<Bytes> {
    let found: Vec<_> = names.iter().filter_map(|name| Some((name, secrets.get(name)?))).collect();
    let version = version.to_string();
    let resources = found.iter().flat_map(|(name, secret)| {
        // A `Secret` with a `GenericSecret` with a `DataSource` with an inline string, in an `Any`.
        let source = field(1, &field(3, secret.as_bytes()));
        let secret = [field(1, name.as_bytes()), field(5, &source)].concat();
        field(2, &[field(1, SECRET.as_bytes()), field(2, &secret)].concat())
    });
    let head = field(1, version.as_bytes()).into_iter().chain(resources);
    let whole = head.chain(field(4, SECRET.as_bytes())).chain(field(5, version.as_bytes()));
    (!found.is_empty()).then(|| whole.collect())
}

/// A message behind the five bytes that gRPC puts before each.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    [&[0][..], &length, message].concat().into()
}

/// Takes the first whole message out of `buffer`.
fn take_message(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = u32::from_be_bytes(buffer.get(1..5)?.try_into().ok()?);
    let end = usize::try_from(length).ok()? + 5;
    let message = buffer.get(5..end)?.to_vec();
    buffer.drain(..end);
    Some(message)
}

/// A length-delimited field.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = value.len();
    while length >= 0x80 {
        field.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend_from_slice(value);
    field
}

/// The length-delimited fields of a message up to the first of another kind.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    let mut found = Vec::new();
    while let Some(tag) = varint(&mut message)
        && tag & 7 == 2
        && let Some(length) = varint(&mut message)
        && let Some((value, rest)) = message.split_at_checked(length as usize)
    {
        found.push((tag >> 3, value));
        message = rest;
    }
    found
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let long = "x".repeat(300);
        let secrets = (7, BTreeMap::from([("pat-a".to_owned(), long.clone())]));
        let message = response(&secrets, &["pat-a".to_owned(), "unknown".to_owned()]).unwrap();
        let mut buffer = [framed(&message), framed(b"next")].concat();
        let taken = take_message(&mut buffer).unwrap();
        assert_eq!(take_message(&mut buffer).as_deref(), Some(&b"next"[..]));
        assert_eq!(take_message(&mut buffer), None);
        let numbers: Vec<_> = fields(&taken).into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 2, 4, 5]);
        assert_eq!(fields(&taken)[3].1, b"7");
        assert!(String::from_utf8_lossy(fields(&taken)[1].1).contains(&long));
        assert_eq!(response(&secrets, &["unknown".to_owned()]), None);
    }
}
