//! What an Envoy shows of itself, to whom.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use dualpath::cli::render::bootstrap;
use dualpath::registry::Registry;
use dualpath_lab::envoy::{Envoy, Settings, free_ports};
use dualpath_lab::http;
use dualpath_lab::registry::Builder;
use dualpath_lab::scratch::Scratch;
use dualpath_lab::stub::{Config, Stub};
use serde_json::{Value, json};

use crate::world::{World, dualpath, module};

const SIDECAR: &str = include_str!("../../../../envoy/kubernetes/sidecar.yaml");

/// An Envoy whose admin interface is a socket in `scratch`, and whose metrics have a port.
struct Shut {
    envoy: Envoy,
    socket: PathBuf,
    registry: Builder,
    _primary: Stub,
}

impl Shut {
    async fn start(scratch: &Arc<Scratch>) -> Shut {
        let primary = Stub::start(Config::mcp("primary")).await.expect("a stub");
        let socket = scratch.path().join("admin.sock");
        let (listener, metrics) = free_ports().expect("ports");
        let registry = Builder::new(&module())
            .credential("pat", json!({"a": {"env": "LAB_PAT"}}))
            .mcp("primary", "primary", &primary.url("/api/v2/databases/D/schemas/S/mcp-servers/one"), Some("pat"))
            .set("/listener/port", json!(listener))
            .set("/envoy/admin_address", json!(format!("unix://{}", socket.display())))
            .set("/envoy/admin_port", Value::Null)
            .set("/envoy/metrics_port", json!(metrics));
        let wire = registry.tree();
        let rendered = bootstrap(&Registry::from_wire(wire).expect("a registry"), wire).to_string();
        let settings = Settings { env: vec![("LAB_PAT".to_owned(), "pat-4c1d".to_owned())], ..Settings::default() };
        // Readiness is asked at the port of the metrics, as kubelet does.
        let envoy = Envoy::start(&rendered, Arc::clone(scratch), (listener, metrics), &settings).await.expect("Envoy");
        Shut { envoy, socket, registry, _primary: primary }
    }
}

#[tokio::test]
async fn the_port_of_the_metrics_serves_its_pages_to_be_read_and_nothing_else() {
    let mut shut = Shut::start(&Arc::new(Scratch::new().expect("a directory"))).await;
    let address = shut.envoy.admin_addr();
    let ask = async |method: &str, path: &str| http::request(address, method, path, &[], "").await.expect("an answer");
    let page = ask("GET", "/stats/prometheus").await;
    assert!(page.status == 200 && page.text().contains("envoy_server_live"), "{}", page.text());
    assert_eq!(ask("GET", "/ready").await.text(), "LIVE\n");
    for path in ["/stats/prometheus", "/ready"] {
        for method in ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"] {
            let answer = ask(method, path).await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")), "{method} {path}");
        }
    }
    // No tool is named in this registry, so it is enough that a server is up.
    let tasks = ask("GET", "/ready/tasks").await;
    assert_eq!((tasks.status, tasks.text().as_str()), (200, "{\"ready\":true}\n"));
    assert_eq!(ask("GET", "/ready/tasks/nothing").await.status, 404);
    assert_eq!(ask("POST", "/ready/tasks").await.status, 405);
    for path in ["/ready/tasks/../../quitquitquit", "/ready/tasks/..%2f..%2fquitquitquit"] {
        assert_eq!((ask("GET", path).await.status, ask("POST", path).await.status), (404, 405), "{path}");
    }
    assert!(
        ask("GET", "/stats/prometheus")
            .await
            .text()
            .contains("mcp_server_health_percent{server=\"primary\",tier=\"primary\"} 100")
    );
    let others = [
        "/",
        "/help",
        "/stats",
        "/stats/",
        "/stats/prometheus/",
        "//stats/prometheus",
        "/stats/prometheus/../../quitquitquit",
        "/ready/../quitquitquit",
        "/ready/tasksx",
        "/ready%2f..%2fquitquitquit",
        "/quitquitquit",
        "/runtime",
        "/config_dump",
        "/clusters",
        "/certs",
        "/runtime_modify?dualpath.mcp_enabled=0",
        "/logging?level=trace",
        "/healthcheck/fail",
        "/drain_listeners",
        "/memory",
        "/cpuprofiler?enable=y",
        "/reset_counters",
        "/listeners",
        "/server_info",
        "/init_dump",
        "/hot_restart_version",
    ];
    for path in others {
        for method in ["GET", "POST"] {
            assert_eq!(ask(method, path).await.status, 404, "{method} {path}");
        }
    }
    assert!(shut.envoy.is_running());
    assert_eq!(ask("GET", "/ready").await.status, 200);
}

#[tokio::test]
async fn an_admin_socket_is_for_its_owner_and_pat_status_reads_it_as_it_reads_the_metrics() {
    let scratch = Arc::new(Scratch::new().expect("a directory"));
    for _ in 0..2 {
        // The second time the socket of the Envoy before is still there, as it is when a container is started again.
        let shut = Shut::start(&scratch).await;
        let there = fs::metadata(&shut.socket).expect("a socket");
        assert!(there.file_type().is_socket());
        assert_eq!(there.permissions().mode() & 0o777, 0o600);
        let file = scratch.path().join("registry.json");
        fs::write(&file, shut.registry.tree().to_string()).expect("written");
        let (_, told) = shut.envoy.metrics_until(|m| m.sum("dualpath_pat_present", &[]) > 0.0).await.expect("metrics");
        assert!(told);
        for admin in [format!("unix://{}", shut.socket.display()), format!("http://{}", shut.envoy.admin_addr())] {
            let run = Command::new(dualpath()).args(["pat", "status"]).arg(&file).args(["--admin", &admin]).output();
            let text = String::from_utf8(run.expect("the tool runs").stdout).expect("UTF-8");
            assert!(text.contains("present, end unknown"), "{admin}: {text}");
        }
        let nobody = format!("unix://{}", scratch.path().join("nobody.sock").display());
        let run = Command::new(dualpath()).args(["pat", "status"]).arg(&file).args(["--admin", &nobody]).output();
        let said = String::from_utf8(run.expect("the tool runs").stderr).expect("UTF-8");
        assert!(said.contains("nobody.sock: cannot be read"), "{said}");
    }
}

/// The command of the manifest, on the socket of this Envoy.
#[tokio::test]
async fn what_kubernetes_runs_before_it_stops_envoy_makes_it_unready_and_no_more() {
    let mut shut = Shut::start(&Arc::new(Scratch::new().expect("a directory"))).await;
    let deployment = SIDECAR.split("\n---\n").nth(1).expect("the second document");
    let deployment: Value = serde_saphyr::from_str(deployment).expect("YAML");
    let containers =
        deployment.pointer("/spec/template/spec/initContainers").and_then(Value::as_array).expect("a list");
    let envoy = containers.iter().find(|container| container["name"] == "envoy").expect("Envoy");
    let command = envoy["lifecycle"]["preStop"]["exec"]["command"].as_array().expect("a command");
    let place = shut.socket.to_str().expect("UTF-8");
    let words: Vec<_> =
        command.iter().map(|w| w.as_str().expect("text").replace("/run/dualpath/admin.sock", place)).collect();
    let run = Command::new(&words[0]).args(&words[1..]).output().expect("the command runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(String::from_utf8_lossy(&run.stdout).contains("200 OK"));
    let ready = http::request(shut.envoy.admin_addr(), "GET", "/ready", &[], "").await.expect("an answer");
    assert_eq!(ready.status, 503);
    assert!(shut.envoy.is_running());
    let client = dualpath_lab::client::Client::new(shut.envoy.addr(), "/mcp");
    assert_eq!(client.search("q").await.served_by().as_deref(), Some("primary"), "it serves on");
}

#[tokio::test]
async fn while_all_is_well_no_statistic_of_envoy_s_counts_a_failed_connection() {
    let world = World::start().await;
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"));
    let asked = |m: &dualpath_lab::metrics::Metrics| m.sum("dualpath_pat_present", &[]) == 3.0;
    let (metrics, told) = world.envoy.metrics_until(asked).await.expect("metrics");
    assert!(told, "the prober has asked what each of the slots holds");
    assert_eq!(metrics.sum("envoy_cluster_upstream_cx_connect_fail", &[]), 0.0);
    let page = world.envoy.admin("/stats/prometheus").await.expect("metrics");
    assert!(!page.contains("dualpath-credential-"), "{page}");
}
