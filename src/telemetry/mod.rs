//! The metrics: each with its name, its labels, its meaning, and what bounds the number of its series. They stand here
//! once. The filter counts them, the renderer makes Envoy's label rules of them, `dualpath pat` reads them from a running
//! Envoy, and the documentation's table is printed from them.
//!
//! Envoy knows no labels when a module defines a metric, so the name of a stat carries them as `.label.value` pairs, which
//! the tag rules of the bootstrap take out again.

mod document;
mod family;
mod metric;
mod names;
mod pending;
mod series;
mod standing;
#[cfg(test)]
mod tests;

pub use document::table;
pub use family::{FAMILIES, Family, Kind, LABELS, label};
pub use metric::{AnsweredBy, CallStatus, Metric};
pub use names::{Name, Names, RegistryNames};
pub use pending::Pending;
pub use series::Series;
pub use standing::{MOST_TOOLS, first_of_tasks, standing};

/// The metrics' families by name, for who reads one.
pub mod of {
    pub use super::family::{
        ALERTS, ATTEMPTS, BREAKER_EVENTS, BREAKER_STATE, CALLS, CREDITS, DRILL_IGNORED, DRILLS, FALLBACK, HEALTH, INFO,
        KILL_SWITCH, LATENCY, MCP_OFF, OPEN_PERIOD, OVERRIDE, PAT_AGE_VIOLATION, PAT_ALERT, PAT_DAYS, PAT_EXPIRY_KNOWN,
        PAT_PRESENT, PAT_REJECTED, PAT_SENT, PAT_SWITCH, PROBE_IN, PROBES, REPLAY_REFUSED, TOKENS, TOOL_BYTES,
        TOOL_CALLS, TOOL_DRIFT, TOOL_LATENCY, TOOLS_LISTED, TRANSITIONS,
    };
}

/// What Envoy puts before the names of a module's stats.
pub const ENVOY_PREFIX: &str = "wasmcustom";

/// What the names of all families begin with, up to the first `_`.
pub const NAMESPACES: [&str; 4] = ["cortex", "dualpath", "mcp", "snowflake"];
