#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::cell::{Cell, RefCell};

use crate::probe::Candidate;
use crate::shared_data::{HostError, SetError, SharedData};

/// One key, as the host keeps it.
#[derive(Default)]
struct Store {
    value: RefCell<Option<(Vec<u8>, u32)>>,
    fails: Cell<bool>,
    /// Asks between a read and the write that follows it, at this time.
    rival: Cell<Option<(Candidate, u64)>>,
    /// What it was told.
    rival_on_duty: Cell<bool>,
}

impl SharedData for Store {
    fn get(&self, _key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
        if self.fails.get() { Err(HostError) } else { Ok(self.value.borrow().clone()) }
    }

    fn set(&self, _key: &str, value: &[u8], token: u32) -> Result<(), SetError> {
        if let Some((rival, now)) = self.rival.take() {
            self.rival_on_duty.set(rival.is_on_duty(self, now));
        }
        let stored = self.value.borrow().as_ref().map(|(_, token)| *token);
        if stored.is_some_and(|stored| stored != token) {
            return Err(SetError::CasMismatch);
        }
        *self.value.borrow_mut() = Some((value.to_vec(), stored.unwrap_or(0) + 1));
        Ok(())
    }
}

#[test]
fn of_several_one_is_on_duty_and_stays_so() {
    let store = Store::default();
    let candidates: Vec<_> = (0..4).map(|id| Candidate::new(id, 0)).collect();
    for now in (0..60_000).step_by(1_000) {
        let on_duty: Vec<_> = candidates.iter().map(|candidate| candidate.is_on_duty(&store, now)).collect();
        assert_eq!(on_duty, [true, false, false, false], "at {now}");
    }
}

#[test]
fn two_that_ask_at_once_are_not_both_on_duty() {
    for taken in [false, true] {
        let store = Store::default();
        if taken {
            assert!(Candidate::new(9, 0).is_on_duty(&store, 0));
        }
        let now = if taken { 10_000 } else { 0 };
        store.rival.set(Some((Candidate::new(2, 0), now)));
        let first = Candidate::new(1, 0).is_on_duty(&store, now);
        assert_eq!((first, store.rival_on_duty.get()), (false, true), "the one whose write came first");
    }
}

#[test]
fn one_that_is_gone_is_replaced_when_its_lease_is_over() {
    let store = Store::default();
    let (gone, next) = (Candidate::new(1, 0), Candidate::new(2, 0));
    assert!(gone.is_on_duty(&store, 0));
    let replaced = (0..).step_by(1_000).find(|now| next.is_on_duty(&store, *now));
    assert_eq!(replaced, Some(5_000));
    assert!(!gone.is_on_duty(&store, 5_500), "it was thought gone, and is not on duty any more");
}

#[test]
fn a_newer_configuration_takes_over_at_once_and_for_good() {
    let store = Store::default();
    let (old, new, sibling) = (Candidate::new(1, 0), Candidate::new(2, 60_000), Candidate::new(3, 60_400));
    assert!(old.is_on_duty(&store, 60_000));
    assert!(new.is_on_duty(&store, 60_100));
    for now in [60_200, 61_000, 62_000] {
        assert!(!old.is_on_duty(&store, now));
        assert!(!sibling.is_on_duty(&store, now), "of the same update");
        assert!(new.is_on_duty(&store, now));
    }
}

#[test]
fn a_clock_that_jumps_costs_at_most_one_lease() {
    let store = Store::default();
    let (holder, other) = (Candidate::new(1, 0), Candidate::new(2, 0));
    assert!(holder.is_on_duty(&store, 1_000_000));
    assert!(other.is_on_duty(&store, 1_000), "a lease from the future binds nobody");
    assert!(!holder.is_on_duty(&store, 2_000));
    assert!(holder.is_on_duty(&store, u64::MAX));
    assert!(holder.is_on_duty(&store, 0));
}

#[test]
fn without_readable_data_nobody_is_on_duty_and_garbage_is_replaced() {
    let store = Store::default();
    store.fails.set(true);
    assert!(!Candidate::new(1, 0).is_on_duty(&store, 0));
    store.fails.set(false);
    for garbage in [&b""[..], b"x", &[0xFF; 23], &[0xFF; 25]] {
        *store.value.borrow_mut() = Some((garbage.to_vec(), 1));
        assert!(Candidate::new(1, 0).is_on_duty(&store, 0), "{garbage:?}");
    }
}
