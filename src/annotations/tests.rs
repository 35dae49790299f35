#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::known::{MAX_NAME, MAX_TOOLS};
use super::*;
use crate::shared_data::HostError;

/// Shared data as Envoy keeps it; `interfere` writes once between a read and the write after it.
#[derive(Default)]
struct Store {
    entries: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
    interfere: RefCell<Option<Vec<u8>>>,
}

impl SharedData for Store {
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
        let found = self.entries.borrow().get(key).cloned();
        if let Some(bytes) = self.interfere.borrow_mut().take() {
            let token = found.as_ref().map_or(0, |(_, token)| *token) + 1;
            self.entries.borrow_mut().insert(key.to_owned(), (bytes, token));
        }
        Ok(found)
    }

    fn set(&self, key: &str, value: &[u8], token: u32) -> Result<(), SetError> {
        let mut entries = self.entries.borrow_mut();
        let stored = entries.get(key).map(|(_, token)| *token);
        if stored.is_some_and(|stored| stored != token) {
            return Err(SetError::CasMismatch);
        }
        entries.insert(key.to_owned(), (value.to_vec(), stored.unwrap_or_default() + 1));
        Ok(())
    }
}

const ONE: ServerIndex = ServerIndex(0);
const TWO: ServerIndex = ServerIndex(1);
const STRANGER: ServerIndex = ServerIndex(2);
const HOUR_MS: u64 = 3_600_000;

/// A worker under a registry of two trusted servers and one that is not.
fn worker() -> Annotations {
    let server = |id: &str, trusted: bool| json!({"id": id, "kind": "mcp", "url": format!("https://{id}.example"), "trust_annotations": trusted});
    let tree = json!({"version": 1, "failure": {"annotations_max_age": "1h"},
        "servers": [server("one", true), server("two", true), server("stranger", false)]});
    Annotations::new(&Registry::from_wire(&tree).expect("a registry"))
}

fn list(tools: Value) -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}).to_string().into_bytes()
}

fn tool(name: &str, annotations: Value) -> Value {
    json!({"name": name, "inputSchema": {"type": "object"}, "annotations": annotations})
}

fn read_only(names: &[&str]) -> Vec<u8> {
    list(names.iter().map(|name| tool(name, json!({"readOnlyHint": true}))).collect())
}

#[test]
fn a_tool_vouches_for_itself_by_two_hints_only() {
    let cases = [
        (json!({"readOnlyHint": true}), true),
        (json!({"idempotentHint": true}), true),
        (json!({"idempotentHint": true, "destructiveHint": true}), true),
        (json!({"destructiveHint": false}), false),
        (json!({"openWorldHint": false}), false),
        (json!({"readOnlyHint": false, "idempotentHint": false}), false),
        (json!({"readOnlyHint": "true"}), false),
        (json!({"readOnlyHint": 1}), false),
        (json!(["readOnlyHint"]), false),
        (json!({}), false),
        (Value::Null, false),
    ];
    for (annotations, expected) in cases {
        let (mut worker, store) = (worker(), Store::default());
        worker.learn(&store, ONE, Page::First, &list(json!([tool("t", annotations.clone())])), 0);
        assert_eq!(worker.vouch_for(&store, "t", &[ONE], 0), expected, "{annotations}");
    }
    let (mut worker, store) = (worker(), Store::default());
    worker.learn(&store, ONE, Page::First, &list(json!([{"name": "t"}])), 0);
    assert!(!worker.vouch_for(&store, "t", &[ONE], 0), "no annotations at all");
}

#[test]
fn every_server_must_be_trusted_one_must_vouch_and_none_contradict() {
    let (mut worker, store) = (worker(), Store::default());
    assert!(!worker.vouch_for(&store, "t", &[ONE, TWO], 0), "nobody has said anything");
    worker.learn(&store, ONE, Page::First, &read_only(&["t"]), 0);
    assert!(worker.vouch_for(&store, "t", &[ONE, TWO], 0), "a standby need not have been asked");
    assert!(worker.vouch_for(&store, "t", &[TWO, ONE], 0));
    assert!(!worker.vouch_for(&store, "t", &[ONE, STRANGER], 0));
    assert!(!worker.vouch_for(&store, "t", &[], 0));
    worker.learn(&store, TWO, Page::First, &list(json!([tool("t", json!({}))])), 0);
    assert!(!worker.vouch_for(&store, "t", &[ONE, TWO], 0), "they disagree");
    worker.learn(&store, TWO, Page::First, &list(json!([])), 0);
    assert!(worker.vouch_for(&store, "t", &[ONE, TWO], 0), "a server that has no such tool does not disagree");
}

#[test]
fn a_server_that_is_not_trusted_teaches_nothing() {
    let (mut worker, store) = (worker(), Store::default());
    worker.learn(&store, STRANGER, Page::First, &read_only(&["t"]), 0);
    assert!(!worker.vouch_for(&store, "t", &[STRANGER], 0));
    assert!(store.entries.borrow().is_empty());
}

#[test]
fn a_first_page_replaces_and_a_later_one_adds() {
    let (mut worker, store) = (worker(), Store::default());
    worker.learn(&store, ONE, Page::First, &read_only(&["a"]), 0);
    worker.learn(&store, ONE, Page::Later, &read_only(&["b"]), 0);
    assert!(worker.vouch_for(&store, "a", &[ONE], 0) && worker.vouch_for(&store, "b", &[ONE], 0));
    worker.learn(&store, ONE, Page::First, &read_only(&["b"]), 0);
    assert!(!worker.vouch_for(&store, "a", &[ONE], 0) && worker.vouch_for(&store, "b", &[ONE], 0));
    worker.learn(&store, ONE, Page::First, &list(json!([tool("b", json!({}))])), 0);
    assert!(!worker.vouch_for(&store, "b", &[ONE], 0), "the server has changed its mind");
}

#[test]
fn a_list_that_cannot_be_read_leaves_nothing_known() {
    for answer in ["{}", "x", r#"{"result":{}}"#, r#"{"result":{"tools":{}}}"#, r#"{"error":{"code":1}}"#] {
        let (mut worker, store) = (worker(), Store::default());
        worker.learn(&store, ONE, Page::First, &read_only(&["t"]), 0);
        worker.learn(&store, ONE, Page::First, answer.as_bytes(), 0);
        assert!(!worker.vouch_for(&store, "t", &[ONE], 0), "{answer}");
    }
}

#[test]
fn what_is_known_ends_with_its_time_whatever_later_pages_say() {
    let (mut worker, store) = (worker(), Store::default());
    worker.learn(&store, ONE, Page::First, &read_only(&["a"]), 0);
    worker.learn(&store, ONE, Page::Later, &read_only(&["b"]), HOUR_MS / 2);
    assert!(worker.vouch_for(&store, "a", &[ONE], HOUR_MS - 1));
    assert!(!worker.vouch_for(&store, "a", &[ONE], HOUR_MS));
    assert!(!worker.vouch_for(&store, "b", &[ONE], HOUR_MS));
    worker.learn(&store, ONE, Page::Later, &read_only(&["b"]), HOUR_MS);
    assert!(worker.vouch_for(&store, "b", &[ONE], HOUR_MS) && !worker.vouch_for(&store, "a", &[ONE], HOUR_MS));
}

#[test]
fn all_workers_know_within_a_second_what_one_has_learned() {
    let (mut learner, mut other, store) = (worker(), worker(), Store::default());
    assert!(!other.vouch_for(&store, "t", &[ONE], 0));
    learner.learn(&store, ONE, Page::First, &read_only(&["t"]), 0);
    assert!(other.vouch_for(&store, "t", &[ONE], REREAD_AFTER_MS));
    learner.learn(&store, ONE, Page::First, &list(json!([])), REREAD_AFTER_MS);
    assert!(!other.vouch_for(&store, "t", &[ONE], 2 * REREAD_AFTER_MS));
}

#[test]
fn a_page_that_meets_another_workers_write_is_added_to_it() {
    let (mut worker, mut other, store, scratch) = (worker(), worker(), Store::default(), Store::default());
    other.learn(&scratch, ONE, Page::First, &read_only(&["theirs"]), 0);
    let theirs = scratch.entries.borrow().values().next().expect("an entry").0.clone();
    worker.learn(&store, ONE, Page::First, &read_only(&["old"]), 0);
    *store.interfere.borrow_mut() = Some(theirs);
    worker.learn(&store, ONE, Page::Later, &read_only(&["mine"]), 0);
    for (name, expected) in [("mine", true), ("theirs", true), ("old", false)] {
        assert_eq!(worker.vouch_for(&store, name, &[ONE], 0), expected, "{name}");
    }
}

#[test]
fn of_a_tool_listed_twice_the_worse_word_counts() {
    let both = [json!({"readOnlyHint": true}), json!({})];
    for tools in [[&both[0], &both[1]], [&both[1], &both[0]]] {
        let (mut worker, store) = (worker(), Store::default());
        let tools = tools.map(|annotations| tool("t", annotations.clone()));
        worker.learn(&store, ONE, Page::First, &list(json!(tools)), 0);
        assert!(!worker.vouch_for(&store, "t", &[ONE], 0));
    }
}

#[test]
fn what_is_kept_of_a_server_is_bounded() {
    let (mut worker, store) = (worker(), Store::default());
    let names: Vec<String> = (0..2 * MAX_TOOLS).map(|at| format!("{at:0>width$}", width = MAX_NAME - at % 2)).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    let long = "x".repeat(MAX_NAME + 1);
    names.insert(0, &long);
    worker.learn(&store, ONE, Page::First, &read_only(&names), 0);
    worker.learn(&store, ONE, Page::Later, &read_only(&names), 0);
    let size = store.entries.borrow().values().map(|(bytes, _)| bytes.len()).max();
    assert!(size.is_some_and(|size| size <= 9 + MAX_TOOLS * (2 + MAX_NAME)), "{size:?}");
    assert!(!worker.vouch_for(&store, &long, &[ONE], 0));
    assert!(worker.vouch_for(&store, names[1], &[ONE], 0));
}

#[test]
fn a_server_that_has_moved_has_nothing_to_say_for_its_successor() {
    let (mut before, store) = (worker(), Store::default());
    before.learn(&store, ONE, Page::First, &read_only(&["t"]), 0);
    for (url, vouches) in
        [("https://elsewhere.example", false), ("https://one.example?tenant=b", false), ("https://one.example", true)]
    {
        let server = json!({"id": "one", "kind": "mcp", "url": url, "trust_annotations": true});
        let tree = json!({"version": 1, "servers": [server]});
        let mut after = Annotations::new(&Registry::from_wire(&tree).expect("a registry"));
        assert_eq!(after.vouch_for(&store, "t", &[ONE], 0), vouches, "{url}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_in_the_shared_data_and_no_answer_make_it_panic_or_vouch(bytes: Vec<u8>, answer: Vec<u8>) {
        let (mut worker, store) = (worker(), Store::default());
        worker.learn(&store, ONE, Page::First, &answer, 0);
        for (value, _) in store.entries.borrow_mut().values_mut() {
            value.clone_from(&bytes);
        }
        worker.learn(&store, ONE, Page::Later, &answer, 0);
        prop_assert!(!worker.vouch_for(&store, "search", &[ONE], u64::MAX / 2));
    }

    #[test]
    fn what_is_known_survives_its_encoding(tools in proptest::collection::vec(("[a-z]{1,128}", any::<bool>()), 0..20)) {
        let mut known = Known::begun(7);
        let word = |yes| if yes { Word::Repeatable } else { Word::NotRepeatable };
        known.add(&tools.into_iter().map(|(name, yes)| (name, word(yes))).collect::<Vec<_>>());
        let bytes = known.encode();
        prop_assert_eq!(Known::decode(&bytes), Some(known));
        for cut in 0..9.min(bytes.len()) {
            prop_assert_eq!(Known::decode(&bytes[..cut]), None);
        }
    }
}
