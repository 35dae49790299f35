//! Limits of how often tools may be called: what Envoy's own filter needs to know, and no more.

use serde_json::json;

use crate::fixture::{World, healthy, registry};

#[test]
fn envoy_is_told_the_tool_of_a_call_only_where_calls_are_counted() {
    let mut registry = registry();
    let told = |world: &World, tool: &str| world.call(tool, healthy()).filter_state.get("wasm.tool").cloned();
    assert_eq!(told(&World::under(&registry), "search"), None);
    registry["limits"]["rate"] = json!([{"tool": "search", "calls": 1}]);
    let world = World::under(&registry);
    assert_eq!(told(&world, "search").as_deref(), Some(&b"search"[..]));
    assert_eq!(told(&world, "of no registry"), None);
}
