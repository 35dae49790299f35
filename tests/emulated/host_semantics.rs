//! The host itself, tested with a filter that does as little as possible.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, MapType, Status};

use crate::host::{Abort, Behaviour, Exchange, Headers, Played, Plugin, Process, Response, Route, Worker, play};

/// Gate: waits for the whole body, then routes to what its configuration says. Attempt (configuration = next server):
/// leaves its mark in header and body, holds the answer, and marks it for failover if it contains "fail".
struct Probe {
    gate: bool,
    configuration: String,
    held: usize,
}

impl Context for Probe {
    fn on_http_call_response(&mut self, _token: u32, _headers: usize, size: usize, _trailers: usize) {
        let status = hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, ":status").unwrap();
        let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size).unwrap();
        hostcalls::set_shared_data("answer", Some(&[status.unwrap(), body.unwrap()].concat()), None).unwrap();
    }
}

impl RootContext for Probe {
    fn on_configure(&mut self, _size: usize) -> bool {
        let bytes = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX).unwrap().unwrap_or_default();
        self.configuration = String::from_utf8(bytes).unwrap();
        let id = hostcalls::get_property(vec!["plugin_root_id"]).unwrap();
        self.gate = id.as_deref() == Some(b"gate");
        self.configuration != "refuse"
    }
    /// Calls the cluster the configuration names.
    fn on_tick(&mut self) {
        let headers = vec![(":method", "GET"), (":path", "/"), (":authority", "x")];
        let call = hostcalls::dispatch_http_call(&self.configuration, headers, None, vec![], Duration::from_secs(1));
        hostcalls::set_shared_data("dispatched", Some(format!("{call:?}").as_bytes()), None).unwrap();
    }
    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Probe { gate: self.gate, configuration: self.configuration.clone(), held: 0 }))
    }
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Probe {
    fn start(&self) -> Action {
        hostcalls::set_property(vec!["next"], Some(self.configuration.as_bytes())).unwrap();
        if self.configuration == "refuse calls" {
            hostcalls::send_http_response(503, vec![("x-own", "1")], Some(b"own")).unwrap();
            return Action::Pause;
        }
        if self.gate {
            hostcalls::call_foreign_function("clear_route_cache", None).unwrap();
        } else {
            hostcalls::add_map_value(MapType::HttpRequestHeaders, "x-mark", &self.configuration).unwrap();
        }
        Action::Continue
    }
}

impl HttpContext for Probe {
    fn on_http_request_headers(&mut self, _count: usize, end: bool) -> Action {
        if self.gate && !end { Action::Pause } else { self.start() }
    }
    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        if !self.gate {
            hostcalls::set_buffer(BufferType::HttpRequestBody, 0, usize::MAX, b"changed").unwrap();
            return Action::Continue;
        }
        assert!(size >= self.held, "a buffered body grows");
        self.held = size;
        if end { self.start() } else { Action::Pause }
    }
    fn on_http_response_headers(&mut self, _count: usize, end: bool) -> Action {
        assert!(hostcalls::get_map(MapType::HttpRequestHeaders).unwrap().is_empty(), "the request's map is gone");
        if self.gate || end { Action::Continue } else { Action::Pause }
    }
    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        if self.gate {
            return Action::Continue;
        }
        if !end {
            return Action::Pause;
        }
        let body = hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size).unwrap().unwrap_or_default();
        if body.starts_with(b"fail") {
            hostcalls::set_map_value(MapType::HttpResponseHeaders, "x-dualpath-failover", Some("1")).unwrap();
        }
        Action::Continue
    }
    fn on_log(&mut self) {
        // Both maps are there; one that never came is empty, and asking it for a value would be a trap.
        let request = hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap();
        assert!(request.iter().any(|(name, _)| name == ":path"));
        let response = hostcalls::get_map_bytes(MapType::HttpResponseHeaders).unwrap();
        let details = hostcalls::get_property(vec!["response", "code_details"]).unwrap();
        assert!(!response.is_empty() || details.as_deref() == Some(b"downstream_remote_disconnect"));
    }
}

fn entry() {
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> {
        Box::new(Probe { gate: false, configuration: String::new(), held: 0 })
    });
}

fn plugin(name: &str, root: &str, next: &str, cluster: Option<&str>) -> Plugin {
    Plugin {
        name: name.into(),
        root_id: root.into(),
        configuration: next.into(),
        cluster: cluster.map(Into::into),
        ..Plugin::default()
    }
}

fn worker_with(process: &Arc<Process>, first: &str) -> Worker {
    let plugins = [
        plugin("gate", "gate", "one", None),
        plugin("a1", "attempt", first, Some("one")),
        plugin("a2", "attempt", "gone", Some("two")),
        plugin("a3", "attempt", "gone", Some("direct")),
    ];
    Worker::start(process, "vm", entry, &plugins, &["one", "two", "direct"]).unwrap()
}

fn worker(process: &Arc<Process>) -> Worker {
    worker_with(process, "two")
}

fn exchange<'a>(one: Behaviour, two: Behaviour) -> Exchange<'a> {
    let ok = Behaviour::Answer(Response::new(200, "text/plain", "direct"));
    let scripts = [("one", one), ("two", two), ("direct", ok)];
    Exchange {
        headers: Headers::new(&[(":method", "POST"), (":path", "/mcp"), (":authority", "x")]),
        pieces: vec![b"first ".to_vec(), b"second".to_vec()],
        late_end: false,
        trailers: None,
        servers: scripts.into_iter().map(|(name, b)| (name.to_owned(), VecDeque::from([b]))).collect(),
        abort: None,
        certificate: None,
        http2: false,
        waiting: None,
    }
}

fn route() -> Route {
    Route {
        on_no_match: "direct".into(),
        num_retries: 3,
        retries_resets: false,
        per_try_ms: 15_000,
        buffer_limit: 1 << 20,
        replay_limit: 1 << 20,
        slots: BTreeMap::new(),
    }
}

fn played(exchange: Exchange) -> Played {
    let process = Process::new();
    let worker = worker(&process);
    play(&worker, "gate", &route(), exchange)
}

fn answer(body: &str) -> Behaviour {
    Behaviour::Answer(Response::new(200, "text/plain", body))
}

#[test]
fn a_missing_key_accepts_any_token() {
    let process = Process::new();
    let _worker = worker(&process);
    let set = |value: &[u8], token| hostcalls::set_shared_data("key", Some(value), token);
    assert_eq!(hostcalls::get_shared_data("key"), Ok((None, None)));
    assert_eq!(set(b"mine", Some(u32::MAX)), Ok(()));
    assert_eq!(set(b"theirs", Some(u32::MAX)), Err(Status::CasMismatch));
    let (value, token) = hostcalls::get_shared_data("key").unwrap();
    assert_eq!(value.as_deref(), Some(&b"mine"[..]));
    assert_eq!(set(b"", token), Ok(()));
    let (value, token) = hostcalls::get_shared_data("key").unwrap();
    assert!(value.is_none() && token.is_some(), "an empty value is a key with a token");
    assert_eq!(set(b"blind", None), Ok(()));
}

#[test]
fn mutations_of_request_headers_outlive_an_attempt_of_the_body_do_not() {
    let played = played(exchange(Behaviour::ConnectFailure, answer("done")));
    assert_eq!(played.servers(), ["two"]);
    assert_eq!(played.attempts[1].headers.count("x-mark"), 2);
    assert_eq!(played.attempts[1].headers.get("x-envoy-attempt-count").as_deref(), Some("2"));
    assert_eq!(played.attempts[1].body, b"changed", "once, of the original body");
    assert_eq!(played.reply().text(), "done");
}

#[test]
fn a_marked_answer_is_discarded_and_filter_state_names_the_next_cluster() {
    let played = played(exchange(answer("fail 1"), answer("fail 2")));
    assert_eq!(played.servers(), ["one", "two", "direct"]);
    assert_eq!(played.reply().text(), "direct");
    assert_eq!(played.filter_state["wasm.next"], b"gone");
}

#[test]
fn a_reset_or_a_timeout_is_retried_only_if_the_request_asks() {
    for behaviour in [Behaviour::Reset, Behaviour::Hang] {
        let plain = played(exchange(behaviour.clone(), answer("done")));
        assert_eq!(plain.servers(), ["one"]);
        assert!(plain.reply().status() >= 503);
        let mut asking = exchange(behaviour, answer("done"));
        asking.headers.add("x-envoy-retry-on", "reset");
        let asking = played(asking);
        assert_eq!(asking.servers(), ["one", "two"]);
        assert!(asking.attempts[0].headers.first("x-envoy-retry-on").is_none(), "the router takes it");
    }
}

#[test]
fn without_retries_left_the_marked_answer_reaches_the_client() {
    let mut exchange = exchange(answer("fail"), answer("done"));
    exchange.headers.add("x-envoy-max-retries", "0");
    assert_eq!(played(exchange).reply().text(), "fail");
}

#[test]
fn a_body_over_the_replay_buffer_loses_failover() {
    let process = Process::new();
    let worker = worker(&process);
    let route = Route { replay_limit: 5, ..route() };
    let played = play(&worker, "gate", &route, exchange(answer("fail"), answer("done")));
    assert_eq!(played.servers(), ["one"]);
}

#[test]
fn a_body_over_the_connection_buffer_is_413() {
    let process = Process::new();
    let worker = worker(&process);
    let route = Route { buffer_limit: 5, ..route() };
    let played = play(&worker, "gate", &route, exchange(answer("one"), answer("two")));
    assert_eq!((played.reply().status(), played.attempts.len()), (413, 0));
}

#[test]
fn a_client_that_leaves_ends_every_context() {
    for abort in [Abort::RequestHeaders, Abort::Waiting(1), Abort::ResponseHeaders, Abort::ResponsePieces(1)] {
        let mut exchange = exchange(answer("one"), answer("two"));
        exchange.abort = Some(abort);
        assert!(played(exchange).attempts.len() <= 1, "{abort:?}");
    }
}

#[test]
fn trailers_let_a_held_answer_go() {
    let process = Process::new();
    let worker = worker(&process);
    let mut exchange = exchange(answer("one"), answer("two"));
    exchange.servers.insert(
        "one".into(),
        VecDeque::from([Behaviour::After(
            Duration::from_secs(1),
            Box::new(Behaviour::Answer(Response {
                trailers: Some(Headers::default()),
                ..Response::new(200, "a/b", "x")
            })),
        )]),
    );
    assert!(play(&worker, "gate", &route(), exchange).reply().complete);
}

#[test]
fn a_plugin_that_refuses_its_configuration_does_not_start() {
    let process = Process::new();
    let refusing = Plugin { name: "bad".into(), configuration: "refuse".into(), ..Plugin::default() };
    assert_eq!(Worker::start(&process, "vm", entry, &[refusing], &[]).err().as_deref(), Some("bad"));
}

#[test]
fn the_first_local_reply_of_an_attempt_is_final() {
    let process = Process::new();
    let worker = worker_with(&process, "refuse calls");
    let played = play(&worker, "gate", &route(), exchange(answer("one"), answer("two")));
    assert!(played.servers().is_empty());
    assert_eq!((played.reply().status(), played.reply().text().as_str()), (503, "own"));
    assert_eq!(played.reply().headers.get("x-own").as_deref(), Some("1"));
}

#[test]
fn a_dispatched_call_is_answered_in_the_vm_that_made_it() {
    let process = Process::new();
    let prober = Worker::start(&process, "vm", entry, &[plugin("prober", "p", "one", None)], &["one"]).unwrap();
    prober.tick("prober");
    let calls = prober.take_calls();
    assert_eq!((calls.len(), calls[0].cluster.as_str(), calls[0].timeout_ms), (1, "one", 1000));
    assert_eq!((calls[0].headers.get(":path").as_deref(), calls[0].body.len()), (Some("/"), 0));
    prober.answer(&calls[0], Headers::new(&[(":status", "200")]), b"!");
    assert_eq!(process.shared_data().get("vm", "answer").map(|(value, _)| value.as_slice()), Some(&b"200!"[..]));
}

#[test]
fn a_call_into_a_filter_of_the_same_vm_is_a_violation() {
    let process = Process::new();
    let worker = worker(&process);
    worker.tick("gate");
    assert_eq!(process.take_violations().len(), 1);
}

#[test]
fn a_metric_is_one_per_name_and_a_counter_only_grows() {
    use proxy_wasm::types::MetricType;
    let process = Process::new();
    let _worker = worker(&process);
    let first = hostcalls::define_metric(MetricType::Counter, "calls").unwrap();
    let second = hostcalls::define_metric(MetricType::Counter, "calls").unwrap();
    assert_ne!(first, second);
    hostcalls::increment_metric(first, 1).unwrap();
    hostcalls::increment_metric(second, 2).unwrap();
    assert_eq!(hostcalls::get_metric(first), Ok(3));
    assert_eq!(hostcalls::increment_metric(first, 0), Err(Status::BadArgument));
    assert_eq!(process.metric("calls"), 3);
}
