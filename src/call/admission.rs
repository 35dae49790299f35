//! From the operator's order to the hops of one call: asks the breakers and the limits.

use super::story::{Skip, Skipped};
use crate::breaker::{Look, Ticket};
use crate::registry::ServerIndex;
use crate::runtime::Hand;

/// The breakers of the servers, as far as admission needs them.
pub trait Breakers {
    /// What is set for the server by hand.
    fn hand(&self, _server: ServerIndex) -> Hand {
        Hand::default()
    }
    /// Why the server can't be used at all, if it can't: the operator holds its breaker open, or it has no credential.
    fn barred(&mut self, server: ServerIndex) -> Option<Skip>;
    /// Whether a server that has no credential, because it has just refused its tokens, may accept them by now.
    fn may_accept_again(&mut self, _server: ServerIndex) -> bool {
        false
    }
    /// Whether a call that goes there is translated.
    fn translates(&mut self, server: ServerIndex) -> bool;
    /// Whether as many calls are under way there as may be.
    fn is_full(&mut self, server: ServerIndex) -> bool;
    /// Whether as many calls are under way there as its limit allows, which is found from how long it takes.
    fn is_over_limit(&mut self, server: ServerIndex) -> bool;
    /// Admits a call that will be sent now; this may make it the probe of a half-open breaker.
    fn admit(&mut self, server: ServerIndex) -> Look;
    /// Looks without changing anything.
    fn look(&mut self, server: ServerIndex) -> Look;
    /// Admits a call that will be sent now although the server's breaker refuses or it is full; `None` if it is shed.
    fn last_resort(&mut self, server: ServerIndex) -> Option<Ticket>;
    /// Is told that a call goes elsewhere because this server has only just come back.
    fn diverted(&mut self, server: ServerIndex);
}

/// How a call may be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionTerms {
    /// Whether its first hop may be a breaker's probe. A stream that may stay silent for minutes must not be.
    pub may_probe: bool,
    /// Whether it may go past a server that has only just come back, or is full. A call within a server's session must not.
    pub may_divert: bool,
    /// Whether the servers' limits count for it.
    pub is_limited: bool,
    /// Whether the last server is asked even if its breaker refuses, because nobody else could answer: refusing for
    /// certain is no better than probably failing.
    pub last_resort: bool,
}

/// Which servers may get a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// The hops of the call, each with its breaker's ticket. Empty if there are none.
    pub hops: Vec<(ServerIndex, Ticket)>,
    /// The servers that it goes past.
    pub skipped: Vec<Skipped>,
}

/// The hops of a call: those servers of `chain` that admit it.
///
/// Only the first hop is sent now, so only it may take a probe's lease; a later hop must be closed already, since
/// nothing can reroute an attempt that has begun.
///
/// A server that has only just come back gets its share of the calls first; the others go to the next server that admits
/// them, and to this one if that fails, so that no call is lost for the ramp. A full server is gone past in the same way; if no
/// other admits the call, it waits for a connection there. A translation comes last where it can.
///
/// So is one that is over its limit, by calls in a session as well: that is not moved for it. Where all are, the last of them
/// gets the call as its last resort, or nobody.
///
/// A server that has just refused tokens which it had accepted before comes after all others, the last resort included: it
/// may have been ill.
pub fn admit(chain: &[ServerIndex], terms: AdmissionTerms, breakers: &mut impl Breakers) -> Admitted {
    let mut skipped = Vec::new();
    let mut hops = Vec::with_capacity(chain.len());
    let mut passed_over = Vec::new();
    let (mut last, mut resting) = (None, None);
    for server in chain {
        if let Some(why) = breakers.barred(*server) {
            if resting.is_none() && why == Skip::NoCredential && breakers.may_accept_again(*server) {
                resting = Some(*server);
            }
            skipped.push(Skipped { server: *server, why, at: hops.len() });
            continue;
        }
        last = Some(server);
        if !hops.is_empty() && breakers.translates(*server) {
            return_to(&mut hops, &mut passed_over, &mut skipped, breakers);
        }
        let may_divert = terms.may_divert && hops.is_empty();
        let full = may_divert && breakers.is_full(*server);
        let over = !full && terms.is_limited && hops.is_empty() && breakers.is_over_limit(*server);
        let first = hops.is_empty() && passed_over.is_empty() && !full && !over;
        let look = if first && terms.may_probe { breakers.admit(*server) } else { breakers.look(*server) };
        if !look.admits {
            skipped.push(Skipped { server: *server, why: Skip::Open, at: hops.len() });
            continue;
        }
        match full {
            true => passed_over.push((*server, look.ticket, Skip::Full)),
            false if over => passed_over.push((*server, look.ticket, Skip::OverLimit)),
            false if look.pass_over && may_divert => passed_over.push((*server, look.ticket, Skip::Ramp)),
            false => hops.push((*server, look.ticket)),
        }
    }
    if hops.is_empty() && passed_over.iter().any(is_over) {
        match passed_over.iter().position(|of_these| !is_over(of_these)) {
            Some(at) => {
                let (server, ticket, _) = passed_over.remove(at);
                hops.push((server, ticket));
            }
            None => {
                let last = passed_over.last().and_then(|(last, ..)| Some((*last, breakers.last_resort(*last)?)));
                let Some(last) = last else {
                    let over = passed_over.iter().map(|(server, ..)| *server);
                    skipped.splice(0..0, over.map(|server| Skipped { server, why: Skip::OverLimit, at: 0 }));
                    return Admitted { hops, skipped };
                };
                passed_over.pop();
                hops.push(last);
            }
        }
    }
    return_to(&mut hops, &mut passed_over, &mut skipped, breakers);
    if let (true, Some(last)) = (terms.last_resort, last)
        && hops.iter().all(|(server, _)| server != last)
    {
        resort_to(*last, &mut hops, &mut skipped, breakers);
    }
    // What the last resort has shed stays shed.
    if let (true, Some(resting)) = (terms.last_resort && (last.is_none() || !hops.is_empty()), resting)
        && breakers.look(resting).admits
    {
        resort_to(resting, &mut hops, &mut skipped, breakers);
    }
    Admitted { hops, skipped }
}

fn is_over((_, _, why): &(ServerIndex, Ticket, Skip)) -> bool {
    *why == Skip::OverLimit
}

/// Puts a server behind all hops that would not be asked otherwise.
fn resort_to(
    server: ServerIndex,
    hops: &mut Vec<(ServerIndex, Ticket)>,
    skipped: &mut Vec<Skipped>,
    breakers: &mut impl Breakers,
) {
    let ticket = if hops.is_empty() {
        breakers.last_resort(server)
    } else {
        // It is only sent if all others have failed, which is rare enough not to be shed.
        Some(Ticket { last_resort: true, ..breakers.look(server).ticket })
    };
    if let Some(ticket) = ticket {
        hops.push((server, ticket));
        skipped.retain(|skipped| skipped.server != server);
    }
}

/// Puts the servers that were passed over behind those that were not.
fn return_to(
    hops: &mut Vec<(ServerIndex, Ticket)>,
    passed_over: &mut Vec<(ServerIndex, Ticket, Skip)>,
    skipped: &mut Vec<Skipped>,
    breakers: &mut impl Breakers,
) {
    if !hops.is_empty() {
        for (server, _, why) in passed_over.iter() {
            if *why == Skip::Ramp {
                breakers.diverted(*server);
            }
            skipped.insert(0, Skipped { server: *server, why: *why, at: 0 });
        }
    }
    hops.extend(passed_over.drain(..).map(|(server, ticket, _)| (server, ticket)));
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// Servers 0.. are closed, open, due for a probe, just back with this call to go past them (`b`), full and closed (`f`)
    /// or due for a probe (`F`), REST and closed (`r`) or open (`R`), or unusable, with tokens that only rest (`n`: closed, `N`: open,
    /// `s`: closed and sheds), or without (`u`); `S` is open and sheds calls of last resort.
    /// `l` is closed and over its limit, `L` as well and sheds, `p` is a REST server over its limit, `D` is due for a probe.
    struct Fake {
        states: Vec<char>,
        probes: usize,
        diverted: usize,
    }

    impl Fake {
        fn state(&self, server: ServerIndex) -> char {
            self.states[usize::from(server.0)]
        }
    }

    impl Breakers for Fake {
        fn barred(&mut self, server: ServerIndex) -> Option<Skip> {
            matches!(self.state(server), 'u' | 'n' | 'N' | 's').then_some(Skip::NoCredential)
        }
        fn may_accept_again(&mut self, server: ServerIndex) -> bool {
            matches!(self.state(server), 'n' | 'N' | 's')
        }
        fn translates(&mut self, server: ServerIndex) -> bool {
            matches!(self.state(server), 'r' | 'R' | 'p')
        }
        fn is_over_limit(&mut self, server: ServerIndex) -> bool {
            matches!(self.state(server), 'l' | 'L' | 'p' | 'D')
        }
        fn is_full(&mut self, server: ServerIndex) -> bool {
            matches!(self.state(server), 'f' | 'F')
        }
        fn admit(&mut self, server: ServerIndex) -> Look {
            let due = matches!(self.state(server), 'd' | 'F' | 'D');
            self.probes += usize::from(due);
            let look = self.look(server);
            Look { admits: look.admits || due, ..look }
        }
        fn look(&mut self, server: ServerIndex) -> Look {
            let state = self.state(server);
            let pass_over = state == 'b';
            let admits = pass_over || matches!(state, 'c' | 'f' | 'r' | 'l' | 'L' | 'p' | 'n' | 's');
            Look { admits, pass_over, ticket: Ticket::default() }
        }
        fn last_resort(&mut self, server: ServerIndex) -> Option<Ticket> {
            (!matches!(self.state(server), 'S' | 'L' | 's')).then(Ticket::default)
        }
        fn diverted(&mut self, _server: ServerIndex) {
            self.diverted += 1;
        }
    }

    fn hops(states: &str, terms: AdmissionTerms) -> (Vec<u16>, usize) {
        let mut fake = Fake { states: states.chars().collect(), probes: 0, diverted: 0 };
        let chain: Vec<_> = (0..).take(states.len()).map(ServerIndex).collect();
        let hops = admit(&chain, terms, &mut fake).hops;
        (hops.into_iter().map(|(server, _)| server.0).collect(), fake.probes)
    }

    const CALL: AdmissionTerms =
        AdmissionTerms { may_probe: true, may_divert: true, is_limited: true, last_resort: true };

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
        assert_eq!(hops("oo", AdmissionTerms { last_resort: false, ..CALL }), (vec![], 0));
    }

    #[test]
    fn only_the_first_hop_takes_a_probe() {
        assert_eq!(hops("dc", CALL), (vec![0, 1], 1));
        assert_eq!(hops("cdc", CALL), (vec![0, 2], 0));
    }

    #[test]
    fn a_stream_is_never_a_probe() {
        assert_eq!(hops("dc", AdmissionTerms { may_probe: false, ..CALL }), (vec![1], 0));
    }

    #[test]
    fn a_server_without_its_credential_is_never_asked() {
        assert_eq!(hops("uuu", CALL), (vec![], 0));
        assert_eq!(hops("ucu", CALL), (vec![1], 0));
    }

    #[test]
    fn a_server_that_has_just_refused_its_tokens_is_asked_when_nobody_else_can_answer() {
        assert_eq!(hops("n", CALL), (vec![0], 0));
        assert_eq!(hops("nc", CALL), (vec![1, 0], 0), "after every other");
        assert_eq!(hops("nR", CALL), (vec![1, 0], 0), "and after the last resort");
        assert_eq!(hops("nnu", CALL), (vec![0], 0), "of several the first");
        assert_eq!(hops("N", CALL), (vec![], 0), "not if its breaker is open as well");
        assert_eq!(hops("s", CALL), (vec![], 0), "alone it is the last resort, which may be shed");
        assert_eq!(hops("nS", CALL), (vec![], 0), "and what the last resort has shed does not come here");
        assert_eq!(hops("n", AdmissionTerms { last_resort: false, ..CALL }), (vec![], 0));
    }

    #[test]
    fn a_call_that_goes_past_a_returning_server_keeps_it_as_its_next_hop() {
        assert_eq!(hops("bc", CALL), (vec![1, 0], 0));
        assert_eq!(hops("bcr", CALL), (vec![1, 0, 2], 0));
        assert_eq!(hops("bbc", CALL), (vec![2, 0, 1], 0));
        assert_eq!(hops("br", CALL), (vec![1, 0], 0));
        assert_eq!(hops("bor", CALL), (vec![2, 0], 0));
        assert_eq!(hops("cb", CALL), (vec![0, 1], 0), "as a later hop it is asked like any other");
    }

    #[test]
    fn a_call_goes_to_a_returning_server_if_no_other_admits_it() {
        assert_eq!(hops("b", CALL), (vec![0], 0));
        assert_eq!(hops("bo", CALL), (vec![0, 1], 0));
        assert_eq!(hops("bd", CALL), (vec![0, 1], 0), "and it is not made a probe for that");
        assert_eq!(hops("bbR", CALL), (vec![0, 1, 2], 0));
    }

    #[test]
    fn a_full_server_is_gone_past_and_kept_for_when_the_others_fail() {
        assert_eq!(hops("fc", CALL), (vec![1, 0], 0));
        assert_eq!(hops("ffr", CALL), (vec![2, 0, 1], 0));
        assert_eq!(hops("bfc", CALL), (vec![2, 0, 1], 0));
        assert_eq!(hops("cf", CALL), (vec![0, 1], 0), "what it will be like as a later hop is not known");
        assert_eq!(hops("fo", CALL), (vec![0, 1], 0), "if nobody else admits the call, it waits there");
        assert_eq!(hops("Fc", CALL), (vec![1], 0), "and it gets no probe that would have to wait");
        assert_eq!(hops("fc", AdmissionTerms { may_divert: false, ..CALL }), (vec![0, 1], 0));
    }

    #[test]
    fn a_call_within_a_session_stays_with_its_returning_server() {
        assert_eq!(hops("bc", AdmissionTerms { may_divert: false, ..CALL }), (vec![0, 1], 0));
    }

    #[test]
    fn a_diversion_is_told_only_if_it_happens() {
        for (states, diverted) in [("bc", 1), ("bcr", 1), ("br", 1), ("cb", 0), ("bo", 0), ("fc", 0)] {
            let mut fake = Fake { states: states.chars().collect(), probes: 0, diverted: 0 };
            let chain: Vec<_> = (0..).take(states.len()).map(ServerIndex).collect();
            admit(&chain, CALL, &mut fake);
            assert_eq!(fake.diverted, diverted, "{states}");
        }
    }

    #[test]
    fn a_call_of_last_resort_may_be_shed_but_not_as_a_later_hop() {
        assert_eq!(hops("oS", CALL), (vec![], 0));
        assert_eq!(hops("cS", CALL), (vec![0, 1], 0));
    }

    #[test]
    fn a_call_over_the_limit_goes_to_the_next_server_and_comes_back_if_that_fails() {
        assert_eq!(hops("lc", CALL), (vec![1, 0], 0));
        assert_eq!(hops("lcr", CALL), (vec![1, 0, 2], 0));
        assert_eq!(hops("lr", CALL), (vec![1, 0], 0));
        assert_eq!(hops("lb", CALL), (vec![1, 0], 0), "one that has just come back is better than one over its limit");
        assert_eq!(hops("lf", CALL), (vec![1, 0], 0));
        assert_eq!(hops("cl", CALL), (vec![0, 1], 0), "what it will be like as a later hop is not known");
        assert_eq!(hops("lc", AdmissionTerms { may_divert: false, ..CALL }), (vec![1, 0], 0), "in a session as well");
        assert_eq!(hops("Dc", CALL), (vec![1], 0), "no probe is spent on it");
    }

    #[test]
    fn a_call_for_which_all_are_over_their_limit_goes_to_the_last_one_or_is_shed() {
        assert_eq!(hops("l", CALL), (vec![0], 0));
        assert_eq!(hops("lp", CALL), (vec![1, 0], 0));
        assert_eq!(hops("lo", CALL), (vec![0, 1], 0), "one over its limit is better than one that is down");
        assert_eq!(hops("ul", CALL), (vec![1], 0));
        assert_eq!(hops("L", CALL), (vec![], 0));
        assert_eq!(hops("lL", CALL), (vec![], 0));
        assert_eq!(hops("LS", CALL), (vec![], 0));
    }

    #[test]
    fn what_no_limit_counts_for_goes_where_it_would() {
        assert_eq!(hops("lc", AdmissionTerms { is_limited: false, ..CALL }), (vec![0, 1], 0));
        assert_eq!(hops("L", AdmissionTerms { is_limited: false, ..CALL }), (vec![0], 0));
    }

    #[test]
    fn every_server_that_is_gone_past_is_told_with_its_reason() {
        let skipped = |states: &str| {
            let mut fake = Fake { states: states.chars().collect(), probes: 0, diverted: 0 };
            let chain: Vec<_> = (0..).take(states.len()).map(ServerIndex).collect();
            let skipped = admit(&chain, CALL, &mut fake).skipped;
            skipped.into_iter().map(|skipped| (skipped.server.0, skipped.why, skipped.at)).collect::<Vec<_>>()
        };
        assert_eq!(skipped("ccr"), []);
        assert_eq!(skipped("ocr"), [(0, Skip::Open, 0)]);
        assert_eq!(skipped("coor"), [(1, Skip::Open, 1), (2, Skip::Open, 1)]);
        assert_eq!(skipped("uocu"), [(0, Skip::NoCredential, 0), (1, Skip::Open, 0), (3, Skip::NoCredential, 1)]);
        assert_eq!(skipped("bc"), [(0, Skip::Ramp, 0)]);
        assert_eq!(skipped("fc"), [(0, Skip::Full, 0)]);
        assert_eq!(skipped("fo"), []);
        assert_eq!(skipped("lc"), [(0, Skip::OverLimit, 0)]);
        assert_eq!(skipped("ll"), [(0, Skip::OverLimit, 0)], "the last one is asked");
        assert_eq!(skipped("lL"), [(0, Skip::OverLimit, 0), (1, Skip::OverLimit, 0)]);
        assert_eq!(skipped("oo"), [(0, Skip::Open, 0)], "the last one is asked as the last resort");
        assert_eq!(skipped("oS"), [(0, Skip::Open, 0), (1, Skip::Open, 0)]);
        assert_eq!(skipped("uu"), [(0, Skip::NoCredential, 0), (1, Skip::NoCredential, 0)]);
    }
}
