//! The secrets of one VM. They are held here and put into the request of the one server they belong to; nothing in this
//! module can print one.

use std::cell::Cell;
use std::fmt;

use crate::registry::{Registry, Server, ServerIndex, Source};

/// The private request headers in which Envoy's credential injectors hand over slot a and slot b.
pub const SLOT_HEADERS: [&str; 2] = ["x-dualpath-slot-a", "x-dualpath-slot-b"];

/// How long a server whose secret was missing is passed over before it is tried again, in ms. The secret may arrive at
/// any time (a file that is mounted late), but only a request to the server's cluster can tell.
const MISSING_FOR_MS: u64 = 5_000;

/// A secret.
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// A secret, unless `bytes` are empty once white space at both ends is taken off, as files and shells leave some.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let trimmed = bytes.trim_ascii();
        (!trimmed.is_empty()).then(|| Secret(trimmed.to_vec()))
    }

    /// The header value that carries the secret.
    pub fn header_value(&self, prefix: &str) -> Vec<u8> {
        [prefix.as_bytes(), &self.0].concat()
    }
}

/// What a VM knows of the registry's credentials.
#[derive(Debug)]
pub struct Credentials {
    /// Per credential and slot: the secret, where it comes from the environment.
    environment: Vec<[Option<Secret>; 2]>,
    /// Per server: until when its secret counts as missing.
    missing_until: Vec<Cell<u64>>,
    /// Every header that some server's credential uses, and the slot headers: an attempt takes off all but its own,
    /// since Envoy keeps what an earlier attempt has set.
    headers: Vec<String>,
}

impl Credentials {
    /// Reads the environment's slots.
    pub fn new(registry: &Registry, environment: impl Fn(&str) -> Option<String>) -> Self {
        let read = |slot: &Option<Source>| match slot {
            Some(Source::Environment(name)) => environment(name).and_then(|value| Secret::new(value.as_bytes())),
            _ => None,
        };
        let mut headers = vec!["authorization".to_owned()];
        for credential in &registry.credentials {
            headers.push(credential.header.clone());
            headers.extend(credential.headers.iter().map(|(name, _)| name.clone()));
        }
        let from_files =
            registry.credentials.iter().flat_map(|c| &c.slots).any(|s| matches!(s, Some(Source::SdsFile(_))));
        if from_files {
            headers.extend(SLOT_HEADERS.map(str::to_owned));
        }
        headers.sort_unstable();
        headers.dedup();
        Credentials {
            environment: registry.credentials.iter().map(|c| [read(&c.slots[0]), read(&c.slots[1])]).collect(),
            missing_until: registry.servers.iter().map(|_| Cell::new(0)).collect(),
            headers,
        }
    }

    /// The names of all headers that may carry a credential of any server.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// The values of the credential header for `server`, of slot a and then of slot b, as far as they have a secret.
    /// `slot_header` reads what an injector has handed over.
    pub fn values(
        &self,
        registry: &Registry,
        server: &Server,
        slot_header: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Vec<Vec<u8>> {
        let Some(index) = server.credential else { return Vec::new() };
        let Some(credential) = registry.credential(index) else { return Vec::new() };
        let Some(from_environment) = self.environment.get(usize::from(index.0)) else { return Vec::new() };
        let slots = credential.slots.iter().zip(from_environment).zip(SLOT_HEADERS);
        let value = |((source, secret), header): ((&Option<Source>, &Option<Secret>), &str)| match source.as_ref()? {
            Source::Environment(_) => secret.as_ref().map(|secret| secret.header_value(&credential.prefix)),
            Source::SdsFile(_) => Secret::new(&slot_header(header)?).map(|s| s.header_value(&credential.prefix)),
        };
        slots.filter_map(value).collect()
    }

    /// Whether `server` needs a secret that is known to be missing at `now`.
    pub fn is_missing(&self, registry: &Registry, index: ServerIndex, now: u64) -> bool {
        let Some(credential) = registry.server(index).and_then(|server| server.credential) else { return false };
        let Some(slots) = registry.credential(credential).map(|c| &c.slots) else { return false };
        let from_files = slots.iter().any(|slot| matches!(slot, Some(Source::SdsFile(_))));
        if from_files {
            return self.missing_until.get(usize::from(index.0)).is_some_and(|until| now < until.get());
        }
        self.environment.get(usize::from(credential.0)).is_some_and(|slots| slots.iter().all(Option::is_none))
    }

    /// Notes that `server`'s secret was missing at `now`.
    pub fn note_missing(&self, index: ServerIndex, now: u64) {
        if let Some(until) = self.missing_until.get(usize::from(index.0)) {
            until.set(now.saturating_add(MISSING_FOR_MS));
        }
    }
}
