#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::list::MAX_TOOLS;
use super::*;
use crate::probe::Message;
use crate::registry::{Registry, ServerIndex};
use crate::shared_data::{HostError, SetError, SharedData};

const EVERY: Duration = Duration::from_secs(300);

fn registry(protocol: &str) -> Registry {
    let wire = json!({"version": 1, "servers": [
        {"id": "a", "kind": "mcp", "url": "https://a.example/mcp", "protocol": protocol},
        {"id": "b", "kind": "mcp", "tier": "secondary", "url": "https://b.example/mcp"},
    ], "tools": [{"name": "search", "task": "search"}, {"name": "sql", "task": "sql"}]});
    Registry::from_wire(&wire).unwrap()
}

fn tool(name: &str) -> Value {
    json!({"name": name, "inputSchema": {"type": "object"}})
}

/// A server that answers each message by what it is.
struct Talk<'a> {
    asked: Vec<Message>,
    answer: &'a dyn Fn(&str, &Value) -> (u16, Value),
}

impl Talk<'_> {
    fn with(protocol: &str, answer: &dyn Fn(&str, &Value) -> (u16, Value)) -> (Next, Vec<Message>) {
        let registry = registry(protocol);
        let server = &registry.servers[0];
        let (mut walk, mut message) = Walk::begin(server);
        let mut talk = Talk { asked: Vec::new(), answer };
        for _ in 0..100 {
            let request: Value = serde_json::from_str(&message.body).unwrap();
            let method = request["method"].as_str().unwrap().to_owned();
            let (status, mut answer) = (talk.answer)(&method, &request["params"]);
            answer["id"] = request["id"].clone();
            let body = answer.to_string();
            let heard = Heard { status, session: (method == "initialize").then_some("s-1"), body: body.as_bytes() };
            talk.asked.push(message);
            match walk.go_on(server, Some(heard), EVERY, 1_000) {
                Next::Ask(next) => message = next,
                end => return (end, talk.asked),
            }
        }
        panic!("it never ends");
    }
}

fn result(result: Value) -> (u16, Value) {
    (200, json!({"jsonrpc": "2.0", "result": result}))
}

fn initialized() -> (u16, Value) {
    result(json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": false}}}))
}

fn done(next: Next) -> Option<(List, u64)> {
    if let Next::Done(list, again_ms) = next { Some((list, again_ms)) } else { None }
}

fn list(tools: &[Value]) -> List {
    let mut list = List { until_ms: 10_000, ..List::default() };
    assert!(list.add(&tools.iter().map(crate::json::Value::from).collect::<Vec<_>>()));
    list
}

#[test]
fn a_list_is_read_page_by_page_in_a_session_of_its_own() {
    let (end, asked) = Talk::with("2025-11-25", &|method, params| match (method, params["cursor"].as_str()) {
        ("initialize", _) => initialized(),
        ("notifications/initialized", _) => (202, json!({})),
        ("tools/list", None) => result(json!({"tools": [tool("search")], "nextCursor": ""})),
        ("tools/list", Some("")) => result(json!({"tools": [tool("sql")]})),
        other => panic!("{other:?}"),
    });
    let (list, again_ms) = done(end).unwrap();
    assert_eq!(list.tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), ["search", "sql"]);
    assert_eq!((again_ms, list.until_ms), (300_000, 451_000), "it counts for longer than until it is asked for again");
    let header = |message: &Message, name: &str| {
        message.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    for message in &asked[1..] {
        assert_eq!(header(message, "mcp-session-id").as_deref(), Some("s-1"));
        assert_eq!(header(message, "mcp-protocol-version").as_deref(), Some("2025-06-18"), "as agreed");
    }
    assert!(!asked[1].body.contains("\"id\""), "a notification");
}

#[test]
fn a_server_without_handshakes_is_asked_without_one_and_says_how_long_its_list_counts() {
    let (end, asked) = Talk::with("2026-07-28", &|_, params| match params["cursor"].as_str() {
        None => result(json!({"tools": [], "ttlMs": 60_000, "cacheScope": "private", "nextCursor": "c"})),
        Some(_) => result(json!({"tools": [tool("x")], "ttlMs": 30_000, "cacheScope": "private"})),
    });
    let (list, again_ms) = done(end).unwrap();
    assert_eq!((again_ms, list.until_ms), (20_000, 31_000), "the shortest of its pages, asked again in time");
    assert_eq!(asked.len(), 2);
    for message in &asked {
        let count = |name: &str| message.headers.iter().filter(|(known, _)| *known == name).count();
        assert_eq!(["mcp-protocol-version", "mcp-method", "mcp-session-id"].map(count), [1, 1, 0]);
        let body: Value = serde_json::from_str(&message.body).unwrap();
        assert_eq!(body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    }
}

#[test]
fn no_ttl_has_a_server_asked_all_the_time_or_believed_for_a_day() {
    for (ttl, counts_ms) in [(0, 10_000), (u64::MAX, 3_600_000)] {
        let (end, _) = Talk::with("2026-07-28", &|_, _| result(json!({"tools": [], "ttlMs": ttl})));
        assert_eq!(done(end).unwrap().0.until_ms, 1_000 + counts_ms);
    }
}

#[test]
fn half_a_list_is_none() {
    let many: Vec<_> = (0..=MAX_TOOLS).map(|n| tool(&n.to_string())).collect();
    let answers: [(u16, Value); 8] = [
        (500, json!({"result": {"tools": []}})),
        (401, json!({})),
        (200, json!({"error": {"code": -32601, "message": "no"}})),
        (200, json!({"result": {"tools": {}}})),
        result(json!({"tools": many})),
        result(json!({"tools": [tool(&"x".repeat(129))]})),
        result(json!({"tools": [], "nextCursor": "for ever"})),
        result(json!({"tools": [], "nextCursor": 7})),
    ];
    for answer in answers {
        let (end, asked) = Talk::with("2026-07-28", &|_, _| answer.clone());
        assert!(matches!(end, Next::Failed), "{end:?}");
        assert!(asked.len() <= 20);
    }
    let registry = registry("2025-11-25");
    let (mut walk, _) = Walk::begin(&registry.servers[0]);
    assert!(matches!(walk.go_on(&registry.servers[0], None, EVERY, 0), Next::Failed));
}

#[test]
fn a_name_that_looks_like_a_token_reaches_neither_the_record_nor_the_log() {
    let list = list(&[tool("search"), tool("eyJhbGciOiJIUzI1NiJ9.SECRETSECRET.sig")]);
    assert!(!list.encode().windows(6).any(|part| part == b"SECRET"));
    assert_eq!(drift(&List::default(), &list), [("extra", "search")]);
}

#[test]
fn servers_that_list_the_same_do_not_differ_and_every_difference_is_named() {
    let preferred = list(&[tool("a"), tool("b"), tool("c"), tool("d")]);
    assert!(drift(&preferred, &preferred).is_empty());
    // The order of tools and of members says nothing.
    let again = list(&[tool("d"), tool("c"), json!({"inputSchema": {"type": "object"}, "name": "b"}), tool("a")]);
    assert!(drift(&preferred, &again).is_empty());
    let other = list(&[
        json!({"name": "b", "inputSchema": {"type": "object", "required": ["q"]}}),
        json!({"name": "c", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}}),
        tool("d"),
        tool("e"),
    ]);
    let found = drift(&preferred, &other);
    assert_eq!(found, [("missing", "a"), ("schema", "b"), ("annotations", "c"), ("extra", "e")]);
    assert!(found.iter().all(|(kind, _)| KINDS.contains(kind)));
}

/// Shared data in memory, with a count of the looks at it.
#[derive(Default)]
struct Store {
    values: RefCell<BTreeMap<String, Vec<u8>>>,
    looks: Cell<usize>,
}

impl SharedData for Store {
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
        self.looks.set(self.looks.get() + 1);
        Ok(self.values.borrow().get(key).map(|value| (value.clone(), 1)))
    }

    fn set(&self, key: &str, value: &[u8], _token: u32) -> Result<(), SetError> {
        self.values.borrow_mut().insert(key.to_owned(), value.to_vec());
        Ok(())
    }
}

fn store(registry: &Registry, lists: &[(usize, List)]) -> Store {
    let store = Store::default();
    for (at, list) in lists {
        store.set(&key(&registry.servers[*at]), &list.encode(), 0).unwrap();
    }
    store.set(REVISION, b"1", 0).unwrap();
    store
}

const A: ServerIndex = ServerIndex(0);
const B: ServerIndex = ServerIndex(1);

#[test]
fn a_server_lacks_what_its_whole_and_fresh_list_does_not_have_and_nothing_else() {
    let registry = registry("2025-11-25");
    let store = store(&registry, &[(0, list(&[tool("search"), tool("own")]))]);
    let mut seen = Seen::new(&registry);
    let lacks = |seen: &Seen, server, called, now_ms| seen.lacks(server, called, false, now_ms);
    assert!(!lacks(&seen, A, Called::At(1), 0), "nothing is known yet");
    seen.look(&store, &registry, 0);
    for (called, lacking) in
        [(Called::At(0), false), (Called::At(1), true), (Called::Named("own"), false), (Called::Named("other"), true)]
    {
        assert_eq!(lacks(&seen, A, called, 9_999), lacking, "{called:?}");
        assert!(!lacks(&seen, A, called, 10_000), "{called:?}: too old");
        assert!(!lacks(&seen, B, called, 0), "{called:?}: no list");
    }
    store.set(&key(&registry.servers[0]), b"\x01what?", 0).unwrap();
    store.set(REVISION, b"2", 0).unwrap();
    seen.look(&store, &registry, 1_000);
    assert!(!lacks(&seen, A, Called::At(1), 1_000), "a record that can't be read");
}

#[test]
fn a_worker_looks_once_a_second_at_most_however_many_servers_there_are() {
    let registry = registry("2025-11-25");
    let store = store(&registry, &[(0, list(&[])), (1, list(&[]))]);
    let mut seen = Seen::new(&registry);
    seen.look(&store, &registry, 0);
    assert_eq!(store.looks.take(), 3);
    for now_ms in (200..=5_000).step_by(200) {
        seen.look(&store, &registry, now_ms);
    }
    assert_eq!(store.looks.take(), 5);
}

#[test]
fn in_its_own_session_a_server_whose_list_changes_may_have_more() {
    let registry = registry("2025-11-25");
    for changes in [false, true] {
        let store = store(&registry, &[(0, List { changes, ..list(&[]) })]);
        let mut seen = Seen::new(&registry);
        seen.look(&store, &registry, 0);
        assert_eq!(seen.lacks(A, Called::At(0), true, 0), !changes);
        assert!(seen.lacks(A, Called::At(0), false, 0));
    }
}

#[test]
fn servers_that_see_a_clients_own_credential_are_not_asked_nor_believed() {
    let mut wire = json!({"version": 1, "listener": {"client_authorization": "pass"},
        "servers": [{"id": "a", "kind": "mcp", "url": "https://a.example/mcp"}], "tools": []});
    let discovers = |wire: &Value| {
        let registry = Registry::from_wire(wire).unwrap();
        registry.discovers(&registry.servers[0])
    };
    assert!(!discovers(&wire));
    wire["listener"]["client_authorization"] = json!("drop");
    assert!(discovers(&wire));
    wire["discovery"] = json!({"enabled": false});
    assert!(!discovers(&wire));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_record_is_read_as_it_was_written(names in prop::collection::vec(".{0,20}", 0..20), changes: bool, until_ms: u64) {
        let tools: Vec<_> = names.iter().map(|name| tool(name)).collect();
        let list = List { until_ms, changes, ..list(&tools) };
        prop_assert_eq!(List::decode(&list.encode()), Some(list));
    }

    #[test]
    fn no_bytes_make_a_reader_of_records_panic(bytes: Vec<u8>) {
        let _ = List::decode(&bytes);
        let _ = List::decode(&[&[1], &bytes[..]].concat());
    }
}
