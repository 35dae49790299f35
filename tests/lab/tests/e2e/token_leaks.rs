//! No token shows anywhere: one of a recognisable kind comes from every source there is, everything fails that can, and
//! then all that Envoy and the filter let out is searched for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use dualpath_lab::client::{Client, Reply};
use dualpath_lab::sds::SecretServer;
use dualpath_lab::stub::{Behaviour, Config, Stub};
use serde_json::json;

use crate::world::{Options, World, test_module};

/// The file of the primary's slot a.
const FILE: &str = "secrets/pat-primary-a.json";

/// A token in the shape of a JWT. Nothing of it is like anything else in the test.
struct Token {
    name: &'static str,
    text: String,
}

impl Token {
    fn new(name: &'static str) -> Self {
        let payload = json!({"sub": format!("subject-of-{name}"), "iat": 1_780_000_000, "exp": 4_000_000_000_u64});
        let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
        Token { name, text: format!("eyJhbGciOiJFUzI1NiJ9.{payload}.signature-of-{name}") }
    }

    /// What must show nowhere: the token, what it is made of and says, and what others make of it.
    fn traces(&self) -> Vec<String> {
        let (payload, subject) = (self.text.split('.').nth(1).unwrap_or_default(), format!("subject-of-{}", self.name));
        // The last characters of an encoding depend on what follows.
        let encoded = |text: &str, engine: &base64::engine::GeneralPurpose| {
            let encoded = engine.encode(text);
            encoded[..encoded.len() - 4].to_owned()
        };
        let mut traces = vec![payload.to_owned(), format!("signature-of-{}", self.name), subject];
        for text in [&self.text, &format!("Bearer {}", self.text), &format!("{}:", self.text)] {
            traces.extend([encoded(text, &STANDARD_NO_PAD), encoded(text, &URL_SAFE_NO_PAD)]);
        }
        traces
    }

    fn shows_in(&self, text: &str) -> bool {
        self.traces().iter().any(|trace| text.contains(trace))
    }
}

/// One token of every source.
struct Tokens {
    file: Token,
    rotated_file: Token,
    server: Token,
    endpoint: Token,
    environment: Token,
    inline: Token,
    client: Token,
}

impl Tokens {
    fn new() -> Self {
        Tokens {
            file: Token::new("file-3e91"),
            rotated_file: Token::new("rotated-b07c"),
            server: Token::new("server-58d2"),
            endpoint: Token::new("endpoint-f64a"),
            environment: Token::new("environment-29be"),
            inline: Token::new("inline-c813"),
            client: Token::new("client-70f5"),
        }
    }

    fn all(&self) -> [&Token; 7] {
        [&self.file, &self.rotated_file, &self.server, &self.endpoint, &self.environment, &self.inline, &self.client]
    }

    /// Those that show in `text`, but for `but`.
    fn shown_in(&self, text: &str, but: &[&Token]) -> Vec<&'static str> {
        let shown = self.all().into_iter().filter(|token| token.shows_in(text)).map(|token| token.name);
        shown.filter(|name| but.iter().all(|token| token.name != *name)).collect()
    }
}

/// A world with a token of every source, and who hands them out.
struct Sources {
    tokens: Tokens,
    world: World,
    endpoint: Stub,
    _secrets: SecretServer,
}

fn endpoint_answer(token: &str) -> Behaviour {
    Behaviour::Status { status: 200, headers: Vec::new(), body: json!({"token": token}).to_string() }
}

impl Sources {
    async fn start(change: impl FnOnce(&mut Options)) -> Sources {
        let tokens = Tokens::new();
        let secrets = SecretServer::start(0).expect("a secret server");
        secrets.set("pat-primary-b", &tokens.server.text);
        let endpoint = Stub::start(Config::rest("endpoint")).await.expect("a stub");
        endpoint.set(endpoint_answer(&tokens.endpoint.text));
        let mut world = World::start_with(|options| {
            // Envoy watches the directory, and logs what happens there: its own log must not be in it.
            std::fs::create_dir(options.scratch.path().join("secrets")).expect("a directory");
            let file = options.scratch.write_secret(FILE, "pat-primary-a", &tokens.file.text);
            options.set(
                "/credentials/0/slots",
                json!({"a": {"sds_file": file.expect("a secret file")}, "b": {"sds_grpc": secrets.url()}}),
            );
            let http = json!({"url": endpoint.url("/v1/pat"), "field": "token", "every": "1s"});
            options.set("/credentials/1/slots", json!({"a": {"http": http}, "b": {"env": "LAB_PAT_SECONDARY"}}));
            options.env = vec![("LAB_PAT_SECONDARY".to_owned(), tokens.environment.text.clone())];
            options.set("/credentials/2/slots", json!({"a": {"inline": tokens.inline.text}}));
            // So that the REST server gets the client's own as well.
            options.set("/credentials/2/header", json!("x-api-key"));
            options.set("/credentials/2/prefix", json!(""));
            options.set("/listener/client_authorization", json!("pass"));
            options.set("/drill", json!({"enabled": true}));
            options.set("/audit", json!({"access_log": options.scratch.path().join("audit.log")}));
            options
                .set("/breaker", json!({"consecutive": 20, "base_open": "200ms", "max_open": "200ms", "ramp": "0s"}));
            options.primary.tokens = vec![tokens.file.text.clone()];
            options.secondary.tokens = vec![tokens.endpoint.text.clone()];
            options.rest.tokens = Vec::new();
            options.log_level = "trace".to_owned();
            change(options);
        })
        .await;
        world.client = world.client.clone().header("authorization", &format!("Bearer {}", tokens.client.text));
        Sources { tokens, world, endpoint, _secrets: secrets }
    }

    /// The access log once Envoy has written it.
    async fn access_log(&self) -> String {
        let path = self.world.envoy.scratch().path().join("audit.log");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            if log.contains("switched") {
                return log;
            }
            assert!(Instant::now() < deadline, "nothing in the access log");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Calls until `server` is shown `token`.
async fn until_shown(client: &Client, server: &Stub, token: &Token, told: &mut Vec<Reply>) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let shown = || server.received().iter().any(|r| r.headers.iter().any(|(_, value)| value.ends_with(&token.text)));
    while !shown() {
        assert!(Instant::now() < deadline, "{} is not shown {}", server.name(), token.name);
        told.push(client.search("q").await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Uses every token and has everything fail. Returns all that the client was told.
async fn exercise(sources: &Sources) -> Vec<Reply> {
    let Sources { tokens, world, endpoint, .. } = sources;
    let (client, mut told) = (&world.client, Vec::new());
    until_shown(client, &world.primary, &tokens.file, &mut told).await;
    // Refused, and the other slot; on a file that is replaced, too.
    world.primary.accept(&[&tokens.server.text]);
    until_shown(client, &world.primary, &tokens.server, &mut told).await;
    let scratch = world.envoy.scratch();
    scratch.write_secret(FILE, "pat-primary-a", &tokens.rotated_file.text).expect("a secret file");
    world.primary.accept(&[&tokens.rotated_file.text]);
    until_shown(client, &world.primary, &tokens.rotated_file, &mut told).await;
    world.primary.set(Behaviour::status(503));
    until_shown(client, &world.secondary, &tokens.endpoint, &mut told).await;
    world.secondary.accept(&[&tokens.environment.text]);
    until_shown(client, &world.secondary, &tokens.environment, &mut told).await;
    world.secondary.set(Behaviour::ResetBeforeHeaders);
    until_shown(client, &world.rest, &tokens.inline, &mut told).await;
    until_shown(client, &world.rest, &tokens.client, &mut told).await;
    for stub in [&world.primary, &world.secondary, &world.rest] {
        stub.accept(&[]);
    }
    let failures = [
        Behaviour::status(401),
        Behaviour::status(403),
        Behaviour::status(500),
        Behaviour::too_many_requests(None),
        Behaviour::rpc_error(-32603, "no"),
        Behaviour::ResetBeforeHeaders,
        Behaviour::GarbageJson,
        Behaviour::GarbageHttp,
        Behaviour::WrongId,
        Behaviour::SseSilent,
        Behaviour::Huge { bytes: 5 << 20 },
    ];
    for failure in failures {
        for stub in [&world.primary, &world.secondary, &world.rest] {
            stub.set(failure.clone());
        }
        for (tool, arguments) in [("search", json!({"query": "q"})), ("sql", json!({"sql": "insert"}))] {
            let params = json!({"name": tool, "arguments": arguments});
            // An answer that is too long to be held may break off on its way, which tells nobody anything.
            told.extend(client.request("1", "tools/call", &params).await.ok());
        }
    }
    for stub in [&world.primary, &world.secondary, &world.rest] {
        stub.set(Behaviour::Normal);
    }
    for orders in ["fail=primary", "fail=primary,credential; fail=secondary,credential", "nonsense"] {
        told.push(client.clone().header("x-dualpath-drill", orders).search("q").await);
    }
    told.push(client.search(&"q".repeat(2 << 20)).await);
    told.push(client.request("1", "no/such/method", &json!({})).await.expect("an answer"));
    // An endpoint that fails with the token in its words, and one that answers what no header can carry.
    let asked = endpoint.received().len();
    let body = format!("{{\"error\": \"{}\"}}", tokens.endpoint.text);
    endpoint.set_for(1, Behaviour::Status { status: 500, headers: Vec::new(), body });
    endpoint.set_for(1, endpoint_answer(&format!("{}\r\nx: y", tokens.endpoint.text)));
    let deadline = Instant::now() + Duration::from_secs(10);
    while endpoint.received().len() < asked + 3 {
        assert!(Instant::now() < deadline, "the endpoint is not asked again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.stop_mcp().await;
    world.rest.stop().await.expect("stop");
    told.push(client.search("q").await);
    told
}

/// The records of Envoy's log, each with its component. A message may have several lines.
fn records(log: &str) -> Vec<(String, String)> {
    let mut records: Vec<(String, String)> = Vec::new();
    for line in log.lines() {
        // [time][thread][level][component] [file:line] message
        let head: Vec<_> = line.splitn(5, ']').map(|part| part.trim_start_matches('[')).collect();
        match (line.starts_with("[20"), head.as_slice(), records.last_mut()) {
            (true, [_, _, level, component, _], _) => records.push((format!("{component} {level}"), line.to_owned())),
            (_, _, Some((_, text))) => *text += &format!("\n{line}"),
            _ => records.push(("none".to_owned(), line.to_owned())),
        }
    }
    records
}

#[tokio::test]
async fn no_token_shows_in_anything_that_is_let_out() {
    let sources = Sources::start(|_| {}).await;
    let (tokens, world) = (&sources.tokens, &sources.world);
    let told = exercise(&sources).await;
    for reply in told {
        let all = format!("{:?} {}", reply.answer.headers, reply.answer.text());
        assert_eq!(tokens.shown_in(&all, &[]), [""; 0], "{all}");
    }
    let access_log = sources.access_log().await;
    assert_eq!(tokens.shown_in(&access_log, &[]), [""; 0], "{access_log}");
    let pages = [
        "/stats",
        "/stats?format=json",
        "/stats/prometheus",
        "/clusters",
        "/clusters?format=json",
        "/listeners",
        "/certs",
        "/memory",
        "/server_info",
        "/runtime",
        "/init_dump",
        "/ready",
        "/hot_restart_version",
        "/logging",
    ];
    for page in pages {
        let text = world.envoy.admin(page).await.expect("an admin page");
        assert!(!text.is_empty(), "{page}");
        assert_eq!(tokens.shown_in(&text, &[]), [""; 0], "{page}");
    }
    // What stands in the registry itself shows in the filter's configuration: inline is for loopback demonstrations.
    let dump = world.envoy.admin("/config_dump?include_eds").await.expect("an admin page");
    assert!(tokens.inline.shows_in(&dump));
    assert_eq!(tokens.shown_in(&dump, &[&tokens.inline]), [""; 0], "not even Envoy's list of secrets shows one");
    assert!(dump.contains("pat-primary-b") && dump.contains("dynamic_active_secrets"), "and it has that list");

    for (stub, own) in [
        (&world.primary, &[&tokens.file, &tokens.rotated_file, &tokens.server][..]),
        (&world.secondary, &[&tokens.endpoint, &tokens.environment]),
        (&world.rest, &[&tokens.inline, &tokens.client]),
    ] {
        let received = serde_json::to_string(&stub.received()).expect("JSON");
        assert!(own.iter().all(|token| token.shows_in(&received)), "{} was shown its own", stub.name());
        assert_eq!(tokens.shown_in(&received, own), [""; 0], "{}", stub.name());
    }

    let (mut showing, mut seen) = (BTreeMap::<_, BTreeSet<_>>::new(), BTreeSet::new());
    for (component, text) in records(&world.envoy.logs()) {
        let shown = tokens.shown_in(&text, &[]);
        if !shown.is_empty() {
            showing.entry(component.clone()).or_default().extend(shown);
        }
        seen.insert(component);
    }
    for component in ["wasm trace", "http trace", "router trace", "http2 trace", "credential_injector debug"] {
        assert!(seen.contains(component), "{component} has said something: {seen:?}");
    }
    // Envoy's own words: its configuration, SDS files as it reads them, the headers as the client has sent them. Nothing of
    // ours, and no request with a token for a server: that is put in behind the place where Envoy logs requests.
    let configured = [tokens.file.name, tokens.rotated_file.name, tokens.inline.name];
    let envoys_own = [
        ("config debug", &configured[..]),
        ("http debug", &[tokens.client.name]),
        ("http trace", &[tokens.client.name]),
    ];
    let envoys_own = envoys_own.map(|(place, names)| (place.to_owned(), names.iter().copied().collect()));
    assert_eq!(showing, BTreeMap::from(envoys_own));
}

#[tokio::test]
async fn a_vm_that_traps_takes_the_tokens_with_it() {
    let module = test_module();
    let sources = Sources::start(|options| {
        options.set("/envoy/wasm_file", json!(module));
        options.log_level = "info".to_owned();
    })
    .await;
    let (tokens, world) = (&sources.tokens, &sources.world);
    until_shown(&world.client, &world.primary, &tokens.file, &mut Vec::new()).await;
    let deadly = world.client.clone().header("x-test-module-trap", "primary");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !world.envoy.logs().contains("trapping, as the request says") {
        assert!(Instant::now() < deadline, "the request does not come to the trap");
        let answer = deadly.request("1", "tools/call", &json!({"name": "search", "arguments": {"query": "q"}})).await;
        let text = answer.map(|reply| reply.answer.text()).unwrap_or_default();
        assert_eq!(tokens.shown_in(&text, &[]), [""; 0], "{text}");
    }
    world.client.search("q").await;
    let log = world.envoy.logs();
    assert!(log.contains("Function: proxy_on") || log.contains("backtrace"), "Envoy tells of the trap: {log}");
    assert_eq!(tokens.shown_in(&log, &[]), [""; 0], "{log}");
}
