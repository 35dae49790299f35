//! Envoy's admin interface, asked over HTTP or a UNIX socket. Nobody else is asked, whatever it answers: no redirect is
//! followed.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::check::socket;
use super::render::local;
use super::shown;
use crate::registry::{Admin, EnvoySettings};
use crate::wire::VEIL;

/// The page with the metrics, which a listener of the metrics has as well.
pub(super) const METRICS: &str = "/stats/prometheus";

/// What the URL of a UNIX socket begins with; its path follows.
const SOCKET: &str = "unix://";

/// How long Envoy may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest page that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// The URL of an admin interface or of the metrics, from the command line.
///
/// One with a user or a password is forgotten, see [`forget_login`]; [`page`] refuses what is left.
///
/// # Errors
/// Why it is none.
pub(super) fn read_url(text: &str) -> Result<String, String> {
    if !text.starts_with(SOCKET) && forget_login(text) == VEIL {
        return Ok(VEIL.to_owned());
    }
    if text.starts_with("http://") || text.starts_with(SOCKET) {
        return Ok(text.to_owned());
    }
    Err(match text.split_once("://") {
        None => format!("needs a scheme: http://{text}"),
        Some(_) => {
            "must be a URL that begins with http:// or unix://, since Envoy's admin interface has no TLS".to_owned()
        }
    })
}

/// A URL of the command line; only [`VEIL`] of one with a user or a password, so that nothing can show it: a refusal by the
/// command line's reader would.
pub(super) fn forget_login(url: &str) -> &str {
    if url.contains('@') { VEIL } else { url }
}

/// A client for what is on this machine. No proxy is asked: the environment may name one, which is for other ways.
pub(super) fn client(patience: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(patience))
        .max_redirects(0)
        .http_status_as_error(false)
        .proxy(None);
    config.build().into()
}

/// Where the Envoy of a registry shows its metrics, as seen from its own machine.
pub(super) fn metrics_of(envoy: &EnvoySettings) -> String {
    match &envoy.metrics {
        Some((address, port)) => format!("http://{}", socket(local(address), *port)),
        None => admin_of(&envoy.admin),
    }
}

/// Where the admin interface is, as seen from its own machine.
pub(super) fn admin_of(admin: &Admin) -> String {
    match admin {
        Admin::Port(address, port) => format!("http://{}", socket(local(address), *port)),
        Admin::Socket(path) => format!("{SOCKET}{path}"),
    }
}

/// A page of the Envoy at `url`: http, or a UNIX socket.
///
/// # Errors
/// Why there is none.
pub(super) fn page(url: &str, page: &str) -> Result<String, String> {
    if let Some(path) = url.strip_prefix(SOCKET) {
        return by_socket(path.as_ref(), page).map_err(|error| format!("{url}: cannot be read: {error}"));
    }
    if url == VEIL {
        return Err(format!(
            "{url}: a URL with a user or a password is not taken, since Envoy's admin interface asks for none"
        ));
    }
    let agent = client(PATIENCE);
    let page = format!("{}{page}", url.trim_end_matches('/'));
    let read = || {
        let mut answer = agent.get(&page).call()?;
        let text = answer.body_mut().with_config().limit(LARGEST).read_to_string()?;
        Ok::<_, ureq::Error>((answer.status().as_u16(), text))
    };
    match read() {
        Ok((200, text)) => Ok(text),
        Ok((status, _)) => {
            Err(format!("{page}: cannot be read: it answers with status {status}, as no admin interface does"))
        }
        Err(error) => Err(format!("{page}: cannot be read: {error}")),
    }
}

fn by_socket(path: &Path, page: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {page} HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LARGEST).read_to_end(&mut answer)?;
    whole(&answer).map_err(io::Error::other)
}

/// The text that an answer carries, if it is a 200.
fn whole(answer: &[u8]) -> Result<String, String> {
    let answer = String::from_utf8_lossy(answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("it does not speak HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(format!("it answers {}", shown::line(status)));
    }
    if !head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked") {
        return Ok(body.to_owned());
    }
    let (mut rest, mut text) = (body, String::new());
    loop {
        let cut = || "its answer breaks off".to_owned();
        let (size, after) = rest.split_once("\r\n").ok_or_else(cut)?;
        let size = usize::from_str_radix(size, 16).map_err(|_| cut())?;
        if size == 0 {
            return Ok(text);
        }
        text.push_str(after.get(..size).ok_or_else(cut)?);
        rest = after.get(size..).and_then(|rest| rest.strip_prefix("\r\n")).ok_or_else(cut)?;
    }
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn a_page_is_read_whole_in_one_piece_or_in_chunks() {
        let plain = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\na 1\n";
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\nA\r\nb{c=\"d\"} 2\r\n0\r\n\r\n";
        assert_eq!(whole(plain).as_deref(), Ok("a 1\n"));
        assert_eq!(whole(chunked).as_deref(), Ok("a 1\nb{c=\"d\"} 2"));
    }

    #[test]
    fn what_is_no_whole_page_is_an_error() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        for body in ["", "4\r\na 1", "4\r\na 1\n\r\n", "x\r\na", "ffffffffffffffff\r\na"] {
            assert_eq!(whole(format!("{head}{body}").as_bytes()), Err("its answer breaks off".to_owned()), "{body:?}");
        }
        assert_eq!(
            whole(b"HTTP/1.1 426 Upgrade Required\r\n\r\n"),
            Err("it answers HTTP/1.1 426 Upgrade Required".to_owned())
        );
        assert_eq!(whole(b"+OK"), Err("it does not speak HTTP".to_owned()));
    }
}
