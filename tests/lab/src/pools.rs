//! How long calls wait for a connection: 100 calls a second, pools of the size that the first users had, and the target that they
//! set.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::client::Client;
use super::envoy::{Envoy, Settings};
use super::registry::Builder;
use super::scratch::Scratch;
use super::stub::{Behaviour, Config, Stub};

/// Calls a second of each kind, evenly spaced.
const RATE: u32 = 100;

/// What a call may wait on average.
const TARGET: Duration = Duration::from_millis(100);

/// How often the queue is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One pool.
struct Pool {
    /// With the rules' label.
    title: &'static str,
    server: &'static str,
    tool: &'static str,
    connections: u32,
    /// How long the server takes: three quarters of the connections are in use then.
    takes: Duration,
}

const POOLS: [Pool; 2] = [
    Pool { title: "mode mcp", server: "mcp", tool: "search", connections: 20, takes: Duration::from_millis(150) },
    Pool { title: "mode direct", server: "rest", tool: "complete", connections: 10, takes: Duration::from_millis(75) },
];

/// Calls for `time` on each pool, one after the other, and prints what calls waited.
///
/// # Errors
/// When something could not be started, a call failed, or calls waited longer than the target.
pub async fn run(module: &Path, time: Duration) -> Result<(), Box<dyn Error>> {
    let mcp = Stub::start(Config::mcp("mcp")).await?;
    let rest = Stub::start(Config::rest("rest")).await?;
    let mut registry = Builder::new(&module.canonicalize()?)
        .mcp("mcp", "primary", &mcp.url("/mcp"), None)
        .rest("rest", &rest.url(""), None)
        .stub_tools(Some("rest"))
        .set("/tools/2/rest/first", json!(true));
    for (at, pool) in POOLS.iter().enumerate() {
        registry = registry.set(&format!("/servers/{at}/pool"), json!({"connections": pool.connections}));
    }
    let scratch = Arc::new(Scratch::new()?);
    let envoy = Envoy::launch(&registry, &scratch, &Settings::default()).await?;
    println!("{RATE} calls a second, evenly spaced, {} s each, HTTP/1.1", time.as_secs());
    let mut late = false;
    for (pool, stub) in POOLS.iter().zip([&mcp, &rest]) {
        stub.set(Behaviour::Delay { ms: u64::try_from(pool.takes.as_millis())? });
        let (waited, mean) = measure(&envoy, pool, time).await?;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "{}\n{} connections, the server takes {:.0} ms: a call waits {:.2} ms for a connection on average, and takes {:.1} ms in all",
            pool.title,
            pool.connections,
            ms(pool.takes),
            ms(waited),
            ms(mean)
        );
        late |= waited >= TARGET;
    }
    if late { Err("calls wait longer than the target".into()) } else { Ok(()) }
}

/// How long calls waited for a connection and took in all, on average.
async fn measure(envoy: &Envoy, pool: &Pool, time: Duration) -> Result<(Duration, Duration), Box<dyn Error>> {
    let client = Client::new(envoy.addr(), "/mcp");
    let begun = Instant::now();
    let looking = async {
        let (mut waiting, mut looks) = (0, 0_u32);
        let mut turn = every(LOOK_EVERY);
        while begun.elapsed() < time {
            turn.tick().await;
            waiting += pending(envoy, pool.server).await?;
            looks += 1;
        }
        Ok::<_, Box<dyn Error>>(f64::from(waiting) / f64::from(looks.max(1)))
    };
    let calling = async {
        let mut calls = Vec::new();
        let mut turn = every(Duration::from_secs(1) / RATE);
        while begun.elapsed() < time {
            turn.tick().await;
            let (client, tool, server) = (client.clone(), pool.tool, pool.server);
            calls.push(tokio::spawn(async move {
                let reply = client.call(tool, json!({"query": "q", "prompt": "p"})).await;
                match reply.served_by() {
                    Some(by) if by == server => Ok(reply.took),
                    _ => Err(format!("HTTP {}: {}", reply.status(), reply.answer.text())),
                }
            }));
        }
        let (count, mut together) = (calls.len(), Duration::ZERO);
        for call in calls {
            together += call.await??;
        }
        Ok::<_, Box<dyn Error>>((count, together))
    };
    let (waiting, (count, together)) = tokio::try_join!(looking, calling)?;
    let count = u32::try_from(count)?.max(1);
    // By Little's law: the mean number of those that wait by the rate at which they come.
    let rate = f64::from(count) / time.as_secs_f64();
    Ok((Duration::from_secs_f64(waiting / rate), together / count))
}

/// How many calls of a server wait for a connection now.
async fn pending(envoy: &Envoy, server: &str) -> Result<u32, Box<dyn Error>> {
    let name = format!("cluster.{server}.upstream_rq_pending_active");
    let text = envoy.admin(&format!("/stats?filter=^{name}$")).await?;
    let value = text.trim().strip_prefix(&name).and_then(|rest| rest.strip_prefix(": "));
    Ok(value.ok_or_else(|| format!("Envoy has no {name}: {text}"))?.parse()?)
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut turn = interval(period);
    // What is late is made up for: so many calls a second, whatever the machine does meanwhile.
    turn.set_missed_tick_behavior(MissedTickBehavior::Burst);
    turn
}
