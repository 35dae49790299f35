#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::json;

use super::*;
use crate::breaker::Ticket;
use crate::call::Opening;
use crate::call::flight::{Hop, Pace};
use crate::call::time::Time;
use crate::failure::Class;

fn registry() -> Rc<Registry> {
    let rest = json!({"server": "c", "method": "GET", "path": "/s", "answer": {"content": "${response.text}"}});
    let tree = json!({
        "version": 1,
        "servers": [
            {"id": "a", "kind": "mcp", "url": "https://a.example"},
            {"id": "b", "kind": "mcp", "url": "https://b.example"},
            {"id": "c", "kind": "rest", "url": "https://c.example"}
        ],
        "tools": [{"name": "search", "task": "search", "replayable": true, "rest": rest}]
    });
    Rc::new(Registry::from_wire(&tree).unwrap_or_else(|problems| panic!("{problems:#?}")))
}

fn hop(registry: &Registry, name: &str, drill: Option<Class>) -> Hop {
    let (index, server) = registry.server_by_id(name).unwrap();
    Hop { server: server.id.clone(), index: Some(index), ticket: Ticket::default(), drill }
}

fn a_call(registry: &Rc<Registry>) -> Call {
    let hops = vec![hop(registry, "a", None), hop(registry, "b", Some(Class::Lost)), hop(registry, "c", None)];
    let time = Time { per_try_ms: 3_000, deadline_ms: Some(9_000), hurried: false };
    let mut flight = Flight::new(hops, 2, Pace::Once, time);
    flight.begin(Some(&Id::new("a").unwrap()), 0, || false).unwrap();
    Call {
        registry: Rc::clone(registry),
        kind: Kind::Request,
        id: OwnedId::from_json("\"a-1\""),
        task: Task::Tool(0),
        tool: Some(Called::At(0)),
        replay: Replay::Allowed,
        tools_page: None,
        introduction: Some("e30".into()),
        session_id: Some((*b"dp2~a~e30~s-1").into()),
        opening: Opening::NotNow,
        session: Session::Server { owner: Id::new("a").unwrap(), id: b"s-1".to_vec() },
        query: "toolsets=core".into(),
        authorization: Secret::new(b"Bearer of-the-client"),
        originals: Some(vec![("accept".to_owned(), b"*/*".to_vec())]),
        uuid: [7; 16],
        carried: vec!["authorization".to_owned()],
        owners_failure: None,
        poll: None,
        to_keep: Default::default(),
        answered_ms: None,
        ledger: None,
        skipped: Vec::new(),
        flight,
    }
}

fn read_back(bytes: &[u8], registry: &Rc<Registry>) -> Option<Call> {
    read(bytes)?.call(registry)
}

#[test]
fn a_call_survives_being_written_down() {
    let registry = registry();
    let original = a_call(&registry);
    let bytes = write(42, &original);
    assert_eq!(read(&bytes).map(|found| found.number), Some(42));
    let found = read_back(&bytes, &registry).unwrap();
    assert_eq!(found.flight, original.flight);
    assert_eq!((found.kind, found.replay, found.uuid), (original.kind, original.replay, original.uuid));
    assert_eq!((&found.introduction, &found.session_id), (&original.introduction, &original.session_id));
    assert_eq!(found.opening, original.opening);
    assert_eq!(found.id.as_ref().map(OwnedId::as_json), Some("\"a-1\""));
    assert_eq!((found.tool_name(), found.task), (Some("search"), Task::Tool(0)));
    assert_eq!((&found.session, &found.originals), (&original.session, &original.originals));
    assert_eq!((&found.authorization, &found.carried), (&original.authorization, &original.carried));
    assert_eq!(found.query, original.query);
}

#[test]
fn a_registry_that_knows_neither_server_nor_tool_loses_nothing_of_the_call() {
    let (whole, tree) = (
        registry(),
        json!({"version": 1, "servers": [
        {"id": "b", "kind": "mcp", "url": "https://b.example"}]}),
    );
    let part = Rc::new(Registry::from_wire(&tree).unwrap_or_else(|problems| panic!("{problems:#?}")));
    let there = read_back(&write(1, &a_call(&whole)), &part).unwrap();
    assert_eq!((there.tool_name(), there.task), (Some("search"), Task::Other));
    let back = read_back(&write(1, &there), &whole).unwrap();
    assert_eq!(back.flight, a_call(&whole).flight);
    assert_eq!((back.tool_name(), back.task), (Some("search"), Task::Tool(0)));
}

#[test]
fn a_call_does_not_show_what_the_client_authenticates_with() {
    assert!(!format!("{:?}", a_call(&registry())).contains("of-the-client"));
}

/// Older modules know nothing of it, and would have the call executed once more.
#[test]
fn a_call_that_an_api_is_at_work_on_is_read_by_those_only_who_know_what_that_means() {
    let registry = registry();
    let polling = || Call { poll: Some("/api/v2/statements/1?requestId=2".into()), ..a_call(&registry) };
    let bytes = write(3, &polling());
    assert_ne!(bytes[0], MAJOR);
    assert_eq!(read_back(&bytes, &registry).and_then(|call| call.poll), polling().poll);
    for cut in 0..bytes.len() {
        assert!(read_back(&bytes[..cut], &registry).is_none(), "cut at {cut}");
    }
}

#[test]
fn what_a_later_minor_version_adds_at_the_end_is_passed_over() {
    let registry = registry();
    let mut bytes = write(3, &a_call(&registry));
    bytes[1] += 1;
    bytes.extend(b"later");
    assert_eq!(read_back(&bytes, &registry).map(|call| call.flight), Some(a_call(&registry).flight));
}

#[test]
fn what_a_gate_of_the_first_minor_version_writes_is_a_call_without_a_query() {
    let registry = registry();
    let mut bytes = write(3, &Call { query: Box::default(), ..a_call(&registry) });
    bytes[1] = 0;
    // An empty query is its length alone.
    assert_eq!((bytes.pop(), bytes.pop()), (Some(0), Some(0)));
    let found = read_back(&bytes, &registry).unwrap();
    assert_eq!((&found.flight, &*found.query), (&a_call(&registry).flight, ""));
}

#[test]
fn a_call_of_another_major_version_cannot_be_read() {
    let mut bytes = write(3, &a_call(&registry()));
    bytes[0] += 1;
    assert_eq!(read(&bytes), None);
}

#[test]
fn a_number_alone_is_a_number_alone() {
    assert_eq!(
        read(&number(u64::MAX - 1)),
        Some(Handover { number: u64::MAX - 1, minor: MINOR, polls: false, written: None })
    );
}

#[test]
fn no_prefix_of_a_written_call_is_a_call() {
    let registry = registry();
    let bytes = write(3, &a_call(&registry));
    for cut in 0..bytes.len() {
        assert!(read_back(&bytes[..cut], &registry).is_none(), "cut at {cut}");
    }
}

#[cfg(not(target_family = "wasm"))]
proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = read_back(&[&number(1)[..], &bytes].concat(), &registry());
        let _ = read(&bytes);
    }
}
