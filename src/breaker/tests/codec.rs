#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use proptest::prelude::*;

use super::super::codec::{Corruption, Decoded, decode, encode, key};
use super::super::*;

fn record() -> Record {
    let mut record = Record::new(7, &Policy::default(), 123_456);
    record.window.add(Counts { ok: 5, fail: 2, slow: 1 }, 123_456);
    record
}

#[test]
fn a_record_with_ten_buckets_has_108_bytes() {
    assert_eq!(encode(&record()).len(), 108);
}

#[test]
fn nothing_and_an_emptied_key_are_absent_and_not_corrupt() {
    assert_eq!(decode(&[]), Decoded::Absent);
}

#[test]
fn what_a_newer_minor_added_survives_a_rewrite() {
    let mut newer = record();
    newer.schema = 2;
    newer.newer_header = vec![1, 2, 3];
    newer.newer_tail = vec![0xAA, 0xBB];
    assert_eq!(decode(&encode(&newer)), Decoded::Newer(newer));
}

#[test]
fn this_version_does_not_accept_bytes_that_it_never_writes() {
    let mut grown = record();
    grown.newer_tail = vec![1];
    assert_eq!(decode(&encode(&grown)), Decoded::Corrupt(Corruption::Length));
    grown.schema = 0;
    assert_eq!(decode(&encode(&grown)), Decoded::Corrupt(Corruption::Length));
}

#[test]
fn a_record_without_buckets_is_corrupt() {
    let mut empty = record();
    empty.window.buckets.clear();
    assert_eq!(decode(&encode(&empty)), Decoded::Corrupt(Corruption::Geometry));
}

#[test]
fn what_is_wrong_with_a_value_has_a_name_for_the_log() {
    let names = [
        (Corruption::Short, "short"),
        (Corruption::Magic, "magic"),
        (Corruption::Checksum, "checksum"),
        (Corruption::Length, "length"),
        (Corruption::State, "state"),
        (Corruption::Geometry, "geometry"),
    ];
    for (why, name) in names {
        assert_eq!(why.as_str(), name);
    }
}

#[test]
fn servers_and_window_geometries_have_keys_of_their_own() {
    let keys = [key("a", 10, 1_000), key("b", 10, 1_000), key("a", 20, 1_000), key("a", 10, 500)];
    assert!(keys.iter().all(|key| key.len() == 20 && key.starts_with("cb1:")));
    assert!(keys.iter().enumerate().all(|(i, key)| !keys[..i].contains(key)));
}

#[test]
fn a_ticket_survives_its_way_through_a_plan() {
    for lease in [None, Some(Lease(1)), Some(Lease(u32::MAX))] {
        for last_resort in [false, lease.is_none()] {
            let ticket = Ticket { epoch: 0xDEAD_BEEF, lease, last_resort };
            assert_eq!(Ticket::from_bits(ticket.to_bits()), Some(ticket));
        }
    }
    assert_eq!(Ticket::from_bits(4), None, "an ended lease is nobody's");
}

prop_compose! {
    fn any_record()(
        schema in 1u8..=3, state in 0usize..3, reason in 0u8..16, numbers: (u32, u64, u64, u32, u8, u8, u8, u16, u32, u32),
        bucket_ms in 1u16.., buckets in prop::collection::vec(any::<(u16, u16, u16)>(), 1..=255),
        header in prop::collection::vec(any::<u8>(), 0..=211), tail in prop::collection::vec(any::<u8>(), 0..40),
    ) -> Record {
        let (epoch, since_ms, deadline_ms, lease, attempt, streak, lost, run, policy, head) = numbers;
        let buckets = buckets.into_iter().map(|(ok, fail, slow)| Bucket { ok, fail, slow }).collect();
        let keep = schema > Record::SCHEMA;
        Record {
            schema, state: [State::Closed, State::Open, State::HalfOpen][state], reason: Reason::from_number(reason),
            epoch, since_ms, deadline_ms, lease: Lease(lease), attempt, streak, lost, run, policy,
            window: Window { bucket_ms, head, buckets },
            newer_header: if keep { header } else { Vec::new() }, newer_tail: if keep { tail } else { Vec::new() },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decoding_gives_back_what_was_encoded(record in any_record()) {
        let newer = record.schema > Record::SCHEMA;
        let expected = if newer { Decoded::Newer(record.clone()) } else { Decoded::Ok(record.clone()) };
        prop_assert_eq!(decode(&encode(&record)), expected);
    }

    #[test]
    fn any_bytes_decode_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Decoded::Ok(record) | Decoded::Newer(record) = decode(&bytes) {
            prop_assert_eq!(encode(&record), bytes);
        }
    }

    #[test]
    fn a_change_of_any_one_byte_is_noticed(record in any_record(), at: prop::sample::Index, by in 1u8..) {
        let mut bytes = encode(&record);
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(matches!(decode(&bytes), Decoded::Corrupt(_)));
    }

    #[test]
    fn a_record_cut_anywhere_is_not_a_record(record in any_record(), at: prop::sample::Index) {
        let bytes = encode(&record);
        prop_assert!(matches!(decode(&bytes[..at.index(bytes.len())]), Decoded::Corrupt(_) | Decoded::Absent));
    }
}
