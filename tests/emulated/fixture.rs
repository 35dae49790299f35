//! The world of the whole-filter tests: two MCP servers and a REST API, each with a credential of its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::host::{Attempt, Behaviour, Exchange, Headers, Played, Plugin, Process, Response, Route, Worker, play};

/// The servers, in the order in which a call tries them.
pub const SERVERS: [&str; 3] = ["mcp-a", "mcp-b", "api"];
/// Their secrets: slot a and slot b.
pub const SECRETS: [[&str; 2]; 3] =
    [["secret-mcp-a-1", "secret-mcp-a-2"], ["secret-mcp-b-1", "secret-mcp-b-2"], ["secret-api-1", "secret-api-2"]];

unsafe extern "C" {
    fn _initialize();
}

/// The registry of the tests. Failures keep the HTTP status that says of which kind they are; see `error_status`.
pub fn registry() -> Value {
    let credential = |id: &str| {
        let slot = |slot: &str| json!({"sds_file": format!("/etc/dualpath/{id}-{slot}.yaml")});
        json!({"id": id, "slots": {"a": slot("a"), "b": slot("b")}})
    };
    let input = json!({"type": "object", "properties": {"query": {"type": "string"}}});
    let rest = json!({"server": "api", "preset": "snowflake.search", "with": {"database": "D", "schema": "S", "service": "V"}});
    json!({
        "version": 1,
        "listener": {"address": "127.0.0.1", "port": 10000, "path": "/mcp", "error_status": "http"},
        "envoy": {"wasm_file": "build/dualpath.wasm", "admin_address": "127.0.0.1", "admin_port": 9901},
        "discovery": {"enabled": false},
        "breaker": {"consecutive": 5, "base_open": "5s", "max_open": "120s", "ramp": "0s"},
        "credentials": [credential("pat-mcp-a"), credential("pat-mcp-b"), credential("pat-api")],
        "servers": [
            {"id": "mcp-a", "kind": "mcp", "tier": "primary", "url": "https://a.example/a/mcp", "credential": "pat-mcp-a"},
            {"id": "mcp-b", "kind": "mcp", "tier": "secondary", "url": "https://b.example/b/mcp", "credential": "pat-mcp-b"},
            {"id": "api", "kind": "rest", "tier": "primary", "url": "https://api.example", "credential": "pat-api"}
        ],
        "tools": [
            {"name": "search", "task": "search", "replayable": true, "description": "s", "input_schema": input, "rest": rest},
            {"name": "write", "task": "write", "replayable": false, "description": "w", "input_schema": input, "rest": rest}
        ]
    })
}

/// One process with one worker on this thread.
pub struct World {
    pub process: Arc<Process>,
    pub worker: Worker,
    pub route: Route,
}

impl World {
    pub fn new() -> Self {
        World::under(&registry())
    }

    /// The same under another registry.
    pub fn under(registry: &Value) -> Self {
        let process = Process::new();
        World { worker: start_with(&process, registry), process, route: route() }
    }

    pub fn play(&self, exchange: Exchange) -> Played {
        play(&self.worker, "gate", &self.route, exchange)
    }

    /// A counter's or gauge's value once a tick has told what is pending; 0 while nobody has defined it.
    pub fn metric(&self, name: &str) -> u64 {
        self.worker.tick("gate");
        self.process.metric(name)
    }

    /// The sum of all counters whose name begins with `prefix`, likewise.
    pub fn metric_sum(&self, prefix: &str) -> u64 {
        self.worker.tick("gate");
        self.process.metric_sum(prefix)
    }

    /// Names of all metrics defined, likewise.
    pub fn metric_names(&self) -> Vec<String> {
        self.worker.tick("gate");
        self.process.metric_names()
    }

    /// A call of `tool` while the servers behave like this.
    pub fn call(&self, tool: &str, servers: [Behaviour; 3]) -> Played {
        self.play(exchange(&call_body(tool, "1"), servers))
    }
}

/// Envoy's configuration around the filter.
pub fn route() -> Route {
    let slots =
        SERVERS.iter().zip(SECRETS).map(|(name, slots)| ((*name).to_owned(), slots.map(|s| Some(s.to_owned()))));
    Route {
        on_no_match: "mcp-a".into(),
        num_retries: 8,
        retries_resets: true,
        per_try_ms: 30_000,
        buffer_limit: (4 << 20) + (128 << 10),
        replay_limit: 1 << 23,
        slots: slots.collect::<BTreeMap<_, _>>(),
    }
}

fn plugin(registry: &Value, name: String, role: &str, cluster: Option<&str>) -> Plugin {
    let mut configuration = json!({"role": role, "registry": registry});
    if let Some(server) = cluster {
        configuration["server"] = server.into();
    }
    let cluster = cluster.map(Into::into);
    Plugin { root_id: name.clone(), name, configuration: configuration.to_string(), cluster, ..Plugin::default() }
}

fn vm(process: &Arc<Process>, plugins: &[Plugin]) -> Worker {
    vm_beside(process, plugins, dualpath::wiring::cluster::SESSIONS)
}

fn vm_beside(process: &Arc<Process>, plugins: &[Plugin], cluster: &str) -> Worker {
    // SAFETY: the module's entry point, which `proxy_wasm::main!` defines; it takes nothing and returns nothing.
    let entry = || unsafe { _initialize() };
    let mut clusters = SERVERS.to_vec();
    clusters.push(cluster);
    Worker::start(process, "dualpath", entry, plugins, &clusters).expect("every plugin accepts its configuration")
}

/// A worker VM with the gate and the three attempts.
pub fn start(process: &Arc<Process>) -> Worker {
    start_with(process, &registry())
}

/// The same under another registry.
pub fn start_with(process: &Arc<Process>, registry: &Value) -> Worker {
    let mut plugins = vec![plugin(registry, "gate".into(), "gate", None)];
    plugins.extend(SERVERS.map(|server| plugin(registry, format!("attempt-{server}"), "attempt", Some(server))));
    vm(process, &plugins)
}

/// A worker VM that answers at the port of the metrics, too.
pub fn start_with_ready(process: &Arc<Process>) -> Worker {
    let mut plugins = vec![plugin(&registry(), "gate".into(), "gate", None)];
    plugins.extend(SERVERS.map(|server| plugin(&registry(), format!("attempt-{server}"), "attempt", Some(server))));
    plugins.push(plugin(&registry(), "ready".into(), "ready", None));
    vm(process, &plugins)
}

/// A worker VM that answers at the port of the status page, too, which asks for a token.
pub fn start_with_status_page(process: &Arc<Process>) -> Worker {
    let registry = registry();
    let mut plugins = vec![plugin(&registry, "gate".into(), "gate", None)];
    plugins.extend(SERVERS.map(|server| plugin(&registry, format!("attempt-{server}"), "attempt", Some(server))));
    for (name, wants_token) in [("status", false), ("status-token", true)] {
        let configuration =
            json!({"role": "status", "registry": registry, "hosts": ["status.example.com"], "token": wants_token});
        let (root_id, configuration) = (name.to_owned(), configuration.to_string());
        plugins.push(Plugin { root_id, name: name.into(), configuration, ..Plugin::default() });
    }
    vm(process, &plugins)
}

/// The VM of the singleton service.
pub fn prober(process: &Arc<Process>) -> Worker {
    prober_with(process, &registry())
}

/// The same under another registry.
pub fn prober_with(process: &Arc<Process>, registry: &Value) -> Worker {
    vm(process, &[plugin(registry, "prober".into(), "prober", None)])
}

/// The same where Envoy's admin interface can be asked.
pub fn prober_with_admin(process: &Arc<Process>) -> Worker {
    vm_beside(process, &[plugin(&registry(), "prober".into(), "prober", None)], dualpath::wiring::cluster::ADMIN)
}

/// A `tools/call` with this id, in JSON.
pub fn call_body(tool: &str, id: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"query":"q"}}}}}}"#
    )
}

/// A POST to the MCP endpoint.
pub fn exchange<'a>(body: &str, servers: [Behaviour; 3]) -> Exchange<'a> {
    let headers = Headers::new(&[
        (":method", "POST"),
        (":path", "/mcp"),
        (":authority", "gateway.example"),
        (":scheme", "http"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2025-06-18"),
        ("content-length", &body.len().to_string()),
    ]);
    Exchange {
        headers,
        pieces: vec![body.as_bytes().to_vec()],
        late_end: false,
        trailers: None,
        servers: SERVERS
            .into_iter()
            .map(Into::into)
            .zip(servers.map(|behaviour| VecDeque::from([behaviour])))
            .collect(),
        abort: None,
        certificate: None,
        http2: false,
        waiting: None,
    }
}

/// The servers when all is well.
pub fn healthy() -> [Behaviour; 3] {
    [Behaviour::Reply(mcp_answer), Behaviour::Reply(mcp_answer), rest_answer()]
}

/// The servers when the first behaves like this and the rest is well.
pub fn first(behaviour: Behaviour) -> [Behaviour; 3] {
    let [_, second, third] = healthy();
    [behaviour, second, third]
}

/// The servers when all behave like this.
pub fn all(behaviour: &Behaviour) -> [Behaviour; 3] {
    std::array::from_fn(|_| behaviour.clone())
}

/// A JSON answer.
pub fn json_answer(status: u16, body: &str) -> Behaviour {
    Behaviour::Answer(Response::new(status, "application/json", body))
}

/// A search answer of the REST API.
pub fn rest_answer() -> Behaviour {
    json_answer(200, r#"{"results":[{"text":"from api"}],"request_id":"r"}"#)
}

/// What an MCP server answers: a text result that names it, under the call's id.
pub fn mcp_answer(attempt: &Attempt) -> Response {
    let request: Value = serde_json::from_slice(&attempt.body).unwrap_or_default();
    let text = format!("from {}", attempt.server);
    let result = json!({"content": [{"type": "text", "text": text}], "isError": false});
    Response::new(200, "application/json", json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string())
}
