#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::results::ProbeResult;
use super::super::step::{Decision, Effect, Step, admit, count, judge};
use super::super::*;
use super::{ALIVE, FAILURE, NEUTRAL, SUCCESS, at, limited, policy};

/// One record and the calls on it, without a store.
struct Server {
    record: Record,
    policy: Policy,
    transitions: Vec<Transition>,
}

impl Server {
    fn new(policy: Policy) -> Self {
        Server { record: Record::new(0, &policy, 0), policy, transitions: Vec::new() }
    }

    /// A breaker that two failures opened at time 0, for 1 s.
    fn opened() -> Self {
        let mut server = Server::new(policy());
        server.call(0, FAILURE);
        server.call(0, FAILURE);
        assert_eq!(server.record.state, State::Open);
        server
    }

    fn take<A>(&mut self, step: Step<A>) -> A {
        self.record = step.record.unwrap_or(self.record.clone());
        self.transitions.extend(step.transition);
        step.answer
    }

    fn ask(&mut self, now_ms: u64) -> Decision {
        let step = admit(&self.record, at(now_ms), &self.policy);
        self.take(step)
    }

    fn admit(&mut self, now_ms: u64) -> Ticket {
        match self.ask(now_ms) {
            Decision::Admit(ticket) => ticket,
            refused => panic!("{refused:?}"),
        }
    }

    fn refusal(&mut self, now_ms: u64) -> (Refusal, u64) {
        match self.ask(now_ms) {
            Decision::Refuse { reason, retry_after_ms } => (reason, retry_after_ms),
            admitted => panic!("{admitted:?}"),
        }
    }

    fn report(&mut self, now_ms: u64, ticket: Ticket, result: CallResult) -> Effect {
        let step = match ticket.lease {
            Some(lease) => {
                judge(&self.record, &ProbeResult { epoch: ticket.epoch, lease, result }, at(now_ms), &self.policy)
            }
            None => {
                let mut delta = Delta::new(ticket.epoch);
                delta.add(result, &self.policy);
                count(&self.record, &delta, at(now_ms), &self.policy)
            }
        };
        self.take(step)
    }

    fn call(&mut self, now_ms: u64, result: CallResult) {
        let ticket = self.admit(now_ms);
        self.report(now_ms, ticket, result);
    }
}

#[test]
fn admitting_a_call_does_not_reset_the_run_of_failures() {
    // Sophia's adapter reset its counter before each call and never opened.
    let mut server = Server::new(policy());
    server.call(0, FAILURE);
    server.admit(0);
    assert_eq!(server.record.run, 1);
}

#[test]
fn one_failure_at_low_traffic_opens_nothing() {
    // litellm #17418
    let mut server = Server::new(Policy::default());
    server.call(0, FAILURE);
    assert_eq!(server.record.state, State::Closed);
}

#[test]
fn a_run_that_jumps_over_the_limit_still_opens() {
    // Envoy #1491, #18950: the counter was compared with ==.
    let mut server = Server::new(policy());
    let mut delta = Delta::new(0);
    (0..5).for_each(|_| delta.add(FAILURE, &policy()));
    let step = count(&server.record, &delta, at(0), &policy());
    server.take(step);
    assert_eq!((server.record.state, server.record.run), (State::Open, 0));
}

#[test]
fn a_run_and_a_rate_met_together_are_named_after_the_run() {
    let mut server = Server::new(Policy { failure_rate: Some(0.5), min_calls: 2, ..policy() });
    server.call(0, FAILURE);
    server.call(0, FAILURE);
    assert_eq!(server.record.reason, Reason::Consecutive);
}

#[test]
fn late_failures_do_not_restart_the_open_period() {
    // openab PR#969: the cool-down never ended.
    let mut server = Server::new(policy());
    let late = server.admit(0);
    server.call(0, FAILURE);
    server.call(0, FAILURE);
    assert_eq!(server.report(900, late, FAILURE), Effect::Stale);
    assert_eq!(server.refusal(900), (Refusal::Open, 100));
    assert!(server.admit(1_000).lease.is_some());
}

#[test]
fn a_shorter_wait_asked_for_later_does_not_shorten_an_open_period() {
    // litellm #40130
    let mut server = Server::new(policy());
    let late = server.admit(0);
    server.call(0, FAILURE);
    server.call(0, FAILURE);
    assert_eq!(server.report(1, late, limited(1)), Effect::Stale);
    assert_eq!(server.record.deadline_ms, 1_000);
}

#[test]
fn a_late_result_of_an_older_epoch_is_dropped() {
    // Polly #217: a call admitted before the trip decided the half-open verdict.
    let mut server = Server::new(policy());
    let late = server.admit(0);
    server.call(0, FAILURE);
    server.call(0, FAILURE);
    server.admit(1_000);
    assert_eq!(server.report(1_001, late, SUCCESS), Effect::Stale);
    assert_eq!(server.record.state, State::HalfOpen);
}

#[test]
fn a_probe_that_ends_by_401_or_abort_gives_its_place_back() {
    // decocms/studio PR#5322, openab PR#969, Polly #1979, MikkoParkkola PR#248 (expired session)
    let mut server = Server::opened();
    let probe = server.admit(1_000);
    server.report(1_001, probe, NEUTRAL);
    assert_eq!(server.record.state, State::HalfOpen);
    assert!(server.admit(1_001).lease.is_some());
}

#[test]
fn a_probe_that_never_reports_does_not_block_recovery() {
    // gobreaker #49, resilience4j #544, Hystrix #1621: half-open for ever.
    let mut server = Server::opened();
    let lost = server.admit(1_000);
    assert_eq!(server.refusal(1_499), (Refusal::ProbeInFlight, 1));
    let next = server.admit(1_500);
    assert_eq!(server.report(1_501, lost, SUCCESS), Effect::Fenced);
    server.report(1_502, next, SUCCESS);
    assert_eq!(server.record.state, State::Closed);
}

#[test]
fn probes_that_are_lost_again_and_again_open_the_breaker_for_longer() {
    let mut server = Server::opened();
    server.admit(1_000);
    server.admit(1_500);
    assert_eq!(server.refusal(2_000), (Refusal::Open, 2_000));
    assert_eq!((server.record.reason, server.record.attempt), (Reason::ProbeLost, 2));
}

#[test]
fn the_answer_of_a_lost_probe_never_passes_for_a_later_one() {
    let mut server = Server::new(Policy { max_lost: 9, ..policy() });
    server.call(0, FAILURE);
    server.call(0, FAILURE);
    let lost = server.admit(1_000);
    let released = server.admit(1_500);
    server.report(1_500, released, NEUTRAL);
    server.admit(1_501);
    assert_eq!(server.report(1_502, lost, FAILURE), Effect::Fenced);
}

#[test]
fn a_verdict_after_its_lease_ran_out_still_counts_while_nobody_took_the_place() {
    let mut server = Server::opened();
    let probe = server.admit(1_000);
    assert_eq!(server.report(9_000, probe, SUCCESS), Effect::Counted);
    assert_eq!(server.record.state, State::Closed);
}

#[test]
fn a_failed_probe_opens_again_whatever_succeeds_later() {
    // msoedov/agentic_security PR#328, marc-shade/world-intel-mcp#7
    let mut server = Server::opened();
    let probe = server.admit(1_000);
    server.report(1_100, probe, FAILURE);
    assert_eq!(server.report(1_200, probe, SUCCESS), Effect::Stale);
    assert_eq!(server.refusal(1_200), (Refusal::Open, 1_900));
}

#[test]
fn a_slow_probe_has_failed_however_it_ends() {
    let slow = Policy { slow: Some(Slow { after_ms: 100, rate: 0.5 }), ..policy() };
    for (took_ms, state) in [(100, State::Closed), (101, State::Open)] {
        let mut server = Server { policy: slow, ..Server::opened() };
        let probe = server.admit(1_000);
        server.report(1_000, probe, CallResult { took_ms, ..SUCCESS });
        assert_eq!(server.record.state, state, "{took_ms} ms");
    }
}

#[test]
fn a_lease_that_was_given_back_decides_nothing() {
    let mut server = Server::opened();
    let probe = server.admit(1_000);
    server.report(1_000, probe, NEUTRAL);
    let given_back = Ticket { lease: Some(server.record.lease), ..probe };
    assert_eq!(server.report(1_001, given_back, SUCCESS), Effect::Fenced);
}

#[test]
fn a_limited_probe_opens_for_as_long_as_the_server_asks() {
    let mut server = Server::opened();
    let probe = server.admit(1_000);
    server.report(1_000, probe, limited(5_000));
    assert_eq!(server.refusal(1_000), (Refusal::Open, 5_000));
}

#[test]
fn limited_answers_end_a_run_but_count_for_the_rate() {
    let mut server = Server::new(Policy { failure_rate: Some(1.0), min_calls: 3, ..policy() });
    server.call(0, FAILURE);
    server.call(0, limited(0));
    assert_eq!((server.record.state, server.record.run), (State::Closed, 0));
    server.call(0, limited(3_000));
    assert_eq!((server.record.reason, server.record.deadline_ms), (Reason::FailureRate, 3_000));
}

#[test]
fn a_breaker_that_flaps_keeps_its_long_period_and_one_that_was_healthy_starts_short() {
    let mut server = Server::opened();
    let probe = server.admit(1_000);
    server.report(1_000, probe, SUCCESS);
    (0..2).for_each(|_| server.call(1_001, FAILURE));
    assert_eq!(server.refusal(1_001), (Refusal::Open, 2_000));
    let probe = server.admit(3_001);
    server.report(3_001, probe, SUCCESS);
    (0..2).for_each(|_| server.call(3_001 + 2 * policy().decay_ms, FAILURE));
    assert_eq!(server.transitions.last().map(|t| t.period_ms), Some(1_000));
}

#[test]
fn a_clock_that_steps_back_loses_no_samples() {
    // resilience4j's sliding window: one step back turned 9 % failures into 100 %.
    let mut server = Server::new(Policy { consecutive: None, failure_rate: Some(0.5), ..policy() });
    (0..100).for_each(|_| server.call(10_000, SUCCESS));
    (0..10).for_each(|_| server.call(7_000, FAILURE));
    assert_eq!(server.record.window.counts(7_000), Counts { ok: 100, fail: 10, slow: 0 });
    assert_eq!(server.record.state, State::Closed);
}

#[test]
fn a_clock_that_goes_back_an_hour_does_not_hold_a_probes_lease_for_an_hour() {
    let mut server = Server::new(policy());
    (0..2).for_each(|_| server.call(3_600_000, FAILURE));
    server.admit(3_601_000);
    assert_eq!(server.refusal(0), (Refusal::ProbeInFlight, 500));
    assert!(server.admit(500).lease.is_some());
}

#[test]
fn a_transition_tells_what_led_to_it() {
    let server = Server::opened();
    let expected = Transition {
        from: State::Closed,
        to: State::Open,
        reason: Reason::Consecutive,
        epoch: 1,
        attempt: 1,
        period_ms: 1_000,
        run: 2,
        counts: Counts { ok: 0, fail: 2, slow: 0 },
    };
    assert_eq!(server.transitions, [expected]);
}

#[test]
fn a_server_that_answers_every_probe_without_a_verdict_is_closed_after_three() {
    // A bad PAT: each probe is a 401, and the breaker would stay half-open with one call at a time.
    let mut server = Server::opened();
    for (now_ms, answer) in [(1_000, ALIVE), (1_001, NEUTRAL), (1_002, ALIVE), (1_003, ALIVE)] {
        assert_eq!(server.record.state, if now_ms == 1_000 { State::Open } else { State::HalfOpen });
        let probe = server.admit(now_ms);
        server.report(now_ms, probe, answer);
    }
    assert_eq!((server.record.state, server.record.reason, server.record.run), (State::Closed, Reason::ProbeAlive, 0));
}

#[test]
fn a_cancelled_probe_says_nothing_however_often() {
    let mut server = Server::opened();
    for now_ms in 1_000..1_010 {
        let probe = server.admit(now_ms);
        server.report(now_ms, probe, NEUTRAL);
    }
    assert_eq!(server.record.state, State::HalfOpen);
}

#[test]
fn answers_without_a_verdict_neither_break_a_run_nor_count() {
    let mut server = Server::new(policy());
    server.call(0, FAILURE);
    server.call(0, ALIVE);
    assert_eq!((server.record.run, server.record.window.counts(0).total()), (1, 1));
}

#[test]
fn a_bucket_that_overflows_keeps_its_ratios() {
    let mut window = Window::new(1, 1_000, 0);
    let full = Counts { ok: 65_535, fail: 65_535, slow: 65_535 };
    window.add(full, 0);
    assert_eq!(window.counts(0), full, "as much as fits");
    window.clear(0);
    let counts = Counts { ok: 60_000, fail: 20_000, slow: 10_000 };
    window.add(counts, 0);
    window.add(counts, 0);
    assert_eq!(window.counts(0), counts, "twice as much, halved");
    window.add(Counts { ok: 0, fail: 4 * u32::from(u16::MAX), slow: 0 }, 0);
    assert_eq!(window.counts(0), Counts { ok: 60_000 >> 3, fail: (20_000 + 4 * 65_535) >> 3, slow: 10_000 >> 3 });
}

#[test]
fn every_reason_of_a_refusal_has_a_counter_of_its_name() {
    use super::super::counters::Counters;
    for reason in [Refusal::Open, Refusal::ProbeInFlight, Refusal::ForcedOpen, Refusal::Shed, Refusal::Crowded] {
        let mut counters = Counters::default();
        counters.count(reason);
        let counted: Vec<_> = counters.named().into_iter().filter(|(_, times)| *times > 0).collect();
        assert_eq!(counted, [(format!("refused_{}", reason.as_str()).as_str(), 1)]);
    }
}
