//! The pages at the port of the metrics that say whether calls find a path, and the gauge of each server's health.

use std::time::Duration;

use crate::fixture::{call_body, exchange, first, healthy, json_answer, prober, route, start_with_ready};
use crate::host::{Behaviour, Exchange, Headers, Process, Worker, play};

fn get(path: &str) -> Exchange<'static> {
    let mut asked = exchange("", healthy());
    asked.headers = Headers::new(&[(":method", "GET"), (":path", path), (":authority", "envoy"), (":scheme", "http")]);
    asked.pieces = Vec::new();
    asked
}

fn ask(worker: &Worker, path: &str) -> (u16, String) {
    let played = play(worker, "ready", &route(), get(path));
    assert!(played.servers().is_empty(), "no server is asked");
    (played.reply().status(), String::from_utf8(played.reply().body.clone()).expect("text"))
}

fn call(worker: &Worker, tool: &str, servers: [Behaviour; 3]) {
    play(worker, "gate", &route(), exchange(&call_body(tool, "1"), servers));
}

#[test]
fn it_is_ready_while_every_task_has_a_path_and_tells_neither_servers_nor_addresses() {
    let process = Process::new();
    let worker = start_with_ready(&process);
    let yes = (200, "{\"ready\":true}\n".to_owned());
    for path in ["/ready/tasks", "/ready/tasks/search", "/ready/tasks/write"] {
        assert_eq!(ask(&worker, path), yes);
    }
    assert_eq!(ask(&worker, "/ready/tasks/nothing").0, 404);
    for _ in 0..6 {
        call(&worker, "search", first(Behaviour::Reset));
    }
    assert_eq!(ask(&worker, "/ready/tasks"), yes, "two servers are left");
    let all_down = || [Behaviour::Reset, Behaviour::Reset, json_answer(503, "{}")];
    for _ in 0..30 {
        call(&worker, "search", all_down());
    }
    let (status, body) = ask(&worker, "/ready/tasks");
    assert_eq!((status, body.as_str()), (503, "{\"ready\":false,\"without_path\":[\"search\",\"write\"]}\n"));
    for told in ["mcp-a", "example", "secret", "api"] {
        assert!(!body.contains(told), "{body}");
    }
    assert_eq!(ask(&worker, "/ready/tasks/write").0, 503);
}

#[test]
fn the_health_of_a_server_falls_with_its_failures_and_comes_back() {
    let process = Process::new();
    let health =
        |server: &str, tier: &str| process.metric(&format!("mcp_server_health_percent.server.{server}.tier.{tier}"));
    let look = || {
        std::thread::scope(|scope| {
            scope.spawn(|| prober(&process).tick("prober")).join().expect("no trap");
        });
    };
    look();
    assert_eq!((health("mcp-a", "primary"), health("mcp-b", "secondary"), health("api", "primary")), (100, 100, 100));
    let worker = start_with_ready(&process);
    for _ in 0..3 {
        call(&worker, "search", first(Behaviour::Reset));
    }
    worker.tick("gate");
    look();
    let low = health("mcp-a", "primary");
    assert!(low < 50, "{low}");
    for _ in 0..2 {
        call(&worker, "search", first(Behaviour::Reset));
    }
    look();
    assert_eq!(health("mcp-a", "primary"), 0, "its breaker is open");
    assert_eq!(health("mcp-b", "secondary"), 100);
    drop(worker);
    process.advance(Duration::from_secs(60));
    look();
    look();
    assert_eq!(health("mcp-a", "primary"), 50, "its probe is under way");
}
