//! What the slots of a credential promise.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::date::DAY_S;
use super::slots::{CORROBORATING, FIRST_REST_MS, LAST_REST_MS, LONGEST_REST_MS, VOUCHED_MS};
use super::*;

const KEY: FingerprintKey = FingerprintKey([7; 16]);
const NOW: Now = Now { wall_s: 1_800_000_000, ms: 50_000 };
const POLICY: AgePolicy = AgePolicy { max_age_s: 90 * DAY_S, alert_s: 7 * DAY_S, critical_s: DAY_S };

fn jwt(payload: &str) -> String {
    format!("eyJhbGciOiJSUzI1NiJ9.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
}

fn lifetime(token: &str, declared: Declared) -> Lifetime {
    Lifetime::of(&Handed::read(token.as_bytes()).unwrap(), declared)
}

fn put(pair: &mut SlotPair, slot: Slot, token: &str) {
    pair.observe(slot, Some(token.as_bytes()), |_| Declared::default(), KEY);
}

fn order(pair: &SlotPair, now: Now) -> String {
    pair.usable(now).map(Slot::as_str).collect()
}

fn severity(pair: &SlotPair) -> Option<Severity> {
    Report::of(pair).severity(NOW.wall_s, &POLICY, |_| false)
}

fn later(ms: u64) -> Now {
    Now { ms: NOW.ms + ms, ..NOW }
}

fn refuse(pair: &mut SlotPair, slot: Slot, now: Now) {
    let fingerprint = pair.fingerprint(slot).unwrap();
    pair.refused(slot, fingerprint, now);
}

fn accept(pair: &mut SlotPair, slot: Slot, now: Now) {
    let fingerprint = pair.fingerprint(slot).unwrap();
    pair.worked(slot, fingerprint, now.ms);
}

#[test]
fn dates_beside_the_token_beat_the_registry_s_and_those_beat_the_token_s() {
    let token = jwt(r#"{"exp": 2000, "iat": 1000, "nbf": 1100}"#);
    let declared = Declared { issued_s: Some(1500), expires_s: Some(9000) };
    let own = Lifetime { issued_s: Some(1000), not_before_s: Some(1100), expires_s: Some(2000) };
    assert_eq!(lifetime(&token, Declared::default()), own);
    let told = Lifetime { issued_s: Some(1500), not_before_s: Some(1500), expires_s: Some(9000) };
    assert_eq!(lifetime(&token, declared), told);
    let beside = lifetime(&json!({"token": token, "issued": 1600, "expires": 9500}).to_string(), declared);
    assert_eq!(beside, Lifetime { issued_s: Some(1600), not_before_s: Some(1100), expires_s: Some(9500) });
    let half = lifetime(&json!({"token": "opaque", "expires": 9500}).to_string(), declared);
    assert_eq!(half, Lifetime { issued_s: Some(1500), not_before_s: Some(1500), expires_s: Some(9500) });
}

#[test]
fn a_token_that_is_older_than_the_policy_allows_is_critical_and_is_sent() {
    let mut pair = SlotPair::default();
    put(&mut pair, Slot::A, &jwt(&format!(r#"{{"iat": {}}}"#, NOW.wall_s - 91 * DAY_S)));
    assert_eq!(order(&pair, NOW), "a");
    assert_eq!(severity(&pair), Some(Severity::Critical));
    assert!(Report::of(&pair).violates_age(NOW.wall_s, &POLICY));
    put(&mut pair, Slot::A, &jwt(&format!(r#"{{"iat": {}}}"#, NOW.wall_s - 84 * DAY_S)));
    assert_eq!(severity(&pair), Some(Severity::Alert), "before it is too old");
    assert_eq!(pair.lifetime(Slot::A).unwrap().days_left(NOW.wall_s, &POLICY), Some(6));
}

#[test]
fn a_new_token_never_inherits_the_dates_of_the_one_before() {
    let mut pair = SlotPair::default();
    let declared = Declared { issued_s: Some(4), expires_s: Some(NOW.wall_s) };
    let first = KEY.of(&Secret::new(b"one").unwrap());
    let of_first = |token| if token == first { declared } else { Declared::default() };
    pair.observe(Slot::A, Some(b"one"), of_first, KEY);
    assert_eq!(pair.availability(Slot::A, NOW), Availability::Expired);
    pair.observe(Slot::A, Some(b"two"), of_first, KEY);
    assert_eq!((order(&pair, NOW).as_str(), pair.lifetime(Slot::A)), ("a", Some(Lifetime::default())));
    let dated = |token: &str, left: u64| json!({"token": token, "expires": NOW.wall_s + left}).to_string();
    put(&mut pair, Slot::A, &dated("two", 5));
    assert_eq!(pair.lifetime(Slot::A).unwrap().expires_s, Some(NOW.wall_s + 5), "dates alone may be new, too");
    assert_eq!(pair.secret(Slot::A), Secret::new(b"two"));
    put(&mut pair, Slot::A, &dated("three", 500));
    assert_eq!(pair.lifetime(Slot::A).unwrap().expires_s, Some(NOW.wall_s + 500));
}

#[test]
fn new_dates_of_the_same_token_do_not_forget_that_it_was_refused() {
    let mut pair = SlotPair::default();
    put(&mut pair, Slot::A, "one");
    (0..CORROBORATING).for_each(|_| refuse(&mut pair, Slot::A, NOW));
    put(&mut pair, Slot::A, &json!({"token": "one", "issued": 5}).to_string());
    assert_eq!(order(&pair, NOW), "");
}

#[test]
fn what_no_header_can_carry_counts_as_an_empty_slot() {
    for text in ["tok-1\ntok-2", "tok\0", "tok\r\nx: y", "{\"token\": \"tok\\n\"", "{}", r#"{"token": "a\nb"}"#] {
        let mut pair = SlotPair::default();
        put(&mut pair, Slot::A, text);
        assert_eq!((order(&pair, NOW).as_str(), pair.is_filled()), ("", false), "{text:?}");
        assert!(matches!(pair.availability(Slot::A, NOW), Availability::Defective(_)));
        assert_eq!(pair.select(NOW, false), None);
        assert_eq!(severity(&pair), Some(Severity::Critical), "{text:?}");
        put(&mut pair, Slot::B, "good");
        assert_eq!(order(&pair, NOW), "b");
        let selected = pair.select(NOW, false).unwrap();
        assert_eq!((selected.slot, selected.has_other), (Slot::B, false));
    }
}

#[test]
fn a_token_that_a_server_condemned_is_none_to_send() {
    let mut pair = SlotPair::default();
    let far = jwt(&format!(r#"{{"iat": {}, "exp": {}}}"#, NOW.wall_s, NOW.wall_s + 60 * DAY_S));
    put(&mut pair, Slot::A, &far);
    let report = Report::of(&pair);
    assert_eq!(report.severity(NOW.wall_s, &POLICY, |_| false), Some(Severity::None));
    assert_eq!(report.severity(NOW.wall_s, &POLICY, |_| true), Some(Severity::Critical));
    put(&mut pair, Slot::B, &jwt(&format!(r#"{{"exp": {}}}"#, NOW.wall_s + 5)));
    let far = pair.fingerprint(Slot::A).unwrap();
    let severity = Report::of(&pair).severity(NOW.wall_s, &POLICY, |token| token == far);
    assert_eq!(severity, Some(Severity::Critical), "the one that is left ends today");
}

#[test]
fn a_token_that_tells_nothing_is_unknown_and_not_fresh() {
    let unreadable = [
        "opaque",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        &jwt("[]"),
        &jwt("{\"exp\": \"soon\"}"),
        &jwt("{\"exp\": -5}"),
        &jwt("{\"exp\": 1e300}"),
        &jwt("not json"),
        &format!("{}=", jwt("{\"exp\": 1}").replace(".c2ln", "=.c2ln")),
        &"x".repeat(100_000),
    ];
    for token in unreadable {
        let known = lifetime(token, Declared::default());
        assert_eq!(known, Lifetime::default(), "{token:.60}");
        assert_eq!(known.days_left(NOW.wall_s, &POLICY), None);
        assert_eq!(known.severity(NOW.wall_s, &POLICY), None);
        assert_eq!(known.violates_age(NOW.wall_s, &POLICY), None);
        assert_eq!(known.validity(NOW.wall_s), Validity::Valid);
    }
}

#[test]
fn the_operator_is_warned_seven_days_and_one_day_before_the_end() {
    let ends_in = |left: u64| Lifetime { expires_s: Some(NOW.wall_s + left), ..Lifetime::default() };
    for (left, days, severity) in [
        (8 * DAY_S, 8, Severity::None),
        (7 * DAY_S + 1, 7, Severity::None),
        (7 * DAY_S, 7, Severity::Alert),
        (DAY_S + 1, 1, Severity::Alert),
        (DAY_S, 1, Severity::Critical),
        (1, 0, Severity::Critical),
        (0, 0, Severity::Critical),
    ] {
        assert_eq!(ends_in(left).days_left(NOW.wall_s, &POLICY), Some(days), "{left}");
        assert_eq!(ends_in(left).severity(NOW.wall_s, &POLICY), Some(severity), "{left}");
    }
    let over = Lifetime { expires_s: Some(NOW.wall_s - 5), ..Lifetime::default() };
    assert_eq!((over.validity(NOW.wall_s), over.days_left(NOW.wall_s, &POLICY)), (Validity::Expired, Some(0)));
}

#[test]
fn a_token_that_lives_longer_than_the_maximum_age_violates_the_policy() {
    let issued = |ago: u64, lives: Option<u64>| Lifetime {
        issued_s: Some(NOW.wall_s - ago),
        expires_s: lives.map(|lives| NOW.wall_s - ago + lives),
        ..Lifetime::default()
    };
    let violates = |life: Lifetime| life.violates_age(NOW.wall_s, &POLICY);
    assert_eq!(violates(issued(0, Some(90 * DAY_S))), Some(false));
    assert_eq!(violates(issued(0, Some(91 * DAY_S))), Some(true));
    assert_eq!(violates(issued(91 * DAY_S, None)), Some(true));
    assert_eq!(violates(issued(10, None)), Some(false));
    let ends = |left: u64| Lifetime { expires_s: Some(NOW.wall_s + left), ..Lifetime::default() };
    assert_eq!(violates(ends(91 * DAY_S)), Some(true));
    assert_eq!(violates(ends(15 * DAY_S)), None);
}

#[test]
fn an_expired_token_or_one_of_the_future_is_never_offered() {
    let mut pair = SlotPair::default();
    put(&mut pair, Slot::A, &jwt(&format!("{{\"exp\": {}}}", NOW.wall_s)));
    put(&mut pair, Slot::B, &jwt(&format!("{{\"nbf\": {}}}", NOW.wall_s + 1)));
    assert_eq!(order(&pair, NOW), "");
    assert_eq!(pair.availability(Slot::A, NOW), Availability::Expired);
    assert_eq!(pair.availability(Slot::B, NOW), Availability::NotYet);
    assert_eq!(order(&pair, Now { wall_s: NOW.wall_s + 1, ..NOW }), "b");
    assert_eq!(order(&pair, Now { wall_s: NOW.wall_s - 1, ..NOW }), "a");
}

#[test]
fn the_later_token_goes_first_else_the_one_that_worked_last() {
    let mut pair = SlotPair::default();
    put(&mut pair, Slot::A, "one");
    put(&mut pair, Slot::B, "two");
    assert_eq!(order(&pair, NOW), "ab");
    accept(&mut pair, Slot::B, NOW);
    assert_eq!(order(&pair, NOW), "ba");
    accept(&mut pair, Slot::A, later(1));
    assert_eq!(order(&pair, NOW), "ab");
    put(&mut pair, Slot::A, &jwt(r#"{"iat": 1000}"#));
    put(&mut pair, Slot::B, &jwt(r#"{"iat": 2000}"#));
    let ages = Now { wall_s: 3000, ..NOW };
    accept(&mut pair, Slot::A, NOW);
    assert_eq!(order(&pair, ages), "ba", "the newer one even before it has worked");
}

#[test]
fn a_refused_token_rests_longer_each_time_and_no_longer_than_ten_minutes_while_another_takes_over() {
    let mut pair = SlotPair::default();
    put(&mut pair, Slot::A, "one");
    put(&mut pair, Slot::B, "two");
    let (mut now, mut rest) = (NOW, FIRST_REST_MS);
    for _ in 0..12 {
        refuse(&mut pair, Slot::A, now);
        refuse(&mut pair, Slot::A, now);
        assert_eq!(pair.availability(Slot::A, now), Availability::Resting(now.ms + rest));
        assert_eq!(order(&pair, now), "b");
        now.ms += rest;
        assert_eq!(order(&pair, now), "ab");
        rest = (rest * 2).min(LONGEST_REST_MS);
    }
    accept(&mut pair, Slot::A, now);
    refuse(&mut pair, Slot::A, now);
    assert_eq!(pair.availability(Slot::A, now), Availability::Resting(now.ms + FIRST_REST_MS));
}

#[test]
fn the_last_token_rests_only_after_refusals_in_a_row_and_then_for_no_longer_than_two_seconds() {
    let mut pair = SlotPair::default();
    put(&mut pair, Slot::A, "one");
    for _ in 0..10 {
        refuse(&mut pair, Slot::A, NOW);
        assert_eq!(order(&pair, NOW), "a", "one refusal may be about the request");
        accept(&mut pair, Slot::A, NOW);
    }
    let mut now = NOW;
    for _ in 1..CORROBORATING {
        refuse(&mut pair, Slot::A, now);
        assert_eq!(order(&pair, now), "a");
    }
    for _ in 0..10 {
        refuse(&mut pair, Slot::A, now);
        assert_eq!(pair.availability(Slot::A, now), Availability::Resting(now.ms + LAST_REST_MS));
        assert_eq!(
            pair.select(now, false).map(|last| last.slot),
            Some(Slot::A),
            "what is on its way is sent all the same"
        );
        now.ms += LAST_REST_MS;
        assert_eq!(order(&pair, now), "a");
    }
    const { assert!(LAST_REST_MS <= 2_000) };
    accept(&mut pair, Slot::A, now);
    refuse(&mut pair, Slot::A, now);
    assert_eq!(order(&pair, now), "a", "a success is the end of it");
}

#[test]
fn a_request_that_both_tokens_are_refused_for_takes_neither_from_others() {
    let mut pair = SlotPair::default();
    put(&mut pair, Slot::A, "one");
    put(&mut pair, Slot::B, "two");
    accept(&mut pair, Slot::A, NOW);
    let first = pair.select(NOW, false).unwrap();
    assert_eq!((first.slot, first.has_other), (Slot::A, true));
    refuse(&mut pair, Slot::A, NOW);
    assert_eq!(order(&pair, NOW), "b", "the other one takes over");
    let meanwhile = pair.select(NOW, false).unwrap();
    assert_eq!((meanwhile.slot, meanwhile.has_other), (Slot::B, true), "and should it not, the first is asked again");
    assert_eq!(pair.select(NOW, true).map(|second| second.slot), Some(Slot::B));
    refuse(&mut pair, Slot::B, NOW);
    assert_eq!(order(&pair, NOW), "ab");
    assert_eq!(
        pair.select(NOW, true).map(|second| second.slot),
        Some(Slot::A),
        "the one that was not refused just now"
    );
}

#[test]
fn a_token_that_rests_is_tried_soon_once_the_one_that_stood_in_is_gone() {
    let gone: [fn(&mut SlotPair); 2] = [
        |pair| pair.observe(Slot::B, None, |_| Declared::default(), KEY),
        |pair| put(pair, Slot::B, &jwt(r#"{"exp": 5}"#)),
    ];
    for gone in gone {
        let mut pair = SlotPair::default();
        put(&mut pair, Slot::A, "one");
        put(&mut pair, Slot::B, "two");
        for n in 0..5 {
            refuse(&mut pair, Slot::A, later(n * LONGEST_REST_MS));
        }
        let now = later(4 * LONGEST_REST_MS);
        assert_eq!(order(&pair, now), "b");
        gone(&mut pair);
        assert_eq!(order(&pair, Now { ms: now.ms + LAST_REST_MS, ..now }), "a");
    }
}

#[test]
fn what_others_saw_of_a_token_counts_as_if_it_had_been_seen_here() {
    let mut pair = SlotPair::default();
    put(&mut pair, Slot::A, "one");
    let token = pair.fingerprint(Slot::A).unwrap();
    let hear = |pair: &mut SlotPair, seen, at: Now| {
        let mut testimony = Testimony::NONE;
        testimony.note(token, seen, at.ms);
        pair.hear(Slot::A, testimony.of(token).unwrap());
    };
    let refuse_all = |pair: &mut SlotPair, at| (0..CORROBORATING).for_each(|_| refuse(pair, Slot::A, at));
    refuse(&mut pair, Slot::A, NOW);
    hear(&mut pair, Seen::Condemned, NOW);
    assert_eq!(order(&pair, NOW), "", "the prober was refused as well");
    hear(&mut pair, Seen::Accepted, later(1));
    assert_eq!(order(&pair, later(1)), "a", "a success of anybody clears it");
    refuse_all(&mut pair, later(2));
    assert_eq!(order(&pair, later(2)), "");
    hear(&mut pair, Seen::Accepted, later(1));
    assert_eq!(order(&pair, later(2)), "a", "a token that works for others is not taken away by who is refused");
    let later_still = later(2 + VOUCHED_MS);
    refuse(&mut pair, Slot::A, later_still);
    assert_eq!(order(&pair, later_still), "", "but not for ever");
}

#[test]
fn a_new_token_in_the_slot_does_not_rest_for_the_old_one() {
    let mut pair = SlotPair::default();
    put(&mut pair, Slot::A, "one");
    let old = pair.fingerprint(Slot::A).unwrap();
    (0..CORROBORATING).for_each(|_| refuse(&mut pair, Slot::A, NOW));
    assert_eq!(order(&pair, NOW), "");
    put(&mut pair, Slot::A, " one\n");
    assert_eq!(order(&pair, NOW), "", "the same token, so it rests on");
    assert_eq!(pair.fingerprint(Slot::A), Some(old));
    put(&mut pair, Slot::A, "two");
    assert_eq!(order(&pair, NOW), "a");
    (0..CORROBORATING).for_each(|_| assert!(!pair.refused(Slot::A, old, NOW)));
    assert_eq!(order(&pair, NOW), "a", "the refusal was the old token's");
    pair.observe(Slot::A, None, |_| Declared::default(), KEY);
    assert_eq!(pair.availability(Slot::A, NOW), Availability::Missing);
    put(&mut pair, Slot::A, "  ");
    assert_eq!(pair.availability(Slot::A, NOW), Availability::Missing, "blanks are no token");
}

#[test]
fn a_switch_of_slots_has_a_reason_and_is_told_once() {
    let switch = |pair: &mut SlotPair, now| pair.select(now, false).and_then(|selection| selection.switched);
    let mut pair = SlotPair::default();
    assert_eq!(pair.select(NOW, false), None);
    put(&mut pair, Slot::A, "one");
    put(&mut pair, Slot::B, "two");
    let first = pair.select(NOW, false).unwrap();
    assert_eq!((first.slot, first.has_other, first.switched), (Slot::A, true, None));
    refuse(&mut pair, Slot::A, NOW);
    assert_eq!(switch(&mut pair, NOW), Some(Cause::Rejected));
    assert_eq!(switch(&mut pair, NOW), None);
    pair.observe(Slot::B, None, |_| Declared::default(), KEY);
    assert_eq!(switch(&mut pair, later(FIRST_REST_MS)), Some(Cause::Emptied));
    put(&mut pair, Slot::A, &jwt(&format!("{{\"iat\": 5, \"exp\": {}}}", NOW.wall_s + 5)));
    put(&mut pair, Slot::B, &jwt("{\"iat\": 4}"));
    let declared = Declared { issued_s: Some(4), expires_s: Some(NOW.wall_s + 500) };
    pair.observe(Slot::B, Some(b"three"), |_| declared, KEY);
    assert_eq!(switch(&mut pair, NOW), None);
    assert_eq!(switch(&mut pair, Now { wall_s: NOW.wall_s + 5, ..NOW }), Some(Cause::Expired));
    assert_eq!(switch(&mut pair, NOW), Some(Cause::Newer));
}

#[test]
fn a_call_that_is_sent_again_gets_the_other_slot_if_there_is_one() {
    let again = |pair: &mut SlotPair| pair.select(NOW, true).unwrap();
    let mut pair = SlotPair::default();
    put(&mut pair, Slot::A, "one");
    put(&mut pair, Slot::B, "two");
    pair.select(NOW, false);
    // A drill: nothing was refused, and nothing has changed for the next call.
    assert_eq!((again(&mut pair).slot, again(&mut pair).switched), (Slot::B, None));
    assert_eq!(pair.select(NOW, false).map(|first| (first.slot, first.switched)), Some((Slot::A, None)));
    refuse(&mut pair, Slot::A, NOW);
    let second = again(&mut pair);
    assert_eq!((second.slot, second.has_other, second.switched), (Slot::B, false, Some(Cause::Rejected)));
}

#[test]
fn a_report_survives_its_encoding_and_nothing_else_is_one() {
    let mut pair = SlotPair::default();
    put(&mut pair, Slot::B, &jwt(r#"{"exp": 2000}"#));
    let report = Report::of(&pair);
    let bytes = report.encode();
    assert_eq!(Report::decode(&bytes), Some(report));
    assert!((0..bytes.len()).all(|cut| Report::decode(&bytes[..cut]).is_none()));
    assert!(!report.has_news_for(&pair, || 5));
    put(&mut pair, Slot::B, "another");
    assert!(report.has_news_for(&pair, || 1999));
    assert!(!report.has_news_for(&pair, || 2000), "a token that has ended is none");
    assert!(!Report::default().has_news_for(&pair, || 5), "an empty slot is no news to hope for");
}

#[test]
fn every_event_of_a_token_is_told_once() {
    let report = |pair: &mut SlotPair, token: Option<&str>| {
        pair.observe(Slot::A, token.map(str::as_bytes), |_| Declared::default(), KEY);
        Report::of(pair)
    };
    let (mut pair, mut watch) = (SlotPair::default(), Watch::default());
    let mut events = |report: &Report, now_s| {
        watch.update(report, now_s, &POLICY).into_iter().map(|(_, event, _)| event).collect::<Vec<_>>()
    };
    let long = jwt(&format!("{{\"iat\": 0, \"exp\": {}}}", 100 * DAY_S));
    assert_eq!(events(&report(&mut pair, None), 1), []);
    let loaded = report(&mut pair, Some(&long));
    assert_eq!(events(&loaded, 1), [audit::Event::Loaded, audit::Event::PolicyViolated]);
    assert_eq!(events(&loaded, 2), []);
    assert_eq!(events(&loaded, 100 * DAY_S), [audit::Event::Expired]);
    assert_eq!(events(&loaded, 100 * DAY_S + 1), []);
    assert_eq!(events(&report(&mut pair, Some("opaque")), 3), [audit::Event::Changed]);
    assert_eq!(events(&report(&mut pair, None), 4), [audit::Event::Emptied]);
    let defective = report(&mut pair, Some("two\nlines"));
    assert_eq!(events(&defective, 5), [audit::Event::Defective]);
    assert_eq!(events(&defective, 6), []);
    let odd = report(&mut pair, Some(r#"{"token": "opaque", "expires": "soon"}"#));
    assert_eq!(events(&odd, 7), [audit::Event::Changed, audit::Event::BadDate]);
    assert_eq!(events(&odd, 8), []);
}

#[test]
fn a_fresh_token_beside_an_ending_one_calms_the_alert() {
    let ends = |left: u64| jwt(&format!("{{\"iat\": {}, \"exp\": {}}}", NOW.wall_s, NOW.wall_s + left));
    let mut pair = SlotPair::default();
    put(&mut pair, Slot::A, &ends(3600));
    assert_eq!(severity(&pair), Some(Severity::Critical));
    put(&mut pair, Slot::B, &ends(30 * DAY_S));
    assert_eq!(severity(&pair), Some(Severity::None));
    put(&mut pair, Slot::B, "opaque");
    assert_eq!(severity(&pair), Some(Severity::Critical), "unknown is not fresh");
    assert_eq!(
        Report::default().severity(NOW.wall_s, &POLICY, |_| false),
        Some(Severity::Critical),
        "there is none to send"
    );
}

#[test]
fn what_is_left_of_an_expired_token_is_no_alert_while_another_is_there() {
    let mut pair = SlotPair::default();
    put(&mut pair, Slot::A, &jwt(&format!("{{\"exp\": {}}}", NOW.wall_s - 1)));
    assert_eq!(severity(&pair), Some(Severity::Critical));
    put(&mut pair, Slot::B, "opaque");
    assert_eq!(severity(&pair), None, "of the one that counts nothing is known");
}

#[test]
fn a_fingerprint_tells_tokens_apart_only_to_who_has_the_key() {
    let (one, two) = (Secret::new(b"one").unwrap(), Secret::new(b"two").unwrap());
    assert_eq!(KEY.of(&one), KEY.of(&Secret::new(b"one").unwrap()));
    assert_ne!(KEY.of(&one), KEY.of(&two));
    assert_ne!(KEY.of(&one), FingerprintKey([8; 16]).of(&one));
    assert_eq!(KEY.of(&one).to_string().len(), 16);
}

#[test]
fn no_debug_output_shows_a_secret() {
    let mut pair = SlotPair::default();
    put(&mut pair, Slot::A, "hunter2");
    let shown = format!("{pair:?} {:?} {KEY:?}", Secret::new(b"hunter2"));
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
}
