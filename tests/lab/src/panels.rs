//! A story of outages before a real Prometheus: what the tests of metrics and dashboards ask about, and what the guide's pictures
//! show.

use std::error::Error;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use dualpath::cli::dashboard::{Look, dashboards};
use dualpath::cli::rules;
use dualpath::registry::Registry;
use dualpath::telemetry::FAMILIES;
use dualpath::wiring::header;
use serde_json::{Value, json};

use super::client::Client;
use super::envoy::{Envoy, Settings};
use super::prometheus::Prometheus;
use super::registry::Builder;
use super::scratch::Scratch;
use super::stub::{Behaviour, Config, Sessions, Stub};
use super::traffic::Traffic;

/// The tokens of the primary, of slots a and b, and those of the others.
const TOKENS: [(&str, &str); 4] = [
    ("LAB_PRIMARY_A", "pat-primary-a"),
    ("LAB_PRIMARY_B", "pat-primary-b"),
    ("LAB_SECONDARY", "pat-secondary"),
    ("LAB_REST", "pat-rest"),
];

/// Three servers, an Envoy that has everything switched on that has a metric, and a Prometheus with the rules.
#[derive(Debug)]
pub struct Scene {
    primary: Stub,
    secondary: Stub,
    rest: Stub,
    /// Envoy with the module.
    pub envoy: Envoy,
    /// What scrapes it, at the port of the metrics.
    pub prometheus: Prometheus,
    /// What it runs.
    pub registry: Registry,
    /// When it began, in seconds since 1970.
    pub begun: f64,
    /// What has happened, and when.
    told: Mutex<Vec<(f64, &'static str)>>,
}

/// Every rule, those with OpenTelemetry's names too.
pub fn all_rules(registry: &Registry) -> Value {
    let mut rules = rules::groups(registry, "runbooks.md");
    // What they map.
    let is_there = FAMILIES.iter().any(|family| family.name == "mcp_tool_latency_ms");
    if let (true, Some(groups)) = (is_there, rules["groups"].as_array_mut()) {
        groups.push(rules::opentelemetry());
    }
    rules
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64()
}

impl Scene {
    /// Starts everything.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn set(module: &Path) -> Result<Scene, Box<dyn Error>> {
        let module = module.canonicalize().map_err(|error| format!("{}: {error}", module.display()))?;
        let scratch = Arc::new(Scratch::new()?);
        let [(_, a), (_, b), (_, second), (_, third)] = TOKENS;
        let primary = Stub::start(Config::mcp("primary").sessions(Sessions::Offered).token(a)).await?;
        primary.accept(&[a, b]);
        let secondary = Stub::start(Config::mcp("secondary").sessions(Sessions::Offered).token(second)).await?;
        let rest = Stub::start(Config::rest("rest").token(third)).await?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let ends = json!({"env": TOKENS[0].0, "issued": "2026-09-01", "expires": "2027-06-01T00:00:00Z"});
        let builder = Builder::new(&module)
            .set("/envoy/metrics_port", json!(port))
            .set("/discovery", json!({"every": "1s"}))
            .set("/drill", json!({"enabled": true}))
            .set("/breaker", json!({"consecutive": 5, "base_open": "1s", "max_open": "6s", "ramp": "1s"}))
            .set("/listener/allowed_tools", json!(["search", "sql", "complete"]))
            .credential("primary-pat", json!({"a": ends, "b": {"env": TOKENS[1].0}}))
            .credential("secondary-pat", json!({"a": {"env": TOKENS[2].0}}))
            .credential("rest-pat", json!({"a": {"env": TOKENS[3].0}}))
            .mcp("primary", "primary", &primary.url("/mcp"), Some("primary-pat"))
            .mcp("secondary", "secondary", &secondary.url("/mcp"), Some("secondary-pat"))
            .rest("rest", &rest.url(""), Some("rest-pat"))
            .stub_tools(Some("rest"))
            .set("/servers/0/price", json!({"per_call": 0.002, "as_of": "2026-11-28"}))
            .set("/servers/1/price", json!({"per_call": 0.003, "as_of": "2026-11-28"}))
            .set("/servers/2/price", json!({"per_call": 0.001, "as_of": "2026-11-28"}))
            .set("/servers/0/concurrency", json!({"max": 40}));
        let env = TOKENS.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let envoy = Envoy::launch(&builder, &scratch, &Settings { env, ..Settings::default() }).await?;
        let registry = Registry::from_wire(builder.tree()).map_err(|problems| format!("{problems:?}"))?;
        let target = ([127, 0, 0, 1], port).into();
        let prometheus = Prometheus::start(scratch.path(), target, &all_rules(&registry)).await?;
        Ok(Scene { primary, secondary, rest, envoy, prometheus, registry, begun: now(), told: Mutex::default() })
    }

    fn tell(&self, what: &'static str) {
        println!("{:5.1} s  {what}", now() - self.begun);
        self.told.lock().unwrap().push((now(), what));
    }

    /// Plays the story; each part lasts for so long.
    ///
    /// # Errors
    /// When a server can't be stopped or started again.
    pub async fn play(&self, part: Duration) -> Result<(), Box<dyn Error>> {
        let client = Client::new(self.envoy.addr(), "/mcp");
        self.odds_and_ends(&client).await?;
        let traffic = Traffic::start(&client, 4, Duration::from_millis(40));
        let pause = async |share: f64| tokio::time::sleep(part.mul_f64(share)).await;
        pause(1.0).await;
        self.tell("primary fails");
        self.primary.set(Behaviour::status(503));
        pause(1.5).await;
        self.tell("secondary dies too");
        self.secondary.stop().await?;
        pause(1.0).await;
        self.tell("primary is back");
        self.primary.set(Behaviour::Normal);
        pause(1.5).await;
        self.secondary.resume()?;
        self.tell("primary refuses token a");
        self.primary.accept(&[TOKENS[1].1]);
        pause(1.0).await;
        self.primary.accept(&[TOKENS[0].1, TOKENS[1].1]);
        self.tell("kill switch");
        self.envoy.modify_runtime("dualpath.mcp_enabled", "0").await?;
        pause(0.8).await;
        self.envoy.modify_runtime("dualpath.mcp_enabled", "100").await?;
        self.tell("all servers fail");
        for stub in [&self.primary, &self.secondary, &self.rest] {
            stub.set(Behaviour::status(500));
        }
        pause(0.7).await;
        self.tell("all are back");
        for stub in [&self.primary, &self.secondary, &self.rest] {
            stub.set(Behaviour::Normal);
        }
        pause(2.0).await;
        drop(traffic);
        Ok(())
    }

    /// What no outage shows: one of each.
    async fn odds_and_ends(&self, client: &Client) -> Result<(), Box<dyn Error>> {
        let search = json!({"name": "search", "arguments": {"query": "q"}});
        let (session, _) = client.initialize().await?;
        session.request("1", "tools/list", &json!({})).await?;
        session.search("q").await;
        client.call("nobody-s", json!({})).await;
        self.primary.set(Behaviour::status(500));
        client.call("sql", json!({"sql": "insert"})).await;
        self.primary.set(Behaviour::Normal);
        for (name, value) in [(header::DRILL, "fail=primary"), (header::SERVER, "secondary")] {
            client.clone().header(name, value).request("1", "tools/call", &search).await?;
        }
        for (key, value) in [
            ("dualpath.task.sql.mcp_enabled", "0"),
            ("dualpath.server.secondary.weight", "0"),
            ("dualpath.server.nobody.mode", "normal"),
        ] {
            self.envoy.modify_runtime(key, value).await?;
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        for key in ["dualpath.task.sql.mcp_enabled", "dualpath.server.secondary.weight", "dualpath.server.nobody.mode"]
        {
            self.envoy.modify_runtime(key, "").await?;
        }
        Ok(())
    }
}

/// Plays the story and writes down what every panel of every dashboard shows of it.
///
/// # Errors
/// When something does not start, or Prometheus does not take a query.
pub async fn run(module: &Path, part: Duration, json: &Path) -> Result<(), Box<dyn Error>> {
    let scene = Scene::set(module).await?;
    scene.play(part).await?;
    let mut panels = Vec::new();
    for dashboard in dashboards(&scene.registry) {
        for panel in &dashboard.panels {
            let mut series = Vec::new();
            for query in &panel.queries {
                for found in scene.prometheus.over(&query.of_all("10s"), scene.begun, now(), 1.0).await? {
                    let named = |legend: String, (label, value): (&String, &String)| {
                        legend.replace(&format!("{{{{{label}}}}}"), value)
                    };
                    let name = found.labels.iter().fold(query.legend.to_owned(), named);
                    series.push(json!({"name": name, "points": found.points}));
                }
            }
            let states = if let Look::States(states) = panel.look { Some(states) } else { None };
            let is_stacked = panel.look == Look::Areas;
            panels.push(json!({
                "dashboard": dashboard.slug, "title": panel.title, "unit": panel.unit, "series": series,
                "states": states, "stacked": is_stacked,
            }));
        }
    }
    let told: Vec<Value> = scene.told.lock().unwrap().iter().map(|(at, what)| json!([at, what])).collect();
    fs::write(json, json!({"begun": scene.begun, "ended": now(), "told": told, "panels": panels}).to_string())?;
    println!("{}: {} panels", json.display(), panels.len());
    Ok(())
}
