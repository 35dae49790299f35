//! How well a server is, as one number: every sign of its health that the prober sees; and how fast it is, by which calls may be
//! routed.
//!
//! The number is a product, so each sign can only take from what the others leave: it never rises with a failure more, a slower
//! answer, a failed probe, a worse state or a lost credential.

use crate::breaker::State;
use crate::shared_data::{CREATE, SharedData};

/// What is seen of a server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signs {
    /// Its breaker's state.
    pub state: State,
    /// Successes of the breaker's window.
    pub ok: u32,
    /// Failures of the window.
    pub fail: u32,
    /// How many times as long as usual it takes to answer.
    pub slowness: f32,
    /// Whether the last probe failed.
    pub has_failed_probe: bool,
    /// Whether it may be sent anything: it is not switched off, and there is a token for it.
    pub is_usable: bool,
}

impl Signs {
    /// Its health, from 0 to 100: `100 * state * success * speed * probe`.
    ///
    /// * `state` is 1 for a closed breaker, 1/2 for a half-open one, 0 for an open one.
    /// * `success` is `(ok + 1) / (ok + fail + 1)`: a server without calls is taken for well.
    /// * `speed` is 1 up to twice the usual time, and `2 / slowness` beyond.
    /// * `probe` is 1/2 if the last probe failed, else 1.
    ///
    /// It is 0 where nothing may be sent.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn percent(&self) -> u64 {
        let state = match self.state {
            State::Closed => 100.0,
            State::HalfOpen => 50.0,
            State::Open => 0.0,
        };
        let ok = self.ok as f32 + 1.0;
        let speed = if self.slowness > 2.0 { 2.0 / self.slowness } else { 1.0 };
        let probe = if self.has_failed_probe { 0.5 } else { 1.0 };
        let usable = if self.is_usable { 1.0 } else { 0.0 };
        (state * (ok / (ok + self.fail as f32)) * speed * probe * usable) as u64
    }
}

/// How long a server takes to the first byte of its answers, in ms, as all workers have seen it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// Of late: over some 16 answers.
    recent: f32,
    /// Over some 1000.
    usual: f32,
    /// By which calls are routed: over some 64.
    steady: f32,
}

impl Latency {
    /// What calls are routed by; `None` while no answer was seen.
    #[must_use]
    pub fn steady(&self) -> Option<f32> {
        (self.steady < f32::INFINITY).then_some(self.steady)
    }

    /// The same in whole ms.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn steady_ms(&self) -> Option<u64> {
        self.steady().map(|ms| ms as u64)
    }

    /// How many times as long as usual it takes. A millisecond more or less is no matter.
    #[must_use]
    pub fn slowness(&self) -> f32 {
        (self.recent + 1.0) / (self.usual + 1.0)
    }

    /// What all workers have seen of the server of this id; nothing yet: as long as usual.
    pub fn read(store: &impl SharedData, id: &str) -> Self {
        let found = store.get(&key(id)).ok().flatten();
        found.and_then(|(bytes, _)| Self::decode(&bytes)).unwrap_or(Latency {
            recent: 0.0,
            usual: 0.0,
            steady: f32::INFINITY,
        })
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, []) = bytes.as_chunks::<4>() else { return None };
        let [recent, usual, steady] = <[[u8; 4]; 3]>::try_from(numbers).ok()?.map(f32::from_le_bytes);
        (recent >= 0.0 && usual >= 0.0 && steady >= 0.0).then_some(Latency { recent, usual, steady })
    }

    /// With so many answers more, which took `mean` on average.
    fn with(self, mean: f32, answers: i32) -> Self {
        let towards = |old: f32, keeps: f32| mean + (old - mean) * keeps.powi(answers);
        Latency {
            recent: towards(self.recent, 15.0 / 16.0),
            usual: towards(self.usual, 1023.0 / 1024.0),
            steady: towards(self.steady, 63.0 / 64.0),
        }
    }
}

/// Tells the others of answers that this worker has seen: how many there were, and how long they took together, in ms. If
/// another worker is in the way, they are not told: there will be more.
#[allow(clippy::cast_precision_loss)]
pub fn tell(store: &impl SharedData, id: &str, answers: u32, together_ms: u64) {
    let Ok(found) = store.get(&key(id)) else { return };
    let (bytes, token) = found.unwrap_or((Vec::new(), CREATE));
    let mean = together_ms as f32 / answers.max(1) as f32;
    let known = Latency::decode(&bytes).unwrap_or(Latency { recent: mean, usual: mean, steady: mean });
    let now = known.with(mean, i32::try_from(answers).unwrap_or(i32::MAX));
    let _ = store.set(&key(id), [now.recent, now.usual, now.steady].map(f32::to_le_bytes).as_flattened(), token);
}

/// Where it is kept; the number is the version of the layout. A module that knows another has a record of its own.
fn key(id: &str) -> String {
    ["hl2:", id].concat()
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use std::cell::RefCell;
    use std::collections::HashMap;

    use super::*;
    use crate::shared_data::{HostError, SetError};

    const WELL: Signs =
        Signs { state: State::Closed, ok: 0, fail: 0, slowness: 1.0, has_failed_probe: false, is_usable: true };

    #[test]
    fn a_server_without_a_bad_sign_is_as_well_as_can_be() {
        for ok in [0, 1, 100_000] {
            assert_eq!(Signs { ok, ..WELL }.percent(), 100);
        }
        assert_eq!(Signs { slowness: 0.1, ..WELL }.percent(), 100, "faster than usual is no better");
    }

    #[test]
    fn each_sign_has_its_weight() {
        for (signs, percent) in [
            (Signs { state: State::HalfOpen, ..WELL }, 50),
            (Signs { state: State::Open, ..WELL }, 0),
            (Signs { ok: 9, fail: 10, ..WELL }, 50),
            (Signs { slowness: 2.0, ..WELL }, 100),
            (Signs { slowness: 10.0, ..WELL }, 20),
            (Signs { has_failed_probe: true, ..WELL }, 50),
            (Signs { is_usable: false, ..WELL }, 0),
            (Signs { slowness: 4.0, has_failed_probe: true, ..WELL }, 25),
        ] {
            assert_eq!(signs.percent(), percent, "{signs:?}");
        }
    }

    /// Every step from a sign to a worse one, from wherever it is taken.
    #[test]
    fn no_worse_sign_makes_a_server_look_better() {
        let states = [State::Closed, State::HalfOpen, State::Open];
        let counts = [0, 1, 2, 5, 10, 50, 1000, u32::MAX];
        let slownesses = [0.0, 0.5, 1.0, 2.0, 2.1, 3.0, 10.0, 1e6, f32::INFINITY];
        let mut seen = Vec::new();
        for state in states {
            for (ok, fail) in counts.iter().flat_map(|ok| counts.map(|fail| (*ok, fail))) {
                for slowness in slownesses {
                    for (has_failed_probe, is_usable) in [(false, true), (true, true), (false, false), (true, false)] {
                        seen.push(Signs { state, ok, fail, slowness, has_failed_probe, is_usable });
                    }
                }
            }
        }
        for signs in seen {
            let percent = signs.percent();
            assert!(percent <= 100, "{signs:?}");
            let worse_state = match signs.state {
                State::Closed => State::HalfOpen,
                _ => State::Open,
            };
            for worse in [
                Signs { state: worse_state, ..signs },
                Signs { fail: signs.fail.saturating_add(1), ..signs },
                Signs { ok: signs.ok.saturating_sub(1), ..signs },
                Signs { slowness: signs.slowness * 1.5, ..signs },
                Signs { has_failed_probe: true, ..signs },
                Signs { is_usable: false, ..signs },
            ] {
                assert!(worse.percent() <= percent, "{worse:?} after {signs:?}");
            }
        }
    }

    #[derive(Default)]
    struct Store(RefCell<HashMap<String, Vec<u8>>>);

    impl SharedData for Store {
        fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
            Ok(self.0.borrow().get(key).map(|bytes| (bytes.clone(), 1)))
        }
        fn set(&self, key: &str, value: &[u8], _token: u32) -> Result<(), SetError> {
            self.0.borrow_mut().insert(key.to_owned(), value.to_vec());
            Ok(())
        }
    }

    #[test]
    fn a_server_that_takes_ten_times_as_long_is_noticed_within_fifty_answers_and_its_norm_stays() {
        let store = Store::default();
        assert!((Latency::read(&store, "a").slowness() - 1.0).abs() < 0.01, "nothing is known");
        (0..100).for_each(|_| tell(&store, "a", 10, 1000));
        assert!((Latency::read(&store, "a").slowness() - 1.0).abs() < 0.01);
        (0..50).for_each(|_| tell(&store, "a", 1, 1000));
        let slowness = Latency::read(&store, "a").slowness();
        assert!(slowness > 5.0, "{slowness}");
        (0..50).for_each(|_| tell(&store, "a", 1, 100));
        let slowness = Latency::read(&store, "a").slowness();
        assert!(slowness < 1.5, "{slowness}");
        assert!((Latency::read(&store, "b").slowness() - 1.0).abs() < 0.01, "another server");
    }

    #[test]
    fn what_calls_are_routed_by_is_known_with_the_first_answer_and_follows_slowly() {
        let store = Store::default();
        let after = |answers: i32, ms: u64| {
            (0..answers).for_each(|_| tell(&store, "a", 1, ms));
            Latency::read(&store, "a").steady()
        };
        assert_eq!(after(0, 0), None);
        assert_eq!(after(1, 100), Some(100.0));
        let one = after(1, 1000).unwrap();
        assert!(one < 115.0, "a single answer is no matter: {one}");
        let many = after(200, 1000).unwrap();
        assert!((950.0..=1000.0).contains(&many), "{many}");
    }

    /// A module of another layout, which this one may run beside during an update, and the other way round.
    #[test]
    fn a_record_of_another_layout_is_left_alone() {
        let store = Store::default();
        let old = [100.0_f32, 90.0].map(f32::to_le_bytes).as_flattened().to_vec();
        store.0.borrow_mut().insert("hl1:a".to_owned(), old.clone());
        tell(&store, "a", 1, 5);
        assert_eq!(store.0.borrow()["hl1:a"], old);
        assert_eq!(Latency::read(&store, "a").steady(), Some(5.0));
    }

    #[test]
    fn what_is_no_latency_is_read_as_none() {
        let store = Store::default();
        for bytes in [vec![], vec![0; 7], vec![0; 8], vec![0xFF; 12], vec![0; 13]] {
            store.0.borrow_mut().insert(key("a"), bytes);
            assert!((Latency::read(&store, "a").slowness() - 1.0).abs() < 0.01);
            tell(&store, "a", 1, 5);
        }
    }
}
