//! The fault schedule: which server suffers what, from which call to which. It follows from the seed alone, since it
//! counts calls and not time.

use serde::Serialize;

use super::seeded::Seeded;
use crate::stub::{Behaviour, Kind};

/// What befalls a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The process is killed: connections are reset and new ones refused.
    Killed,
    /// The process is stopped (SIGSTOP): connections are accepted, nobody answers.
    Stopped,
    /// It forgets, once, every session that it has.
    Forgets,
    /// It refuses one of its two tokens, or both.
    Refuses {
        /// The token of slot a.
        a: bool,
        /// The token of slot b.
        b: bool,
    },
    /// It runs and misbehaves.
    Misbehaves {
        /// How.
        behaviour: Behaviour,
        /// Towards which share of the requests, in percent.
        percent: u8,
    },
}

impl Fault {
    /// Whether a server in this state still answers every call rightly and within half of `timeout_ms`: then it counts
    /// as well.
    pub fn is_harmless(&self, timeout_ms: u64) -> bool {
        match self {
            Fault::Killed | Fault::Stopped => false,
            Fault::Forgets => true,
            Fault::Refuses { a, b } => !(*a && *b),
            Fault::Misbehaves { behaviour, .. } => match behaviour {
                Behaviour::Delay { ms } => *ms * 2 <= timeout_ms,
                Behaviour::SseNamed { every_ms, .. } => *every_ms * 6 <= timeout_ms,
                Behaviour::Gzip => true,
                _ => false,
            },
        }
    }
}

/// One server's suffering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Episode {
    /// The server's name.
    pub server: String,
    /// It begins before the call of this number is sent, ...
    pub from: u64,
    /// ... and is over before this one is.
    pub to: u64,
    /// What it is.
    #[serde(flatten)]
    pub fault: Fault,
}

/// The episodes of a run of `calls` calls against `servers`, in the order of their beginnings. Each server has its own
/// sequence of good and bad times; a REST server is well for longer, since it is every tool's last resort.
pub fn schedule(seed: u64, calls: u64, servers: &[(&str, Kind)]) -> Vec<Episode> {
    let mut episodes = Vec::new();
    for (number, (server, kind)) in (1_u64..).zip(servers) {
        let mut random = Seeded::new(seed, number);
        let well = match kind {
            Kind::Mcp => 200..1400,
            Kind::Rest => 600..2600,
        };
        let mut at = 100 + random.between(0, well.end / 2);
        loop {
            let to = at + random.between(80, 1100);
            // The end of a run is quiet, so that it ends with everybody well.
            if to + 200 > calls {
                break;
            }
            let fault = fault(&mut random, *kind);
            episodes.push(Episode { server: (*server).to_owned(), from: at, to, fault });
            at = to + random.between(well.start, well.end);
        }
    }
    episodes.sort_by(|a, b| (a.from, &a.server).cmp(&(b.from, &b.server)));
    episodes
}

fn fault(random: &mut Seeded, kind: Kind) -> Fault {
    let internal = "Internal error";
    let misbehaviour = match random.between(0, 132) {
        // What any server may do, an API too.
        100..106 => return refuses(random),
        106..111 => {
            let known = if kind == Kind::Rest { 307 } else { *random.pick(&[(1, 301), (2, 302), (1, 307), (1, 308)]) };
            Behaviour::redirect(known)
        }
        111..118 => not_there(random),
        118..124 if kind == Kind::Mcp => return Fault::Forgets,
        124..127 if kind == Kind::Mcp => Behaviour::Gzip,
        127..132 if kind == Kind::Mcp => {
            Behaviour::SseNamed { primed: random.between(0, 2) == 0, every_ms: random.between(0, 80) }
        }
        0..15 => return Fault::Killed,
        15..28 => return Fault::Stopped,
        28..36 => Behaviour::Delay { ms: random.between(20, 1500) },
        36..42 => Behaviour::Hang,
        42..52 => {
            Behaviour::status(u16::try_from(*random.pick(&[(3, 500), (1, 502), (3, 503), (1, 504)])).unwrap_or(500))
        }
        52..58 => Behaviour::too_many_requests(None),
        58..61 => unavailable(),
        61..67 => Behaviour::ResetBeforeHeaders,
        67..73 => Behaviour::ResetMidBody,
        73..78 => Behaviour::GarbageJson,
        78..81 => Behaviour::GarbageHttp,
        _ if kind == Kind::Rest => Behaviour::status(500),
        81..84 => Behaviour::rpc_error(-32603, internal),
        84..86 => Behaviour::sse_error(-32603, internal),
        86..88 => Behaviour::tool_error("no such table"),
        88..91 => Behaviour::WrongId,
        91..93 => Behaviour::WrongType,
        93..95 => Behaviour::OnlyDone,
        95..97 => Behaviour::SseSilent,
        97..=98 => Behaviour::SseBreaks,
        _ => Behaviour::SseProgress { events: 3, every_ms: 5 },
    };
    let percent = match misbehaviour {
        // Nobody can make good what it does, so it is done to few.
        Behaviour::SseBreaks => 5,
        _ => *random.pick(&[(3, 100), (1, 70), (1, 30), (1, 10)]),
    };
    Fault::Misbehaves { behaviour: misbehaviour, percent }
}

/// One token is refused more often than both are.
fn refuses(random: &mut Seeded) -> Fault {
    let (a, b) = *random.pick(&[(2, (true, false)), (2, (false, true)), (1, (true, true))]);
    Fault::Refuses { a, b }
}

/// What an ingress says that has lost its server, or has it elsewhere: no JSON-RPC, sometimes a text.
fn not_there(random: &mut Seeded) -> Behaviour {
    let status = *random.pick(&[(3, 404), (1, 405)]);
    match random.between(0, 2) {
        0 => Behaviour::status(status),
        _ => {
            let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
            Behaviour::Status { status, headers, body: "404 page not found\n".to_owned() }
        }
    }
}

/// 503 with Retry-After: nothing was executed.
fn unavailable() -> Behaviour {
    let headers = vec![("retry-after".to_owned(), "1".to_owned())];
    Behaviour::Status { status: 503, headers, body: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVERS: [(&str, Kind); 3] = [("one", Kind::Mcp), ("two", Kind::Mcp), ("rest", Kind::Rest)];

    #[test]
    fn a_seed_is_a_schedule() {
        assert_eq!(schedule(7, 20_000, &SERVERS), schedule(7, 20_000, &SERVERS));
        assert_ne!(schedule(7, 20_000, &SERVERS), schedule(8, 20_000, &SERVERS));
    }

    #[test]
    fn a_longer_run_begins_like_a_shorter_one() {
        let (short, long) = (schedule(7, 10_000, &SERVERS), schedule(7, 20_000, &SERVERS));
        assert!(short.iter().all(|episode| long.contains(episode)));
    }

    #[test]
    fn every_fault_comes_up_and_no_server_has_two_at_once() {
        let episodes = schedule(1, 400_000, &SERVERS);
        let has = |wanted: &dyn Fn(&Fault) -> bool| episodes.iter().any(|episode| wanted(&episode.fault));
        let tokens = [(true, false), (false, true), (true, true)].map(|(a, b)| Fault::Refuses { a, b });
        for fault in [Fault::Killed, Fault::Stopped, Fault::Forgets].iter().chain(&tokens) {
            assert!(has(&|found| found == fault), "{fault:?}");
        }
        let kinds = [
            Behaviour::Gzip,
            Behaviour::redirect(302),
            Behaviour::redirect(307),
            Behaviour::status(404),
            Behaviour::status(405),
            Behaviour::Hang,
            Behaviour::ResetMidBody,
            Behaviour::WrongId,
            Behaviour::WrongType,
            Behaviour::OnlyDone,
            Behaviour::SseSilent,
            Behaviour::SseBreaks,
            Behaviour::GarbageHttp,
        ];
        for kind in kinds {
            assert!(
                has(&|fault| matches!(fault, Fault::Misbehaves { behaviour, .. } if *behaviour == kind)),
                "{kind:?}"
            );
        }
        for primed in [true, false] {
            let named =
                |behaviour: &Behaviour| matches!(behaviour, Behaviour::SseNamed { primed: p, .. } if *p == primed);
            assert!(has(&|fault| matches!(fault, Fault::Misbehaves { behaviour, .. } if named(behaviour))));
        }
        for (server, _) in SERVERS {
            let own: Vec<_> = episodes.iter().filter(|episode| episode.server == server).collect();
            assert!(own.windows(2).all(|pair| pair[0].to < pair[1].from), "{server}");
        }
    }

    #[test]
    fn servers_suffer_together_now_and_then() {
        let episodes = schedule(1, 100_000, &SERVERS);
        let all = (0..100_000).filter(|call| episodes.iter().filter(|e| e.from <= *call && *call < e.to).count() == 3);
        assert!(all.count() > 100);
    }
}
