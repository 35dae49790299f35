#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use super::{full, problems, with, without};

/// One change to a registry that is right, and the problems that an operator then sees. Without a value the key is
/// removed.
type Case = (&'static str, Option<Value>, &'static [&'static str]);

fn assert_each(cases: Vec<Case>) {
    for (pointer, value, expected) in cases {
        let registry = match value {
            Some(value) => with(full(), pointer, value),
            None => without(full(), pointer),
        };
        let found: Vec<String> = problems(&registry).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{pointer}");
    }
}

#[test]
fn problems_of_the_document_itself() {
    assert_each(vec![
        ("/version", None, &["version: is required"]),
        ("/version", Some(json!(2)), &["version: 2: must be 1\n    hint: this release reads no other version"]),
        ("/version", Some(json!("1")), &["version: \"1\": must be 1\n    hint: this release reads no other version"]),
        (
            "/serverss",
            Some(json!([])),
            &[
                "serverss: [0 elements]: is not a known key\n    hint: did you mean servers? known here: version, listener, envoy, limits, failover, breaker, failure, audit, drill, environment, credentials, servers, ...",
            ],
        ),
        ("/servers", None, &["servers: is required"]),
        ("/servers", Some(json!([])), &["servers: [0 elements]: must have at least one server"]),
        ("/servers", Some(json!({})), &["servers: {}: must be a list"]),
    ]);
}

/// The module passes it over: only the configuration that is rendered has a use for it.
#[cfg(feature = "cli")]
#[test]
fn the_files_of_runtime_keys_have_a_name() {
    const PROBLEM: &str = "envoy.runtime_files: \"\": must be a non-empty string";
    assert_each(vec![("/envoy/runtime_files", Some(json!("")), &[PROBLEM])]);
}

#[test]
fn problems_of_the_drill() {
    const HINT: &str =
        "must be a network such as 10.0.0.0/8 or ::1/128\n    hint: a single address is a network with /32, or /128";
    let problems_with = |drill| {
        let found = problems(&with(full(), "/drill", drill));
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        problems_with(json!({"enabled": "yes", "source": []})),
        [
            "drill.enabled: \"yes\": must be true or false\n    hint: write true, without quotes",
            "drill.source: [0 elements]: is not a known key\n    hint: did you mean sources? known here: enabled, sources",
        ]
    );
    assert_eq!(
        problems_with(json!({"enabled": true, "sources": []})),
        ["drill.sources: [0 elements]: must have at least one network\n    hint: to allow none set enabled to false"]
    );
    assert_eq!(
        problems_with(json!({"sources": ["127.0.0.1", "10.0.0.1/8", "localhost/8"]})),
        [
            format!("drill.sources[0]: \"127.0.0.1\": {HINT}"),
            format!("drill.sources[1]: \"10.0.0.1/8\": {HINT}"),
            format!("drill.sources[2]: \"localhost/8\": {HINT}"),
        ]
    );
}

#[test]
fn problems_of_a_probe() {
    assert_each(vec![
        (
            "/servers/0/protocol",
            Some(json!("2025-01-01")),
            &[
                "servers[0].protocol: \"2025-01-01\": must be one of 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25, 2026-07-28",
            ],
        ),
        (
            "/servers/2/protocol",
            Some(json!("2025-11-25")),
            &[
                "servers[2].protocol: \"2025-11-25\": must not be given for a server of kind rest, which does not speak MCP",
            ],
        ),
        ("/servers/0/probe", Some(json!(true)), &["servers[0].probe: true: must be a mapping"]),
        (
            "/servers/0/probe",
            Some(json!({"method": "GET"})),
            &["servers[0].probe.method: \"GET\": must be one of auto, ping, initialize, server/discover"],
        ),
        (
            "/servers/0/probe",
            Some(json!({"path": 1})),
            &[
                "servers[0].probe.path: 1: is not a known key\n    hint: known here: enabled, method, timeout, interval, idle",
            ],
        ),
        (
            "/servers/0/probe",
            Some(json!({"timeout": "2m", "interval": "1ms", "idle": 1})),
            &[
                "servers[0].probe.timeout: \"2m\": must be a duration from 100ms to 1m",
                "servers[0].probe.interval: \"1ms\": must be a duration from 100ms to 1h",
                "servers[0].probe.idle: 1: must be true or false",
            ],
        ),
        ("/servers/2/probe", Some(json!({})), &["servers[2].probe.path: is required"]),
        (
            "/servers/2/probe",
            Some(json!({"path": "/a?b", "method": "PUT", "expect_status": [99]})),
            &[
                "servers[2].probe.method: \"PUT\": must be one of GET, HEAD, POST",
                "servers[2].probe.path: \"/a?b\": must be a path without query and fragment",
                "servers[2].probe.expect_status[0]: 99: must be a whole number from 200 to 599",
            ],
        ),
        (
            "/servers/2/probe",
            Some(json!({"path": "/a", "body": {}, "expect_status": []})),
            &[
                "servers[2].probe.body: {}: must not be given for a probe without a body\n    hint: set method to POST",
                "servers[2].probe.expect_status: [0 elements]: must have at least one status",
            ],
        ),
        (
            "/envoy/prober",
            Some(json!("everywhere")),
            &["envoy.prober: \"everywhere\": must be one of bootstrap, listener, off"],
        ),
    ]);
}

#[test]
fn problems_of_the_sections_that_stand_alone() {
    assert_each(vec![
        (
            "/listener/address",
            Some(json!("localhost")),
            &[
                "listener.address: \"localhost\": must be an IP address\n    hint: 127.0.0.1 for this machine only, 0.0.0.0 for all interfaces",
            ],
        ),
        ("/listener/port", Some(json!(0)), &["listener.port: 0: must be a whole number from 1 to 65535"]),
        ("/listener/port", Some(json!(65536)), &["listener.port: 65536: must be a whole number from 1 to 65535"]),
        (
            "/listener/port",
            Some(json!(9901)),
            &[
                "listener: {address, allowed_origins, client_authorization, client_time...: must not use port 9901 for both the listener and Envoy's admin interface\n    hint: change listener.port or envoy.admin_port",
            ],
        ),
        (
            "/listener/client_authorization",
            Some(json!("always")),
            &["listener.client_authorization: \"always\": must be one of drop, pass, rest_only"],
        ),
        (
            "/servers/2/url",
            Some(json!("http://host.example")),
            &[
                "listener.client_authorization: \"rest_only\": must not send what clients authenticate with over http, as it would to rest\n    hint: http is allowed only to this machine: 127.0.0.1, [::1] or localhost",
            ],
        ),
        ("/servers/2/url", Some(json!("http://127.0.0.1:3")), &[]),
        (
            "/listener/prt",
            Some(json!(1)),
            &[
                "listener.prt: 1: is not a known key\n    hint: did you mean port? known here: address, port, path, expose_headers, allowed_origins, client_timeout, client_authorization, error_status, query, allowed_tools",
            ],
        ),
        ("/envoy/wasm_file", Some(json!("")), &["envoy.wasm_file: \"\": must be a non-empty string"]),
        (
            "/envoy/admin_port",
            Some(json!("9901")),
            &["envoy.admin_port: \"9901\": must be a whole number from 1 to 65535\n    hint: take the quotes off"],
        ),
        (
            "/envoy/admin_address",
            Some(json!("unix:///run/admin.sock")),
            &["envoy.admin_port: 9901: must not be given where admin_address is a UNIX socket"],
        ),
        (
            "/envoy/metrics_address",
            Some(json!("0.0.0.0")),
            &["envoy.metrics_address: \"0.0.0.0\": must not be given without metrics_port"],
        ),
        ("/envoy/metrics_port", Some(json!(9902)), &[]),
        (
            "/envoy/metrics_port",
            Some(json!(9901)),
            &[
                "listener: {address, allowed_origins, client_authorization, client_time...: must not use port 9901 for both Envoy's admin interface and the metrics\n    hint: change envoy.admin_port or envoy.metrics_port",
            ],
        ),
        ("/listener/path", Some(json!("mcp")), &["listener.path: \"mcp\": must be a path that begins with /"]),
        (
            "/listener/path",
            Some(json!("/mcp?x=1")),
            &["listener.path: \"/mcp?x=1\": must be a path without query and fragment"],
        ),
        (
            "/listener/allowed_origins/0",
            Some(json!("https://tools.example/")),
            &[
                "listener.allowed_origins[0]: \"https://tools.example/\": must be an origin as browsers send it\n    hint: did you mean https://tools.example?",
            ],
        ),
        (
            "/listener/allowed_tools",
            Some(json!([])),
            &[
                "listener.allowed_tools: [0 elements]: must have 1 to 1000 names or patterns\n    hint: to allow every tool leave it out",
            ],
        ),
        (
            "/listener/allowed_tools",
            Some(json!(["search", ""])),
            &["listener.allowed_tools[1]: \"\": must be a non-empty string"],
        ),
        ("/discovery", Some(json!({"every": "0s"})), &["discovery.every: \"0s\": must be a duration from 1s to 1d"]),
        ("/discovery", Some(json!({"enabled": 1})), &["discovery.enabled: 1: must be true or false"]),
        (
            "/listener/expose_headers",
            Some(json!("yes")),
            &["listener.expose_headers: \"yes\": must be true or false\n    hint: write true, without quotes"],
        ),
        (
            "/limits/request_body",
            Some(json!("1KB")),
            &["limits.request_body: \"1KB\": must be a size such as 64KiB or 1MiB, from 1024 to 16777216 bytes"],
        ),
        (
            "/limits/request_body",
            Some(json!(1023)),
            &["limits.request_body: 1023: must be a size such as 64KiB or 1MiB, from 1024 to 16777216 bytes"],
        ),
        (
            "/limits/response_body",
            Some(json!("17MiB")),
            &["limits.response_body: \"17MiB\": must be a size such as 64KiB or 1MiB, from 1024 to 16777216 bytes"],
        ),
    ]);
}

/// The module only asks whether there are any.
#[cfg(feature = "cli")]
#[test]
fn problems_of_limits_of_calls() {
    let mut registry = full();
    let tool = registry["tools"][0]["name"].clone();
    let mut refused = |rate: Value| {
        registry["limits"]["rate"] = rate;
        problems(&registry).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(refused(json!([{"tool": tool, "calls": 1}, {"tool": tool, "calls": 2, "caller": "address"}])), "");
    let unknown = refused(json!([{"tool": "nosuch", "calls": 1}]));
    assert_eq!(unknown, "limits.rate[0].tool: \"nosuch\": must be the name of a tool of the registry");
    let twice = refused(json!([{"tool": tool, "calls": 1}, {"tool": tool, "calls": 2}]));
    assert!(twice.ends_with("must not be given twice for the same tool and caller"), "{twice}");
    let secret = refused(json!([{"tool": tool, "calls": 1, "caller": "cookie"}]));
    assert!(secret.contains("must not be a header that holds secrets"), "{secret}");
}

#[test]
fn problems_of_credentials() {
    assert_each(vec![
        (
            "/credentials/0/id",
            Some(json!("PAT")),
            &[
                "credentials[0].id: \"PAT\": must be a name of at most 63 characters: a-z, 0-9, - and _, the first not - or _",
                "servers[0].credential: \"pat\": must be the id of a credential in this registry\n    hint: known here: spare",
                "servers[1].credential: \"pat\": must be the id of a credential in this registry\n    hint: known here: spare",
            ],
        ),
        (
            "/credentials/0/header",
            Some(json!("Authorization")),
            &[
                "credentials[0].header: \"Authorization\": must be a header name in lower case\n    hint: write authorization",
            ],
        ),
        (
            "/credentials/0/header",
            Some(json!("host")),
            &["credentials[0].header: \"host\": must not be a header that Envoy, MCP or Dualpath sets itself"],
        ),
        (
            "/credentials/0/header",
            Some(json!("x-dualpath-slot-a")),
            &[
                "credentials[0].header: \"x-dualpath-slot-a\": must not be a header that Envoy, MCP or Dualpath sets itself",
            ],
        ),
        (
            "/credentials/0/header",
            Some(json!(":path")),
            &["credentials[0].header: \":path\": must not be a pseudo-header"],
        ),
        ("/credentials/0/prefix", Some(json!(1)), &["credentials[0].prefix: (not shown): must be a string"]),
        (
            "/credentials/0/prefix",
            Some(json!("Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9")),
            &[
                "credentials[0].prefix: (not shown): must be at most 32 characters\n    hint: only what stands before the secret, not the secret",
            ],
        ),
        (
            "/credentials/0/prefix",
            Some(json!("a\nb")),
            &["credentials[0].prefix: (not shown): must be visible ASCII characters and spaces"],
        ),
        (
            "/credentials/0/headers",
            Some(json!({"Mcp": "a\r\nb", "authorization": "x"})),
            &[
                "credentials[0].headers.Mcp: (not shown): must be a header name in lower case\n    hint: write mcp",
                "credentials[0].headers.Mcp: (not shown): must be visible ASCII characters and spaces",
                "credentials[0].headers.authorization: (not shown): must not be the header that carries the secret",
            ],
        ),
        ("/credentials/0/slots", None, &["credentials[0].slots: is required"]),
        (
            "/credentials/0/slots",
            Some(json!({})),
            &[
                "credentials[0].slots: {}: must have slot a, slot b or both\n    hint: such as a: {sds_file: /etc/dualpath/pat.yaml}",
            ],
        ),
        (
            "/credentials/0/slots/a",
            Some(json!({})),
            &[
                "credentials[0].slots.a: {}: must name its source by exactly one of sds_file, sds_grpc, env, http, inline\n    hint: sds_file can be replaced without a restart, env cannot",
            ],
        ),
        (
            "/credentials/0/slots/a",
            Some(json!({"env": "A", "sds_file": "b"})),
            &[
                "credentials[0].slots.a: {env, sds_file}: must name its source by exactly one of sds_file, sds_grpc, env, http, inline\n    hint: sds_file can be replaced without a restart, env cannot",
            ],
        ),
        (
            "/credentials/0/slots/a",
            Some(json!({"env": "SNOWFLAKE_PAT"})),
            &[
                "credentials[0].slots.b: {env}: must be another source than slot a\n    hint: leave one slot out until there is a second secret",
            ],
        ),
        (
            "/credentials/0/slots/a",
            Some(json!({"env": "lower"})),
            &[
                "credentials[0].slots.a.env: (not shown): must be the name of an environment variable: A-Z, 0-9 and _\n    hint: the name only, never the secret",
            ],
        ),
        (
            "/credentials/0/slots/c",
            Some(json!({"env": "A"})),
            &["credentials[0].slots.c: {env}: is not a known key\n    hint: known here: a, b"],
        ),
    ]);
}

#[test]
fn problems_of_servers() {
    assert_each(vec![
        (
            "/servers/0/id",
            Some(json!("first")),
            &[
                "servers[1].id: \"first\": must be unique, and servers[0] has this name already",
                "tools[0].servers[0]: \"second\": must be the id of a server in this registry\n    hint: known here: first, rest",
            ],
        ),
        (
            "/servers/1/id",
            Some(json!("second")),
            &[
                "servers[1].id: \"second\": must be unique, and servers[0] has this name already",
                "tools[0].servers[1]: \"first\": must be the id of a server in this registry\n    hint: known here: second, rest",
            ],
        ),
        (
            "/servers/2/id",
            Some(json!("gate")),
            &[
                "servers[2].id: \"gate\": must not be a name that the rendered bootstrap uses itself: admin, attempt, direct, direct-only, gate, none, prober, dualpath...\n    hint: the id becomes the name of the server's cluster",
                "tools[0].rest.server: \"rest\": must be the id of a server in this registry\n    hint: known here: second, first, gate",
            ],
        ),
        (
            "/servers/2/id",
            Some(json!("dualpath-x")),
            &[
                "servers[2].id: \"dualpath-x\": must not be a name that the rendered bootstrap uses itself: admin, attempt, direct, direct-only, gate, none, prober, dualpath...\n    hint: the id becomes the name of the server's cluster",
                "tools[0].rest.server: \"rest\": must be the id of a server in this registry\n    hint: known here: second, first, dualpath-x",
            ],
        ),
        (
            "/servers/0/breaker",
            Some(json!({"base_open": "5m", "mode": "off", "consecutve": 3})),
            &[
                "servers[0].breaker.mode: \"off\": must be one of normal, metrics_only, disabled, forced_open",
                "servers[0].breaker.consecutve: 3: is not a known key\n    hint: did you mean consecutive? known here: consecutive, failure_rate, min_calls, window, slow, slow_rate, base_open, growth, max_open, jitter, decay, lease, ...",
            ],
        ),
        (
            "/servers/0/breaker",
            Some(json!({"base_open": "5m"})),
            &[
                "servers[0].breaker.base_open: \"5m\": base_open (5m) must not be longer than max_open (2m)\n    hint: set both, or lower base_open",
            ],
        ),
        ("/servers/0/kind", Some(json!("grpc")), &["servers[0].kind: \"grpc\": must be one of mcp, rest"]),
        (
            "/servers/0/tier",
            Some(json!("best")),
            &["servers[0].tier: \"best\": must be one of primary, secondary, tertiary"],
        ),
        (
            "/servers/2/url",
            Some(json!("https://host.example/?api_key=hunter2")),
            &[
                "servers[2].url: (not shown): must have a query without a token\n    hint: a token goes into a header, by a credential; other characters are written as %XX",
            ],
        ),
        (
            "/servers/2/url",
            Some(json!("https://host.example/?a b")),
            &[
                "servers[2].url: (not shown): must have a query of at most 2048 legal characters\n    hint: a token goes into a header, by a credential; other characters are written as %XX",
            ],
        ),
        (
            "/servers/2/url",
            Some(json!("https://user@host.example/?a")),
            &[
                "servers[2].url: (not shown): must not have a user name or password\n    hint: name a credential instead",
            ],
        ),
        (
            "/servers/0/url",
            Some(json!("http://host.example/?tenant=a")),
            &[
                "servers[0].url: (not shown): must be https, because a credential is sent there\n    hint: http is allowed only to this machine: 127.0.0.1, [::1] or localhost",
            ],
        ),
        (
            "/servers/0/url",
            Some(json!("https://a_b.example/")),
            &[
                "servers[0].url: \"https://a_b.example/\": must be a URL whose host has no underscore\n    hint: use hyphens: TLS fails otherwise",
            ],
        ),
        (
            "/servers/0/url",
            Some(json!("http://host.example/")),
            &[
                "servers[0].url: \"http://host.example/\": must be https, because a credential is sent there\n    hint: http is allowed only to this machine: 127.0.0.1, [::1] or localhost",
            ],
        ),
        (
            "/servers/0/credential",
            Some(json!("pta")),
            &[
                "servers[0].credential: \"pta\": must be the id of a credential in this registry\n    hint: did you mean pat? known here: pat, spare",
            ],
        ),
        (
            "/servers/0/ca_file",
            Some(json!("x")),
            &["servers[0].ca_file: \"x\": must not be given for an http server, which shows no certificate"],
        ),
        (
            "/servers/0/timeout",
            Some(json!(30)),
            &[
                "servers[0].timeout: 30: must be a duration such as 500ms, 30s or 5m\n    hint: a number alone has no unit",
            ],
        ),
        ("/servers/0/timeout", Some(json!("2h")), &["servers[0].timeout: \"2h\": must be a duration from 10ms to 1h"]),
        (
            "/servers/0/timeout",
            Some(json!("500ms")),
            &["servers[0].timeout: \"500ms\": must keep connect_timeout no longer than timeout"],
        ),
        (
            "/servers/0/urll",
            Some(json!("x")),
            &[
                "servers[0].urll: (not shown): is not a known key\n    hint: did you mean url? known here: id, kind, tier, url, credential, ca_file, connect_timeout, timeout, attempts, protocol, probe, rules, ...",
            ],
        ),
    ]);
}

#[test]
fn problems_of_tools() {
    assert_each(vec![
        (
            "/tools/0/name",
            Some(json!("a b")),
            &[
                "tools[0].name: \"a b\": must be an MCP tool name: 1 to 128 of the characters A-Z, a-z, 0-9, _, -, . and /",
            ],
        ),
        (
            "/tools/1/name",
            Some(json!("search")),
            &["tools[1].name: \"search\": must be unique, and tools[0] has this name already"],
        ),
        ("/tools/1/task", None, &["tools[1].task: is required"]),
        (
            "/tools/0/replayable",
            Some(json!("true")),
            &[
                "tools[0].replayable: \"true\": must be true, false or annotations\n    hint: write true, without quotes",
            ],
        ),
        (
            "/tools/0/servers",
            Some(json!(["first", "frist", "rest", "first"])),
            &[
                "tools[0].servers[1]: \"frist\": must be the id of a server in this registry\n    hint: did you mean first? known here: second, first, rest",
                "tools[0].servers[2]: \"rest\": must be a server of kind mcp\n    hint: a rest server goes under rest.server",
                "tools[0].servers[3]: \"first\": must be named only once",
            ],
        ),
        (
            "/tools/1/servers",
            Some(json!([])),
            &[
                "tools[1]: {name, servers, task}: must have an MCP server or a rest mapping\n    hint: without either nothing can answer it",
            ],
        ),
        (
            "/tools/0/rest/server",
            Some(json!("first")),
            &[
                "tools[0].rest.server: \"first\": must be a server of kind rest\n    hint: an mcp server goes under servers",
            ],
        ),
        (
            "/tools/0/rest/server",
            Some(json!("nobody")),
            &[
                "tools[0].rest.server: \"nobody\": must be the id of a server in this registry\n    hint: known here: second, first, rest",
            ],
        ),
        ("/tools/0/rest/first", Some(json!(1)), &["tools[0].rest.first: 1: must be true or false"]),
        ("/tools/0/timeout", Some(json!("1ms")), &["tools[0].timeout: \"1ms\": must be a duration from 10ms to 1h"]),
        ("/tools/0/title", Some(json!("")), &["tools[0].title: \"\": must be a non-empty string"]),
        (
            "/tools/0/input_schema",
            Some(json!({"type": "string"})),
            &[
                "tools[0].input_schema: {type}: must be a JSON Schema with type: object\n    hint: MCP arguments are always an object",
            ],
        ),
        (
            "/tools/0/annotations",
            Some(json!({"readOnly": true, "readOnlyHint": 1})),
            &[
                "tools[0].annotations.readOnlyHint: 1: must be true or false",
                "tools[0].annotations.readOnly: true: is not a known key\n    hint: known here: readOnlyHint, destructiveHint, idempotentHint, openWorldHint",
            ],
        ),
    ]);
}

#[test]
fn problems_of_failover_and_of_time_limits() {
    assert_each(vec![
        ("/failover/budget/ratio", Some(json!(11)), &["failover.budget.ratio: 11: must be a number from 0 to 10"]),
        (
            "/failover/budget/reserve",
            Some(json!(0)),
            &["failover.budget.reserve: 0: must be a whole number from 1 to 100000"],
        ),
        (
            "/failover/budget/min_per_second",
            Some(json!(-1)),
            &["failover.budget.min_per_second: -1: must be a whole number from 0 to 10000"],
        ),
        (
            "/failover/budget",
            Some(json!({"ratio": 0, "min_per_second": 0})),
            &[
                "failover.budget: {min_per_second, ratio}: must let something in again\n    hint: set ratio or min_per_second above 0",
            ],
        ),
        (
            "/tools/0/idempotency",
            Some(json!({})),
            &[
                "tools[0].idempotency: {}: must name header, meta or both\n    hint: header: idempotency-key is the IETF's",
            ],
        ),
        (
            "/tools/0/idempotency",
            Some(json!({"header": "x-snowflake-authorization-token-type", "meta": "io.modelcontextprotocol/key"})),
            &[
                "tools[0].idempotency.meta: \"io.modelcontextprotocol/key\": must not be a name that MCP keeps for itself\n    hint: begin it with a domain of yours, as example.com/",
            ],
        ),
        (
            "/tools/0/idempotency",
            Some(json!({"header": "authorization"})),
            &["tools[0].idempotency: {header}: must not set the header authorization, which belongs to a credential"],
        ),
        (
            "/failover/back_off/base",
            Some(json!("3s")),
            &[
                "failover.back_off: {base, max}: base (3s) must not be longer than max (2s)\n    hint: set both, or lower base",
            ],
        ),
        (
            "/failover/back_off/max",
            Some(json!("10m")),
            &["failover.back_off.max: \"10m\": must be a duration from 10ms to 5m"],
        ),
        (
            "/failover/budgett",
            Some(json!({})),
            &[
                "failover.budgett: {}: is not a known key\n    hint: did you mean budget? known here: budget, back_off, access_log",
            ],
        ),
        ("/servers/1/attempts", Some(json!(0)), &["servers[1].attempts: 0: must be a whole number from 1 to 10"]),
        (
            "/listener/client_timeout",
            Some(json!(30)),
            &[
                "listener.client_timeout: 30: must be a duration such as 500ms, 30s or 5m\n    hint: a number alone has no unit",
            ],
        ),
        (
            "/tools/0/client_timeout",
            Some(json!("2h")),
            &["tools[0].client_timeout: \"2h\": must be a duration from 10ms to 1h"],
        ),
    ]);
}

#[test]
fn more_servers_than_a_bootstrap_should_hold_are_refused_at_once() {
    let servers = vec![json!({"id": "a"}); 101];
    let found = problems(&with(full(), "/servers", servers.into()));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].to_string(), "servers: [101 elements]: must have at most 100 entries");
}

#[test]
fn problems_of_every_section_are_noted_at_once() {
    let registry = json!({
        "version": 3,
        "listener": {"port": "x"},
        "credentials": [{"id": "a"}, {"id": "a", "slots": {"a": {"env": "A"}}}],
        "servers": [{"kind": "mcp", "url": "ftp://x"}, {"id": "s", "kind": "rest", "url": "http://h.example", "credential": "b"}],
        "tools": [{"name": "t", "task": "T", "rest": {"server": "r"}}, 1]
    });
    let paths: Vec<_> = problems(&registry).into_iter().map(|problem| problem.path).collect();
    let expected = [
        "version",
        "listener.port",
        "credentials[0].slots",
        "credentials[1].id",
        "servers[0].id",
        "servers[0].url",
        "tools[0].task",
        "tools[1]",
        "tools[0].rest.server",
        "servers[1].credential",
    ];
    assert!(expected.iter().all(|path| paths.iter().any(|found| found == path)), "{paths:?}");
}

#[test]
fn what_is_no_mapping_at_all_is_refused() {
    for value in [json!(null), json!([]), json!("text"), json!(1)] {
        let found = problems(&value);
        assert_eq!(found.len(), 1, "{value}");
        assert_eq!((found[0].path.as_str(), found[0].rule.as_str()), ("registry", "must be a mapping"));
    }
}

#[test]
fn an_admin_socket_is_an_absolute_path_that_linux_takes() {
    let of = |address: &str| problems(&json!({"version": 1, "envoy": {"admin_address": address}, "servers": []}));
    let rule = "must be unix:// with an absolute path of at most 107 bytes";
    for address in ["unix://", "unix://run/admin.sock", &format!("unix:///{}", "s".repeat(107))] {
        assert!(of(address).iter().any(|problem| problem.rule.contains(rule)), "{address}: {:?}", of(address));
    }
    assert!(!of("unix:///run/admin.sock").iter().any(|problem| problem.path.contains("admin")));
}
