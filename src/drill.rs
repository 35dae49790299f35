//! The drill: a request that is to see a server fail although it is well, so that failover can be rehearsed in production.
//!
//! The header [`DRILL`](crate::wiring::header::DRILL) of a request names the servers that are to fail for this request alone, and how:
//!
//! ```text
//! x-dualpath-drill: fail=primary
//! x-dualpath-drill: fail=primary,lost; fail=secondary,overload
//! ```
//!
//! The class is one of those that tell of a server's failure; `server` where none is given. The server is not asked, so
//! that a call can't be executed twice for a drill, and its breaker hears nothing of it.

use std::fmt;

use crate::failure::Class;
use crate::network::Network;
use crate::registry::{Registry, ServerIndex};

/// The servers that are to fail for one request, each with the class of its failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orders(Vec<(ServerIndex, Class)>);

/// Why a drill is refused. `Display` says it to the operator who ordered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    /// Something is not `fail=<server>[,<class>]`.
    Grammar,
    /// The registry has no such server, or the header names it twice.
    Server,
    /// This is no class that a server fails with.
    Class,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::Grammar => "x-dualpath-drill must be fail=SERVER or fail=SERVER,CLASS, several separated by ;",
            Malformed::Server => "x-dualpath-drill must name servers of the registry, each once",
            Malformed::Class => {
                "x-dualpath-drill knows the classes not_sent, refused, overload, credential, server and lost"
            }
        })
    }
}

impl std::error::Error for Malformed {}

impl Orders {
    /// Whether nothing is ordered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what a value of the drill header orders.
    ///
    /// # Errors
    /// If any of it can't be carried out.
    pub fn add(&mut self, value: &[u8], registry: &Registry) -> Result<(), Malformed> {
        let value = std::str::from_utf8(value).map_err(|_| Malformed::Grammar)?;
        for order in value.split(';') {
            let failure = order.trim().strip_prefix("fail=").ok_or(Malformed::Grammar)?;
            let (server, class) = failure.split_once(',').unwrap_or((failure, Class::Server.as_str()));
            let (index, _) = registry.server_by_id(server.trim()).ok_or(Malformed::Server)?;
            let class = Class::parse(class.trim()).filter(|class| !class.is_about_the_call());
            if self.class_of(index).is_some() {
                return Err(Malformed::Server);
            }
            self.0.push((index, class.ok_or(Malformed::Class)?));
        }
        Ok(())
    }

    /// How this server is to fail; `None` if it is not.
    pub fn class_of(&self, server: ServerIndex) -> Option<Class> {
        self.0.iter().find(|(ordered, _)| *ordered == server).map(|(_, class)| *class)
    }
}

/// Whether `source`, an address and a port as Envoy writes them, is in one of `networks`.
pub fn is_allowed(networks: &[Network], source: &[u8]) -> bool {
    let address = std::str::from_utf8(source).ok().and_then(|text| {
        let (address, _port) = text.rsplit_once(':')?;
        address.trim_matches(['[', ']']).parse().ok()
    });
    address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
}

#[cfg(test)]
mod tests;
