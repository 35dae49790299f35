//! An Envoy that serves something else already, before and after Dualpath is attached to it as the guide says.

use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use dualpath::cli::attach::{Choice, attached as attach};
use dualpath::cli::render::to_yaml;
use dualpath::registry::Registry;
use dualpath_lab::client::Client;
use dualpath_lab::envoy::{Envoy, Settings, free_ports};
use dualpath_lab::registry::Builder;
use dualpath_lab::scratch::Scratch;
use dualpath_lab::stub::{Behaviour, Config, Stub};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::module;

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-app: own\r\nx-envoy-degraded: 1\r\n\r\nok";

/// A server that keeps every request byte for byte and answers all alike.
struct Tape {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Tape {
    async fn start() -> Tape {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, seen) = (listener.local_addr().expect("an address"), Arc::<Mutex<Vec<String>>>::default());
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    while let Some(request) = message(&mut stream).await {
                        kept.lock().unwrap().push(request);
                        let _ = stream.write_all(ANSWER.as_bytes()).await;
                    }
                });
            }
        });
        Tape { address, seen }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// One HTTP message with a `content-length`, or none and no body.
async fn message(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() == length.map_or(0, |length| length.parse().expect("a number")) {
                return Some(text.into_owned());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// What this Envoy was before: one route to an application, CORS, authorization by another server, an access log. An
/// `edge` takes the addresses of its peers for those of clients; another believes the proxy in front of it.
fn own(edge: bool, app: &Tape, authorizer: &Tape, log: &str, (listener, admin): (u16, u16)) -> Value {
    let typed = |name: &str, kind: &str, mut fields: Value| {
        fields["@type"] = json!(format!("type.googleapis.com/{kind}"));
        json!({"name": name, "typed_config": fields})
    };
    let address =
        |address: SocketAddr| json!({"socket_address": {"address": "127.0.0.1", "port_value": address.port()}});
    let cluster = |name: &str, at: &Tape| {
        let endpoint = json!({"endpoint": {"address": address(at.address)}});
        json!({
            "name": name, "type": "STATIC",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        })
    };
    let authorization = json!({
        "http_service": {"server_uri": {"uri": "http://authorizer", "cluster": "authorizer", "timeout": "5s"}},
    });
    let cors = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"exact": "https://page.example"}], "allow_methods": "GET, POST",
    });
    let format = "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %ROUTE_NAME% %UPSTREAM_CLUSTER% %RESPONSE_CODE_DETAILS% \
                  %REQ(X-FORWARDED-FOR)% %BYTES_RECEIVED% %BYTES_SENT% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\n";
    let access = json!({"path": log, "log_format": {"text_format_source": {"inline_string": format}}});
    let manager = json!({
        "stat_prefix": "own",
        "use_remote_address": edge,
        "preserve_external_request_id": !edge,
        "access_log": [typed("file", "envoy.extensions.access_loggers.file.v3.FileAccessLog", access)],
        "route_config": {"virtual_hosts": [{
            "name": "own", "domains": ["*"],
            "typed_per_filter_config": {"envoy.filters.http.cors": cors},
            "request_headers_to_add": [{"header": {"key": "x-of-host", "value": "own"}}],
            "routes": [{"name": "api", "match": {"prefix": "/"}, "route": {"cluster": "app"}}],
        }]},
        "http_filters": [
            typed("envoy.filters.http.cors", "envoy.extensions.filters.http.cors.v3.Cors", json!({})),
            typed("envoy.filters.http.ext_authz", "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz", authorization),
            typed("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", json!({})),
        ],
    });
    let manager = typed(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        manager,
    );
    json!({
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
        "static_resources": {
            "listeners": [{
                "name": "own",
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": listener}},
                "filter_chains": [{"filters": [manager]}],
            }],
            "clusters": [cluster("app", app), cluster("authorizer", authorizer)],
        },
    })
}

/// The same with the registry in it, as `dualpath attach` writes it.
fn attached(own: &Value, registry: &Registry, wire: &Value) -> String {
    let text = to_yaml(own).expect("YAML");
    attach("own.yaml", &text, Some((registry, wire)), &Choice::default()).unwrap_or_else(|error| panic!("{error}")).0
}

/// Sends what an application's client may send; answers all that was sent back, and what the application and the access log
/// have seen, with the values that differ from run to run replaced by their names.
async fn played(envoy: &Envoy, app: &Tape, authorizer: &Tape, log: &std::path::Path) -> Vec<String> {
    let head = "host: app.example\r\nx-forwarded-for: 9.9.9.9\r\nx-request-id: of-the-client\r\nauthorization: Bearer own\r\n\
                cookie: a=b\r\nforwarded: for=9.9.9.9\r\nx-envoy-max-retries: 2\r\nx-envoy-retry-on: 5xx\r\n\
                x-envoy-internal: true\r\naccept-encoding: gzip\r\norigin: https://page.example\r\n";
    let requests = [
        format!("GET /api/x?y HTTP/1.1\r\n{head}\r\n"),
        format!("POST /mcp/beside HTTP/1.1\r\n{head}content-length: 300000\r\n\r\n{}", "x".repeat(300_000)),
        format!("OPTIONS /api HTTP/1.1\r\n{head}access-control-request-method: POST\r\n\r\n"),
    ];
    let mut seen = Vec::new();
    let mut stream = TcpStream::connect(envoy.addr()).await.expect("Envoy listens");
    for request in &requests {
        stream.write_all(request.as_bytes()).await.expect("written");
        seen.push(message(&mut stream).await.expect("an answer"));
    }
    assert!(requests.iter().zip(&seen).all(|(_, answer)| answer.starts_with("HTTP/1.1 200 OK")), "{seen:#?}");
    drop(stream);
    seen.extend(app.take());
    seen.extend(authorizer.take());
    // Envoy writes its access logs from time to time.
    let lines = loop {
        let text = fs::read_to_string(log).unwrap_or_default();
        if text.lines().count() >= requests.len() {
            break text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    seen.push(lines);
    seen.iter().map(|text| text.lines().map(steady).collect::<Vec<_>>().join("\n")).collect()
}

/// A line without what the clock and chance have put there.
fn steady(line: &str) -> String {
    match line.split_once(": ") {
        Some(("date", _)) => "date: NOW".to_owned(),
        Some(("x-envoy-upstream-service-time", _)) => "x-envoy-upstream-service-time: MS".to_owned(),
        Some(("x-request-id", id)) if id != "of-the-client" => "x-request-id: CHANCE".to_owned(),
        _ => line.to_owned(),
    }
}

#[tokio::test]
async fn attaching_changes_nothing_for_what_the_listener_serves_already() {
    let (app, authorizer) = (Tape::start().await, Tape::start().await);
    let [primary, secondary] = [Stub::start(Config::mcp("primary")).await, Stub::start(Config::mcp("secondary")).await];
    let (primary, secondary) = (primary.expect("a stub"), secondary.expect("a stub"));
    let registry = Builder::new(&module())
        .mcp("primary", "primary", &primary.url("/api/v2/databases/D/schemas/S/mcp-servers/one"), None)
        .mcp("secondary", "secondary", &secondary.url("/api/v2/databases/D/schemas/S/mcp-servers/two"), None)
        .stub_tools(None);
    let wire = registry.tree();
    let registry = Registry::from_wire(wire).expect("a registry");
    for edge in [true, false] {
        let mut runs = Vec::new();
        for attach in [false, true] {
            let (scratch, ports) = (Arc::new(Scratch::new().expect("a directory")), free_ports().expect("ports"));
            let log = scratch.path().join("own.log");
            let own = own(edge, &app, &authorizer, log.to_str().expect("UTF-8"), ports);
            let config = if attach { attached(&own, &registry, wire) } else { own.to_string() };
            let envoy = Envoy::start(&config, scratch, ports, &Settings::default()).await.expect("Envoy");
            runs.push(played(&envoy, &app, &authorizer, &log).await);
            if attach {
                serves_calls(&envoy, &primary, &secondary).await;
                let _ = (app.take(), authorizer.take());
            }
        }
        let [before, after] = runs.try_into().expect("two runs");
        assert_eq!(before, after, "edge: {edge}");
        assert!(before.iter().any(|text| text.contains("x-forwarded-for: 9.9.9.9")), "{before:#?}");
    }
}

/// A call that fails over; no server learns of its client or of this Envoy, nor does the client of this Envoy's servers.
async fn serves_calls(envoy: &Envoy, primary: &Stub, secondary: &Stub) {
    let client =
        Client::new(envoy.addr(), "/mcp").header("x-forwarded-for", "9.9.9.9").header("x-envoy-internal", "true");
    let before = [primary.received().len(), secondary.received().len()];
    primary.set_for(1, Behaviour::status(503));
    let reply = client.search("q").await;
    assert_eq!(reply.served_by().as_deref(), Some("secondary"), "{}", reply.answer.text());
    let told = |name: &str| name.starts_with("x-envoy-") || name.starts_with("x-forwarded-");
    assert!(!reply.answer.headers.iter().any(|(name, _)| told(name)), "{:?}", reply.answer.headers);
    for (stub, before) in [(primary, before[0]), (secondary, before[1])] {
        let received = stub.received();
        let request = received[before..].iter().find(|request| request.tool().is_some()).expect("a call");
        assert!(!request.headers.iter().any(|(name, _)| told(name)), "{}: {:?}", stub.name(), request.headers);
    }
}
