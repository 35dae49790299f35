//! Sessions survive their server: what a client with a session gets while servers die, forget and return.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fixture::{SECRETS, World, call_body, exchange, json_answer, rest_answer, start};
use crate::host::{Attempt, Behaviour, Played, Process, Response};

/// A request that any MCP server may answer, no REST server and not the gate.
const PROMPTS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"prompts/list"}"#;

const CANCELLED: &str = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;

/// A server with sessions: each that it opens is named after it, and it knows no other.
fn with_sessions(attempt: &Attempt) -> Response {
    answer_in("opened-by", attempt)
}

/// The same after a restart.
fn restarted(attempt: &Attempt) -> Response {
    answer_in("opened-again-by", attempt)
}

fn answer_in(prefix: &str, attempt: &Attempt) -> Response {
    let request: Value = serde_json::from_slice(&attempt.body).unwrap_or_default();
    let own = format!("{prefix}-{}", attempt.server);
    if request["method"] == "initialize" {
        let result = json!({"protocolVersion": request["params"]["protocolVersion"], "capabilities": {}});
        let mut answer = result_of(&request, &result);
        answer.headers.set("mcp-session-id", &own);
        return answer;
    }
    match attempt.headers.get("mcp-session-id") {
        Some(session) if session == own && request.get("id").is_none() => Response::new(202, "text/plain", ""),
        Some(session) if session == own => result_of(&request, &json!({"served_by": attempt.server})),
        Some(_) => Response::new(
            404,
            "application/json",
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Session not found"}}"#,
        ),
        None => Response::new(
            400,
            "application/json",
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Bad Request: Missing session ID"}}"#,
        ),
    }
}

fn result_of(request: &Value, result: &Value) -> Response {
    Response::new(200, "application/json", json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string())
}

/// A server without sessions.
fn stateless(attempt: &Attempt) -> Response {
    let request: Value = serde_json::from_slice(&attempt.body).unwrap_or_default();
    result_of(&request, &json!({"protocolVersion": request["params"]["protocolVersion"], "served_by": attempt.server}))
}

const UP: Behaviour = Behaviour::Reply(with_sessions);
const DOWN: Behaviour = Behaviour::ConnectFailure;

fn initialize(world: &World, servers: [Behaviour; 2]) -> String {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {"roots": {}}, "clientInfo": {"name": "a client", "version": "7"}}});
    let [a, b] = servers;
    let played = world.play(exchange(&body.to_string(), [a, b, rest_answer()]));
    assert_eq!(played.reply().status(), 200);
    played.reply().headers.get("mcp-session-id").expect("a session")
}

fn ask(world: &World, session: &str, servers: [Behaviour; 2]) -> Played {
    let [a, b] = servers;
    let mut exchange = exchange(PROMPTS, [a, b, rest_answer()]);
    exchange.headers.set("mcp-session-id", session);
    exchange.headers.set("user-agent", "the client's");
    world.play(exchange)
}

fn served_by(played: &Played) -> String {
    let reply: Value = serde_json::from_slice(&played.reply().body).unwrap_or_default();
    assert_eq!(played.reply().headers.get("mcp-session-id"), None, "the client keeps its own");
    reply["result"]["served_by"]
        .as_str()
        .unwrap_or_else(|| panic!("{} {}", played.reply().status(), played.reply().text()))
        .to_owned()
}

/// What was sent to open sessions: the server and the method of each message.
fn opened(played: &Played) -> Vec<(String, String)> {
    let method = |attempt: &Attempt| {
        serde_json::from_slice::<Value>(&attempt.body).unwrap_or_default()["method"]
            .as_str()
            .unwrap_or("none")
            .to_owned()
    };
    played.inside.iter().map(|attempt| (attempt.server.clone(), method(attempt))).collect()
}

#[test]
fn a_session_that_is_named_by_the_token_is_kept_nowhere() {
    let named_by_token = |attempt: &Attempt| {
        let mut answer = stateless(attempt);
        answer.headers.set("mcp-session-id", attempt.headers.first("authorization").unwrap_or_default());
        answer
    };
    let world = World::new();
    let session = initialize(&world, [UP, UP]);
    assert_eq!(served_by(&ask(&world, &session, [DOWN, Behaviour::Reply(named_by_token)])), "mcp-b");
    let kept = world.process.shared_data().all();
    let secret = SECRETS[1][0].as_bytes();
    assert!(kept.iter().all(|(_, value)| value.windows(secret.len()).all(|part| part != secret)), "{kept:?}");
    assert_eq!(world.metric("dualpath_pat_quoted_total.server.mcp-b"), 2, "each of its answers");
}

#[test]
fn a_client_goes_on_with_the_next_server_when_its_own_is_gone() {
    let world = World::new();
    let session = initialize(&world, [UP, UP]);
    let played = ask(&world, &session, [DOWN, UP]);
    assert_eq!(served_by(&played), "mcp-b");
    let messages = ["initialize", "notifications/initialized"].map(|method| ("mcp-b".to_owned(), method.to_owned()));
    assert_eq!(opened(&played), messages);
    let hello: Value = serde_json::from_slice(&played.inside[0].body).unwrap();
    let client = json!({"name": "a client", "version": "7"});
    assert_eq!(
        hello["params"],
        json!({"protocolVersion": "2025-06-18", "capabilities": {"roots": {}}, "clientInfo": client})
    );
    for message in &played.inside {
        assert_eq!(message.headers.get("authorization"), Some(format!("Bearer {}", SECRETS[1][0])));
        assert_eq!(message.headers.get(":path").as_deref(), Some("/b/mcp"));
        assert_eq!(message.headers.get(":authority").as_deref(), Some("b.example"));
        assert_eq!(message.headers.get("user-agent").as_deref(), Some("the client's"));
        assert!(!message.headers.contain("x-dualpath"), "{:?}", message.headers);
    }
    assert_eq!(played.inside[1].headers.get("mcp-session-id").as_deref(), Some("opened-by-mcp-b"));
    assert_eq!(played.inside[1].headers.get("mcp-protocol-version").as_deref(), Some("2025-06-18"));
}

#[test]
fn a_session_that_has_moved_stays_where_it_is_and_costs_nothing_more() {
    let world = World::new();
    let session = initialize(&world, [UP, UP]);
    ask(&world, &session, [DOWN, UP]);
    for servers in [[DOWN, UP], [UP, UP]] {
        let played = ask(&world, &session, servers);
        assert_eq!(served_by(&played), "mcp-b");
        assert_eq!((played.servers(), opened(&played)), (vec!["mcp-b"], vec![]));
    }
    // And from there to the next.
    let played = ask(&world, &session, [UP, DOWN]);
    assert_eq!((served_by(&played).as_str(), opened(&played).len()), ("mcp-a", 2));
    assert_eq!(ask(&world, &session, [UP, UP]).servers(), ["mcp-a"]);
}

#[test]
fn another_worker_finds_the_session_where_it_has_moved() {
    let process = Process::new();
    let world = World { worker: start(&process), process: process.clone(), route: crate::fixture::route() };
    let session = initialize(&world, [UP, UP]);
    ask(&world, &session, [DOWN, UP]);
    drop(world);
    let other = World { worker: start(&process), process: process.clone(), route: crate::fixture::route() };
    // Before it has heard that any session has moved, it finds out by failing over.
    let played = ask(&other, &session, [DOWN, UP]);
    assert_eq!((served_by(&played).as_str(), opened(&played)), ("mcp-b", vec![]));
    other.worker.tick("gate");
    assert_eq!(ask(&other, &session, [UP, UP]).servers(), ["mcp-b"]);
}

#[test]
fn a_session_that_a_call_joins_and_that_is_lost_too_is_opened_there_again() {
    let process = Process::new();
    let world = World { worker: start(&process), process: process.clone(), route: crate::fixture::route() };
    let session = initialize(&world, [UP, UP]);
    ask(&world, &session, [DOWN, UP]);
    drop(world);
    let other = World { worker: start(&process), process: process.clone(), route: crate::fixture::route() };
    let played = ask(&other, &session, [DOWN, Behaviour::Reply(restarted)]);
    assert_eq!((served_by(&played).as_str(), opened(&played).len()), ("mcp-b", 2));
}

#[test]
fn another_envoy_opens_a_session_of_its_own() {
    let one = World::new();
    let session = initialize(&one, [UP, UP]);
    drop(one);
    let other = World::new();
    let played = ask(&other, &session, [DOWN, UP]);
    assert_eq!((served_by(&played).as_str(), opened(&played).len()), ("mcp-b", 2));
}

#[test]
fn a_session_that_its_server_has_forgotten_is_opened_there_again() {
    let world = World::new();
    let session = initialize(&world, [UP, UP]);
    let again = Behaviour::Reply(restarted);
    let played = ask(&world, &session, [again.clone(), DOWN]);
    assert_eq!(served_by(&played), "mcp-a");
    assert_eq!((played.servers(), opened(&played).len()), (vec!["mcp-a", "mcp-a"], 2));
    let played = ask(&world, &session, [again, DOWN]);
    assert_eq!((played.servers(), opened(&played)), (vec!["mcp-a"], vec![]));
}

#[test]
fn a_session_moves_past_an_open_breaker() {
    let world = World::new();
    let session = initialize(&world, [UP, UP]);
    for _ in 0..6 {
        ask(&world, "dp1~mcp-a~old", [DOWN, UP]);
    }
    let played = ask(&world, &session, [UP, UP]);
    assert_eq!((played.servers(), served_by(&played).as_str()), (vec!["mcp-b"], "mcp-b"));
    assert_eq!(opened(&played).len(), 2);
}

#[test]
fn a_failure_of_a_living_owner_moves_no_session() {
    let failed = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no"}}"#;
    for failure in
        [json_answer(500, failed), json_answer(200, failed), json_answer(429, "{}"), Behaviour::Reset, Behaviour::Hang]
    {
        let world = World::new();
        let session = initialize(&world, [UP, UP]);
        let played = ask(&world, &session, [failure.clone(), UP]);
        assert_eq!(opened(&played), vec![], "{failure:?}");
        assert_ne!(played.reply().status(), 404, "{failure:?}");
        assert_eq!(ask(&world, &session, [UP, UP]).servers(), ["mcp-a"], "{failure:?}");
    }
}

#[test]
fn a_server_without_sessions_is_asked_once_whether_it_has_some() {
    let world = World::new();
    let session = initialize(&world, [UP, UP]);
    let without = Behaviour::Reply(stateless);
    let played = ask(&world, &session, [DOWN, without.clone()]);
    assert_eq!((served_by(&played).as_str(), opened(&played).len()), ("mcp-b", 1));
    let played = ask(&world, &session, [DOWN, without]);
    assert_eq!((served_by(&played).as_str(), opened(&played)), ("mcp-b", vec![]));
    assert!(
        played
            .attempts
            .iter()
            .all(|attempt| attempt.server == "mcp-a" || attempt.headers.get("mcp-session-id").is_none())
    );
    assert_eq!(ask(&world, &session, [UP, UP]).servers(), ["mcp-a"], "its session is still with its owner");
}

#[test]
fn a_session_of_the_gates_becomes_a_servers_when_one_is_back() {
    let world = World::new();
    let session = initialize(&world, [DOWN, DOWN]);
    assert!(session.starts_with("dp2~~"), "{session}");
    world.process.advance(Duration::from_secs(200));
    let played = ask(&world, &session, [UP, UP]);
    assert_eq!((served_by(&played).as_str(), opened(&played).len()), ("mcp-a", 2));
    assert_eq!(ask(&world, &session, [UP, UP]).servers(), ["mcp-a"]);
}

#[test]
fn only_what_makes_a_session_impossible_ends_it() {
    fn refuses(attempt: &Attempt) -> Response {
        match attempt.headers.get("mcp-session-id") {
            None if attempt.body.starts_with(b"{\"jsonrpc\":\"2.0\",\"id\":\"dualpath-session\"") => Response::new(
                200,
                "application/json",
                r#"{"jsonrpc":"2.0","id":"dualpath-session","error":{"code":-32602,"message":"Unsupported protocol version"}}"#,
            ),
            _ => answer_in("nobody's", attempt),
        }
    }
    fn is_busy(attempt: &Attempt) -> Response {
        let initializes = attempt.body.windows(12).any(|window| window == b"\"initialize\"");
        if initializes { Response::new(503, "text/plain", "busy") } else { answer_in("nobody's", attempt) }
    }
    fn speaks_another_version(attempt: &Attempt) -> Response {
        let request: Value = serde_json::from_slice(&attempt.body).unwrap_or_default();
        if request["method"] != "initialize" {
            return answer_in("nobody's", attempt);
        }
        let mut answer = result_of(&request, &json!({"protocolVersion": "2024-11-05"}));
        answer.headers.set("mcp-session-id", "of-no-use");
        answer
    }
    for (server, status) in [
        (Behaviour::Reply(refuses), 404),
        (Behaviour::Reply(is_busy), 503),
        (Behaviour::Reply(speaks_another_version), 404),
    ] {
        let world = World::new();
        let session = initialize(&world, [UP, UP]);
        let played = ask(&world, &session, [DOWN, server]);
        assert_eq!(played.reply().status(), status, "{}", played.reply().text());
        let said_farewell =
            played.inside.iter().any(|attempt| attempt.headers.get(":method").as_deref() == Some("DELETE"));
        assert_eq!(said_farewell, played.inside.len() > 1);
    }
}

/// An ingress whose server is gone for all that is said in a session, and whose other servers begin some.
fn has_lost_its_server(attempt: &Attempt) -> Response {
    let begins = attempt.body.windows(12).any(|window| window == b"\"initialize\"");
    if begins { answer_in("lost-by", attempt) } else { Response::new(404, "text/plain", "404 page not found") }
}

/// Neither has it for a client that begins.
fn has_no_server(_: &Attempt) -> Response {
    Response::new(404, "text/plain", "404 page not found")
}

#[test]
fn whoever_ends_a_session_hears_within_the_servers_time_that_it_does_not_answer() {
    let world = World::new();
    let session = initialize(&world, [UP, UP]);
    let mut farewell = exchange("", [Behaviour::Hang, UP, rest_answer()]).without_body();
    farewell.headers.set(":method", "DELETE");
    farewell.headers.set("mcp-session-id", &session);
    let played = world.play(farewell);
    assert_eq!((played.servers(), played.reply().status()), (vec!["mcp-a"], 504), "{}", played.reply().text());
}

#[test]
fn the_stream_of_a_session_that_is_lost_does_not_end_it_and_its_end_does() {
    for owner in [Behaviour::Reply(restarted), Behaviour::Reply(has_no_server)] {
        for (method, status) in [("GET", 503), ("DELETE", 404)] {
            let world = World::new();
            let session = initialize(&world, [UP, UP]);
            let mut exchange = exchange("", [owner.clone(), UP, rest_answer()]).without_body();
            exchange.headers.set(":method", method);
            exchange.headers.set("accept", "text/event-stream");
            exchange.headers.set("mcp-session-id", &session);
            assert_eq!(world.play(exchange).reply().status(), status, "{method} {owner:?}");
        }
    }
}

#[test]
fn a_session_that_could_not_go_on_here_and_now_has_not_ended() {
    fn forgets_at_once(attempt: &Attempt) -> Response {
        if attempt.body.windows(12).any(|window| window == b"\"initialize\"") {
            return stateless(attempt);
        }
        answer_in("nobody's", attempt)
    }
    for servers in [
        [DOWN, Behaviour::Reply(forgets_at_once)],
        [Behaviour::Reply(has_lost_its_server), DOWN],
        [Behaviour::Reply(has_no_server), DOWN],
        [Behaviour::Reply(has_no_server), Behaviour::Reply(has_no_server)],
    ] {
        let world = World::new();
        let session = initialize(&world, [UP, UP]);
        let played = ask(&world, &session, servers.clone());
        assert_eq!(played.reply().status(), 503, "{servers:?}: {}", played.reply().text());
        assert_eq!(served_by(&ask(&world, &session, [UP, UP])), "mcp-a", "{servers:?}");
    }
}

#[test]
fn an_ingress_without_the_server_of_a_session_leaves_its_calls_to_the_next_path() {
    for (owner, moved_to) in [(has_lost_its_server as fn(&Attempt) -> Response, "api"), (has_no_server, "mcp-b")] {
        for tool in ["search", "write"] {
            for (next, server) in [(Behaviour::Reply(stateless), "mcp-b"), (UP, moved_to), (DOWN, "api")] {
                let world = World::new();
                let session = initialize(&world, [UP, UP]);
                let mut call = exchange(&call_body(tool, "1"), [Behaviour::Reply(owner), next.clone(), rest_answer()]);
                call.headers.set("mcp-session-id", &session);
                let played = world.play(call);
                assert_eq!(played.servers().last(), Some(&server), "{tool} {next:?}");
                assert_eq!(played.reply().status(), 200, "{tool} {next:?}: {}", played.reply().text());
            }
        }
    }
}

/// What an ingress says of everything once the server behind it is gone.
#[test]
fn a_session_moves_at_once_from_an_ingress_that_refuses_everything() {
    let refusals: [fn(&Attempt) -> Response; 7] = [
        has_no_server,
        |_| Response::new(404, "application/json", r#"{"error":"no route"}"#),
        |_| Response::new(410, "text/plain", "gone"),
        |_| Response::new(405, "text/html", "<html>405 Not Allowed</html>"),
        |_| Response::new(421, "text/plain", "Invalid Host header"),
        |_| Response::new(302, "text/html", "<html>login</html>"),
        |attempt| {
            let begins = attempt.body.windows(12).any(|window| window == b"\"initialize\"");
            Response::new(if begins { 400 } else { 404 }, "text/plain", "no")
        },
    ];
    for refusal in refusals {
        let world = World::new();
        let session = initialize(&world, [UP, UP]);
        let refuses = Behaviour::Reply(refusal);
        let what = refusal(&Attempt::default()).headers;
        let played = ask(&world, &session, [refuses.clone(), UP]);
        assert_eq!(served_by(&played), "mcp-b", "{what:?}");
        let begun = opened(&played).into_iter().filter(|(server, _)| server == "mcp-b").count();
        assert_eq!(begun, 2, "{what:?}");
        let played = ask(&world, &session, [refuses, UP]);
        assert_eq!((played.servers(), opened(&played)), (vec!["mcp-b"], vec![]), "{what:?}: it has moved");
    }
}

#[test]
fn a_call_opens_a_session_nowhere_else_once_the_next_server_has_begun_none() {
    let world = World::new();
    let session = initialize(&world, [UP, UP]);
    let nobody = Behaviour::Reply(has_no_server);
    let played = ask(&world, &session, [nobody.clone(), nobody]);
    let asked: Vec<_> = opened(&played).into_iter().map(|(server, _)| server).collect();
    assert_eq!(asked, ["mcp-a", "mcp-b"]);
}

/// MCP: a request in a session that has been ended is answered with 404.
#[test]
fn a_session_of_the_gates_that_its_client_has_ended_is_over_for_every_worker() {
    let process = Process::new();
    let start = || World { worker: start(&process), process: process.clone(), route: crate::fixture::route() };
    let send = |world: &World, method: &str, session: &str, server: Behaviour| {
        let mut exchange = exchange(PROMPTS, [server, UP, rest_answer()]);
        if method != "POST" {
            exchange = exchange.without_body();
        }
        exchange.headers.set(":method", method);
        exchange.headers.set("accept", "application/json, text/event-stream");
        exchange.headers.set("mcp-session-id", session);
        let played = world.play(exchange);
        (played.reply().status(), played.attempts.len())
    };
    let world = start();
    let [session, other, moved] = [0, 1, 2].map(|_| initialize(&world, [DOWN, DOWN]));
    process.advance(Duration::from_secs(200));
    assert_eq!(served_by(&ask(&world, &moved, [UP, UP])), "mcp-a");
    assert_eq!(send(&world, "DELETE", &session, UP), (200, 0));
    assert_eq!(send(&world, "DELETE", &moved, UP), (202, 1));
    let are_over = |world: &World| {
        for session in [&session, &moved] {
            for (method, server) in [("POST", UP), ("POST", Behaviour::Reply(stateless)), ("GET", UP), ("DELETE", UP)] {
                assert_eq!(send(world, method, session, server), (404, 0), "{method}");
            }
        }
    };
    are_over(&world);
    drop(world);
    let world = start();
    world.worker.tick("gate");
    are_over(&world);
    assert_eq!(served_by(&ask(&world, &other, [UP, UP])), "mcp-a", "others go on");
    // Whoever ends what never was pushes out no session that has moved.
    let (mark, _) = other.rsplit_once('~').expect("an id of the gate's");
    for n in 0..5_000 {
        send(&world, "DELETE", &format!("{mark}~{n:024}"), UP);
    }
    let kept: usize =
        process.shared_data().all().iter().filter(|(key, _)| key.starts_with('e')).map(|(_, v)| v.len()).sum();
    assert!(kept <= 4096 * 8, "{kept}");
    assert_eq!(opened(&ask(&world, &other, [UP, UP])), vec![], "it is where it has moved");
}

#[test]
fn a_server_that_has_lost_the_session_which_the_call_has_just_opened_there_leaves_it_to_the_next_path() {
    fn forgets_at_once(attempt: &Attempt) -> Response {
        let begins = attempt.body.windows(12).any(|window| window == b"\"initialize\"");
        answer_in(if begins { "begun-by" } else { "nobody's" }, attempt)
    }
    for next in [has_lost_its_server, forgets_at_once] {
        for tool in ["search", "write"] {
            let world = World::new();
            let session = initialize(&world, [UP, UP]);
            let mut call = exchange(&call_body(tool, "1"), [DOWN, Behaviour::Reply(next), rest_answer()]);
            call.headers.set("mcp-session-id", &session);
            let played = world.play(call);
            assert_eq!(played.servers().last(), Some(&"api"), "{tool}: {}", played.reply().text());
            assert_eq!(played.reply().status(), 200, "{tool}: {}", played.reply().text());
            assert_eq!(
                served_by(&ask(&world, &session, [UP, UP])),
                "mcp-b",
                "{tool}: the session has moved, not ended"
            );
        }
    }
}

#[test]
fn a_session_that_is_lost_as_soon_as_it_was_opened_is_opened_once_more() {
    thread_local!(static LOST: std::cell::Cell<bool> = const { std::cell::Cell::new(true) });
    fn loses_one(attempt: &Attempt) -> Response {
        let asks = attempt.body.windows(6).any(|window| window == b"\"ping\"");
        if !asks || !LOST.replace(false) { answer_in("begun-by", attempt) } else { answer_in("nobody's", attempt) }
    }
    let world = World::new();
    let session = initialize(&world, [UP, UP]);
    let mut call = exchange(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, [DOWN, Behaviour::Reply(loses_one), DOWN]);
    call.headers.set("mcp-session-id", &session);
    let played = world.play(call);
    assert_eq!((played.reply().status(), played.servers().last()), (200, Some(&"mcp-b")), "{}", played.reply().text());
    assert!(played.reply().text().contains("result"), "{}", played.reply().text());
}

#[test]
fn a_call_in_a_session_of_the_gates_takes_the_direct_path_while_no_server_opens_one() {
    let world = World::new();
    let session = initialize(&world, [DOWN, DOWN]);
    world.process.advance(Duration::from_secs(200));
    fn is_busy(attempt: &Attempt) -> Response {
        let begins = attempt.body.windows(12).any(|window| window == b"\"initialize\"");
        if begins { Response::new(503, "text/plain", "busy") } else { answer_in("nobody's", attempt) }
    }
    let busy = Behaviour::Reply(is_busy);
    let mut call = exchange(&call_body("write", "1"), [busy.clone(), busy, rest_answer()]);
    call.headers.set("mcp-session-id", &session);
    let played = world.play(call);
    assert_eq!((played.servers().last(), played.reply().status()), (Some(&"api"), 200), "{}", played.reply().text());
}

#[test]
fn a_notification_that_a_lost_session_leaves_undelivered_does_not_end_it() {
    let restarted = Behaviour::Reply(restarted);
    for servers in [[DOWN, UP], [restarted.clone(), UP], [restarted, DOWN]] {
        let world = World::new();
        let session = initialize(&world, [UP, UP]);
        let mut exchange = exchange(CANCELLED, [servers[0].clone(), servers[1].clone(), rest_answer()]);
        exchange.headers.set("mcp-session-id", &session);
        let played = world.play(exchange);
        assert_eq!(played.reply().status(), 503, "{servers:?}: {}", played.reply().text());
    }
}

#[test]
fn whatever_a_client_sends_as_its_session_causes_one_initialize_at_most_and_reaches_no_server() {
    let genuine = initialize(&World::new(), [UP, UP]);
    let (mark, introduction) = genuine.rsplit_once('~').unwrap();
    let mut forged = vec![
        "dp1~mcp-a~unknown".to_owned(),
        format!("{mark}~unknown"),
        format!("{mark}~{}", "x".repeat(20_000)),
        format!("{mark}~a~b~c"),
        format!("dp2~nobody~{}", genuine.strip_prefix("dp2~mcp-a~").unwrap()),
        format!("dp2~api~{}", genuine.strip_prefix("dp2~mcp-a~").unwrap()),
        format!("dp2~mcp-a~{}~s", "A".repeat(1024)),
        format!("dp2~mcp-a~{}~s", "A".repeat(1025)),
        "dp2~mcp-a~e30~s".to_owned(),
        "dp2~~e30~AAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        "dp2~mcp-a~~s".to_owned(),
    ];
    forged.extend((0..genuine.len()).map(|cut| genuine[..cut].to_owned()));
    let flipped = |at: usize| {
        genuine
            .char_indices()
            .map(|(n, c)| if n == at { if c == 'A' { 'B' } else { 'A' } } else { c })
            .collect::<String>()
    };
    forged.extend((0..genuine.len()).map(flipped));
    assert!(!introduction.is_empty());
    let world = World::new();
    for session in &forged {
        for servers in [[UP, UP], [DOWN, UP], [UP, DOWN]] {
            let played = ask(&world, session, servers);
            let initializes = opened(&played).iter().filter(|(_, method)| method == "initialize").count();
            assert!(initializes <= 1, "{session}: {:?}", opened(&played));
            let mut sent = played.attempts.iter().chain(&played.inside).filter(|attempt| attempt.sent);
            assert!(sent.all(|attempt| !attempt.headers.contain("dp2~")), "{session}");
        }
        world.process.advance(Duration::from_secs(1));
    }
}

#[test]
fn a_worker_opens_only_so_many_sessions_and_what_is_beyond_fails_without_ending_any() {
    let world = World::new();
    let session = initialize(&world, [UP, UP]);
    let (mark, _) = session.rsplit_once('~').unwrap();
    let mut opened_ones = 0;
    for n in 0..600 {
        let played = ask(&world, &format!("{mark}~{n}"), [UP, UP]);
        opened_ones += usize::from(!played.inside.is_empty());
        assert!(matches!(played.reply().status(), 200 | 503), "{} {}", played.reply().status(), played.reply().text());
    }
    assert_eq!(opened_ones, 500);
}

#[test]
fn a_session_that_its_client_ends_is_ended_where_it_has_moved() {
    let world = World::new();
    let session = initialize(&world, [UP, UP]);
    ask(&world, &session, [DOWN, UP]);
    let mut farewell = exchange("", [UP, UP, rest_answer()]).without_body();
    farewell.headers.set(":method", "DELETE");
    farewell.headers.set("mcp-session-id", &session);
    let played = world.play(farewell);
    assert_eq!(played.servers(), ["mcp-b"]);
    assert_eq!(played.attempts[0].headers.get("mcp-session-id").as_deref(), Some("opened-by-mcp-b"));
    assert_eq!(ask(&world, &session, [UP, UP]).servers()[0], "mcp-a", "nothing is known of it any more");
}

/// MCP: a request in a session that has been ended is answered with 404.
#[test]
fn a_session_that_its_client_has_ended_is_not_opened_again_by_any_worker() {
    let end = |world: &World, session: &str, server: Behaviour| {
        let mut farewell = exchange("", [server, UP, rest_answer()]).without_body();
        farewell.headers.set(":method", "DELETE");
        farewell.headers.set("mcp-session-id", session);
        world.play(farewell)
    };
    let process = Process::new();
    let start = || World { worker: start(&process), process: process.clone(), route: crate::fixture::route() };
    let world = start();
    let session = initialize(&world, [UP, UP]);
    let other = format!("{session}-other");
    end(&world, &other, json_answer(500, "{}"));
    assert_eq!(end(&world, &session, UP).reply().status(), 202);
    let forgotten = || [Behaviour::Reply(restarted), UP];
    let ask_after = |world: &World| {
        let played = ask(world, &session, forgotten());
        assert_eq!((played.reply().status(), opened(&played)), (404, vec![]), "{}", played.reply().text());
    };
    ask_after(&world);
    drop(world);
    let world = start();
    ask_after(&world);
    assert_eq!(served_by(&ask(&world, &other, forgotten())), "mcp-a", "what could not be ended goes on");
}

#[test]
fn sessions_that_are_opened_for_clients_and_those_that_move_are_counted() {
    let world = World::new();
    let counted = |server: &str| {
        ["opened", "moved"].map(|what| world.metric(&format!("dualpath_sessions_{what}_total.server.{server}")))
    };
    let session = initialize(&world, [UP, UP]);
    ask(&world, &session, [UP, UP]);
    assert_eq!((counted("mcp-a"), counted("mcp-b")), ([0, 0], [0, 0]), "a client's own session is not counted");
    // Its owner is gone: one session is opened elsewhere, however many calls follow.
    ask(&world, &session, [DOWN, UP]);
    ask(&world, &session, [DOWN, UP]);
    assert_eq!((counted("mcp-a"), counted("mcp-b")), ([0, 0], [1, 1]));
    // A server that has forgotten a session gets another one: nobody moves.
    let session = initialize(&world, [UP, UP]);
    let (mark, _) = session.rsplit_once('~').unwrap();
    ask(&world, &format!("{mark}~forgotten"), [UP, UP]);
    assert_eq!((counted("mcp-a"), counted("mcp-b")), ([1, 0], [1, 1]));
    // Where none can be opened, none is counted.
    let refuses = json_answer(503, "{}");
    ask(&world, &format!("{mark}~other"), [DOWN, refuses]);
    assert_eq!((counted("mcp-a"), counted("mcp-b")), ([1, 0], [1, 1]));
}
