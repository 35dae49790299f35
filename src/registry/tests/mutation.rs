//! Whatever is wrong with a registry, the answer is a registry or problems that say where.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::Registry;
use super::reached_in_every_way;

/// One thing done to one node.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Remove,
    Rename,
    Replace(Value),
}

/// Any change.
pub(crate) fn change() -> impl Strategy<Value = Change> {
    let samples = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("rest"),
        json!("first"),
        json!("30s"),
        json!("99999999999999999999d"),
        json!("http://["),
        json!("/"),
        json!("a\r\nb"),
        json!("\u{0}\u{1f600}"),
        json!("x".repeat(5000)),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"a": {"b": 1}}),
    ];
    let replace = prop_oneof![prop::sample::select(samples.to_vec()), "\\PC{0,20}".prop_map(Value::from)];
    prop_oneof![Just(Change::Remove), Just(Change::Rename), replace.prop_map(Change::Replace)]
}

/// The tree after `change` at one of its nodes.
pub(crate) fn changed(mut tree: Value, at: &Index, change: Change) -> Value {
    let mut pointers = Vec::new();
    collect(&tree, String::new(), &mut pointers);
    let pointer = at.get(&pointers);
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        return if let Change::Replace(value) = change { value } else { Value::Null };
    };
    let key = key.replace("~1", "/").replace("~0", "~");
    match (tree.pointer_mut(parent).expect("a collected pointer"), change) {
        (Value::Object(map), Change::Remove) => drop(map.remove(&key)),
        (Value::Object(map), Change::Rename) => {
            let value = map.remove(&key).unwrap_or_default();
            map.insert(format!("{key}x"), value);
        }
        (Value::Object(map), Change::Replace(value)) => drop(map.insert(key, value)),
        (Value::Array(list), Change::Remove) => drop(list.remove(key.parse().expect("a position"))),
        // An element has no name; it is there twice instead.
        (Value::Array(list), Change::Rename) => list.push(list[key.parse::<usize>().expect("a position")].clone()),
        (Value::Array(list), Change::Replace(value)) => list[key.parse::<usize>().expect("a position")] = value,
        (other, _) => panic!("{other} has no children"),
    }
    tree
}

fn collect(value: &Value, pointer: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                collect(child, format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(list) => {
            for (i, child) in list.iter().enumerate() {
                collect(child, format!("{pointer}/{i}"), found);
            }
        }
        _ => {}
    }
    found.push(pointer);
}

/// Asserts that the tree gives a registry whose references all lead somewhere, or problems that say where and which rule.
pub(crate) fn assert_answered(tree: &Value) {
    match Registry::from_wire(tree) {
        Ok(registry) => {
            for tool in &registry.tools {
                let servers = tool.mcp.iter().copied().chain(tool.rest.iter().map(|direct| direct.server));
                let known = servers.map(|at| registry.server(at).is_some()).collect::<Vec<_>>();
                assert!(!known.is_empty() && known.iter().all(|known| *known), "{tool:?}");
            }
            for server in &registry.servers {
                assert!(server.credential.is_none_or(|at| registry.credential(at).is_some()), "{server:?}");
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a problem: {tree}");
            assert!(
                problems.iter().all(|problem| !problem.path.is_empty() && !problem.rule.is_empty()),
                "{problems:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn any_change_gives_a_registry_or_problems_that_say_where(
        changes in prop::collection::vec((any::<Index>(), change()), 1..4),
    ) {
        let tree = changes.into_iter().fold(reached_in_every_way(), |tree, (at, change)| changed(tree, &at, change));
        assert_answered(&tree);
    }
}
