#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::budget::{BudgetPolicy, TOKEN};

fn id(name: &str) -> Id {
    Id::new(name).unwrap()
}

fn hop(name: &str) -> Hop {
    Hop { server: id(name), index: None, ticket: Ticket::default(), drill: None }
}

fn flight(servers: &[&str], again: u8, pace: Pace) -> Flight {
    Flight::new(servers.iter().map(|name| hop(name)).collect(), again, pace, Time::UNLIMITED)
}

static NOTHING: std::sync::LazyLock<Overrides> = std::sync::LazyLock::new(Overrides::default);

fn terms(replay: Replay) -> Terms<'static> {
    Terms {
        tool: None,
        server: &NOTHING,
        replay,
        foreign_session: false,
        opened_session: false,
        may_open_session: false,
        has_other_slot: false,
        longest_wait_s: 10,
        accepted: false,
    }
}

fn tokens(count: u32) -> Budget {
    Budget::new(BudgetPolicy { deposit: 0, per_second: 0, capacity: count * TOKEN, threshold: TOKEN - 1 })
}

fn answered(class: Class) -> End {
    End { class, answered: true, readable: false, timed_out: false }
}

fn silent(class: Class) -> End {
    End { answered: false, ..answered(class) }
}

/// Begins an attempt where the router can prove nothing.
fn begin(flight: &mut Flight, server: &str) -> Result<Begun, Grounded> {
    flight.begin(Some(&id(server)), 0, || false)
}

/// Ends the attempt under way, with enough in the budget.
fn land(flight: &mut Flight, end: End, replay: Replay) -> Option<Onward> {
    flight.land(end.class.into(), end, &terms(replay), &mut tokens(9), 0)
}

#[test]
fn a_replayable_call_visits_every_server_once_and_then_ends() {
    let mut flight = flight(&["a", "b", "c"], 0, Pace::Usual);
    for (number, server) in (1..).zip(["a", "b", "c"]) {
        assert_eq!(flight.destination(), Some(server));
        assert_eq!(begin(&mut flight, server).map(|begun| begun.number), Ok(number));
        land(&mut flight, silent(Class::Lost), Replay::Allowed);
    }
    assert_eq!(flight.destination(), None);
    let grounded = Grounded { class: Class::Lost, too_late: false };
    assert_eq!(begin(&mut flight, "c"), Err(grounded), "whatever the router has left");
    assert_eq!(flight.asked(), [&id("a"), &id("b"), &id("c")]);
}

#[test]
fn a_call_that_must_not_run_twice_ends_with_its_first_loss() {
    for end in [silent(Class::Lost), answered(Class::Server)] {
        let mut flight = flight(&["a", "b"], 0, Pace::Once);
        begin(&mut flight, "a").unwrap();
        assert_eq!(land(&mut flight, end, Replay::NotReplayable), None);
        assert_eq!(begin(&mut flight, "b"), Err(Grounded { class: end.class, too_late: false }));
    }
}

#[test]
fn a_loss_that_the_router_proves_to_be_none_goes_on_and_is_remembered_as_not_sent() {
    for (pace, proof, goes_on) in [
        (Pace::Once, true, true),
        (Pace::Once, false, false),
        // On this route the router goes on after a loss too, so that it does proves nothing.
        (Pace::Usual, true, false),
    ] {
        let mut flight = flight(&["a", "b"], 0, pace);
        begin(&mut flight, "a").unwrap();
        land(&mut flight, silent(Class::Lost), Replay::NotReplayable);
        assert_eq!(flight.destination(), Some("b"), "the router must have somewhere to go");
        assert_eq!(flight.begin(Some(&id("b")), 0, || proof).is_ok(), goes_on, "{pace:?} {proof}");
        let class = flight.made().first().and_then(|made| made.end).map(|end| end.class);
        assert_eq!(class, Some(if goes_on { Class::NotSent } else { Class::Lost }));
    }
}

#[test]
fn while_an_attempt_is_under_way_no_other_begins() {
    let mut flight = flight(&["a", "b"], 0, Pace::Usual);
    begin(&mut flight, "a").unwrap();
    assert_eq!(begin(&mut flight, "b"), Err(Grounded { class: Class::Lost, too_late: false }));
    assert_eq!(land(&mut flight, answered(Class::Success), Replay::Allowed), None);
    assert_eq!(land(&mut flight, silent(Class::NotSent), Replay::Allowed), None, "an attempt ends once");
}

#[test]
fn an_attempt_begins_only_where_the_call_goes() {
    let mut flight = flight(&["a", "b"], 0, Pace::Usual);
    assert!(begin(&mut flight, "elsewhere").is_err());
    assert!(flight.begin(None, 0, || false).is_err(), "nothing is drilled");
    begin(&mut flight, "a").unwrap();
    land(&mut flight, silent(Class::NotSent), Replay::NotReplayable);
    assert!(begin(&mut flight, "a").is_err(), "it goes to b now");
    assert!(begin(&mut flight, "b").is_ok());
}

#[test]
fn the_router_may_pass_over_the_first_servers_but_only_at_the_start() {
    let mut flight = flight(&["a", "b", "rest"], 0, Pace::Usual);
    assert_eq!(begin(&mut flight, "rest").map(|begun| begun.leg.hop), Ok(2));
    land(&mut flight, silent(Class::NotSent), Replay::Allowed);
    assert_eq!(flight.destination(), None, "those before are not come back to");
    assert_eq!(flight.asked(), [&id("rest")]);
}

#[test]
fn the_other_slot_is_tried_once_before_the_next_server() {
    let mut flight = flight(&["a", "b"], 0, Pace::Usual);
    let refused = answered(Class::Credential);
    let two = Terms { has_other_slot: true, ..terms(Replay::NotReplayable) };
    let begun = begin(&mut flight, "a").unwrap();
    assert!(!begun.leg.other_slot);
    let onward = flight.land(refused.class.into(), refused, &two, &mut tokens(0), 0).unwrap();
    assert!(onward.leg.other_slot && onward.leg.hop == 0);
    assert!(begin(&mut flight, "a").unwrap().leg.other_slot);
    let onward = flight.land(refused.class.into(), refused, &two, &mut tokens(0), 0).unwrap();
    assert_eq!(onward.leg, Leg { hop: 1, ..Leg::default() });
}

#[test]
fn only_a_patient_flight_stays_with_its_server_unasked_and_only_so_often() {
    let mut patient = flight(&["a"], 2, Pace::Patient);
    for left in [true, true, false] {
        begin(&mut patient, "a").unwrap();
        let onward = land(&mut patient, silent(Class::NotSent), Replay::NotReplayable);
        assert_eq!(onward.is_some_and(|onward| onward.leg.repeats), left);
    }
    let mut usual = flight(&["a"], 2, Pace::Usual);
    begin(&mut usual, "a").unwrap();
    assert_eq!(land(&mut usual, silent(Class::NotSent), Replay::Allowed), None, "the router would not wait");
    let mut asked_to_wait = flight(&["a"], 2, Pace::Usual);
    begin(&mut asked_to_wait, "a").unwrap();
    let onward = land(&mut asked_to_wait, answered(Class::Overload), Replay::NotReplayable).unwrap();
    assert_eq!((onward.leg.repeats, onward.wait_s), (true, 1));
}

#[test]
fn what_may_have_been_executed_is_paid_for_and_ends_when_nothing_is_left() {
    let mut budget = tokens(1);
    let mut flight = flight(&["a", "b", "c"], 0, Pace::Usual);
    let lost = silent(Class::Lost);
    begin(&mut flight, "a").unwrap();
    assert!(flight.land(lost.class.into(), lost, &terms(Replay::Allowed), &mut budget, 0).is_some());
    begin(&mut flight, "b").unwrap();
    assert_eq!(flight.land(lost.class.into(), lost, &terms(Replay::Allowed), &mut budget, 0), None);
    assert_eq!(flight.stop(), Some(Stop::Budget));
    assert_eq!(begin(&mut flight, "c"), Err(Grounded { class: Class::Lost, too_late: false }));
}

#[test]
fn no_attempt_begins_that_could_not_end_while_its_client_waits() {
    let time = Time { per_try_ms: 3_000, deadline_ms: Some(9_000), hurried: false };
    let mut flight = Flight::new(vec![hop("a"), hop("b")], 0, Pace::Usual, time);
    flight.begin(Some(&id("a")), 0, || false).unwrap();
    let end = silent(Class::NotSent);
    assert!(flight.land(end.class.into(), end, &terms(Replay::Allowed), &mut tokens(9), 5_000).is_some());
    let late = flight.begin(Some(&id("b")), 6_001, || false);
    assert_eq!(late, Err(Grounded { class: Class::NotSent, too_late: true }), "the router has dawdled");
    assert_eq!(flight.stop(), Some(Stop::NoTime));
}

#[test]
fn a_drilled_hop_goes_to_the_drills_cluster_and_its_other_slot_to_the_server() {
    let mut flight =
        Flight::new(vec![Hop { drill: Some(Class::Credential), ..hop("a") }], 0, Pace::Usual, Time::UNLIMITED);
    assert_eq!(flight.destination(), Some(wiring::cluster::DRILL));
    assert!(begin(&mut flight, "a").is_err(), "a route without the drill must not lead a drilled call to the server");
    assert_eq!(flight.begin(None, 0, || false).map(|begun| begun.drill), Ok(Some(Class::Credential)));
    let two = Terms { has_other_slot: true, ..terms(Replay::NotReplayable) };
    let refused = answered(Class::Credential);
    flight.land(refused.class.into(), refused, &two, &mut tokens(0), 0);
    assert_eq!(flight.destination(), Some("a"));
    assert_eq!(begin(&mut flight, "a").map(|begun| begun.drill), Ok(None));
}
