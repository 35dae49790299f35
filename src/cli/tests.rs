use clap::CommandFactory;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::*;
use crate::registry::Registry;
use crate::registry::tests::{assert_answered, change, changed};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/envoy/registry.yaml");

fn example() -> (Registry, Value) {
    load(EXAMPLE).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn the_example_is_right_and_warns_only_of_the_environment() {
    let (registry, _) = example();
    let found = warnings(&registry, |name| name == "SNOWFLAKE_PAT");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("comes from the environment"), "{found:?}");
}

#[test]
fn the_example_states_the_defaults_as_they_are() {
    let (registry, _) = example();
    let (_, mut tree) = example();
    for section in ["listener", "envoy", "limits", "breaker", "failure"] {
        tree.as_object_mut().expect("a mapping").remove(section);
    }
    assert_eq!(Registry::from_wire(&tree).expect("sections may be left out"), registry);
}

#[test]
fn the_summary_shows_tools_with_their_paths_in_order() {
    let text = summary(&example().0);
    for line in [
        "listener     http://127.0.0.1:10000/mcp",
        "tools        search (task search, replayable): snowflake-primary -> snowflake-secondary -> cortex-rest",
        "             sql (task sql): snowflake-primary -> snowflake-secondary -> cortex-rest",
        "credentials  snowflake-pat: header authorization, slot a from environment variable SNOWFLAKE_PAT",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
    }
}

#[test]
fn what_is_legal_but_unwise_is_warned_of() {
    let tree = json!({
        "version": 1,
        "envoy": {"admin_address": "0.0.0.0"},
        "credentials": [{"id": "unused", "slots": {"a": {"env": "UNSET"}, "b": {"sds_file": "/b"}}}],
        "servers": [
            {"id": "s", "kind": "mcp", "url": "http://host.example"},
            {"id": "t", "kind": "mcp", "url": "https://host.example"},
            {"id": "r", "kind": "rest", "url": "https://host.example",
             "on": {"credential": {"breaker": "failure"}, "lost": {"breaker": "neutral"}, "caller": {"alert": true}}}
        ],
        "tools": [
            {"name": "one", "task": "t", "servers": ["s"], "on": {"tool_error": {"breaker": "failure"}}},
            {"name": "two", "task": "t", "on": {"lost": {"failover": "always"}}}
        ]
    });
    let registry = Registry::from_wire(&tree).expect("it is legal");
    let expected = [
        "tool one has only one path, s: nothing takes over for it",
        "tool two has no direct path: it fails when its MCP servers do",
        "server s is reached without TLS: anyone on the way can read its calls",
        "server r is not used by any tool",
        "server r: on.credential.breaker is failure: a bad credential takes a server out of service that is well",
        "server r: on.lost.breaker is neutral: the breaker does not see a server that fails so",
        "tool one: on.tool_error.breaker is failure: one client's mistakes take the server from all of them",
        "tool two: on.lost.failover is always: a call may be executed twice",
        "credential unused is not used by any server",
        "credential unused slot a comes from the environment: replacing it needs a restart, with sds_file it does not",
        "credential unused slot a: environment variable UNSET is not set here",
        "Envoy's admin interface at 0.0.0.0 is open to the network: it can stop Envoy",
    ];
    assert_eq!(warnings(&registry, |_| false), expected);
}

proptest! {
    #[test]
    fn any_change_of_the_example_gives_a_registry_or_problems_that_say_where(at: Index, change in change()) {
        assert_answered(&changed(example().1, &at, change));
    }
}
