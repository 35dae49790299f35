//! The operator's commands against a running Envoy: `dualpath validate`, `status` and `top`.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use dualpath_lab::envoy::free_ports;
use dualpath_lab::stub::Behaviour;
use serde_json::{Value, json};

use crate::world::{PRIMARY_PAT, REST_PAT, SECONDARY_PAT, World, dualpath};

/// The registry of the world in a file, with one value changed.
fn registry(world: &World, pointer: &str, value: Value) -> String {
    let (listener, admin) = (world.envoy.addr().port(), world.envoy.admin_addr().port());
    let builder = world.registry.clone().ports(listener, admin).set(pointer, value);
    let file = world.envoy.scratch().path().join("registry.yaml");
    std::fs::write(&file, builder.tree().to_string()).expect("a file");
    file.to_str().expect("UTF-8").to_owned()
}

/// Runs a command. Nothing that it prints holds a token.
async fn run(arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(dualpath());
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().expect("dualpath")).await.expect("its end");
    let Output { status, stdout, stderr } = output;
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    for token in [PRIMARY_PAT, SECONDARY_PAT, REST_PAT] {
        assert!(!text.contains(token), "{text}");
    }
    (status.code().unwrap_or(-1), text)
}

/// What `dualpath validate` finds.
async fn validated(file: &str) -> (i32, Value) {
    let (status, text) = run(&["validate", file, "--format", "json"]).await;
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// The row of this check about this thing: its outcome, what it says, its hint.
fn row(report: &Value, check: &str, about: &str) -> [String; 3] {
    let rows = report["rows"].as_array().expect("rows");
    let found = rows.iter().find(|row| row["check"] == check && row["about"] == about);
    let found = found.unwrap_or_else(|| panic!("no row {check} {about}: {report:#}"));
    ["outcome", "says", "hint"].map(|key| found[key].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn validation_finds_what_is_good_and_each_failure_with_what_to_do() {
    let world = World::start_with(|options| {
        options.set("/drill", json!({"enabled": true}));
        options.set("/failover", json!({"access_log": options.scratch.path().join("failover.log")}));
    })
    .await;
    let file = registry(&world, "/audit", Value::Null);
    let (status, report) = validated(&file).await;
    assert_eq!((status, &report["good"]), (0, &json!(true)), "{report:#}");
    assert_eq!(row(&report, "path", "search on primary")[0], "good");
    for about in ["search on secondary", "search on rest", "complete on primary", "complete on rest"] {
        let [outcome, says, _] = row(&report, "path", about);
        assert!(outcome == "good" && says.contains(": text"), "{about}: {says}");
    }
    let [outcome, _, hint] = row(&report, "path", "sql on primary");
    assert!(outcome == "skipped" && hint.contains("--call sql"), "{report:#}");
    for (check, about) in
        [("failover", "search without primary"), ("token", "pat-secondary"), ("pool", "rest"), ("breaker", "primary")]
    {
        assert_eq!(row(&report, check, about)[0], "good", "{report:#}");
    }
    assert!(report["rows"][0]["says"].as_str().is_some_and(|says| says == "Envoy runs this registry"), "{report:#}");
    let mut of_sql = world.primary.received().into_iter().filter(|request| request.body.contains(r#""sql""#));
    assert!(of_sql.next().is_none(), "what may change something is not called");

    let other = registry(&world, "/servers/0/timeout", json!("4s"));
    let (status, report) = validated(&other).await;
    let [outcome, says, hint] = row(&report, "registry", "what Envoy runs");
    assert_eq!((status, outcome.as_str()), (1, "problem"), "{report:#}");
    assert!(says.contains("runs another registry") && says.contains("timeout") && hint.contains("render"), "{says}");

    let file = registry(&world, "/audit", Value::Null);
    world.primary.stop().await.expect("stop");
    let (status, report) = validated(&file).await;
    let [outcome, says, hint] = row(&report, "server", "primary");
    assert_eq!((status, outcome.as_str()), (1, "problem"), "{report:#}");
    assert!(says.contains("could not be reached") && hint.contains("may this machine reach it"), "{says} {hint}");
    assert_eq!(row(&report, "path", "search on secondary")[0], "good", "{report:#}");
    world.primary.resume().expect("resume");

    world.primary.accept(&["another"]);
    let (status, text) = run(&["validate", &file]).await;
    assert_eq!(status, 1, "{text}");
    let line = text.lines().position(|line| line.starts_with("FAIL  server") && line.contains("primary"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    let [says, hint] = [0, 1].map(|below| text.lines().nth(line + below).unwrap_or_default());
    assert!(says.contains("credential: it did not accept the proxy's credential"), "{text}");
    assert!(hint.contains("hint: ") && hint.contains("394400") && hint.contains("egress address"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colour where there is no terminal: {text}");

    world.heal();
    world.primary.set(Behaviour::ResetBeforeHeaders);
    world.client.search("q").await;
    let log = world.envoy.scratch().path().join("failover.log");
    let log = log.to_str().expect("UTF-8");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (status, text) = run(&["top", "calls", "--log", log]).await;
        assert_eq!(status, 0, "{text}");
        let is_there =
            |line: &str| line.contains("127.0.0.1  search") && line.contains("primary lost, secondary success");
        if text.lines().any(is_there) {
            break;
        }
        assert!(Instant::now() < deadline, "the call was to be there: {text}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_a_server_lacks_is_found_and_an_open_breaker_counts_down() {
    let world = World::start_with(|options| {
        options.secondary = options.secondary.clone().without(&["search"]);
        options.set("/drill", json!({"enabled": true}));
        options.set("/discovery", json!({"enabled": true}));
        options.set("/breaker", json!({"consecutive": 2, "base_open": "60s", "max_open": "60s"}));
    })
    .await;
    let file = registry(&world, "/audit", Value::Null);
    let deadline = Instant::now() + Duration::from_secs(20);
    let drift =
        |report: &Value| report["rows"].as_array().is_some_and(|rows| rows.iter().any(|row| row["check"] == "drift"));
    let mut report = validated(&file).await.1;
    while !drift(&report) {
        assert!(Instant::now() < deadline, "the prober was to have asked for lists: {report:#}");
        report = validated(&file).await.1;
    }
    let [outcome, says, hint] = row(&report, "path", "search on secondary");
    assert_eq!((outcome.as_str(), says.as_str()), ("problem", "secondary does not list the tool"), "{report:#}");
    assert!(hint.contains("leave the server out"), "{hint}");
    assert_eq!(row(&report, "drift", "secondary")[1], "1 missing");

    world.primary.stop().await.expect("stop");
    for _ in 0..4 {
        world.client.search("q").await;
    }
    let admin = format!("http://{}", world.envoy.admin_addr());
    let status = async || {
        let (status, text) = run(&["status", "--admin", &admin, "--interval", "200ms", "--format", "json"]).await;
        assert_eq!(status, 0, "{text}");
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    // The prober sets the gauges once a second.
    let wait = |tree: &Value| tree["servers"][0]["probe_in_ms"].as_f64().filter(|wait| *wait > 0.0);
    let mut tree = status().await;
    while wait(&tree).is_none() {
        assert!(Instant::now() < deadline + Duration::from_secs(20), "{tree:#}");
        tree = status().await;
    }
    let server = &tree["servers"][0];
    assert_eq!((&server["server"], &server["state"]), (&json!("primary"), &json!("open")), "{tree:#}");
    assert!(
        server["why"].as_str().is_some_and(|why| why.contains("not_sent") && why.contains("could not be reached")),
        "{tree:#}"
    );
    let first = wait(&tree).expect("a countdown");
    // The period is drawn around its base.
    assert!(first <= 90_000.0, "{first}");
    let deadline = Instant::now() + Duration::from_secs(20);
    while wait(&status().await).is_none_or(|wait| wait >= first) {
        assert!(Instant::now() < deadline, "the countdown was to go on");
    }
    assert_eq!(tree["mcp_enabled"], "100", "{tree:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_of_the_metrics_says_which_registry_runs() {
    let (_, metrics) = free_ports().expect("ports");
    let world = World::start_with(|options| {
        options.set("/envoy/metrics_port", json!(metrics));
        options.set("/envoy/metrics_address", json!("127.0.0.1"));
    })
    .await;
    // A tick tells it.
    let (seen, told) = world.envoy.metrics_until(|m| m.sum("dualpath_info", &[]) == 1.0).await.expect("metrics");
    assert!(told, "{:?}", seen.names().filter(|name| name.contains("info")).collect::<Vec<_>>());
    let metrics = format!("http://127.0.0.1:{metrics}");
    let validated = async |file: &str| {
        let (_, text) = run(&["validate", file, "--format", "json", "--admin", &metrics]).await;
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        report["rows"][0].clone()
    };
    let own = validated(&registry(&world, "/audit", Value::Null)).await;
    assert_eq!((&own["outcome"], &own["check"]), (&json!("good"), &json!("registry")), "{own:#}");
    let (status, text) = run(&["status", "--admin", &metrics, "--interval", "100ms"]).await;
    assert_eq!(status, 0, "{text}");
    let identity = own["about"].as_str().expect("an identity");
    let line = format!("registry     {identity}, module {}\n", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&line), "{text}");
    let other = validated(&registry(&world, "/servers/0/timeout", json!("4s"))).await;
    assert_eq!(other["outcome"], "problem", "{other:#}");
    assert!(other["says"].as_str().is_some_and(|says| says.contains(identity)), "{other:#}");
}
