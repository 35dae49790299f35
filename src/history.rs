//! What has happened of late, kept in the shared data for who looks: the last changes of breakers, and the last probe of each
//! server. What happens on a call is not in here.

use crate::breaker::Transition;
use crate::failure::Class;
use crate::json::{Object, array};
use crate::shared_data::{CREATE, SetError, SharedData};

/// The key of the changes; the number is the version of their layout. Each is a line of words with blanks between them: the
/// calendar second, the server, from, to, why, and the class of what decided it or `-`. Names of servers have no blanks.
const CHANGES: &str = "ev1";

/// How many changes are kept: of 100 servers that all go out at once the last third.
const MOST: usize = 32;

/// How often it is tried to write while others do. Then a change is missing from the list; it is in the log and in the metrics.
const TRIES: usize = 8;

/// Notes a change of a server's breaker. `class`: what the attempt or the probe came to that decided it, if one did.
pub fn note(store: &impl SharedData, now_s: u64, server: &str, change: &Transition, class: Option<Class>) {
    let mut line = now_s.to_string();
    let words =
        [server, change.from.as_str(), change.to.as_str(), change.reason.as_str(), class.map_or("-", Class::as_str)];
    for word in words {
        line.push(' ');
        line.push_str(word);
    }
    line.push('\n');
    for _ in 0..TRIES {
        let Ok(found) = store.get(CHANGES) else { return };
        let (mut kept, token) = found.unwrap_or((Vec::new(), CREATE));
        while kept.iter().filter(|byte| **byte == b'\n').count() >= MOST {
            let first = kept.iter().position(|byte| *byte == b'\n').unwrap_or_default();
            kept.drain(..=first);
        }
        kept.extend_from_slice(line.as_bytes());
        if store.set(CHANGES, &kept, token) != Err(SetError::CasMismatch) {
            return;
        }
    }
}

/// The changes that are kept, the oldest first.
#[derive(Debug, Default)]
pub struct Changes(String);

/// One of them, as words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed<'c> {
    /// When, in seconds since 1970.
    pub time_s: u64,
    /// Whose breaker.
    pub server: &'c str,
    /// The state before.
    pub from: &'c str,
    /// The state after.
    pub to: &'c str,
    /// Why.
    pub reason: &'c str,
    /// The class of what decided it.
    pub class: Option<&'c str>,
}

impl Changes {
    /// What there is.
    pub fn read(store: &impl SharedData) -> Self {
        let found = store.get(CHANGES).ok().flatten();
        Changes(found.and_then(|(bytes, _)| String::from_utf8(bytes).ok()).unwrap_or_default())
    }

    /// All of them, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Changed<'_>> {
        self.0.split('\n').filter_map(Changed::parse)
    }

    /// As JSON, the newest first.
    pub fn json(&self) -> String {
        let all: Vec<_> = self.iter().rev().map(|change| change.json()).collect();
        array(all.iter().map(String::as_str))
    }
}

impl<'c> Changed<'c> {
    fn parse(line: &'c str) -> Option<Self> {
        let mut words = line.split(' ');
        let mut word = || words.next();
        let (time_s, server, from, to) = (word()?.parse().ok()?, word()?, word()?, word()?);
        Some(Changed { time_s, server, from, to, reason: word()?, class: word().filter(|class| *class != "-") })
    }

    /// As JSON.
    pub fn json(&self) -> String {
        let of = Object::default().number("time_s", self.time_s).text("server", self.server);
        let of = of.text("from", self.from).text("to", self.to);
        of.text("reason", self.reason).text("class", self.class).done()
    }
}

/// What came of a server's last probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastProbe {
    /// When, in seconds since 1970.
    pub time_s: u64,
    /// Whether the breaker was told of a failure.
    pub has_failed: bool,
    /// Its class.
    pub class: Class,
}

impl LastProbe {
    fn key(server: &str) -> String {
        ["lp1:", server].concat()
    }

    /// Leaves it for who looks. Nothing else writes there, so nobody is asked.
    pub fn leave(self, store: &impl SharedData, server: &str) {
        let key = Self::key(server);
        let mut bytes = self.time_s.to_le_bytes().to_vec();
        bytes.push(self.has_failed.into());
        bytes.extend_from_slice(self.class.as_str().as_bytes());
        let token = store.get(&key).ok().flatten().map_or(CREATE, |(_, token)| token);
        let _ = store.set(&key, &bytes, token);
    }

    /// That of the server of this id, if there was one.
    pub fn read(store: &impl SharedData, server: &str) -> Option<Self> {
        let (bytes, _) = store.get(&Self::key(server)).ok()??;
        let (time, rest) = bytes.split_first_chunk::<8>()?;
        let (has_failed, class) = rest.split_first()?;
        let class = Class::parse(std::str::from_utf8(class).ok()?)?;
        Some(LastProbe { time_s: u64::from_le_bytes(*time), has_failed: *has_failed != 0, class })
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use std::cell::RefCell;

    use hashbrown::HashMap;

    use super::*;
    use crate::breaker::{Counts, Reason, State};
    use crate::shared_data::HostError;

    /// A store in which so many writes of somebody else come first.
    #[derive(Default)]
    struct Store(RefCell<HashMap<String, (Vec<u8>, u32)>>, RefCell<u32>);

    impl SharedData for Store {
        fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
            Ok(self.0.borrow().get(key).cloned())
        }
        fn set(&self, key: &str, value: &[u8], token: u32) -> Result<(), SetError> {
            if *self.1.borrow() > 0 {
                *self.1.borrow_mut() -= 1;
                return Err(SetError::CasMismatch);
            }
            let known = self.0.borrow().get(key).map_or(CREATE, |(_, token)| *token);
            assert_eq!(token, known);
            self.0.borrow_mut().insert(key.to_owned(), (value.to_vec(), known.wrapping_add(2)));
            Ok(())
        }
    }

    const OPENED: Transition = Transition {
        from: State::Closed,
        to: State::Open,
        reason: Reason::Consecutive,
        epoch: 2,
        attempt: 1,
        period_ms: 5000,
        run: 5,
        counts: Counts { ok: 0, fail: 0, slow: 0 },
    };

    #[test]
    fn a_change_is_told_with_what_decided_it() {
        let store = Store::default();
        note(&store, 1_795_000_000, "primary", &OPENED, Some(Class::Lost));
        note(
            &store,
            1_795_000_007,
            "primary",
            &Transition { to: State::HalfOpen, from: State::Open, reason: Reason::Due, ..OPENED },
            None,
        );
        let json = "[{\"time_s\":1795000007,\"server\":\"primary\",\"from\":\"open\",\"to\":\"half_open\",\"reason\":\"due\"},\
                    {\"time_s\":1795000000,\"server\":\"primary\",\"from\":\"closed\",\"to\":\"open\",\"reason\":\"consecutive\",\"class\":\"lost\"}]";
        assert_eq!(Changes::read(&store).json(), json);
    }

    #[test]
    fn only_the_last_changes_are_kept_whoever_else_writes() {
        let store = Store::default();
        for second in 0..100 {
            *store.1.borrow_mut() = 3;
            note(&store, second, "a", &OPENED, None);
        }
        let changes = Changes::read(&store);
        let seconds: Vec<_> = changes.iter().map(|change| change.time_s).collect();
        assert_eq!(seconds, (68..100).collect::<Vec<_>>());
        *store.1.borrow_mut() = 1000;
        note(&store, 100, "a", &OPENED, None);
        assert_eq!(Changes::read(&store).iter().count(), MOST, "it is not tried for ever");
    }

    #[test]
    fn what_is_no_change_is_passed_over() {
        let store = Store::default();
        store.0.borrow_mut().insert(CHANGES.to_owned(), (b"x\n1 a\n\n1 a closed open due -\n".to_vec(), 1));
        assert_eq!(Changes::read(&store).iter().count(), 1);
        store.0.borrow_mut().insert(CHANGES.to_owned(), (b"\xff".to_vec(), 1));
        assert_eq!(Changes::read(&store).json(), "[]");
    }

    #[test]
    fn the_last_probe_comes_back_and_anything_else_is_none() {
        let store = Store::default();
        assert_eq!(LastProbe::read(&store, "a"), None);
        for probe in [
            LastProbe { time_s: 7, has_failed: true, class: Class::Lost },
            LastProbe { time_s: 8, has_failed: false, class: Class::Success },
        ] {
            probe.leave(&store, "a");
            assert_eq!(LastProbe::read(&store, "a"), Some(probe));
        }
        assert_eq!(LastProbe::read(&store, "b"), None);
        for bytes in [vec![], vec![0; 8], vec![0; 9], b"12345678\x01nothing".to_vec()] {
            store.0.borrow_mut().insert("lp1:a".to_owned(), (bytes, 1));
            assert_eq!(LastProbe::read(&store, "a"), None);
        }
    }
}
