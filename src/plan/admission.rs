//! From the operator's order to the hops of one call: asks the breakers.

use crate::breaker::Ticket;
use crate::registry::ServerIndex;

/// What a breaker says of a server without being changed by the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether a normal call is admitted now.
    pub admits: bool,
    /// The ticket under which a normal call would be reported.
    pub ticket: Ticket,
}

/// The breakers of the servers, as far as admission needs them.
pub trait Breakers {
    /// Whether the server can be used at all, e.g. has its credential.
    fn usable(&mut self, server: ServerIndex) -> bool;
    /// Admits a call that will be sent now; this may make it the probe of a half-open breaker.
    fn admit(&mut self, server: ServerIndex) -> Option<Ticket>;
    /// Looks without changing anything.
    fn look(&mut self, server: ServerIndex) -> Look;
}

/// How a call may be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Whether its first hop may be a breaker's probe. A stream that may stay silent for minutes must not be.
    pub may_probe: bool,
    /// Whether the last server is asked even if its breaker refuses, because nobody else could answer: refusing for
    /// certain is no better than probably failing.
    pub last_resort: bool,
}

/// The hops of a call: those servers of `chain` that admit it, each with its ticket. Empty if there are none.
///
/// Only the first hop is sent now, so only it may take a probe's lease; a later hop must be closed already, since
/// nothing can reroute an attempt that has begun.
pub fn admit(chain: &[ServerIndex], terms: Terms, breakers: &mut impl Breakers) -> Vec<(ServerIndex, Ticket)> {
    let usable: Vec<_> = chain.iter().copied().filter(|server| breakers.usable(*server)).collect();
    let mut hops = Vec::with_capacity(usable.len());
    for server in &usable {
        let ticket = if hops.is_empty() && terms.may_probe {
            breakers.admit(*server)
        } else {
            let look = breakers.look(*server);
            look.admits.then_some(look.ticket)
        };
        if let Some(ticket) = ticket {
            hops.push((*server, ticket));
        }
    }
    if let (true, Some(last)) = (terms.last_resort, usable.last())
        && hops.last().is_none_or(|(server, _)| server != last)
    {
        hops.push((*last, breakers.look(*last).ticket));
    }
    hops
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// Servers 0.. are closed, open, or due for a probe; `probes` counts the leases given.
    struct Fake {
        states: Vec<char>,
        probes: usize,
    }

    impl Breakers for Fake {
        fn usable(&mut self, server: ServerIndex) -> bool {
            self.states[usize::from(server.0)] != 'u'
        }
        fn admit(&mut self, server: ServerIndex) -> Option<Ticket> {
            match self.states[usize::from(server.0)] {
                'c' => Some(Ticket::default()),
                'd' => {
                    self.probes += 1;
                    Some(Ticket::default())
                }
                _ => None,
            }
        }
        fn look(&mut self, server: ServerIndex) -> Look {
            Look { admits: self.states[usize::from(server.0)] == 'c', ticket: Ticket::default() }
        }
    }

    fn hops(states: &str, terms: Terms) -> (Vec<u16>, usize) {
        let mut fake = Fake { states: states.chars().collect(), probes: 0 };
        let chain: Vec<_> = (0..).take(states.len()).map(ServerIndex).collect();
        let hops = admit(&chain, terms, &mut fake);
        (hops.into_iter().map(|(server, _)| server.0).collect(), fake.probes)
    }

    const CALL: Terms = Terms { may_probe: true, last_resort: true };

    #[test]
    fn an_open_server_is_passed_over() {
        assert_eq!(hops("occ", CALL), (vec![1, 2], 0));
    }

    #[test]
    fn the_last_server_is_asked_even_if_its_breaker_is_open() {
        assert_eq!(hops("ooo", CALL), (vec![2], 0));
        assert_eq!(hops("coo", CALL), (vec![0, 2], 0));
    }

    #[test]
    fn what_the_gate_can_answer_itself_is_no_last_resort() {
        assert_eq!(hops("oo", Terms { last_resort: false, ..CALL }), (vec![], 0));
    }

    #[test]
    fn only_the_first_hop_takes_a_probe() {
        assert_eq!(hops("dc", CALL), (vec![0, 1], 1));
        assert_eq!(hops("cdc", CALL), (vec![0, 2], 0));
    }

    #[test]
    fn a_stream_is_never_a_probe() {
        assert_eq!(hops("dc", Terms { may_probe: false, ..CALL }), (vec![1], 0));
    }

    #[test]
    fn a_server_without_its_credential_is_never_asked() {
        assert_eq!(hops("uuu", CALL), (vec![], 0));
        assert_eq!(hops("ucu", CALL), (vec![1], 0));
    }
}
