//! What every test starts from: two MCP stubs, a REST stub, and an Envoy with the module in front of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dualpath_lab::client::Client;
use dualpath_lab::envoy::{Envoy, Settings};
use dualpath_lab::in_tree;
use dualpath_lab::registry::Builder;
use dualpath_lab::scratch::Scratch;
use dualpath_lab::stub::{Behaviour, Config, Stub};
use dualpath_lab::xds::{Part, Xds};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Worlds at a time, whatever the number of test threads: compiling the module takes a processor for a while.
static TURNS: Semaphore = Semaphore::const_new(2);

/// The secret of each server.
pub const PRIMARY_PAT: &str = "pat-of-primary-9f2c81";
/// See [`PRIMARY_PAT`].
pub const SECONDARY_PAT: &str = "pat-of-secondary-41d7aa";
/// See [`PRIMARY_PAT`].
pub const REST_PAT: &str = "pat-of-rest-c03e5b";

/// Stubs, Envoy and a client of it.
pub struct World {
    pub primary: Stub,
    pub secondary: Stub,
    pub rest: Stub,
    pub envoy: Envoy,
    pub client: Client,
    pub registry: Builder,
    xds: Option<Xds>,
    _turn: SemaphorePermit<'static>,
}

/// What a test may change before the start.
pub struct Options {
    pub primary: Config,
    pub secondary: Config,
    pub rest: Config,
    /// Environment variables of Envoy. The secrets of primary and rest are among them.
    pub env: Vec<(String, String)>,
    pub scratch: Arc<Scratch>,
    /// Worker threads of Envoy.
    pub concurrency: u32,
    /// Envoy's log level.
    pub log_level: String,
    /// Whether [`World::update`] can be used.
    pub replaceable: bool,
    /// What the URLs of the servers end with.
    pub query: &'static str,
    changes: Vec<(String, Value)>,
}

impl Options {
    /// Changes the registry at a JSON pointer.
    pub fn set(&mut self, pointer: &str, value: Value) {
        self.changes.push((pointer.to_owned(), value));
    }
}

impl World {
    /// The usual world: its breakers do not open, so that many failures can be played in a row.
    pub async fn start() -> World {
        World::start_with(|_| {}).await
    }

    /// A world with changes.
    pub async fn start_with(change: impl FnOnce(&mut Options)) -> World {
        let turn = TURNS.acquire().await.expect("a semaphore that is never closed");
        let scratch = Arc::new(Scratch::new().expect("a directory"));
        let mut options = Options {
            primary: Config::mcp("primary").token(PRIMARY_PAT),
            secondary: Config::mcp("secondary").token(SECONDARY_PAT),
            rest: Config::rest("rest").token(REST_PAT),
            env: [("LAB_PAT_PRIMARY", PRIMARY_PAT), ("LAB_PAT_REST", REST_PAT)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            scratch: Arc::clone(&scratch),
            concurrency: Settings::default().concurrency,
            log_level: Settings::default().log_level,
            replaceable: false,
            query: "",
            changes: Vec::new(),
        };
        change(&mut options);
        let primary = Stub::start(options.primary).await.expect("a stub");
        let secondary = Stub::start(options.secondary).await.expect("a stub");
        let rest = Stub::start(options.rest).await.expect("a stub");
        let secret =
            scratch.write_secret("pat-secondary.json", "pat-secondary-a", SECONDARY_PAT).expect("a secret file");

        let query = options.query;
        let path = |name: &str| format!("/api/v2/databases/D/schemas/S/mcp-servers/{name}{query}");
        let registry = Builder::new(&module())
            .set("/breaker", json!({"consecutive": 1000, "failure_rate": 0}))
            // So that a failure says by its status of which kind it is; `error_status` has the default.
            .set("/listener/error_status", json!("http"))
            .credential("pat-primary", json!({"a": {"env": "LAB_PAT_PRIMARY"}}))
            .credential("pat-secondary", json!({"a": {"sds_file": secret}}))
            .credential("pat-rest", json!({"a": {"env": "LAB_PAT_REST"}}))
            .mcp("primary", "primary", &primary.url(&path("one")), Some("pat-primary"))
            .mcp("secondary", "secondary", &secondary.url(&path("two")), Some("pat-secondary"))
            .rest("rest", &rest.url(query), Some("pat-rest"))
            .stub_tools(Some("rest"));
        let change = |registry: Builder, (pointer, value): (String, Value)| registry.set(&pointer, value);
        let registry = options.changes.into_iter().fold(registry, change);
        let settings = Settings {
            env: options.env,
            concurrency: options.concurrency,
            log_level: options.log_level,
            // While something drains, Envoy closes more and more of its connections: here hardly any.
            drain_seconds: options.replaceable.then_some(36_000),
            ..Settings::default()
        };
        let launched = match options.replaceable {
            true => Xds::launch(&registry, &scratch, &settings).await.map(|(envoy, xds)| (envoy, Some(xds))),
            false => Envoy::launch(&registry, &scratch, &settings).await.map(|envoy| (envoy, None)),
        };
        let (envoy, xds) = launched.unwrap_or_else(|error| panic!("{error}"));
        let client = Client::new(envoy.addr(), "/mcp");
        World { primary, secondary, rest, envoy, client, registry, xds, _turn: turn }
    }

    /// Replaces a part of Envoy's configuration by what the registry with one value changed makes of it.
    pub async fn update(&self, part: Part, pointer: &str, value: Value) {
        let registry = self.registry.clone().set(pointer, value);
        let xds = self.xds.as_ref().expect("a replaceable world");
        xds.update(&self.envoy, part, &registry).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The three stubs with the secret that each is meant to see.
    pub fn stubs(&self) -> [(&Stub, &'static str); 3] {
        [(&self.primary, PRIMARY_PAT), (&self.secondary, SECONDARY_PAT), (&self.rest, REST_PAT)]
    }

    /// How many calls each stub has seen: primary, secondary, rest.
    pub fn calls(&self) -> [usize; 3] {
        [self.primary.calls(), self.secondary.calls(), self.rest.calls()]
    }

    /// The lines of a log of JSON in the scratch folder, once there are so many.
    pub async fn log(&self, name: &str, count: usize) -> Vec<Value> {
        let path = self.envoy.scratch().path().join(name);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if text.lines().count() >= count {
                return text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
            }
            assert!(Instant::now() < deadline, "{count} lines were to come: {text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends both MCP servers.
    pub async fn stop_mcp(&self) {
        self.primary.stop().await.expect("stop");
        self.secondary.stop().await.expect("stop");
    }

    /// Everybody well again.
    pub fn heal(&self) {
        for (stub, pat) in self.stubs() {
            stub.set(Behaviour::Normal);
            stub.accept(&[pat]);
            stub.resume().expect("resume");
        }
    }
}

/// The calls that the stubs saw while `calls` ran: primary, secondary, rest.
pub fn since(before: [usize; 3], after: [usize; 3]) -> [usize; 3] {
    std::array::from_fn(|at| after[at] - before[at])
}

/// The built module, as an absolute path.
pub fn module() -> PathBuf {
    built("DUALPATH_WASM", "build/dualpath.wasm", "make wasm")
}

/// The module that traps when told to and writes records as a later version does.
pub fn test_module() -> PathBuf {
    built("DUALPATH_TEST_WASM", "build/dualpath-test.wasm", "make e2e")
}

/// The operator's tool.
pub fn dualpath() -> PathBuf {
    built("DUALPATH", "build/dualpath", "make cli")
}

fn built(variable: &str, default: &str, by: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(|| in_tree(default), PathBuf::from);
    path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}; `{by}` builds it", path.display()))
}
