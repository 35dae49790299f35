//! What the page for operators is told, once a second, and by whom it may be asked. The names of keys are those of
//! `dualpath status --format json` where both tell the same.

mod door;
#[cfg(test)]
mod tests;

pub use door::{Guard, Refused};

use crate::breaker::{Mode, State, View};
use crate::credential::{Report, Severity, Slot, SlotReport, Testimony, date};
use crate::failure::ServerKind;
use crate::health::{Latency, Signs};
use crate::history::{Changes, LastProbe};
use crate::json::{Object, array, quoted};
use crate::registry::{Credential, Server};
use crate::runtime::Hand;

/// Where the page is.
pub const PAGE: &str = "/";

/// Where what it shows is.
pub const JSON: &str = "/status.json";

/// The key of the shared data under which the prober leaves the kill switch: percent of calls that may use MCP, in digits.
pub const SWITCH: &str = "ms1";

/// The response headers of the page and of its JSON: they are for nobody else's page, and nobody keeps them.
pub const HEADERS: [(&str, &str); 5] = [
    ("cache-control", "no-store"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// What is seen of a server now.
#[derive(Debug, Clone, Copy)]
pub struct ServerSeen<'r> {
    /// The server.
    pub server: &'r Server,
    /// Its breaker.
    pub view: View,
    /// The mode of its breaker.
    pub mode: Mode,
    /// What is set for it by runtime keys.
    pub hand: Hand,
    /// How long it takes to answer.
    pub latency: Latency,
    /// Its last probe.
    pub probe: Option<LastProbe>,
    /// Whether there is a token that it may be sent; or none is needed.
    pub has_token: bool,
}

impl ServerSeen<'_> {
    fn health(&self) -> u64 {
        let signs = Signs {
            state: self.view.state,
            ok: self.view.counts.ok,
            fail: self.view.counts.fail,
            slowness: self.latency.slowness(),
            has_failed_probe: self.probe.is_some_and(|probe| probe.has_failed),
            is_usable: !self.hand.is_off() && self.has_token,
        };
        signs.percent()
    }

    /// As JSON. `changes` has the last change of its breaker, if that is not too long ago.
    #[inline(never)]
    pub fn json(&self, changes: &Changes) -> String {
        let server = self.server;
        let kind = if server.kind == ServerKind::Mcp { "mcp" } else { "rest" };
        let id = server.id.as_str();
        let mut of = Object::default().text("server", id).text("kind", kind).text("tier", server.tier.as_str());
        of = of.text("state", self.view.state.as_str());
        let waits = self.view.state != State::Closed;
        of = of.number("probe_in_ms", Some(self.view.retry_after_ms).filter(|_| waits));
        of = of.number("health", self.health()).number("latency_ms", self.latency.steady_ms());
        let counts = self.view.counts;
        of = of.number("ok", u64::from(counts.ok)).number("failed", u64::from(counts.fail));
        let window_ms = u64::from(server.breaker.buckets).saturating_mul(server.breaker.bucket_ms.into());
        of = of.number("slow", u64::from(counts.slow)).number("window_ms", window_ms);
        if !self.has_token {
            of = of.json("has_token", "false");
        }
        if let Some((name, _)) = Mode::NAMED.iter().find(|(_, mode)| *mode == self.mode && *mode != Mode::Normal) {
            of = of.text("mode", *name);
        }
        let hands: Vec<_> = (0..).zip(Hand::STATES).filter(|(at, _)| self.hand.is_in(*at)).collect();
        let hands: Vec<_> = hands.iter().map(|(_, state)| quoted(state)).collect();
        of = of.json("overrides", &array(hands.iter().map(String::as_str)));
        if let Some(change) = changes.iter().rfind(|change| change.server == id) {
            of = of.json("changed", &change.json());
        }
        if let Some(LastProbe { time_s, has_failed, class }) = self.probe {
            let probe = Object::default().number("time_s", time_s).text("class", class.as_str());
            of = of.json("last_probe", &probe.json("failed", if has_failed { "true" } else { "false" }).done());
        }
        of.done()
    }
}

/// A credential as JSON. `report`: what its keeper has left, `said`: what each of its servers says of its tokens.
#[inline(never)]
pub fn credential(credential: &Credential, report: Option<&Report>, said: &[Testimony], now_s: u64) -> String {
    let mut slots = Vec::new();
    let reported = report.map_or([None; 2], |report| report.0);
    for ((slot, source), token) in Slot::BOTH.into_iter().zip(&credential.slots).zip(&reported) {
        if source.is_some() {
            slots.push(slot_json(slot, credential, token.as_ref(), said, now_s));
        }
    }
    let severity = report.and_then(|report| report.worst(said, now_s, &credential.policy));
    Object::default()
        .text("credential", credential.id.as_str())
        .text("severity", severity.map_or("unknown", Severity::as_str))
        .json("slots", &array(slots.iter().map(String::as_str)))
        .done()
}

fn slot_json(slot: Slot, of: &Credential, token: Option<&SlotReport>, said: &[Testimony], now_s: u64) -> String {
    let written = Object::default().text("slot", slot.as_str());
    let Some(token) = token.filter(|token| token.defect().is_none()) else {
        return written.json("sent", "false").done();
    };
    let refused = said.iter().any(|said| said.condemns(token.fingerprint()));
    let sent = token.is_valid(now_s) && !refused;
    let mut written = written.json("sent", if sent { "true" } else { "false" });
    if refused {
        written = written.json("refused", "true");
    }
    let life = token.lifetime();
    written = written.number("days_left", life.days_left(now_s, &of.policy));
    let ends = life.due_s(&of.policy).map(date::show);
    written.text("ends", ends.as_deref()).text("fingerprint", token.fingerprint().to_string().as_str()).done()
}

/// Everything.
#[derive(Debug, Clone, Copy)]
pub struct Status<'s> {
    /// Calendar time, in seconds since 1970.
    pub now_s: u64,
    /// The identity of the registry.
    pub registry: u64,
    /// What the kill switch is set to, in percent; empty where nobody looks.
    pub switch: &'s str,
    /// Whether MCP is on as far as the environment says.
    pub mcp_enabled: bool,
    /// Tasks that MCP is switched off for.
    pub tasks_off: &'s [&'s str],
    /// The servers, each as JSON.
    pub servers: &'s [String],
    /// The credentials, each as JSON.
    pub credentials: &'s [String],
    /// The last changes of breakers.
    pub changes: &'s Changes,
}

impl Status<'_> {
    /// As JSON.
    pub fn json(&self) -> String {
        let mut tasks: Vec<String> = Vec::new();
        for task in self.tasks_off {
            let task = quoted(task);
            if !tasks.contains(&task) {
                tasks.push(task);
            }
        }
        let list = |texts: &[String]| array(texts.iter().map(String::as_str));
        let registry = format!("{:016x}", self.registry);
        let of = Object::default().text("version", env!("CARGO_PKG_VERSION")).text("registry", registry.as_str());
        let of = of.number("time_s", self.now_s).text("time", date::show(self.now_s).as_str());
        let switch = if self.mcp_enabled { self.switch } else { "0" };
        let of = of.text("mcp_enabled", Some(switch).filter(|switch| !switch.is_empty()));
        let of = of.json("tasks_off", &list(&tasks)).json("servers", &list(self.servers));
        of.json("credentials", &list(self.credentials)).json("transitions", &self.changes.json()).done()
    }
}
