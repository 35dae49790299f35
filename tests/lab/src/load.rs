//! What `make load` calls: the demo's three servers, each with work of 150 ms, which fail at random, and Envoy in front of them.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::chaos::seeded::Seeded;
use super::envoy::{Envoy, Settings};
use super::registry::Builder;
use super::scratch::Scratch;
use super::stub::{Behaviour, Config, Control, Process};

/// How long a server works for an answer, in ms; also for one that is an error.
const WORK_MS: u64 = 150;

/// How long all are well between two faults, and how long a fault lasts, in ms.
const WELL: (u64, u64) = (3000, 9000);
const ILL: (u64, u64) = (1000, 3000);

/// Connections of each server: twice what 150 calls a second need.
const CONNECTIONS: u32 = 45;

/// Which of the servers a fault befalls; one of them always stays well.
const WHO: [(u64, &[usize]); 4] = [(5, &[0]), (2, &[1]), (1, &[2]), (2, &[0, 1])];

/// Runs until standard input ends, and writes the calls' log to `log`. The first line on standard output says where it is, as JSON.
///
/// # Errors
/// When something could not be started, or a server can't be reached.
pub async fn run(program: &Path, module: &Path, log: &Path, seed: u64, hang: bool) -> Result<(), Box<dyn Error>> {
    let servers = [
        Process::spawn(program, &Config::mcp("primary"))?,
        Process::spawn(program, &Config::mcp("secondary"))?,
        Process::spawn(program, &Config::rest("rest"))?,
    ];
    let url = |at: usize, path: &str| format!("http://{}{path}", servers[at].addr);
    let mut registry = Builder::new(&module.canonicalize()?)
        .set("/log", json!({"calls": log}))
        .set("/breaker", json!({"consecutive": 5, "base_open": "1s", "max_open": "10s", "ramp": "1s"}))
        .mcp("primary", "primary", &url(0, "/mcp"), None)
        .mcp("secondary", "secondary", &url(1, "/mcp"), None)
        .rest("rest", &url(2, ""), None)
        .stub_tools(Some("rest"))
        .tool(json!({
            "name": "analyst", "task": "analyst", "replayable": true, "description": "The stub's analyst.",
            "input_schema": {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]},
            "rest": {"server": "rest", "preset": "snowflake.analyst", "with": {"semantic_view": "D.S.V"}},
        }));
    for at in 0..servers.len() {
        registry = registry.set(&format!("/servers/{at}/pool"), json!({"connections": CONNECTIONS}));
    }
    let scratch = Arc::new(Scratch::new()?);
    let envoy = Envoy::launch(&registry, &scratch, &Settings::default()).await?;
    for server in &servers {
        server.control(&Control { work_ms: Some(WORK_MS), ..Control::default() }).await?;
    }
    println!("{}", json!({"url": envoy.url("/mcp"), "admin": format!("http://{}", envoy.admin_addr())}));
    let (mut input, mut nowhere) = (tokio::io::stdin(), tokio::io::sink());
    tokio::select! {
        _ = tokio::io::copy(&mut input, &mut nowhere) => Ok(()),
        failed = fail_at_random(&servers, seed, hang) => failed,
    }
}

async fn fail_at_random(servers: &[Process], seed: u64, hang: bool) -> Result<(), Box<dyn Error>> {
    let mut random = Seeded::new(seed, 7);
    let mut faults = vec![
        (3, (Behaviour::status(500), 100)),
        (2, (Behaviour::status(503), 40)),
        (2, (Behaviour::too_many_requests(Some(1)), 100)),
        (2, (Behaviour::ResetBeforeHeaders, 100)),
        (1, (Behaviour::GarbageJson, 100)),
        (1, (Behaviour::rpc_error(-32603, "internal error"), 30)),
    ];
    if hang {
        faults.push((2, (Behaviour::Hang, 100)));
    }
    loop {
        tokio::time::sleep(Duration::from_millis(random.between(WELL.0, WELL.1))).await;
        let ill: Vec<_> = random.pick(&WHO).iter().filter_map(|at| servers.get(*at)).collect();
        let (behaviour, percent) = random.pick(&faults).clone();
        for server in &ill {
            let order = Control { behaviour: Some(behaviour.clone()), percent: Some(percent), ..Control::default() };
            server.control(&order).await?;
        }
        tokio::time::sleep(Duration::from_millis(random.between(ILL.0, ILL.1))).await;
        for server in &ill {
            server.control(&Control { behaviour: Some(Behaviour::Normal), ..Control::default() }).await?;
        }
    }
}
