//! The page for operators: what it tells while servers die, who may see it, and that it holds no secret.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{
    SECRETS, call_body, exchange, first, healthy, prober, prober_with_admin, route, start_with_status_page,
};
use crate::host::{Behaviour, Exchange, Headers, Played, Process, Worker, play};

/// What a browser sends, with more headers.
fn request(method: &str, path: &str, authority: &str, more: &[(&str, &str)]) -> Exchange<'static> {
    let mut asked = exchange("", healthy());
    let pseudo = [(":method", method), (":path", path), (":authority", authority), (":scheme", "http")];
    asked.headers = Headers::new(&[&pseudo, more].concat());
    asked.pieces = Vec::new();
    asked
}

fn ask(worker: &Worker, plugin: &str, asked: Exchange) -> Played {
    let played = play(worker, plugin, &route(), asked);
    assert!(played.servers().is_empty(), "no server is asked");
    played
}

fn json_of(played: &Played) -> Value {
    assert_eq!(played.reply().status(), 200);
    serde_json::from_slice(&played.reply().body).expect("JSON")
}

fn status(worker: &Worker) -> Value {
    json_of(&ask(worker, "status", request("GET", "/status.json", "127.0.0.1:9903", &[])))
}

fn call(worker: &Worker, servers: [Behaviour; 3]) {
    play(worker, "gate", &route(), exchange(&call_body("search", "1"), servers));
}

fn look(process: &Arc<Process>) {
    std::thread::scope(|scope| {
        scope.spawn(|| prober(process).tick("prober")).join().expect("no trap");
    });
}

#[test]
fn a_server_that_dies_is_seen_with_what_its_calls_failed_with_until_it_is_probed() {
    let process = Process::new();
    let worker = start_with_status_page(&process);
    let before = status(&worker);
    let names: Vec<_> = before["servers"].as_array().unwrap().iter().map(|of| of["server"].as_str().unwrap()).collect();
    assert_eq!(names, ["mcp-a", "mcp-b", "api"]);
    assert_eq!((&before["servers"][0]["state"], &before["transitions"]), (&json!("closed"), &json!([])));
    for _ in 0..3 {
        call(&worker, healthy());
    }
    worker.tick("gate");
    process.advance(Duration::from_millis(300));
    worker.tick("gate");
    assert_eq!(status(&worker)["servers"][0]["ok"], 3);
    for _ in 0..5 {
        call(&worker, first(Behaviour::Reset));
    }
    let after = status(&worker);
    let server = &after["servers"][0];
    assert_eq!((&server["state"], &server["health"]), (&json!("open"), &json!(0)));
    let wait = server["probe_in_ms"].as_u64().unwrap();
    assert!((4000..=7000).contains(&wait), "{wait}");
    let changed = &after["transitions"][0];
    assert_eq!(changed, &server["changed"]);
    assert_eq!((&changed["server"], &changed["to"]), (&json!("mcp-a"), &json!("open")));
    assert_eq!((&changed["reason"], &changed["class"]), (&json!("consecutive"), &json!("lost")));
    process.advance(Duration::from_secs(1));
    assert_eq!(status(&worker)["servers"][0]["probe_in_ms"].as_u64(), Some(wait - 1000), "it counts down");
}

#[test]
fn what_is_asked_of_it_is_answered_to_be_read_and_by_nobody_else_s_page() {
    let worker = start_with_status_page(&Process::new());
    for (method, path) in [("GET", "/status.json"), ("HEAD", "/status.json"), ("GET", "/status.json?x=1")] {
        let played = ask(&worker, "status", request(method, path, "localhost:9903", &[]));
        let headers = &played.reply().headers;
        for (name, value) in [
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(headers.get(name).as_deref(), Some(value), "{method} {path}");
        }
        assert_eq!(headers.get("access-control-allow-origin"), None);
    }
    for authority in ["evil.example:9903", "127.0.0.1.evil.example", ""] {
        for plugin in ["status", "status-token"] {
            let refused = ask(&worker, plugin, request("GET", "/status.json", authority, &[]));
            assert_eq!(refused.reply().status(), 403, "{authority}");
        }
    }
}

#[test]
fn without_the_token_nothing_is_told() {
    let worker = start_with_status_page(&Process::new());
    // What Envoy's injector hands over is slot a; it takes the place of what a client has sent.
    let token = ("x-dualpath-slot-a", "operators-secret");
    let ask = |path: &str, more: &[(&str, &str)]| {
        ask(&worker, "status-token", request("GET", path, "status.example.com", more))
    };
    for more in [
        &[token][..],
        &[token, ("authorization", "Bearer another")],
        &[token, ("authorization", "Bearer ")],
        &[("authorization", "Bearer operators-secret")],
        &[("x-dualpath-slot-a", ""), ("authorization", "Bearer ")],
    ] {
        for path in ["/status.json", "/", "/other"] {
            let played = ask(path, more);
            assert_eq!(played.reply().status(), 401, "{more:?}");
            assert!(played.reply().headers.get("www-authenticate").is_some_and(|ask| ask.starts_with("Basic ")));
            assert_eq!(played.reply().body, b"");
        }
    }
    let shown = ask("/status.json", &[token, ("authorization", "Bearer operators-secret")]);
    assert_eq!(json_of(&shown)["servers"].as_array().map(Vec::len), Some(3));
}

#[test]
fn tokens_are_told_of_and_not_told() {
    let process = Process::new();
    let worker = start_with_status_page(&process);
    for _ in 0..2 {
        look(&process);
    }
    let played = ask(&worker, "status", request("GET", "/status.json", "[::1]:9903", &[]));
    let text = String::from_utf8(played.reply().body.clone()).expect("text");
    for secret in SECRETS.as_flattened() {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(!text.contains("example"), "no address of a server: {text}");
    let told = json_of(&played);
    let credential = &told["credentials"][0];
    assert_eq!(credential["credential"], "pat-mcp-a");
    assert_eq!(credential["slots"].as_array().map(Vec::len), Some(2), "{credential}");
}

#[test]
fn the_kill_switch_is_seen_as_the_prober_has_last_seen_it() {
    let process = Process::new();
    let worker = start_with_status_page(&process);
    assert_eq!(status(&worker).get("mcp_enabled"), None, "nobody has looked");
    for (runtime, expected) in [
        (json!({"entries": {"dualpath.mcp_enabled": {"final_value": "0"}}}), json!("0")),
        (
            json!({"entries": {"dualpath.mcp_enabled": {"final_value": "50"}, "dualpath.server.mcp-b.weight": {"final_value": "0"},
                "dualpath.task.search.mcp_enabled": {"final_value": "0"}}}),
            json!("50"),
        ),
        (json!({"entries": {}}), json!("100")),
    ] {
        std::thread::scope(|scope| {
            let look = || {
                let prober = prober_with_admin(&process);
                prober.tick("prober");
                let asked =
                    prober.take_calls().into_iter().find(|call| call.cluster == dualpath::wiring::cluster::ADMIN);
                prober.answer(
                    &asked.expect("a look"),
                    Headers::new(&[(":status", "200")]),
                    runtime.to_string().as_bytes(),
                );
            };
            scope.spawn(look).join().expect("no trap");
        });
        let told = status(&worker);
        assert_eq!(told["mcp_enabled"], expected);
        let is_half = expected == "50";
        assert_eq!(told["tasks_off"], if is_half { json!(["search"]) } else { json!([]) });
        assert_eq!(told["servers"][1]["overrides"], if is_half { json!(["drained"]) } else { json!([]) });
    }
}
