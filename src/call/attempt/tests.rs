#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use serde_json::json;

use super::*;
use crate::breaker::{Outcome, Ticket};
use crate::call::Opening;
use crate::call::flight::{Flight, Hop, Pace};
use crate::call::time::Time;
use crate::call::{Kind, Session, Task};
use crate::failure::Replay;
use crate::jsonrpc::OwnedId;

const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;

/// A replayable call on its way to the first of two servers.
struct World {
    registry: Rc<Registry>,
    call: Call,
    budget: Budget,
    held: Rc<Held>,
}

impl World {
    fn new() -> Self {
        let server = |id: &str| json!({"id": id, "kind": "mcp", "url": format!("https://{id}.example")});
        let tree = json!({"version": 1, "servers": [server("a"), server("b")]});
        let registry = Rc::new(Registry::from_wire(&tree).unwrap_or_else(|problems| panic!("{problems:#?}")));
        let hop = |(index, server): (ServerIndex, &Server)| Hop {
            server: server.id.clone(),
            index: Some(index),
            ticket: Ticket::default(),
            drill: None,
        };
        let hops = registry.indexed_servers().map(hop).collect();
        let call = Call {
            registry: Rc::clone(&registry),
            kind: Kind::Request,
            id: OwnedId::from_json("1"),
            task: Task::Other,
            tool: None,
            replay: Replay::Allowed,
            tools_page: None,
            introduction: None,
            session_id: None,
            opening: Opening::NotTried,
            session: Session::None,
            query: Box::default(),
            authorization: None,
            originals: None,
            uuid: [0; 16],
            carried: Vec::new(),
            owners_failure: None,
            poll: None,
            to_keep: Default::default(),
            answered_ms: None,
            ledger: None,
            skipped: Vec::new(),
            flight: Flight::new(hops, 0, Pace::Usual, Time::UNLIMITED),
        };
        World { budget: Budget::new(registry.failover.budget), held: Rc::default(), registry, call }
    }

    fn at<T>(&mut self, now_ms: u64, work: impl FnOnce(&mut Scene<'_>) -> T) -> T {
        let (index, server) = self.registry.indexed_servers().next().unwrap();
        let call = &mut self.call;
        let budget = &mut self.budget;
        work(&mut Scene {
            call,
            registry: &self.registry,
            index,
            server,
            budget,
            held: &self.held,
            now_ms,
            wall_ms: &|| 0,
        })
    }

    fn begin(&mut self) -> Attempt {
        self.at(0, |scene| Attempt::begin(scene, false, || false)).unwrap()
    }
}

fn head(status: u16, kind: &'static str) -> ResponseHead<'static> {
    ResponseHead { status, content_type: Some(kind.as_bytes()), ..ResponseHead::default() }
}

fn of(text: &str) -> impl Fn(usize, usize) -> Vec<u8> {
    move |start, len| text.bytes().skip(start).take(len).collect()
}

fn class(reaction: &Reaction) -> Option<Class> {
    reaction.settled.map(|settled| settled.verdict.class)
}

#[test]
fn a_json_answer_is_held_until_it_is_whole_then_passes() {
    let mut world = World::new();
    let mut attempt = world.begin();
    let reaction = world.at(5, |scene| attempt.response_headers(scene, &head(200, "application/json")));
    assert_eq!((reaction.flow, class(&Reaction::default())), (Flow::Hold, None));
    let half = world.at(6, |scene| attempt.response_body(scene, 10, false, &of(RESULT)));
    assert_eq!(half.flow, Flow::Hold);
    let whole = world.at(7, |scene| attempt.response_body(scene, RESULT.len(), true, &of(RESULT)));
    assert_eq!((class(&whole), whole.onward_in_s), (Some(Class::Success), None));
    assert_eq!(whole.flow, Flow::Pass);
    assert_eq!(whole.settled.and_then(|settled| settled.result).map(|result| result.took_ms), Some(5));
}

#[test]
fn a_failure_in_a_200_sends_the_call_on() {
    let mut world = World::new();
    let mut attempt = world.begin();
    world.at(0, |scene| attempt.response_headers(scene, &head(200, "application/json")));
    let broken = "<html>";
    let reaction = world.at(0, |scene| attempt.response_body(scene, broken.len(), true, &of(broken)));
    assert_eq!((class(&reaction), reaction.onward_in_s), (Some(Class::Server), Some(0)));
    assert_eq!(world.call.flight.destination(), Some("b"));
}

#[test]
fn how_a_server_ends_a_call_that_its_client_has_taken_back_counts_for_nothing() {
    for (kind, rest) in [("text/event-stream", ": bye\n\n"), ("text/event-stream", ""), ("application/json", "")] {
        let mut world = World::new();
        let mut attempt = world.begin();
        world.at(0, |scene| attempt.response_headers(scene, &head(200, kind)));
        world.call.flight.cancel();
        let reaction = world.at(5, |scene| attempt.response_body(scene, rest.len(), true, &of(rest)));
        assert_eq!((class(&reaction), reaction.onward_in_s), (Some(Class::Cancelled), None), "{kind} {rest:?}");
        let told = reaction.settled.and_then(|settled| settled.result).map(|result| result.outcome);
        assert_eq!(told, Some(Outcome::Neutral), "{kind} {rest:?}");
    }
    let mut world = World::new();
    let mut attempt = world.begin();
    world.call.flight.cancel();
    world.at(0, |scene| attempt.response_headers(scene, &head(200, "application/json")));
    let reaction = world.at(5, |scene| attempt.response_body(scene, RESULT.len(), true, &of(RESULT)));
    assert_eq!(class(&reaction), Some(Class::Success), "an answer is one");
}

/// An attempt of a call with this much time that has had these pieces of a stream, each at its time; what came of the last.
fn streamed(replay: Replay, per_try_ms: u64, pieces: &[(u64, &str)]) -> Reaction {
    let mut world = World::new();
    world.call.replay = replay;
    let time = Time { per_try_ms, ..Time::UNLIMITED };
    world.call.flight = Flight::new(world.call.flight.hops().to_vec(), 0, Pace::Usual, time);
    let mut attempt = world.begin();
    world.at(0, |scene| attempt.response_headers(scene, &head(200, "text/event-stream")));
    let (mut stream, mut last) = (String::new(), Reaction::default());
    for (at, piece) in pieces {
        assert!(last.settled.is_none(), "let go before {piece:?}");
        stream.push_str(piece);
        last = world.at(*at, |scene| attempt.response_body(scene, stream.len(), false, &of(&stream)));
    }
    last
}

/// Field case: a gateway sends `event: keepalive` before the answer. Reported as no answer, the call ran twice.
#[test]
fn events_of_another_type_than_message_are_never_judged() {
    for event in
        ["event: keepalive\ndata: {}\n\n", "event: ping\ndata: ping\n\n", "event: error\ndata: {\"code\":1}\n\n"]
    {
        let answer = ["data: ", RESULT, "\n\n"].concat();
        let held = streamed(Replay::Allowed, 0, &[(0, event)]);
        assert_eq!((held.flow, held.settled), (Flow::Hold, None), "{event:?}");
        let passed = streamed(Replay::Allowed, 0, &[(0, event), (1, &answer)]);
        assert_eq!(
            (passed.flow, passed.settled.map(|settled| settled.verdict.class)),
            (Flow::Pass, Some(Class::Success))
        );
        let at_once = streamed(Replay::NotReplayable, 0, &[(0, event)]);
        assert_eq!(class(&at_once), Some(Class::Success), "it shows life, and nothing is gained by holding");
    }
}

/// Field case: a stream was cut off at the timeout, and the call executed once more, however alive it was.
#[test]
fn a_stream_that_is_alive_at_half_its_time_is_let_go() {
    for sign in [": keep-alive\n\n", ": keep-alive\n", "event: ping\ndata: 1\n\n"] {
        for (at, flow) in [(0, Flow::Hold), (999, Flow::Hold), (1000, Flow::Pass), (1999, Flow::Pass)] {
            let reaction = streamed(Replay::Allowed, 2000, &[(0, sign), (at, sign)]);
            assert_eq!(reaction.flow, flow, "{sign:?} at {at}");
        }
    }
    let cut = streamed(Replay::Allowed, 2000, &[(1500, "event: message\n")]);
    assert_eq!(cut.flow, Flow::Hold, "in the middle of an event it may be the answer");
    let unlimited = streamed(Replay::Allowed, 0, &[(100_000, ": keep-alive\n\n")]);
    assert_eq!(unlimited.flow, Flow::Hold, "without a limit nothing cuts it off");
}

/// A client that has the id can come back for what follows it, and has nothing without.
#[test]
fn an_event_with_an_id_and_no_data_goes_out_at_once() {
    for event in ["id: 7\ndata:\n\n", "id: 7\n\n", "retry: 500\nid: 7\ndata: \n\n"] {
        let reaction = streamed(Replay::Allowed, 2000, &[(0, event)]);
        assert_eq!((reaction.flow, reaction.settled.is_some()), (Flow::Pass, true), "{event:?}");
    }
    let cut = streamed(Replay::Allowed, 2000, &[(0, "id: 7\n")]);
    assert_eq!(cut.flow, Flow::Hold, "it may be the answer's id");
    let failed = "id: 7\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32603,\"message\":\"x\"}}\n\n";
    let reaction = streamed(Replay::Allowed, 2000, &[(0, failed)]);
    assert_eq!(class(&reaction), Some(Class::Server), "a first event that is the answer is judged");
}

#[test]
fn a_compressed_answer_passes_at_once() {
    for kind in ["application/json", "text/event-stream"] {
        let mut world = World::new();
        let mut attempt = world.begin();
        let head = ResponseHead { content_encoding: Some(b"gzip"), ..head(200, kind) };
        let reaction = world.at(0, |scene| attempt.response_headers(scene, &head));
        assert_eq!((class(&reaction), reaction.onward_in_s, attempt.is_holding()), (Some(Class::Success), None, false));
        assert_eq!((reaction.flow, reaction.name_as_json), (Flow::Pass, false));
    }
}

/// The first event is with the client: a later error, or the stream's end, is the client's to see, and nobody else is asked.
#[test]
fn after_the_first_byte_of_an_answer_there_is_no_failover() {
    let first = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n";
    let failed = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32603,\"message\":\"x\"}}\n\n";
    let stream = [first, failed].concat();
    let mut world = World::new();
    let mut attempt = world.begin();
    world.at(0, |scene| attempt.response_headers(scene, &head(200, "text/event-stream")));
    let passed = world.at(0, |scene| attempt.response_body(scene, first.len(), false, &of(&stream)));
    assert_eq!((passed.flow, passed.onward_in_s), (Flow::Pass, None));
    for end in [false, true] {
        let later = world.at(0, |scene| attempt.response_body(scene, failed.len(), end, &of(failed)));
        assert!(later.settled.is_none() && later.onward_in_s.is_none());
    }
    let how = NoAnswer::default();
    let ended = world.at(0, |scene| attempt.ended(scene, how));
    assert!(ended.settled.is_none(), "an attempt settles once");
    assert_eq!(world.call.flight.destination(), None);
}

#[test]
fn an_attempt_that_ends_in_silence_is_lost_unless_it_was_never_connected() {
    for (not_sent, expected) in [(false, Class::Lost), (true, Class::NotSent)] {
        let mut world = World::new();
        let mut attempt = world.begin();
        let how = NoAnswer { not_sent, ..NoAnswer::default() };
        let reaction = world.at(0, |scene| attempt.ended(scene, how));
        assert_eq!(class(&reaction), Some(expected));
        assert_eq!(reaction.onward_in_s, None, "the router goes on by itself");
        assert_eq!(world.call.flight.destination(), Some("b"));
    }
}

#[test]
fn the_router_says_which_requests_have_reached_nobody() {
    let told =
        |reason: &str| NoAnswer::by_details(format!("upstream_reset_before_response_started{{{reason}}}").as_bytes());
    for reason in
        ["remote_refused_stream_reset", "remote_connection_failure|delayed_connect_error:_111", "connection_timeout"]
    {
        assert_eq!(told(reason), NoAnswer { not_sent: true, ..NoAnswer::default() }, "{reason}");
    }
    assert_eq!(told("overflow"), NoAnswer { not_sent: true, own_limit: true, ..NoAnswer::default() });
    for reason in ["remote_reset", "connection_termination", "local_reset", "protocol_error", "", "overflowing"] {
        assert_eq!(told(reason), NoAnswer::default(), "{reason}");
    }
    for details in ["via_upstream", "", "upstream_reset_after_response_started{overflow}", "response_timeout"] {
        assert_eq!(NoAnswer::by_details(details.as_bytes()), NoAnswer::default(), "{details}");
    }
}

#[test]
fn a_pool_that_is_full_is_not_the_servers_fault() {
    for (own_limit, expected) in [(true, Outcome::Neutral), (false, Outcome::Failure)] {
        let mut world = World::new();
        let mut attempt = world.begin();
        let how = NoAnswer { not_sent: true, own_limit, ..NoAnswer::default() };
        let reaction = world.at(0, |scene| attempt.ended(scene, how));
        assert_eq!(class(&reaction), Some(Class::NotSent));
        assert_eq!(reaction.settled.and_then(|settled| settled.result).map(|result| result.outcome), Some(expected));
    }
}
