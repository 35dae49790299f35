//! A credential, by reference: where its secrets come from and how they go out.

use std::time::Duration;

use super::Url;
use crate::credential::{AgePolicy, Declared, Secret, secret_in};
use crate::wire::Id;

/// Position of a credential in [`Registry::credentials`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialIndex(pub u16);

/// How a server wants to be authenticated to, and where the secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its name.
    pub id: Id,
    /// The header that carries it, lower case; `authorization` unless said otherwise.
    pub header: String,
    /// What stands before the secret in that header, e.g. `Bearer `.
    pub prefix: String,
    /// Further headers that go with it, such as Snowflake's token type. Names are lower case.
    pub headers: Vec<(String, String)>,
    /// Slot a and slot b; at least one is set.
    pub slots: [Option<SlotSource>; 2],
    /// How old its tokens may get, and when the operator is warned.
    pub policy: AgePolicy,
}

impl Credential {
    /// Whether it sets the header `name`, given in lower case.
    pub fn sets(&self, name: &str) -> bool {
        self.header == name || self.headers.iter().any(|(header, _)| header == name)
    }
}

/// One slot of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSource {
    /// Where the secret comes from.
    pub source: Source,
    /// What the operator says of its life.
    pub declared: Declared,
}

/// Where the secret of a slot comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An Envoy SDS file with one `generic_secret`; replaced atomically, it takes effect without a restart.
    SdsFile(String),
    /// A server of Envoy's secret discovery service (gRPC).
    SdsGrpc(Url),
    /// An environment variable of the Envoy process, read at start.
    Environment(String),
    /// An HTTP API that the filter asks again and again.
    Endpoint(Endpoint),
    /// The secret itself, for demonstrations on one machine.
    Inline(Secret),
}

impl Source {
    /// Whether Envoy fetches the secret and its credential injector hands it over in a request header.
    pub fn is_injected(&self) -> bool {
        matches!(self, Source::SdsFile(_) | Source::SdsGrpc(_))
    }
}

/// An HTTP API that answers a GET with a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub url: Url,
    /// The member of its JSON answer that holds the secret; `None`: the answer is the secret.
    pub field: Option<String>,
    /// How often it is asked.
    pub every: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Endpoint {
    /// The secret in an answer.
    ///
    /// # Errors
    /// Why there is none, as [`secret_in`] has it.
    pub fn secret_in(&self, status: Option<u16>, body: &[u8]) -> Result<Vec<u8>, &'static str> {
        secret_in(self.field.as_deref(), status, body)
    }
}
