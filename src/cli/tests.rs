use std::io;

use clap::CommandFactory;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::*;
use crate::credential::date;
use crate::registry::Registry;
use crate::registry::tests::{assert_answered, assert_slices_say_the_same, change, changed};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/envoy/registry.yaml");

/// What is warned of, in words.
fn warnings(registry: &Registry, now_s: u64, here: &Here) -> Vec<String> {
    super::warnings(registry, now_s, here).iter().map(Warning::to_string).collect()
}

fn example() -> (Registry, Value) {
    load(EXAMPLE).unwrap_or_else(|error| panic!("{error}"))
}

/// A machine that has all that a registry may name.
fn all_there() -> Here<'static> {
    Here { is_set: &|_| true, file: &sds_file, log: &|_| Ok(()), folder: &|_| Ok(()) }
}

/// An SDS file with the secret that its name ends with.
fn sds_file(file: &str) -> io::Result<Vec<u8>> {
    let secret = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": file.rsplit('/').next(),
        "generic_secret": {"secret": {"inline_string": "x"}},
    });
    Ok(json!({"resources": [secret]}).to_string().into_bytes())
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn the_example_is_right_and_warns_only_of_the_environment() {
    let (registry, _) = example();
    let found = warnings(&registry, 0, &Here { is_set: &|name| name == "SNOWFLAKE_PAT", ..all_there() });
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
fn every_place_of_the_examples_bootstrap_gets_what_the_example_says_of_it() {
    assert_slices_say_the_same(&example().1);
}

#[test]
fn the_summary_shows_tools_with_their_paths_in_order() {
    let text = summary(&example().0);
    for line in [
        "listener     http://127.0.0.1:10000/mcp",
        "tools        search (task search, replayable): snowflake-primary -> snowflake-secondary -> cortex-rest",
        "             sql (task sql): snowflake-primary -> snowflake-secondary -> cortex-rest",
        "credentials  snowflake-pat: header authorization, slot a from environment variable SNOWFLAKE_PAT (end not declared)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
    }
}

#[test]
fn a_clients_authorization_is_warned_of_if_nobody_gets_it_else_shown() {
    let registry = |credential: Option<&str>| {
        let server = json!({"id": "s", "kind": "mcp", "url": "https://host.example", "credential": credential});
        let mut tree = json!({"version": 1, "listener": {"client_authorization": "pass"}, "servers": [server],
            "credentials": [{"id": "pat", "slots": {"a": {"env": "PAT"}}}]});
        if credential.is_none() {
            tree["servers"][0].as_object_mut().expect("a server").remove("credential");
        }
        Registry::from_wire(&tree).unwrap_or_else(|problems| panic!("{problems:#?}"))
    };
    let warned =
        |registry: &Registry| warnings(registry, 0, &all_there()).iter().any(|w| w.contains("no server gets it"));
    assert!(warned(&registry(Some("pat"))) && !warned(&registry(None)));
    assert!(summary(&registry(None)).contains("no credential, gets clients' authorization"));
    assert!(!summary(&registry(Some("pat"))).contains("gets clients' authorization"));
}

#[test]
fn what_is_legal_but_unwise_is_warned_of() {
    let tree = json!({
        "version": 1,
        "envoy": {"admin_address": "0.0.0.0"},
        "credentials": [{"id": "unused", "slots": {"a": {"env": "UNSET"}, "b": {"sds_file": "/unused-b"}}}],
        "servers": [
            {"id": "s", "kind": "mcp", "url": "http://host.example"},
            {"id": "t", "kind": "mcp", "url": "https://host.example"},
            {"id": "r", "kind": "rest", "url": "https://host.example",
             "outcomes": {"credential": {"breaker": "failure"}, "lost": {"breaker": "neutral"}, "caller": {"alert": true}}}
        ],
        "tools": [
            {"name": "one", "task": "t", "servers": ["s"], "outcomes": {"tool_error": {"breaker": "failure"}}},
            {"name": "two", "task": "t", "outcomes": {"lost": {"failover": "always"}}}
        ]
    });
    let registry = Registry::from_wire(&tree).expect("it is legal");
    let expected = [
        "tool one has only one path, s: nothing takes over for it",
        "tool two has no direct path: it fails when its MCP servers do",
        "neither breaker.slow nor client_timeout is set: while a server hangs, a call waits up to 30 s for it before the next is asked",
        "server s is reached without TLS: anyone on the way can read its calls",
        "server r is not used by any tool",
        "server r: outcomes.credential.breaker is failure: a bad credential takes a server out of service that is well",
        "server r: outcomes.lost.breaker is neutral: the breaker does not see a server that fails so",
        "tool one: outcomes.tool_error.breaker is failure: one client's mistakes take the server from all of them",
        "tool two: outcomes.lost.failover is always: a call may be executed twice",
        "credential unused is not used by any server",
        "credential unused slot a comes from the environment: replacing it needs a restart, with sds_file it does not",
        "credential unused slot a: environment variable UNSET is not set here",
        "Envoy's admin interface at 0.0.0.0 is open to the network: it can stop Envoy",
    ];
    assert_eq!(warnings(&registry, 0, &Here { is_set: &|_| false, ..all_there() }), expected);
}

/// While a server hangs, nothing but its own timeout ends the wait, and that is 30 s.
#[test]
fn a_wait_that_nothing_ends_is_warned_of() {
    let warns = |slow: Option<&str>, listener: Option<&str>, tool: Option<&str>| {
        let timeout = |limit: Option<&str>| limit.map_or(json!({}), |limit| json!({"client_timeout": limit}));
        let mut tool = timeout(tool);
        (tool["name"], tool["task"]) = (json!("t"), json!("t"));
        let tree = json!({"version": 1, "listener": timeout(listener), "tools": [tool],
            "breaker": slow.map_or(json!({}), |slow| json!({"slow": slow})),
            "servers": [{"id": "s", "kind": "mcp", "url": "https://host.example"}]});
        let registry = Registry::from_wire(&tree).unwrap_or_else(|problems| panic!("{problems:#?}"));
        warnings(&registry, 0, &all_there()).iter().any(|warning| warning.contains("breaker.slow"))
    };
    assert!(warns(None, None, None));
    assert!(!warns(Some("2s"), None, None) && !warns(None, Some("60s"), None) && !warns(None, None, Some("60s")));
}

/// A registry whose credential has these slots and a server that uses it.
fn with_slots(slots: &Value) -> Registry {
    let tree = json!({
        "version": 1, "listener": {"client_timeout": "60s"},
        "credentials": [{"id": "pat", "slots": slots}],
        "servers": [
            {"id": "s", "kind": "mcp", "url": "http://127.0.0.1/mcp", "credential": "pat"},
            {"id": "r", "kind": "rest", "url": "http://127.0.0.1", "credential": "pat"}
        ],
        "tools": [{"name": "t", "task": "t", "rest": {"server": "r", "preset": "snowflake.sql"}}]
    });
    Registry::from_wire(&tree).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn dates_that_call_for_a_rotation_are_warned_of() {
    let b = |dates: Value| {
        let mut slot = json!({"sds_file": "/pat-b"});
        slot.as_object_mut().unwrap().extend(dates.as_object().unwrap().clone());
        with_slots(&json!({"a": {"sds_file": "/pat-a"}, "b": slot}))
    };
    let now = date::parse("2026-11-26T12:00:00Z").unwrap();
    let cases = [
        (json!({}), None),
        (json!({"expires": "2026-12-04"}), None),
        (json!({"expires": "2026-12-03"}), Some("ends at 2026-12-03T00:00:00Z, 6 days left: replace it")),
        (json!({"expires": "2026-11-27"}), Some("ends at 2026-11-27T00:00:00Z, less than a day left: replace it")),
        (
            json!({"issued": "2026-08-30"}),
            Some("is as old as max_age allows at 2026-11-28T00:00:00Z, 1 day left: replace it"),
        ),
        (json!({"expires": "2026-11-26"}), Some("ended at 2026-11-26T00:00:00Z: its token is not sent")),
        (
            json!({"issued": "2026-11-01", "expires": "2027-11-01"}),
            Some("lives for longer than the 90d that its policy allows"),
        ),
    ];
    for (dates, expected) in cases {
        let expected: Vec<_> = expected.map(|text| format!("credential pat slot b {text}")).into_iter().collect();
        assert_eq!(warnings(&b(dates.clone()), now, &all_there()), expected, "{dates}");
    }
}

#[test]
fn weak_places_of_secrets_are_warned_of() {
    let inline = with_slots(&json!({"a": {"inline": "demo"}}));
    assert_eq!(
        warnings(&inline, 0, &all_there()),
        ["credential pat slot a is in the registry itself, for everyone who sees that: use it in demonstrations only"]
    );
    let only = "credential pat has only slot a: if its next token is refused, no other stands in";
    for source in [json!({"sds_file": "/pat-a"}), json!({"http": {"url": "https://vault.example"}})] {
        assert_eq!(warnings(&with_slots(&json!({"a": source})), 0, &all_there()), [only]);
    }
}

#[test]
fn the_summary_shows_the_end_of_a_token_as_far_as_the_registry_knows_it() {
    let registry = with_slots(&json!({
        "a": {"sds_grpc": "https://sds.example", "issued": "2026-11-01"},
        "b": {"http": {"url": "https://vault.example/pat"}}
    }));
    let text = summary(&registry);
    let expected = "pat: header authorization, slot a from secret server sds.example (due for replacement 2027-01-30T00:00:00Z), \
        slot b from token endpoint vault.example/pat (end not declared)";
    assert!(text.contains(expected), "{text}");
}

proptest! {
    #[test]
    fn any_change_of_the_example_gives_a_registry_or_problems_that_say_where(at: Index, change in change()) {
        assert_answered(&changed(example().1, &at, change));
    }
}

#[test]
fn what_a_registry_names_and_is_not_here_is_warned_of() {
    let tree = json!({
        "version": 1,
        "listener": {"client_timeout": "60s"},
        "envoy": {"wasm_file": "/no/module.wasm"},
        "credentials": [{"id": "pat", "slots": {"a": {"sds_file": "/no/pat-a"}, "b": {"sds_file": "pat-b.yaml"}}}],
        "servers": [
            {"id": "s", "kind": "mcp", "url": "https://host.example", "credential": "pat", "ca_file": "/no/ca.pem"},
            {"id": "r", "kind": "rest", "url": "https://host.example"}
        ],
        "tools": [{"name": "t", "task": "t", "rest": {"server": "r", "preset": "snowflake.sql"}}]
    });
    let registry = Registry::from_wire(&tree).expect("it is legal");
    let file = |file: &str| if file.starts_with("/no") { Err(io::ErrorKind::NotFound.into()) } else { sds_file(file) };
    let expected = [
        "envoy.wasm_file /no/module.wasm: cannot be read here: entity not found",
        "server s: ca_file /no/ca.pem cannot be read here: entity not found",
        "credential pat slot a: SDS file /no/pat-a cannot be read here: entity not found: Envoy does not start without it",
        "credential pat slot b: sds_file is no absolute path, so it depends on where Envoy is started",
    ];
    assert_eq!(warnings(&registry, 0, &Here { file: &file, ..all_there() }), expected);
}

#[test]
fn a_log_that_cannot_be_written_and_a_link_that_leads_nowhere_are_told() {
    let place = std::env::temp_dir().join(format!("dualpath-logs-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("a folder");
    let file = place.join("file");
    std::fs::write(&file, "").expect("a file");
    let told = |log: &str, link: &str| {
        let mut registry = example().0;
        registry.log.calls = Some(log.to_owned());
        registry.audit.access_log = Some(log.to_owned());
        registry.failover.access_log = Some(log.to_owned());
        registry.envoy.runtime_files = Some(link.to_owned());
        let this_machine = Here::of_this_machine();
        let here = Here { log: this_machine.log, folder: this_machine.folder, ..all_there() };
        let found = super::warnings(&registry, 0, &here).into_iter().filter(|told| told.code == "DP0904");
        found.map(|told| told.path).collect::<Vec<_>>()
    };
    let path = |name: &str| place.join(name).to_string_lossy().into_owned();
    let all = ["log.calls", "audit.access_log", "failover.access_log"];
    assert_eq!(told(&path("new.log"), &path("")), [""; 0]);
    assert_eq!(told("/dev/stdout", &path("")), [""; 0]);
    assert_eq!(told(&path("no/such.log"), &path("")), all);
    assert_eq!(told(&path("file/in.log"), &path("")), all);
    assert_eq!(told(&path(""), &path("")), all, "a folder is no log");
    assert_eq!(told(&path("file"), &path("no")), ["envoy.runtime_files"]);
    assert_eq!(told(&path("file"), &path("file")), ["envoy.runtime_files"]);
    std::fs::remove_dir_all(&place).expect("the folder");
}

#[test]
fn an_sds_file_that_envoy_refuses_is_warned_of_without_showing_it() {
    for (content, told) in [
        ("hunter2", "holds something else, such as a bare token"),
        ("hunter2: [", "is no YAML"),
        ("resources: []", "has 0 resources"),
    ] {
        let registry = with_slots(&json!({"a": {"sds_file": "/pat-a"}, "b": {"sds_file": "/pat-b"}}));
        let file = |name: &str| if name == "/pat-a" { Ok(content.as_bytes().to_vec()) } else { sds_file(name) };
        let found = warnings(&registry, 0, &Here { file: &file, ..all_there() });
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(told) && !found[0].contains("hunter2"), "{found:?}");
    }
}

#[test]
fn servers_that_are_one_and_clients_that_leave_first_are_warned_of() {
    let server = |id: &str, port: u16| json!({"id": id, "kind": "mcp", "url": format!("http://127.0.0.1:{port}/mcp")});
    let tool = |name: &str, time: &str| json!({"name": name, "task": "t", "client_timeout": time});
    let mut tree = json!({
        "version": 1, "listener": {"client_timeout": "400ms"}, "servers": [server("a", 1), server("b", 2), server("c", 1)],
        "tools": [tool("quick", "900ms"), tool("slow", "1s")]
    });
    tree["servers"][1]["connect_timeout"] = json!("950ms");
    let registry = Registry::from_wire(&tree).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let found: Vec<_> =
        warnings(&registry, 0, &all_there()).into_iter().filter(|w| !w.contains("direct path")).collect();
    let expected = [
        "servers a and c have the same URL: when one fails, so does the other",
        "listener.client_timeout of 400ms is shorter than the connect_timeout of server c, 1s: a server that is gone uses it up",
        "tool quick: client_timeout of 900ms is shorter than the connect_timeout of server c, 1s: a server that is gone uses it up",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_parameter_that_a_mapping_sets_beside_its_servers_url_is_warned_of_and_no_query_is_shown() {
    for (name, is_warned_of) in [("tenant", true), ("Tenant", true), ("tenant[]", true), ("days", false)] {
        let rest = json!({"server": "api", "method": "GET", "path": "/s", "query": {name: "${arguments.x}"},
            "answer": {"content": "${response.text}"}});
        let server = json!({"id": "api", "kind": "rest", "url": "https://api.example/v1?tenant=acme"});
        let tree =
            json!({"version": 1, "servers": [server], "tools": [{"name": "search", "task": "search", "rest": rest}]});
        let registry = Registry::from_wire(&tree).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let found = warnings(&registry, 0, &all_there());
        assert_eq!(found.iter().any(|told| told.contains("rest.query sets")), is_warned_of, "{name}: {found:?}");
        let shown = summary(&registry);
        assert!(shown.contains("https://api.example/v1?(not shown)") && !shown.contains("acme"), "{shown}");
    }
}
