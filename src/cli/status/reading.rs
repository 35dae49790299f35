//! One look at a running Envoy: its metrics and, where its admin interface is asked, what the kill switch is set to.

use std::time::Instant;

use serde_json::Value;

use crate::cli::admin;
use crate::cli::metrics::Metrics;
use crate::runtime::MCP_ENABLED;
use crate::telemetry::of;

/// What was seen, and when.
#[derive(Debug, Clone)]
pub struct Reading {
    /// When, on this machine's monotonic clock.
    pub at: Instant,
    /// The same, in seconds since 1970.
    pub time_s: u64,
    /// The metrics.
    pub metrics: Metrics,
    /// What the kill switch is set to, in percent of calls that may use MCP; `None` if that is not to be seen here.
    pub mcp_enabled: Option<String>,
}

impl Reading {
    /// Looks at the Envoy at `url`.
    ///
    /// # Errors
    /// Why its metrics can't be read.
    pub fn take(url: &str) -> Result<Self, String> {
        let metrics = Metrics::parse(&admin::page(url, admin::METRICS)?);
        // A listener of the metrics does not show it; the gauge says no more than whether it is at 100.
        let set = admin::page(url, "/runtime?format=json").ok().and_then(|page| switch(&page));
        let is_on = || metrics.value(of::KILL_SWITCH.name, &[]).is_some_and(|gauge| gauge == 0.0);
        let mcp_enabled = set.or_else(|| is_on().then(|| "100".to_owned()));
        Ok(Reading { at: Instant::now(), time_s: crate::cli::now_s(), metrics, mcp_enabled })
    }
}

/// The kill switch as the page of the runtime has it. Where no layer names the key, the route's own value counts.
fn switch(page: &str) -> Option<String> {
    let page: Value = serde_json::from_str(page).ok()?;
    let entries = page.get("entries")?.as_object()?;
    let set = entries.get(MCP_ENABLED).and_then(|entry| entry.get("final_value")?.as_str());
    Some(set.filter(|value| !value.is_empty()).unwrap_or("100").to_owned())
}

#[cfg(test)]
mod tests {
    use super::switch;

    #[test]
    fn the_kill_switch_is_read_where_the_runtime_is_shown() {
        let page = |value: &str| {
            format!(
                r#"{{"layers":["base","admin"],"entries":{{"dualpath.mcp_enabled":{{"layer_values":["100","{value}"],"final_value":"{value}"}}}}}}"#
            )
        };
        for (page, expected) in [
            (page("0"), Some("0")),
            (page(""), Some("100")),
            (r#"{"layers":[],"entries":{}}"#.to_owned(), Some("100")),
            ("not found".to_owned(), None),
        ] {
            assert_eq!(switch(&page).as_deref(), expected, "{page}");
        }
    }
}
