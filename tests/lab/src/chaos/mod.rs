//! The chaos run: many calls through a real Envoy with four workers while servers are killed, stopped, slowed, made to
//! fail and made to lie, sometimes several at once. What must hold nevertheless is checked from what clients heard and
//! from what the servers wrote down.
//!
//! Faults and calls follow from a seed ([`schedule`], [`calls`]); what is up, and so what must have been answered, is
//! defined in [`check::Evidence::is_up`].

mod caller;
pub mod calls;
pub mod check;
mod report;
pub mod schedule;
pub(crate) mod seeded;
mod servers;
pub mod sessions;
pub mod timeline;
pub mod verdict;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

pub use caller::{Caller, Outcome};

use calls::Call;
use check::{Evidence, Violations};
use schedule::{Episode, Fault, schedule};
use servers::{SERVERS, SLOTS, Server, SharedHealth, secret};
use sessions::{CLIENTS, Clients};
use verdict::Fate;

use super::envoy::{Envoy, Settings};
use super::registry::Builder;
use super::scratch::Scratch;

/// Every server's time limit, ms. Short, since each hanging server costs a call this much; long enough for two shared
/// cores never to be taken for a hanging server.
const TIMEOUT_MS: u64 = 700;

/// Calls under way at a time.
const CALLERS: usize = 48;

/// A client that was told that there is no answer does not ask again at once.
const AFTER_AN_ERROR: Duration = Duration::from_millis(30);

/// What a run needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// The module.
    pub module: PathBuf,
    /// Decides the faults and the calls.
    pub seed: u64,
    /// How many calls.
    pub calls: u64,
    /// Where the figures go as JSON; the fault schedule goes next to it.
    pub json: PathBuf,
    /// Tells the filter that every tool may be executed twice: a run that must end with violations, which shows that they
    /// are found.
    pub sabotage: bool,
}

impl Options {
    /// `chaos-schedule.json` for `chaos.json`.
    fn schedule_file(&self) -> PathBuf {
        self.beside("-schedule.json")
    }

    /// `chaos-calls.log` for `chaos.json`: a line for each call, as the call log has it.
    fn calls_file(&self) -> PathBuf {
        self.beside("-calls.log")
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let stem = self.json.file_stem().unwrap_or_default().to_string_lossy();
        self.json.with_file_name(format!("{stem}{ending}"))
    }
}

/// What the call log has once there is a line for each of so many calls. Envoy writes its logs from time to time; after the
/// longest of those times what is missing does not come any more, and is missed by who looks.
async fn logged(file: &Path, calls: usize) -> String {
    const LONGEST: Duration = Duration::from_secs(15);
    let deadline = Instant::now() + LONGEST;
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text.lines().count() >= calls || Instant::now() >= deadline {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Runs, prints the figures and writes them down.
///
/// # Errors
/// When something could not be started.
pub async fn run(program: &Path, options: &Options) -> Result<Violations, Box<dyn Error>> {
    let episodes = schedule(options.seed, options.calls, &SERVERS);
    fs::write(options.schedule_file(), serde_json::to_string_pretty(&episodes)?)?;
    let scratch = Arc::new(Scratch::new()?);
    let mut servers = Vec::new();
    let health: SharedHealth = Arc::default();
    for (name, kind) in SERVERS {
        servers.push(Server::start(program, scratch.path(), name, kind)?);
        health.lock().unwrap().well.entry(name.to_owned()).or_default().begin(0);
    }
    let calls_log = scratch.path().join("calls.log");
    let envoy = launch(&servers, &scratch, options, &calls_log).await?;

    let started = Instant::now();
    let dispatcher = Dispatcher::new(options, servers, &episodes, health);
    let dispatcher = Arc::new(tokio::sync::Mutex::new(dispatcher));
    let clients = Arc::new(Clients::new(envoy.addr(), options.seed));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (dispatcher, clients) = (Arc::clone(&dispatcher), Arc::clone(&clients));
            let mut caller = Caller::new(envoy.addr());
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                loop {
                    let next = dispatcher.lock().await.next().await.map_err(|error| error.to_string())?;
                    let Some(call) = next else { return Ok::<_, String>(outcomes) };
                    let outcome = match call.client {
                        None => caller.call(call, None).await,
                        Some(client) => {
                            let entered = clients.enter(client).await;
                            let outcome = caller.call(call, entered.as_ref()).await;
                            clients.leave(client, entered).await;
                            outcome
                        }
                    };
                    if matches!(outcome.heard.fate, Fate::Error(..)) {
                        tokio::time::sleep(AFTER_AN_ERROR).await;
                    }
                    outcomes.push(outcome);
                }
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for caller in callers {
        outcomes.extend(caller.await??);
    }
    let seconds = started.elapsed().as_secs_f64();
    outcomes.sort_unstable_by_key(|outcome| outcome.call.number);

    let errands = clients.finish().await;
    let dispatcher = dispatcher.lock().await;
    let journal = |(server, (name, _)): (&Server, &(&str, _))| Ok(((*name).to_owned(), server.journal()?));
    let journals: BTreeMap<_, _> =
        dispatcher.servers.iter().zip(&SERVERS).map(journal).collect::<std::io::Result<_>>()?;
    let lines = logged(&calls_log, outcomes.len()).await;
    fs::write(options.calls_file(), &lines)?;
    let unlogged = outcomes.len().saturating_sub(lines.lines().count());
    let log = envoy.logs();
    let transitions = timeline::transitions(&log);
    let written = [
        ("Envoy's log", log),
        ("Envoy's statistics", envoy.admin("/stats").await?),
        ("Envoy's configuration dump", envoy.admin("/config_dump").await?),
        ("the call log", lines),
    ];
    let health = dispatcher.health.lock().unwrap().clone();
    let closed = timeline::closed(&transitions);
    let evidence = Evidence {
        outcomes: &outcomes,
        errands: &errands,
        journals: &journals,
        health: &health,
        closed: &closed,
        written: &written,
    };
    let mut violations = evidence.violations();
    if unlogged > 0 {
        violations.complaints.push(format!("{unlogged} calls have no line in the call log"));
    }
    let run = report::Run {
        seed: options.seed,
        episodes: &episodes,
        transitions: &transitions,
        evidence,
        violations: &violations,
        seconds,
    };
    print!("{}", run.histories());
    println!("{}", run.summary());
    fs::write(&options.json, serde_json::to_string_pretty(&run.figures())?)?;
    Ok(violations)
}

/// Hands out the calls, and sees to it that faults begin and end between the right ones.
struct Dispatcher {
    options: Options,
    next: u64,
    servers: Vec<Server>,
    /// The episodes that begin or end before a call: the server's position, what it is, and whether it begins.
    changes: BTreeMap<u64, Vec<(usize, Fault, bool)>>,
    health: SharedHealth,
}

impl Dispatcher {
    fn new(options: &Options, servers: Vec<Server>, episodes: &[Episode], health: SharedHealth) -> Self {
        let mut changes: BTreeMap<u64, Vec<(usize, Fault, bool)>> = BTreeMap::new();
        for (at, (name, _)) in SERVERS.iter().enumerate() {
            for episode in episodes.iter().filter(|episode| episode.server == *name) {
                changes.entry(episode.from).or_default().push((at, episode.fault.clone(), true));
                changes.entry(episode.to).or_default().push((at, episode.fault.clone(), false));
            }
        }
        Dispatcher { options: options.clone(), next: 0, servers, changes, health }
    }

    /// The next call, if there is one left.
    async fn next(&mut self) -> Result<Option<Call>, Box<dyn Error>> {
        let number = self.next;
        if number >= self.options.calls {
            return Ok(None);
        }
        self.next += 1;
        for (at, fault, begins) in self.changes.remove(&number).unwrap_or_default() {
            let server = &mut self.servers[at];
            match begins {
                true => server.suffer(&fault, &self.health).await?,
                false => server.recover(&fault, &self.health).await?,
            }
        }
        Ok(Some(Call::made(self.options.seed, number, CLIENTS)))
    }
}

/// Envoy with the module, in front of the servers.
async fn launch(
    servers: &[Server],
    scratch: &Arc<Scratch>,
    options: &Options,
    calls_log: &Path,
) -> Result<Envoy, Box<dyn Error>> {
    let module = options.module.canonicalize().map_err(|e| format!("the module {}: {e}", options.module.display()))?;
    let variable = |name: &str, slot: &str| format!("CHAOS_PAT_{name}_{slot}").to_uppercase();
    // The breaker's usual limits, but periods that are short next to the faults, as they are in life. The direct path sheds nothing, or a call
    // that was refused to spare a server would have to pass for one that could not be answered.
    let breaker = json!({
        "window": "2s", "base_open": "100ms", "max_open": "400ms", "decay": "1s", "ramp": "500ms",
        "last_resort_max_rejection": 0,
    });
    // With every MCP server ill a call takes three failovers. The usual budget would end such calls to protect the servers;
    // here that must be no reason to fail.
    let budget = json!({"ratio": 4.0, "reserve": 10_000});
    let mut registry = Builder::new(&module)
        .set("/breaker", breaker)
        .set("/failover/budget", budget)
        .set("/log", json!({"calls": calls_log}));
    for (server, (name, _)) in servers.iter().zip(SERVERS) {
        let credential = format!("pat-{name}");
        registry = registry
            .credential(&credential, json!({"a": {"env": variable(name, "a")}, "b": {"env": variable(name, "b")}}));
        registry = match name {
            "rest" => registry.rest(name, &server.url(""), Some(&credential)),
            tier => registry.mcp(name, tier, &server.url("/mcp"), Some(&credential)),
        };
    }
    for (at, _) in SERVERS.iter().enumerate() {
        registry = registry.set(&format!("/servers/{at}/timeout"), json!(format!("{TIMEOUT_MS}ms")));
    }
    registry = registry.stub_tools(Some("rest"));
    if options.sabotage {
        registry = registry.set("/tools/1/replayable", json!(true));
    }
    let settings = Settings {
        concurrency: 4,
        env: SERVERS
            .iter()
            .flat_map(|(name, _)| SLOTS.map(|slot| (variable(name, slot), secret(name, slot))))
            .collect(),
        log_level: "warning".to_owned(),
        log_format: Some(timeline::LOG_FORMAT.to_owned()),
        drain_seconds: None,
        ..Settings::default()
    };
    Ok(Envoy::launch(&registry, scratch, &settings).await?)
}
