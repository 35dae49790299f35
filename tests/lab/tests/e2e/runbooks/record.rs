//! What Envoy's metrics say of an outage, for the tests of the alerts.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dualpath_lab::envoy::Envoy;

/// Between the two readings of a state, from which rates are. Envoy's histograms move every five seconds.
const APART: Duration = Duration::from_secs(11);

/// What alerts may be about: of Envoy's own only these.
const KEPT: [&str; 10] = [
    "cortex_",
    "dualpath_",
    "mcp_",
    "snowflake_",
    "envoy_server_concurrency",
    "envoy_runtime_",
    "envoy_wasm_",
    "envoy_cluster_upstream_rq_total{",
    "envoy_cluster_upstream_rq_active{",
    "envoy_listener_manager_lds_update_rejected",
];

/// When.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Before,
    Meanwhile,
    After,
}

/// The readings of one outage, if they are wanted.
pub struct Recorder {
    file: Option<PathBuf>,
    begun: Instant,
    /// Seconds since the begin, and every series.
    readings: Mutex<Vec<(f64, BTreeMap<String, f64>)>>,
}

impl Recorder {
    pub fn new(name: &str) -> Recorder {
        let folder = std::env::var_os("DUALPATH_RECORD").map(PathBuf::from);
        let file = folder.map(|folder| folder.join(format!("{name}.txt")));
        Recorder { file, begun: Instant::now(), readings: Mutex::default() }
    }

    /// Takes two readings, [`APART`]; after the last state everything is written down.
    pub async fn record(&self, state: State, envoy: &Envoy) {
        let Some(file) = &self.file else { return };
        for reading in 0..2 {
            if reading > 0 {
                tokio::time::sleep(APART).await;
            }
            let text = envoy.admin("/stats/prometheus").await.expect("metrics");
            let lines = text.lines().filter(|line| KEPT.iter().any(|kept| line.starts_with(kept)));
            let series = lines.filter_map(|line| line.rsplit_once(' '));
            let series = series.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect();
            self.readings.lock().unwrap().push((self.begun.elapsed().as_secs_f64(), series));
        }
        if state == State::After {
            fs::write(file, self.table()).expect("the recording");
        }
    }

    /// A line of times, then one per series: two values for each state, `_` where there was no such series.
    fn table(&self) -> String {
        let readings = self.readings.lock().unwrap();
        let mut table = "seconds".to_owned();
        for (seconds, _) in readings.iter() {
            let _ = write!(table, " {seconds:.1}");
        }
        table.push('\n');
        let mut names: Vec<_> = readings.iter().flat_map(|(_, series)| series.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            table += name;
            for (_, series) in readings.iter() {
                let _ = match series.get(name) {
                    Some(value) => write!(table, " {value}"),
                    None => write!(table, " _"),
                };
            }
            table.push('\n');
        }
        table
    }
}
