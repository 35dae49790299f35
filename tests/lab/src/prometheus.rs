//! A real Prometheus that scrapes an Envoy once a second.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{http, in_tree};

/// Longest wait for it to serve.
const PATIENCE: Duration = Duration::from_secs(30);

/// One series of an answer: its labels, and its values by time.
#[derive(Debug, Clone)]
pub struct Series {
    /// Its labels, the name as `__name__` if it has one.
    pub labels: BTreeMap<String, String>,
    /// Seconds since 1970 and the value.
    pub points: Vec<(f64, f64)>,
}

/// A running Prometheus. Dropping it kills the process.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts one in `folder`, with these rules, that scrapes this Envoy.
    ///
    /// # Errors
    /// When there is none, or it does not serve.
    pub async fn start(folder: &Path, target: SocketAddr, rules: &Value) -> io::Result<Prometheus> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{
                "job_name": "sidecar", "metrics_path": "/stats/prometheus", "static_configs": [{"targets": [target.to_string()]}],
            }],
        });
        fs::write(folder.join("rules.yaml"), rules.to_string())?;
        fs::write(folder.join("prometheus.yaml"), config.to_string())?;
        let child =
            Command::new(find_binary().ok_or_else(|| io::Error::other("no Prometheus: `tests/make/get prometheus`"))?)
                .current_dir(folder)
                .args(["--config.file=prometheus.yaml", "--storage.tsdb.path=prometheus", "--log.level=warn"])
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(folder.join("prometheus.log"))?)
                .spawn()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut prometheus = Prometheus { child, address };
        let deadline = Instant::now() + PATIENCE;
        loop {
            // It takes seconds until it has scraped for the first time.
            if prometheus.has_scraped().await {
                return Ok(prometheus);
            }
            if prometheus.child.try_wait()?.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(folder.join("prometheus.log")).unwrap_or_default();
                return Err(io::Error::other(format!("Prometheus does not serve: {log}")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn has_scraped(&self) -> bool {
        let up = self.ask("query", "query=up").await;
        up.is_ok_and(|data| data["result"][0]["value"][1] == "1")
    }

    /// What an expression says from one time to another, in seconds since 1970, every `step` seconds.
    ///
    /// # Errors
    /// Why there is no answer; what Prometheus says of an expression that it does not take.
    pub async fn over(&self, expression: &str, from: f64, to: f64, step: f64) -> Result<Vec<Series>, String> {
        let form = format!("query={}&start={from}&end={to}&step={step}", encoded(expression));
        let data = self.ask("query_range", &form).await?;
        let number = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
        let point = |point: &Value| (point[0].as_f64().unwrap_or_default(), number(&point[1]));
        let series = |one: &Value| Series {
            labels: labels(&one["metric"]),
            points: one["values"].as_array().into_iter().flatten().map(point).collect(),
        };
        Ok(data["result"].as_array().into_iter().flatten().map(series).collect())
    }

    /// The labels of every series that it has seen since a time and that a selector is about.
    ///
    /// # Errors
    /// As [`Prometheus::over`].
    pub async fn seen(&self, selector: &str, from: f64) -> Result<Vec<BTreeMap<String, String>>, String> {
        let data = self.ask("series", &format!("match[]={}&start={from}", encoded(selector))).await?;
        Ok(data.as_array().into_iter().flatten().map(labels).collect())
    }

    async fn ask(&self, what: &str, form: &str) -> Result<Value, String> {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = http::request(self.address, "POST", &format!("/api/v1/{what}"), &headers, form.to_owned()).await;
        let text = answer.map_err(|error| error.to_string())?.text();
        let answer: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
        if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(text) }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn labels(metric: &Value) -> BTreeMap<String, String> {
    let text = |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap_or_default().to_owned());
    metric.as_object().into_iter().flatten().map(text).collect()
}

/// As a value of a form.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            byte => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        encoded
    })
}

/// The Prometheus to use: `PROMETHEUS`, else what `tests/make/get prometheus` installs, else the first on the `PATH`.
fn find_binary() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("PROMETHEUS") {
        return Some(path.into());
    }
    let fetched = in_tree("build/tools/prometheus/usr/bin/prometheus");
    if fetched.exists() {
        return Some(fetched);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("prometheus")).find(|file| file.is_file())
}
