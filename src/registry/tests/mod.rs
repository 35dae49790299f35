//! What a registry may say, what it may not, and how an operator is told.

mod accepted;
mod breaker;
mod credentials;
mod failure;
mod mutation;
mod refused;
mod secrets;
mod slice;
#[cfg(feature = "cli")]
mod upstream;

// The command line's tests change the example file in the same ways.
#[cfg(feature = "cli")]
pub(crate) use mutation::{assert_answered, change, changed};
#[cfg(feature = "cli")]
pub(crate) use slice::assert_slices_say_the_same;

use serde_json::{Value, json};

use super::{Problem, Registry};

/// A registry that uses every section.
pub(super) fn full() -> Value {
    json!({
        "version": 1,
        "listener": {"address": "127.0.0.1", "port": 10000, "path": "/mcp", "expose_headers": false,
            "allowed_origins": ["https://tools.example"], "client_timeout": "60s", "client_authorization": "rest_only",
            "error_status": "http"},
        "envoy": {"wasm_file": "build/dualpath.wasm", "admin_address": "127.0.0.1", "admin_port": 9901},
        "limits": {"request_body": "1MiB", "response_body": 65536},
        "prices": {"as_of": "2026-11-01", "models": [{"model": "claude-4.5", "input": 3.3, "output": 16.5}]},
        "log": {"calls": "/dev/stdout", "caller_header": "x-user"},
        "failover": {"budget": {"ratio": 0.2, "min_per_second": 5, "reserve": 50},
            "back_off": {"base": "100ms", "max": "2s"}, "access_log": "/dev/stdout"},
        "breaker": {},
        "environment": "prod",
        "failure": {"rules": [{"jsonrpc_code": -32050, "class": "server"}]},
        "credentials": [
            {
                "id": "pat",
                "header": "authorization",
                "prefix": "Bearer ",
                "headers": {"x-snowflake-authorization-token-type": "PROGRAMMATIC_ACCESS_TOKEN"},
                "slots": {
                    "a": {"sds_file": "/etc/dualpath/pat-a.yaml", "issued": "2026-11-01", "expires": "2027-01-30T08:00:00Z"},
                    "b": {"env": "SNOWFLAKE_PAT"}
                },
                "policy": {"max_age": "90d", "alert": "7d", "critical": "1d"}
            },
            {
                "id": "spare",
                "environments": {
                    "prod": {"slots": {
                        "a": {"http": {"url": "https://vault.example/pat", "field": "token", "every": "60s", "timeout": "5s"}},
                        "b": {"sds_grpc": "https://sds.example:8443"}
                    }},
                    "stg": {"slots": {"a": {"inline": "not-a-secret"}}}
                }
            }
        ],
        "servers": [
            {"id": "second", "kind": "mcp", "tier": "secondary", "url": "http://127.0.0.1:2/mcp", "credential": "pat",
             "rules": [{"message": "Throttled", "in": "tool_error_start", "class": "overload"}, {"status": 409, "class": "server"}],
             "outcomes": {"server": {"failover": "never"}}},
            {"id": "first", "kind": "mcp", "url": "https://host.example/mcp", "credential": "pat",
             "connect_timeout": "250ms", "timeout": "10s", "attempts": 3, "ca_file": "/etc/ca.pem"},
            {"id": "rest", "kind": "rest", "url": "https://host.example"}
        ],
        "tools": [
            {
                "name": "search", "task": "search", "replayable": true, "outcomes": {"credential": {"alert": false}}, "timeout": "20s",
                "client_timeout": "45s", "servers": ["second", "first"],
                "idempotency": {"header": "idempotency-key", "meta": "example.com/idempotency-key"},
                "title": "Search", "description": "Finds.", "annotations": {"readOnlyHint": true},
                "input_schema": {"type": "object", "properties": {"query": {"type": "string"}}},
                "rest": {"server": "rest", "first": true, "method": "GET", "path": "/search", "answer": {"content": "${response.text}"}}
            },
            {"name": "sql", "task": "sql"}
        ]
    })
}

/// The same, with a server that says all that can be said of the way to it.
pub(super) fn reached_in_every_way() -> Value {
    let mut registry = full();
    for (key, value) in [
        (
            "endpoints",
            json!([{"address": "10.0.0.7", "region": "eu"}, {"address": "b.example:8443", "weight": 2, "priority": 1}]),
        ),
        ("balance", json!({"policy": "round_robin", "slow_start": "30s", "eject_after": 1, "eject_for": "5s"})),
        ("http", json!("http2")),
        (
            "tls",
            json!({"server_name": "h.example", "names": ["h.example"], "client_certificate": {"sds_file": "/etc/client.yaml"}}),
        ),
        ("proxy", json!("http://proxy.example:3128")),
        (
            "pool",
            json!({"calls": 3, "connections": 5, "pending": 6, "idle": "4s", "preconnect": 1.5, "keepalive": "0s"}),
        ),
    ] {
        registry["servers"][1][key] = value;
    }
    registry
}

/// Puts `value` where the JSON pointer says; the parent must exist.
pub(super) fn with(mut registry: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a JSON pointer");
    match registry.pointer_mut(parent).expect("the parent exists") {
        Value::Array(list) => list[key.parse::<usize>().expect("a position")] = value,
        parent => parent[key] = value,
    }
    registry
}

/// Removes the key that the JSON pointer names.
pub(super) fn without(mut registry: Value, pointer: &str) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a JSON pointer");
    let parent = registry.pointer_mut(parent).and_then(Value::as_object_mut).expect("the parent is a mapping");
    parent.remove(key).expect("the key exists");
    registry
}

pub(super) fn problems(registry: &Value) -> Vec<Problem> {
    Registry::from_wire(registry).err().unwrap_or_default()
}
