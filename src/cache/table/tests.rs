use std::collections::HashMap;

use proptest::prelude::*;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::cache::Scope;
use crate::shared_data::memory::Store;

fn bytes_of(store: &Store) -> usize {
    store.0.borrow().values().map(|(value, _)| value.len()).sum()
}

const SECRET: Secret = Secret([9; 16]);

fn table(memory: u32, slots: u32) -> Table {
    Table::new(SECRET, memory, slots)
}

fn at(now_ms: u64) -> When {
    When { now_ms, purged_ms: 0 }
}

fn kept(text: &str, asked_ms: u64) -> Kept {
    let message = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":["{text}"]}}}}"#);
    Kept::of(&message, Scope::Shared, asked_ms).expect("it may be kept").counts(60_000, 60_000)
}

/// A key of the first set.
fn key(n: u128) -> Key {
    Key(n << 8)
}

#[test]
fn what_is_kept_is_found_until_it_counts_no_longer() {
    let (store, table) = (Store::default(), table(1 << 20, 4096));
    let one = kept("one", 1_000);
    assert_eq!(table.find(&store, key(1), at(1_000)), None);
    assert_eq!(table.store(&store, key(1), &one, at(1_500)), Stored::Kept);
    assert_eq!(table.find(&store, key(1), at(1_500)), Some(one.clone()));
    assert_eq!(table.find(&store, key(1), at(120_999)), Some(one.clone()));
    assert_eq!(table.find(&store, key(1), at(121_000)), None);
    assert_eq!(table.find(&store, key(2), at(1_500)), None);
    assert_eq!(table.store(&store, key(1), &kept("older", 999), at(2_000)), Stored::Older);
    assert_eq!(table.store(&store, key(1), &kept("newer", 1_001), at(2_000)), Stored::Kept);
    assert_eq!(table.find(&store, key(1), at(2_000)), Some(kept("newer", 1_001)));
}

#[test]
fn what_was_asked_for_before_a_purge_does_not_count_whenever_it_was_stored() {
    let (store, table) = (Store::default(), table(1 << 20, 4096));
    table.store(&store, key(1), &kept("one", 1_000), at(1_000));
    note_purge(&store, 2_000);
    assert_eq!((purged_ms(&store), bytes_of(&store)), (2_000, 8), "and its memory is given back");
    let when = When { now_ms: 2_100, purged_ms: 2_000 };
    assert_eq!(
        table.store(&store, key(1), &kept("late", 1_999), at(2_050)),
        Stored::Kept,
        "by a worker that does not know"
    );
    assert_eq!(table.find(&store, key(1), when), None);
    assert_eq!(table.store(&store, key(1), &kept("new", 2_001), when), Stored::Kept);
    assert_eq!(table.find(&store, key(1), when), Some(kept("new", 2_001)));
}

#[test]
fn a_time_that_the_clock_has_not_reached_is_a_miss() {
    let (store, table) = (Store::default(), table(1 << 20, 4096));
    table.store(&store, key(1), &kept("one", 5_000), at(5_000));
    assert_eq!(table.find(&store, key(1), at(3_999)), None);
    assert!(table.find(&store, key(1), at(4_500)).is_some(), "but for what the clocks of two threads may differ");
}

#[test]
fn in_a_full_set_what_was_used_longest_ago_gives_way() {
    let (store, table) = (Store::default(), table(1 << 20, 3 * SETS));
    for n in 1..=3 {
        table.store(&store, key(n), &kept("x", 1_000), at(1_000 + u64::try_from(n).unwrap()));
    }
    assert!(table.find(&store, key(1), at(20_000)).is_some());
    table.store(&store, key(4), &kept("x", 20_000), at(20_000));
    let left = [1, 2, 3, 4].map(|n| table.find(&store, key(n), at(20_001)).is_some());
    assert_eq!(left, [true, false, true, true]);
    table.store(&store, key(5), &kept("x", 200_000), at(200_000));
    assert_eq!(entries(&store.0.borrow()["x1:0"].0).count(), 1, "what counts no longer goes first");
}

#[test]
fn the_table_stays_within_its_bounds_whatever_is_kept() {
    const MEMORY: u32 = 256 * 2048;
    let (store, table) = (Store::default(), table(MEMORY, 4 * SETS));
    for n in 0..20_000_u128 {
        let hash = n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let text = "y".repeat(usize::try_from(hash % 3000).unwrap());
        let stored = table.store(&store, Key(hash), &kept(&text, 1_000), at(1_000));
        let fits = kept(&text, 0).text.len() <= longest(MEMORY);
        assert_eq!(stored, if fits { Stored::Kept } else { Stored::TooLarge });
    }
    let all = store.0.borrow();
    assert!(all.len() <= usize::try_from(SETS).unwrap());
    assert!(all.values().all(|(value, _)| value.len() <= 2048 && entries(value).count() <= 4));
}

#[test]
fn a_damaged_set_is_a_miss_wherever_it_is_damaged() {
    let (store, table) = (Store::default(), table(1 << 20, 4096));
    let texts = ["one", "two"].map(|text| kept(text, 1_000));
    table.store(&store, key(1), &texts[0], at(1_000));
    table.store(&store, key(2), &texts[1], at(1_000));
    let whole = store.0.borrow()["x1:0"].0.clone();
    let put = |bytes: Vec<u8>| store.0.borrow_mut().insert("x1:0".to_owned(), (bytes, 9));
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        put(flipped);
        for (n, text) in (1..).zip(&texts) {
            let found = table.find(&store, key(n), at(2_000));
            assert!(found.is_none() || found.as_ref() == Some(text), "bit {bit}: {found:?}");
        }
    }
    for cut in 0..whole.len() {
        put(whole[..cut].to_vec());
        assert_eq!(table.find(&store, key(2), at(2_000)), None, "{cut}");
    }
    let mut foreign = whole.clone();
    foreign[0] = VERSION + 1;
    put(foreign);
    assert_eq!(table.find(&store, key(1), at(2_000)), None, "another version");
    put(whole.clone());
    let other = Table::new(Secret([8; 16]), 1 << 20, 4096);
    assert_eq!(other.find(&store, key(1), at(2_000)), None, "another process");
    // The text of one under the key of the other.
    let mut mixed = whole;
    let second = 1 + HEAD + texts[0].text.len();
    let (first, rest) = mixed.split_at_mut(second);
    first[1..17].swap_with_slice(&mut rest[..16]);
    put(mixed);
    assert_eq!([1, 2].map(|n| table.find(&store, key(n), at(2_000))), [None, None]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm_and_never_found(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (store, table) = (Store::default(), table(1 << 20, 4096));
        store.0.borrow_mut().insert("x1:0".to_owned(), ([vec![VERSION], bytes].concat(), 3));
        for n in 0..4 {
            prop_assert_eq!(table.find(&store, key(n), at(1_000)), None);
        }
        prop_assert_eq!(table.store(&store, key(1), &kept("x", 1_000), at(1_000)), Stored::Kept);
        prop_assert!(table.find(&store, key(1), at(1_000)).is_some());
    }

    /// No answer crosses from one question to another, whatever is kept in which order.
    #[test]
    fn what_is_found_is_what_was_kept_last_under_that_key(
        stored in proptest::collection::vec((0_u128..6, "[a-d]{0,40}"), 1..60)
    ) {
        let (store, table) = (Store::default(), table(256 * 1024, 3 * SETS));
        let mut last = HashMap::new();
        for (n, (of, text)) in (1_000..).zip(&stored) {
            prop_assert_eq!(table.store(&store, key(*of), &kept(text, n), at(n)), Stored::Kept);
            last.insert(*of, kept(text, n));
            for other in 0..6 {
                let found = table.find(&store, key(other), at(n));
                prop_assert!(found.is_none() || found.as_ref() == last.get(&other), "{found:?}");
            }
            let found = table.find(&store, key(*of), at(n));
            prop_assert_eq!(found.as_ref(), last.get(of));
        }
    }
}
