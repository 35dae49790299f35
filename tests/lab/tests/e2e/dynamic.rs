//! A folder that Envoy watches, as `dualpath render --target envoy-dynamic` writes it, and registries that change under load.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dualpath_lab::client::Client;
use dualpath_lab::envoy::{Envoy, Settings, free_ports};
use dualpath_lab::registry::Builder;
use dualpath_lab::scratch::Scratch;
use dualpath_lab::stub::{Behaviour, Config, Sessions, Stub};
use dualpath_lab::traffic::Traffic;
use serde_json::{Value, json};

use crate::world::{dualpath, module};

/// What the operator has: a registry, and the folder that it is rendered into.
struct Folder {
    scratch: Arc<Scratch>,
}

impl Folder {
    fn path(&self) -> PathBuf {
        self.scratch.path().join("envoy.d")
    }

    /// Renders a registry into the folder, as an operator does, under the Envoy that watches it.
    async fn render(&self, registry: &Builder, under: Option<&Envoy>) -> (bool, String) {
        let file = self.scratch.path().join("registry.json");
        fs::write(&file, registry.tree().to_string()).expect("the registry");
        let admin = under.map(|envoy| ["--admin".to_owned(), format!("http://{}", envoy.admin_addr())]);
        let mut command = Command::new(dualpath());
        command.arg("render").arg(&file).args(["--target", "envoy-dynamic", "-o"]).arg(self.path());
        command.args(admin.iter().flatten());
        // Calls go on meanwhile.
        let run = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("dualpath");
        let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        (run.status.success(), said)
    }

    async fn start(&self, ports: (u16, u16)) -> Envoy {
        let bootstrap = fs::read_to_string(self.path().join("bootstrap.yaml")).expect("a bootstrap");
        let settings = Settings { concurrency: 4, ..Settings::default() };
        Envoy::start(&bootstrap, Arc::clone(&self.scratch), ports, &settings)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

fn path(name: &str) -> String {
    format!("/api/v2/databases/D/schemas/S/mcp-servers/{name}")
}

#[tokio::test]
async fn a_changed_registry_under_load_drops_no_call_opens_no_breaker_and_keeps_what_is_known() {
    let folder = Folder { scratch: Arc::new(Scratch::new().expect("a directory")) };
    let primary = Stub::start(Config::mcp("primary")).await.expect("a stub");
    let secondary = Stub::start(Config::mcp("secondary").sessions(Sessions::Offered)).await.expect("a stub");
    let third = Stub::start(Config::mcp("third")).await.expect("a stub");
    let rest = Stub::start(Config::rest("rest")).await.expect("a stub");
    let ports = free_ports().expect("ports");
    let one = Builder::new(&module())
        .ports(ports.0, ports.1)
        .set(
            "/breaker",
            json!({"consecutive": 3, "failure_rate": 0, "base_open": "60s", "max_open": "60s", "jitter": 0}),
        )
        .mcp("primary", "primary", &primary.url(&path("one")), None)
        .mcp("secondary", "secondary", &secondary.url(&path("two")), None)
        .rest("rest", &rest.url(""), None)
        .stub_tools(Some("rest"));
    assert!(folder.render(&one, None).await.0);
    let envoy = folder.start(ports).await;
    let client = Client::new(envoy.addr(), "/mcp");
    // Something to be kept: the breaker of the first server is open, for a minute.
    primary.set(Behaviour::status(500));
    for _ in 0..3 {
        assert_eq!(client.search("q").await.served_by().as_deref(), Some("secondary"));
    }
    primary.set(Behaviour::Normal);
    // And a session, which is the second server's.
    let (session, opened) = client.initialize().await.expect("a session");
    assert!(opened.answer.header("mcp-session-id").is_some(), "{:?}", opened.answer.headers);
    let asked = primary.calls();

    let traffic = Traffic::start(&client, 4, Duration::from_millis(1));
    traffic.next(100).await;
    // A number, a server more ahead of the one that is asked, that one gone, and all as it was.
    let number = one.clone().set("/breaker/consecutive", json!(4));
    let servers = number.tree()["servers"].as_array().expect("servers").clone();
    let more = number.clone().mcp("third", "primary", &third.url(&path("three")), None);
    let last = more.tree()["servers"][3].clone();
    let fewer = number.clone().set("/servers", Value::Array(vec![servers[0].clone(), last, servers[2].clone()]));
    for (registry, now) in [(&number, "secondary"), (&more, "third"), (&fewer, "third"), (&one, "secondary")] {
        let (done, said) = folder.render(registry, Some(&envoy)).await;
        assert!(done, "{said}");
        traffic.next(200).await;
        assert_eq!(client.search("q").await.served_by().as_deref(), Some(now), "a new connection");
        if registry.tree()["servers"].to_string().contains("\"secondary\"") {
            assert_eq!(session.search("q").await.served_by().as_deref(), Some("secondary"), "the session goes on");
        }
    }
    // A folder that it does not watch is refused, with the one that it does.
    let elsewhere = Folder { scratch: Arc::new(Scratch::new().expect("a directory")) };
    let (done, said) = elsewhere.render(&one, Some(&envoy)).await;
    assert!(!done && said.contains(&format!("watches another folder, {}", folder.path().display())), "{said}");
    assert!(!elsewhere.path().exists(), "nothing is written");
    // What Envoy refuses changes nothing, and is told and taken back.
    let before = fs::read_to_string(folder.path().join("clusters.yaml")).expect("clusters");
    let (done, said) = folder.render(&one.clone().set("/envoy/wasm_file", json!("/nowhere.wasm")), Some(&envoy)).await;
    assert!(!done && said.contains("clusters.yaml: Envoy refuses it"), "{said}");
    assert_eq!(fs::read_to_string(folder.path().join("clusters.yaml")).expect("clusters"), before);
    traffic.next(100).await;
    let failed: Vec<_> = traffic.outcomes().into_iter().filter_map(|call| call.answered_by.err()).collect();
    assert_eq!(failed, [""; 0]);
    drop(traffic);
    assert_eq!(primary.calls(), asked, "its breaker is as open as before");
    let metrics = envoy.metrics_settled().await.expect("metrics");
    assert_eq!(metrics.sum("dualpath_breaker_transitions_total", &[("from", "closed"), ("to", "open")]), 1.0);
    assert_eq!(metrics.value("cortex_circuit_breaker_state", &[("server", "primary")]), Some(1.0));
    assert!(!envoy.logs().contains("panicked"), "{}", envoy.logs());
}

#[tokio::test]
async fn the_kill_switch_in_the_watched_folder_is_seen_at_once_and_outlives_a_render_and_a_restart() {
    let folder = Folder { scratch: Arc::new(Scratch::new().expect("a directory")) };
    let primary = Stub::start(Config::mcp("primary")).await.expect("a stub");
    let rest = Stub::start(Config::rest("rest")).await.expect("a stub");
    let ports = free_ports().expect("ports");
    let registry = Builder::new(&module())
        .ports(ports.0, ports.1)
        .mcp("primary", "primary", &primary.url(&path("one")), None)
        .rest("rest", &rest.url(""), None)
        .stub_tools(Some("rest"));
    assert!(folder.render(&registry, None).await.0);
    let envoy = folder.start(ports).await;
    assert_eq!(Client::new(envoy.addr(), "/mcp").search("q").await.served_by().as_deref(), Some("primary"));
    // As the file says: another text for the layer, by a rename.
    let file = folder.path().join("runtime.yaml");
    let text = fs::read_to_string(&file).expect("the runtime");
    let off = text.replace("layer: {}", "layer: {dualpath.mcp_enabled: 0}");
    assert_ne!(text, off);
    replace(&file, &off);
    served_by(&envoy, "rest").await;
    assert!(folder.render(&registry.clone().set("/breaker/consecutive", json!(4)), Some(&envoy)).await.0);
    served_by(&envoy, "rest").await;
    drop(envoy);
    let envoy = folder.start(ports).await;
    served_by(&envoy, "rest").await;
    replace(&file, &text);
    served_by(&envoy, "primary").await;
}

fn replace(file: &Path, text: &str) {
    let new = file.with_extension("mine");
    fs::write(&new, text).expect("a file");
    fs::rename(new, file).expect("a rename");
}

/// Calls until this server answers.
async fn served_by(envoy: &Envoy, server: &str) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    let client = Client::new(envoy.addr(), "/mcp");
    while client.search("q").await.served_by().as_deref() != Some(server) {
        assert!(std::time::Instant::now() < deadline, "{server} does not answer: {}", envoy.logs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
