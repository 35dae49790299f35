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
        matches!(self, Fault::Misbehaves { behaviour: Behaviour::Delay { ms }, .. } if *ms * 2 <= timeout_ms)
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
    let misbehaviour = match random.between(0, 100) {
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
        97..99 => Behaviour::SseBreaks,
        _ => Behaviour::SseProgress { events: 3, every_ms: 5 },
    };
    let percent = match misbehaviour {
        // Nobody can make good what it does, so it is done to few.
        Behaviour::SseBreaks => 5,
        _ => *random.pick(&[(3, 100), (1, 70), (1, 30), (1, 10)]),
    };
    Fault::Misbehaves { behaviour: misbehaviour, percent }
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
        assert!(has(&|fault| *fault == Fault::Killed) && has(&|fault| *fault == Fault::Stopped));
        let kinds = [
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
