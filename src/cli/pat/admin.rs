//! What a running Envoy knows of the credentials: the metrics on its admin interface.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::cli::check::socket;
use crate::cli::metrics::Metrics;
use crate::cli::render::local;
use crate::cli::shown;
use crate::credential::{Cause, Severity, Slot};
use crate::registry::{Admin, EnvoySettings};
use crate::telemetry::{Family, label, of};

/// What the URL of a UNIX socket begins with; its path follows.
const SOCKET: &str = "unix://";

/// How long Envoy may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest page of metrics that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// What it knows.
#[derive(Debug)]
pub struct AdminMetrics(Metrics);

/// The URL of an admin interface or of the metrics, from the command line.
///
/// # Errors
/// Why it is none.
pub fn read_url(text: &str) -> Result<String, String> {
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

/// Where the Envoy of a registry shows its metrics, as seen from its own machine.
pub fn place(envoy: &EnvoySettings) -> String {
    let (address, port) = match (&envoy.metrics, &envoy.admin) {
        (Some((address, port)), _) | (None, Admin::Port(address, port)) => (address, *port),
        (None, Admin::Socket(path)) => return format!("{SOCKET}{path}"),
    };
    format!("http://{}", socket(local(address), port))
}

/// Asks the Envoy that shows its metrics at `url`: http, or a UNIX socket. Nobody else is asked, whatever it
/// answers.
///
/// # Errors
/// Why there is no answer.
pub fn ask(url: &str) -> Result<AdminMetrics, String> {
    if let Some(path) = url.strip_prefix(SOCKET) {
        let read = ask_socket(path.as_ref());
        return read.map(|text| AdminMetrics::of(&text)).map_err(|error| format!("{url}: cannot be read: {error}"));
    }
    let config =
        ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).max_redirects(0).http_status_as_error(false);
    let agent: ureq::Agent = config.build().into();
    let page = format!("{}/stats/prometheus", url.trim_end_matches('/'));
    let read = || {
        let mut answer = agent.get(&page).call()?;
        let text = answer.body_mut().with_config().limit(LARGEST).read_to_string()?;
        Ok::<_, ureq::Error>((answer.status().as_u16(), text))
    };
    match read() {
        Ok((200, text)) => Ok(AdminMetrics::of(&text)),
        Ok((status, _)) => {
            Err(format!("{page}: cannot be read: it answers with status {status}, as no admin interface does"))
        }
        Err(error) => Err(format!("{page}: cannot be read: {error}")),
    }
}

/// The page of metrics behind a UNIX socket.
fn ask_socket(path: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /stats/prometheus HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LARGEST).read_to_end(&mut answer)?;
    page(&answer).map_err(io::Error::other)
}

/// The text that an answer carries, if it is a 200.
fn page(answer: &[u8]) -> Result<String, String> {
    let answer = String::from_utf8_lossy(answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("it does not speak HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(format!("it answers {}", shown::line(status)));
    }
    if !head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked") {
        return Ok(body.to_owned());
    }
    let (mut rest, mut whole) = (body, String::new());
    loop {
        let cut = || "its answer breaks off".to_owned();
        let (size, after) = rest.split_once("\r\n").ok_or_else(cut)?;
        let size = usize::from_str_radix(size, 16).map_err(|_| cut())?;
        if size == 0 {
            return Ok(whole);
        }
        whole.push_str(after.get(..size).ok_or_else(cut)?);
        rest = after.get(size..).and_then(|rest| rest.strip_prefix("\r\n")).ok_or_else(cut)?;
    }
}

impl AdminMetrics {
    /// What a page of metrics says.
    pub fn of(page: &str) -> Self {
        AdminMetrics(Metrics::parse(page))
    }

    /// The sum of a metric over all its labels.
    pub fn sum(&self, name: &str) -> f64 {
        self.0.sum(name, &[])
    }

    /// How urgently a credential needs a new token; `None` if it does not know.
    pub fn severity(&self, id: &str) -> Option<Severity> {
        let (alert, critical) = (self.alerts(id, Severity::Alert)?, self.alerts(id, Severity::Critical)?);
        let known = Slot::BOTH.iter().any(|slot| self.days_left(id, slot.as_str()).is_some());
        match (is_on(critical), is_on(alert)) {
            (true, _) => Some(Severity::Critical),
            (_, true) => Some(Severity::Alert),
            _ => known.then_some(Severity::None),
        }
    }

    fn alerts(&self, id: &str, severity: Severity) -> Option<f64> {
        self.0.value(of::PAT_ALERT.name, &[(label::CREDENTIAL, id), (label::SEVERITY, severity.as_str())])
    }

    /// Whether a token of a credential breaks the policy; `None` if it does not know.
    pub fn violates_age(&self, id: &str) -> Option<bool> {
        self.0.value(of::PAT_AGE_VIOLATION.name, &[(label::CREDENTIAL, id)]).map(is_on)
    }

    /// Whether a slot has a token; `None` if it does not know.
    pub fn has_token(&self, id: &str, slot: &str) -> Option<bool> {
        self.alerts(id, Severity::Alert)?;
        Some(self.of_slot(&of::PAT_PRESENT, id, slot).is_some_and(is_on))
    }

    /// Whether it sends a slot's token. An Envoy with an older module does not tell, and sends what it has.
    pub fn is_sent(&self, id: &str, slot: &str) -> bool {
        self.of_slot(&of::PAT_SENT, id, slot).is_none_or(is_on)
    }

    /// Whole days until the end of a slot's token; `None` if it does not know.
    pub fn days_left(&self, id: &str, slot: &str) -> Option<u64> {
        self.of_slot(&of::PAT_EXPIRY_KNOWN, id, slot).filter(|known| is_on(*known))?;
        self.of_slot(&of::PAT_DAYS, id, slot).map(count)
    }

    fn of_slot(&self, family: &Family, id: &str, slot: &str) -> Option<f64> {
        self.0.value(family.name, &[(label::CREDENTIAL, id), (label::SLOT, slot)])
    }

    /// How often servers have refused a slot's token.
    pub fn rejected(&self, id: &str, slot: &str) -> u64 {
        count(self.0.sum(of::PAT_REJECTED.name, &[(label::CREDENTIAL, id), (label::SLOT, slot)]))
    }

    /// How often Envoy could not take what an SDS file or a secret server has for a slot.
    pub fn update_failures(&self, id: &str, slot: &str) -> u64 {
        let name = format!("{id}-{slot}");
        let failures = |metric| count(self.0.sum(metric, &[("envoy_xds_resource_name", &name)]));
        failures("envoy_sds_update_rejected").saturating_add(failures("envoy_sds_update_failure"))
    }

    /// How often calls went on with the other slot, by direction and reason.
    pub fn switches(&self, id: &str) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        for from in Slot::BOTH {
            let (from, to) = (from.as_str(), from.other().as_str());
            for reason in [Cause::Newer, Cause::Rejected, Cause::Expired, Cause::Emptied].map(Cause::as_str) {
                let labels = [(label::CREDENTIAL, id), (label::FROM, from), (label::TO, to), (label::REASON, reason)];
                match count(self.0.sum(of::PAT_SWITCH.name, &labels)) {
                    0 => {}
                    times => found.push((format!("{from} to {to}, {reason}"), times)),
                }
            }
        }
        found
    }
}

fn is_on(value: f64) -> bool {
    value > 0.0
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn count(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn a_page_is_read_whole_in_one_piece_or_in_chunks() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\na 1\n";
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\nA\r\nb{c=\"d\"} 2\r\n0\r\n\r\n";
        assert_eq!(page(whole).as_deref(), Ok("a 1\n"));
        assert_eq!(page(chunked).as_deref(), Ok("a 1\nb{c=\"d\"} 2"));
    }

    #[test]
    fn what_is_no_whole_page_is_an_error() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        for body in ["", "4\r\na 1", "4\r\na 1\n\r\n", "x\r\na", "ffffffffffffffff\r\na"] {
            assert_eq!(page(format!("{head}{body}").as_bytes()), Err("its answer breaks off".to_owned()), "{body:?}");
        }
        assert_eq!(
            page(b"HTTP/1.1 426 Upgrade Required\r\n\r\n"),
            Err("it answers HTTP/1.1 426 Upgrade Required".to_owned())
        );
        assert_eq!(page(b"+OK"), Err("it does not speak HTTP".to_owned()));
    }
}
