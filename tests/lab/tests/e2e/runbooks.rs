//! The runbooks of the guide, rehearsed: each page's trouble is made on the real Envoy, its commands are run and print what
//! the page shows, and once it is mended the page's last commands say so.
//!
//! With `DUALPATH_RECORD` set to a folder (`make record-outages`), what Envoy's metrics say before, during and after each
//! goes there: the series from which the alerts are tested.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dualpath_lab::client::{Client, request_text};
use dualpath_lab::metrics::Metrics;
use dualpath_lab::stub::{Behaviour, Control, Sessions};
use dualpath_lab::traffic::Traffic;
use serde_json::json;

use crate::blocks::{Block, Document, blocks, documents, fits};
use crate::world::{Options, PRIMARY_PAT, World, dualpath, test_module};

mod record;

use record::{Recorder, State};

/// The state of breakers.
const STATE: &str = "cortex_circuit_breaker_state";
/// How long a page's commands may take to say what the page shows.
const PATIENCE: Duration = Duration::from_secs(25);

/// A page: what is run while it is so, and when it is over; each with what it prints.
struct Page {
    meanwhile: (Block, Block),
    over: (Block, Block),
}

impl Page {
    fn of(title: &str) -> Page {
        let guide = documents().into_iter().find(|document| document.name.ends_with("runbooks.md")).expect("runbooks");
        let part = guide.text.split("\n## ").find(|part| part.starts_with(&format!("{title}\n")));
        let text = part.unwrap_or_else(|| panic!("no page {title}")).to_owned();
        let mut of_page = blocks(&Document { name: title.to_owned(), text }).into_iter();
        let mut next = |language: &str| {
            let block = of_page.next().unwrap_or_else(|| panic!("{title}: too few blocks"));
            assert_eq!(block.language, language, "{}", block.place);
            block
        };
        let page = Page { meanwhile: (next("sh"), next("text")), over: (next("sh"), next("text")) };
        let commands = page.meanwhile.0.text.lines().count();
        assert_eq!(commands, 3, "{title}: three commands");
        page
    }
}

/// Trouble under way: a world with traffic, its page, what is recorded of it.
struct Rehearsal {
    world: World,
    traffic: Option<Traffic>,
    page: Page,
    metrics_port: u16,
    recorder: Recorder,
}

impl Rehearsal {
    async fn start(name: &str, title: &str, change: impl FnOnce(&mut Options)) -> Rehearsal {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let world = World::start_with(|options| {
            options.set("/envoy/metrics_port", json!(port));
            // Quick, so that a rehearsal is.
            options.set("/breaker", json!({"consecutive": 3, "base_open": "1s", "max_open": "2s", "ramp": "0s"}));
            change(options);
        })
        .await;
        let (listener, admin) = (world.envoy.addr().port(), world.envoy.admin_addr().port());
        let registry = world.registry.clone().ports(listener, admin).tree().to_string();
        fs::write(world.envoy.scratch().path().join("registry.yaml"), &registry).expect("the registry");
        let traffic = Some(Traffic::start(&world.client, 3, Duration::from_millis(15)));
        let recorder = Recorder::new(name);
        let rehearsal = Rehearsal { world, traffic, page: Page::of(title), metrics_port: port, recorder };
        rehearsal.traffic().next(60).await;
        rehearsal.recorder.record(State::Before, &rehearsal.world.envoy).await;
        rehearsal
    }

    fn traffic(&self) -> &Traffic {
        self.traffic.as_ref().expect("traffic")
    }

    /// Waits until the metrics tell of it, then runs the page's commands until they print what it shows.
    async fn it_is_so(&self, is_told: impl Fn(&Metrics) -> bool) {
        self.recorded(State::Meanwhile, is_told).await;
        self.shows(&self.page.meanwhile).await;
    }

    async fn recorded(&self, state: State, is_told: impl Fn(&Metrics) -> bool) {
        let (_, told) = self.world.envoy.metrics_until(is_told).await.expect("metrics");
        assert!(told, "the metrics do not tell of it\n{}", self.tail());
        self.recorder.record(state, &self.world.envoy).await;
    }

    /// The same when it is over.
    async fn it_is_over(&self) {
        self.shows(&self.page.over).await;
        self.recorder.record(State::After, &self.world.envoy).await;
    }

    async fn shows(&self, (commands, shown): &(Block, Block)) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let printed = self.run(&commands.text).await;
            if fits(&shown.text, &printed) {
                return;
            }
            assert!(Instant::now() < deadline, "{}: it prints\n{printed}\n{}", commands.place, self.tail());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What the commands print, as an operator runs them in the folder with the registry.
    async fn run(&self, commands: &str) -> String {
        let envoy = &self.world.envoy;
        let script = commands
            .replace("127.0.0.1:10000", &envoy.addr().to_string())
            .replace("127.0.0.1:9901", &envoy.admin_addr().to_string())
            .replace("127.0.0.1:9902", &format!("127.0.0.1:{}", self.metrics_port));
        let tool = dualpath().parent().map(Path::to_owned).unwrap_or_default();
        let path = format!("{}:{}", tool.display(), std::env::var("PATH").unwrap_or_default());
        let mut bash = Command::new("bash");
        bash.args(["-c", &format!("exec 2>&1\n{script}")]).current_dir(envoy.scratch().path()).env("PATH", path);
        let output = tokio::task::spawn_blocking(move || bash.output()).await.expect("a thread").expect("bash");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn tail(&self) -> String {
        let logs = self.world.envoy.logs();
        let lines: Vec<_> = logs.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_paths_down() {
    let open = json!({"consecutive": 3, "base_open": "3s", "max_open": "3s", "ramp": "0s"});
    let now = Rehearsal::start("all-paths-down", "All paths down", |options| options.set("/breaker", open)).await;
    for (stub, _) in now.world.stubs() {
        stub.set(Behaviour::status(500));
    }
    let open = |metrics: &Metrics, server| metrics.sum(STATE, &[("server", server)]) > 0.0;
    now.it_is_so(|metrics| ["primary", "secondary", "rest"].iter().all(|server| open(metrics, server))).await;
    now.world.heal();
    now.it_is_over().await;
    assert_eq!(now.world.client.search("q").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_left_alone_or_flaps() {
    let now = Rehearsal::start("server-flaps", "A server is left alone, or flaps", |_| {}).await;
    let flapping = || async {
        for (behaviour, state) in [(Behaviour::status(503), 1.0), (Behaviour::Normal, 0.0)] {
            now.world.primary.set(behaviour);
            let is = |metrics: &Metrics| metrics.value(STATE, &[("server", "primary")]) == Some(state);
            assert!(now.world.envoy.metrics_until(is).await.expect("metrics").1, "{state}");
        }
    };
    flapping().await;
    // A round while it is recorded too.
    tokio::join!(now.recorded(State::Meanwhile, |_| true), flapping());
    now.shows(&now.page.meanwhile).await;
    let out = [("server", "primary"), ("state", "forced_open")];
    let is_out = |metrics: &Metrics| metrics.value("dualpath_override", &out) == Some(1.0);
    assert!(now.world.envoy.metrics_until(is_out).await.expect("metrics").1, "it is not taken out");
    now.it_is_over().await;
}

/// The primary's token from a file, as [`PRIMARY_PAT`] or with dates.
fn token_file(options: &mut Options, secret: &str) {
    let file = options.scratch.write_secret("pat-a.json", "pat-primary-a", secret).expect("a secret file");
    options.set("/credentials/0/slots", json!({"a": {"sds_file": file}}));
}

fn new_token(rehearsal: &Rehearsal, secret: &str) {
    rehearsal.world.envoy.scratch().write_secret("pat-a.json", "pat-primary-a", secret).expect("a secret file");
}

/// What a metric says of the primary's slot a.
fn of_slot(metrics: &Metrics, name: &str) -> f64 {
    metrics.sum(name, &[("credential", "pat-primary"), ("slot", "a")])
}

/// A token with its end, so many days from now.
fn dated(token: &str, days: u64) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    json!({"token": token, "issued": now - 86_400, "expires": now + days * 86_400 + 3600}).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_refused() {
    let now = Rehearsal::start("token-refused", "A token is refused", |options| {
        token_file(options, &dated(PRIMARY_PAT, 60));
        // The prober's own request says it for certain.
        options.set("/servers/0/probe", json!({"interval": "1s"}));
    })
    .await;
    now.world.primary.accept(&["pat-new-77ab21"]);
    now.it_is_so(|metrics| of_slot(metrics, "dualpath_pat_sent") == 0.0).await;
    new_token(&now, &dated("pat-new-77ab21", 80));
    now.it_is_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends_soon() {
    let later = dated(PRIMARY_PAT, 80);
    let now = Rehearsal::start("token-ends-soon", "A token ends soon", |options| token_file(options, &later)).await;
    new_token(&now, &dated(PRIMARY_PAT, 3));
    now.it_is_so(|metrics| of_slot(metrics, "snowflake_pat_days_until_expiry") == 3.0).await;
    new_token(&now, &dated(PRIMARY_PAT, 80));
    now.it_is_over().await;
}

/// As [`a_token_ends_soon`], later: in its last day, and after its end, when the other slot serves. Same page, other alerts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends_today_or_has_ended() {
    for (name, token, sent) in
        [("token-last-day", dated(PRIMARY_PAT, 0), 1.0), ("token-ended", ended(PRIMARY_PAT), 0.0)]
    {
        let now = Rehearsal::start(name, "A token ends soon", |options| {
            let other = options.scratch.write_secret("pat-b.json", "pat-primary-b", PRIMARY_PAT).expect("a file");
            token_file(options, &dated(PRIMARY_PAT, 80));
            options.set("/credentials/0/slots/b", json!({"sds_file": other}));
        })
        .await;
        new_token(&now, &token);
        let is_so = |metrics: &Metrics| {
            of_slot(metrics, "snowflake_pat_days_until_expiry") == 0.0 && of_slot(metrics, "dualpath_pat_sent") == sent
        };
        now.recorded(State::Meanwhile, is_so).await;
        new_token(&now, &dated(PRIMARY_PAT, 80));
        let is_over = |metrics: &Metrics| of_slot(metrics, "snowflake_pat_days_until_expiry") > 70.0;
        now.recorded(State::After, is_over).await;
    }
}

/// A token that has ended an hour ago.
fn ended(token: &str) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    json!({"token": token, "issued": now - 80 * 86_400, "expires": now - 3600}).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_budget_is_empty() {
    let now = Rehearsal::start("budget-empty", "The budget is empty", |options| {
        options.set("/breaker", json!({"consecutive": 1000, "failure_rate": 0}));
        options.set("/failover", json!({"budget": {"ratio": 0.001, "min_per_second": 0, "reserve": 1}}));
    })
    .await;
    // Half of the requests, so that its breaker stays closed.
    let half = Control { behaviour: Some(Behaviour::status(500)), percent: Some(50), ..Control::default() };
    now.world.primary.control(half);
    now.it_is_so(|metrics| metrics.sum("dualpath_replay_refused_total", &[("reason", "budget")]) > 0.0).await;
    now.world.primary.set(Behaviour::Normal);
    now.it_is_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_full() {
    let mut now = Rehearsal::start("memory", "Memory", |options| {
        options.concurrency = 1;
        options.set("/limits", json!({"request_body": "256KiB", "response_body": "256KiB", "held": "1MiB"}));
        options.set("/breaker", json!({"consecutive": 1000, "failure_rate": 0}));
        for server in 0..2 {
            options.set(&format!("/servers/{server}/timeout"), json!("60s"));
        }
    })
    .await;
    now.world.primary.set(Behaviour::Hang);
    let long = request_text("7", "tools/call", &json!({"name": "sql", "arguments": {"sql": "x".repeat(200_000)}}));
    let client = Client::new(now.world.envoy.addr(), "/mcp");
    let callers: Vec<_> = (0..12)
        .map(|_| {
            let (client, long) = (client.clone(), long.clone());
            tokio::spawn(async move {
                loop {
                    let _ = client.post(long.clone()).await;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            })
        })
        .collect();
    now.it_is_so(|metrics| metrics.sum("dualpath_held_refused_total", &[]) > 0.0).await;
    callers.iter().for_each(tokio::task::JoinHandle::abort);
    now.world.primary.set(Behaviour::Normal);
    now.traffic = None;
    now.it_is_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_module_has_trapped() {
    let module = test_module();
    let now = Rehearsal::start("trap", "The module has trapped", |options| {
        options.set("/envoy/wasm_file", json!(module));
        options.log_level = "info".to_owned();
    })
    .await;
    let deadly = now.world.client.clone().header("x-test-module-trap", "primary");
    let trapping = tokio::spawn(async move {
        loop {
            let _ = deadly.request("1", "tools/call", &json!({"name": "search", "arguments": {"query": "q"}})).await;
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
    });
    now.it_is_so(|metrics| metrics.sum("envoy_wasm_dualpath_vm_reload_success", &[]) > 0.0).await;
    trapping.abort();
    now.it_is_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_slow() {
    let now = Rehearsal::start("server-slow", "A server is slow", |_| {}).await;
    now.world.primary.set(Behaviour::Delay { ms: 700 });
    now.traffic().next(12).await;
    now.it_is_so(|_| true).await;
    now.world.primary.set(Behaviour::Normal);
    now.it_is_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_drift_apart() {
    let now = Rehearsal::start("drift", "Servers drift apart", |options| {
        options.set("/discovery", json!({"every": "1s"}));
        options.secondary = options.secondary.clone().sessions(Sessions::Offered);
    })
    .await;
    let lacking = |tools: &[&str]| {
        let lacks = tools.iter().map(|&tool| tool.to_owned()).collect();
        now.world.secondary.control(Control { lacks: Some(lacks), ..Control::default() });
    };
    lacking(&["complete"]);
    now.it_is_so(|metrics| metrics.sum("dualpath_tool_drift", &[]) > 0.0).await;
    lacking(&[]);
    now.it_is_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_switch_is_left_on() {
    let now = Rehearsal::start("kill-switch", "A kill switch is left on", |_| {}).await;
    now.world.envoy.modify_runtime("dualpath.mcp_enabled", "0").await.expect("runtime");
    now.it_is_so(|metrics| metrics.sum("cortex_calls_total", &[("mode", "direct")]) > 0.0).await;
    now.it_is_over().await;
}

/// The same page, another metric.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_switch_of_a_task_is_left_on() {
    let now = Rehearsal::start("kill-switch-task", "A kill switch is left on", |_| {}).await;
    for (value, is_off, state) in [("0", 1.0, State::Meanwhile), ("", 0.0, State::After)] {
        now.world.envoy.modify_runtime("dualpath.task.sql.mcp_enabled", value).await.expect("runtime");
        now.recorded(state, |metrics| metrics.value("dualpath_mcp_off", &[("task", "sql")]) == Some(is_off)).await;
    }
}
