//! The families of metrics: what stands in the documentation, and what makes a stat's name.

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// The last value set.
    Gauge,
    /// A distribution of values.
    Histogram,
}

impl Kind {
    /// Its name in the documentation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// One metric with all its series.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name in Prometheus.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// The names of its labels, in the order in which a stat's name carries them.
    pub labels: &'static [&'static str],
    /// What it tells, in one sentence of Markdown.
    pub meaning: &'static str,
    /// How many series it has at most, by what the registry names.
    pub bound: &'static str,
}

/// What only the documentation says; the module does without it.
const fn words(text: &'static str) -> &'static str {
    if cfg!(any(feature = "cli", test)) { text } else { "" }
}

/// The names of labels.
pub mod label {
    /// The path that a call's answer came by.
    pub const MODE: &str = "mode";
    /// The task of the called tool; `protocol` for the protocol's own methods, `other` for anything else.
    pub const TASK: &str = "task";
    /// How a call ended for its client.
    pub const STATUS: &str = "status";
    /// The id of a server.
    pub const SERVER: &str = "server";
    /// The failure class of an attempt or a probe; what became of a call at the cache.
    pub const OUTCOME: &str = "outcome";
    /// What it was before.
    pub const FROM: &str = "from";
    /// What it is now.
    pub const TO: &str = "to";
    /// What happened inside a breaker.
    pub const EVENT: &str = "event";
    /// A failure class.
    pub const CLASS: &str = "class";
    /// The tier of a server.
    pub const TIER: &str = "tier";
    /// What a server was put into by hand.
    pub const STATE: &str = "state";
    /// Why.
    pub const REASON: &str = "reason";
    /// The id of a credential.
    pub const CREDENTIAL: &str = "credential";
    /// One of a credential's two slots.
    pub const SLOT: &str = "slot";
    /// A tool that the registry names.
    pub const TOOL: &str = "tool";
    /// A model that has a price.
    pub const MODEL: &str = "model";
    /// Whether tokens go in or come out.
    pub const DIRECTION: &str = "direction";
    /// How urgently a credential needs a new token.
    pub const SEVERITY: &str = "severity";
    /// The identity of a registry.
    pub const REGISTRY: &str = "registry";
    /// The version of the module. It has dots, which no other value has, so it comes last.
    pub const VERSION: &str = "version";
}

use label::{
    CLASS, CREDENTIAL, DIRECTION, EVENT, FROM, MODE, MODEL, OUTCOME, REASON, REGISTRY, SERVER, SEVERITY, SLOT, STATE,
    STATUS, TASK, TIER, TO, TOOL, VERSION,
};

/// Every label, in the order of the bootstrap's rules.
pub const LABELS: [&str; 20] = [
    MODE, TASK, STATUS, SERVER, OUTCOME, FROM, TO, EVENT, CLASS, REASON, CREDENTIAL, SLOT, SEVERITY, STATE, TIER, TOOL,
    MODEL, DIRECTION, REGISTRY, VERSION,
];

/// Every family, in the order of the documentation.
pub static FAMILIES: &[&Family] = &[
    &CALLS,
    &LATENCY,
    &FALLBACK,
    &TOOL_CALLS,
    &TOOL_LATENCY,
    &TOOL_BYTES,
    &TOKENS,
    &CREDITS,
    &CACHE,
    &BREAKER_STATE,
    &PROBE_IN,
    &HEALTH,
    &SERVER_TIME,
    &OVERRIDE,
    &MCP_OFF,
    &KILL_SWITCH,
    &RUNTIME_IGNORED,
    &ATTEMPTS,
    &DRILLS,
    &DRILL_IGNORED,
    &NAME_IGNORED,
    &PROBES,
    &TOOLS_LISTED,
    &TOOL_DRIFT,
    &TOOL_LISTS,
    &TOOLS_REFUSED,
    &ALERTS,
    &REPLAY_REFUSED,
    &SESSIONS_OPENED,
    &SESSIONS_MOVED,
    &HELD,
    &HELD_REFUSED,
    &CONCURRENCY_LIMIT,
    &CONCURRENCY_UNDER_WAY,
    &CONCURRENCY_OVER,
    &PAT_DAYS,
    &PAT_PRESENT,
    &PAT_SENT,
    &PAT_EXPIRY_KNOWN,
    &PAT_ALERT,
    &PAT_AGE_VIOLATION,
    &PAT_REJECTED,
    &PAT_SWITCH,
    &PAT_QUOTED,
    &TRANSITIONS,
    &OPEN_PERIOD,
    &BREAKER_EVENTS,
    &INFO,
];

/// Calls, by how they ended.
pub static CALLS: Family = Family {
    name: "cortex_calls_total",
    kind: Kind::Counter,
    labels: &[MODE, TASK, STATUS],
    meaning: words(
        "calls; mode `mcp`, `direct`, `gate` or `cache`; task `protocol` for the protocol's own methods, `other` for tools \
              that the registry doesn't name; status `success`, `fallback`, `error`, `failed`, `refused` (a mistake of the client's), `cancelled`",
    ),
    bound: words("20 per task"),
};

/// How long calls take.
pub static LATENCY: Family = Family {
    name: "cortex_latency_ms",
    kind: Kind::Histogram,
    labels: &[MODE, TASK],
    meaning: words(
        "how long a call takes, from the request's headers to its end; streams that last as long as a client listens are no calls",
    ),
    bound: words("4 per task"),
};

/// Calls that another server than the first choice has answered.
pub static FALLBACK: Family = Family {
    name: "cortex_fallback_total",
    kind: Kind::Counter,
    labels: &[FROM, TO, REASON],
    meaning: words(
        "calls answered by another server (`to`) than the operator's first choice (`from`); reason is the failure class of the \
              first choice's attempt, or why it was not asked, as in the [call log](operations.md#why-did-this-call-go-there)",
    ),
    bound: words("20 per two servers"),
};

/// Calls of tools, by what came of them.
pub static TOOL_CALLS: Family = Family {
    name: "mcp_tool_calls_total",
    kind: Kind::Counter,
    labels: &[TOOL, SERVER, CLASS, MODE],
    meaning: words(
        "calls of tools by their failure class at the end; `tool_error` is a result with `isError`. Tools that the registry \
              does not name are `other`, and so is the server where none has the last word; a dot in a name is written `_`",
    ),
    bound: words("36 per tool and server; 4096 per worker of all metrics with `tool`, what is beyond is `other`"),
};

/// How long calls of tools take.
pub static TOOL_LATENCY: Family = Family {
    name: "mcp_tool_latency_ms",
    kind: Kind::Histogram,
    labels: &[TOOL, MODE],
    meaning: words("how long a call of the tool takes, as `cortex_latency_ms`"),
    bound: words("4 per tool; as above"),
};

/// How long the answers of tools are.
pub static TOOL_BYTES: Family = Family {
    name: "mcp_tool_answer_bytes",
    kind: Kind::Histogram,
    labels: &[TOOL],
    meaning: words("bytes of the answers' bodies that clients of the tool get: what fills an agent's context"),
    bound: words("1 per tool; as above"),
};

/// Tokens that models take.
pub static TOKENS: Family = Family {
    name: "dualpath_tokens_total",
    kind: Kind::Counter,
    labels: &[TASK, MODEL, DIRECTION],
    meaning: words(
        "tokens that went in (direction `input`) and came out (`output`), by the usage that answers tell; a model without a \
              price in `prices` is `other`, and a dot in a name is written `_`",
    ),
    bound: words("2 per task and priced model, and 2 per task"),
};

/// What calls cost.
pub static CREDITS: Family = Family {
    name: "dualpath_credits_micro_total",
    kind: Kind::Counter,
    labels: &[TASK, MODEL],
    meaning: words(
        "what calls cost, in millionths of the unit of the registry's prices: tokens by `prices`, and where an answer tells none \
              of a priced model, `servers[].price` (model `other`); `dualpath rules` makes `cortex_credits_used` of it",
    ),
    bound: words("1 per task and priced model, and 1 per task"),
};

/// What the cache has done.
pub static CACHE: Family = Family {
    name: "dualpath_cache_total",
    kind: Kind::Counter,
    labels: &[TASK, OUTCOME],
    meaning: words(
        "calls of tools with a [cache](cache.md): `hit`, `miss`, `no_caller` and `no_key` (asked past it), `stale` (nobody else had an \
              answer), and of the answers `stored`, `not_kept`, `too_large`, `lost`",
    ),
    bound: words("9 per task"),
};

/// What is held of requests and answers.
pub static HELD: Family = Family {
    name: "dualpath_held_bytes",
    kind: Kind::Gauge,
    labels: &[],
    meaning: words("bytes of requests and answers that all workers hold now; each may hold `limits.held`"),
    bound: words("1"),
};

/// Messages that there was no room for.
pub static HELD_REFUSED: Family = Family {
    name: "dualpath_held_refused_total",
    kind: Kind::Counter,
    labels: &[REASON],
    meaning: words(
        "messages beyond `limits.held`: reason `request`, refused with 503, or `answer`, passed on unjudged, or of a \
              REST server given up",
    ),
    bound: words("2"),
};

/// How many calls a server may have under way.
pub static CONCURRENCY_LIMIT: Family = Family {
    name: "dualpath_concurrency_limit",
    kind: Kind::Gauge,
    labels: &[SERVER],
    meaning: words("tool calls that all workers together may have under way at a server with `concurrency`"),
    bound: words("1 per server"),
};

/// How many it has.
pub static CONCURRENCY_UNDER_WAY: Family = Family {
    name: "dualpath_concurrency_in_flight",
    kind: Kind::Gauge,
    labels: &[SERVER],
    meaning: words("tool calls that they have under way there"),
    bound: words("1 per server"),
};

/// Calls that were over the limit.
pub static CONCURRENCY_OVER: Family = Family {
    name: "dualpath_concurrency_over_total",
    kind: Kind::Counter,
    labels: &[SERVER],
    meaning: words(
        "tool calls that were over the limit: they went to the next server, or here as the last resort, or were shed",
    ),
    bound: words("1 per server"),
};

/// The state of a server's breaker.
pub static BREAKER_STATE: Family = Family {
    name: "cortex_circuit_breaker_state",
    kind: Kind::Gauge,
    labels: &[SERVER],
    meaning: words("0 closed, 1 open, 2 half-open"),
    bound: words("1 per server"),
};

/// How long an open breaker waits.
pub static PROBE_IN: Family = Family {
    name: "dualpath_breaker_probe_in_ms",
    kind: Kind::Gauge,
    labels: &[SERVER],
    meaning: words(
        "ms until a probe may be sent to a server whose breaker is not closed, as the prober saw it last; else 0",
    ),
    bound: words("1 per server"),
};

/// How well servers are.
pub static HEALTH: Family = Family {
    name: "mcp_server_health_percent",
    kind: Kind::Gauge,
    labels: &[SERVER, TIER],
    meaning: words("how well the server is, from 0 to 100, by [this formula](breaker.md#health)"),
    bound: words("1 per server"),
};

/// Whether MCP is switched off as a whole, or in part.
pub static KILL_SWITCH: Family = Family {
    name: "dualpath_kill_switch",
    kind: Kind::Gauge,
    labels: &[],
    meaning: words(
        "1 while `dualpath.mcp_enabled` is below 100, or `MCP_SNOWFLAKE_ENABLED` has MCP off; there where the prober reads \
              the runtime",
    ),
    bound: words("1"),
};

/// Runtime keys that say nothing.
pub static RUNTIME_IGNORED: Family = Family {
    name: "dualpath_runtime_ignored",
    kind: Kind::Gauge,
    labels: &[],
    meaning: words(
        "runtime keys `dualpath.server.*`, `dualpath.task.*` and `dualpath.cache.*` that have no effect now; the log names them",
    ),
    bound: words("1"),
};

/// How fast servers are.
pub static SERVER_TIME: Family = Family {
    name: "dualpath_server_time_ms",
    kind: Kind::Gauge,
    labels: &[SERVER],
    meaning: words(
        "how long the server takes to the first byte of an answer, as [`by: latency`](failover.md#by-latency) takes it: it moves once it is half \
         as long again, or the other way round",
    ),
    bound: words("1 per server"),
};

/// What operators have done to servers by runtime keys.
pub static OVERRIDE: Family = Family {
    name: "dualpath_override",
    kind: Kind::Gauge,
    labels: &[SERVER, STATE],
    meaning: words(
        "1 while a runtime key has the server so: state `normal`, `metrics_only`, `disabled`, `forced_open`, `off`, `drained`; \
              from the first time on",
    ),
    bound: words("6 per server"),
};

/// The tasks that operators have switched MCP off for.
pub static MCP_OFF: Family = Family {
    name: "dualpath_mcp_off",
    kind: Kind::Gauge,
    labels: &[TASK],
    meaning: words("1 while a runtime key has MCP switched off for the task; from the first time on"),
    bound: words("1 per task"),
};

/// Attempts at servers.
pub static ATTEMPTS: Family = Family {
    name: "dualpath_attempts_total",
    kind: Kind::Counter,
    labels: &[SERVER, OUTCOME],
    meaning: words("attempts by failure class"),
    bound: words("12 per server"),
};

/// Attempts that were made to fail.
pub static DRILLS: Family = Family {
    name: "dualpath_drill_total",
    kind: Kind::Counter,
    labels: &[SERVER, CLASS],
    meaning: words("drilled attempts"),
    bound: words("6 per server"),
};

/// Orders for a drill that were not followed.
pub static DRILL_IGNORED: Family = Family {
    name: "dualpath_drill_ignored_total",
    kind: Kind::Counter,
    labels: &[REASON],
    meaning: words("orders for a drill from a `source` that may not give any, or with the drill `off`"),
    bound: words("2"),
};

/// Requests that name a server and may not.
pub static NAME_IGNORED: Family = Family {
    name: "dualpath_name_ignored_total",
    kind: Kind::Counter,
    labels: &[],
    meaning: words(
        "requests that name a server by `x-dualpath-server` from where `routing.override` does not let them",
    ),
    bound: words("1"),
};

/// The prober's probes.
pub static PROBES: Family = Family {
    name: "dualpath_probes_total",
    kind: Kind::Counter,
    labels: &[SERVER, OUTCOME],
    meaning: words("the prober's probes by failure class"),
    bound: words("12 per server"),
};

/// How many tools a server lists.
pub static TOOLS_LISTED: Family = Family {
    name: "dualpath_tools_listed",
    kind: Kind::Gauge,
    labels: &[SERVER],
    meaning: words(
        "tools in a server's list, as long as that counts; 0 while there is none, so that calls go there whatever \
              their tool",
    ),
    bound: words("1 per server"),
};

/// In how many tools servers differ.
pub static TOOL_DRIFT: Family = Family {
    name: "dualpath_tool_drift",
    kind: Kind::Gauge,
    labels: &[SERVER, REASON],
    meaning: words(
        "tools in which a server differs from the first MCP server whose list counts: `missing` here, `extra` here, \
              another input `schema`, other `annotations`; the log names them",
    ),
    bound: words("4 per server"),
};

/// Lists that were asked for.
pub static TOOL_LISTS: Family = Family {
    name: "dualpath_tool_lists_total",
    kind: Kind::Counter,
    labels: &[SERVER, REASON],
    meaning: words("lists of tools that the prober has asked for: `whole`, or `failed`, which changes nothing"),
    bound: words("2 per server"),
};

/// Calls of tools that are not allowed.
pub static TOOLS_REFUSED: Family = Family {
    name: "dualpath_tools_refused_total",
    kind: Kind::Counter,
    labels: &[],
    meaning: words(
        "messages refused by `listener.allowed_tools`: calls of tools that it does not name, and what can't be read as \
              one message",
    ),
    bound: words("1"),
};

/// Attempts and probes that somebody wants to hear of.
pub static ALERTS: Family = Family {
    name: "dualpath_alerts_total",
    kind: Kind::Counter,
    labels: &[SERVER, CLASS],
    meaning: words("attempts of a class whose policy says `alert`; by default refused credentials"),
    bound: words("12 per server"),
};

/// Failed calls that were not sent on.
pub static REPLAY_REFUSED: Family = Family {
    name: "dualpath_replay_refused_total",
    kind: Kind::Counter,
    labels: &[TASK, REASON],
    meaning: words(
        "failed calls that were not sent on because they may have been executed, or for want of tokens or time; \
              reason `budget`, `no_time`, `not_replayable`, `unknown_annotation`, `pinned`, `batch`, `unreadable`, `policy`",
    ),
    bound: words("8 per task"),
};

/// Sessions opened in a client's name.
pub static SESSIONS_OPENED: Family = Family {
    name: "dualpath_sessions_opened_total",
    kind: Kind::Counter,
    labels: &[SERVER],
    meaning: words(
        "sessions opened at a server for clients that had lost their own there or elsewhere; it took the `initialize`, \
              whether or not it gave the session an id",
    ),
    bound: words("1 per server"),
};

/// Those of them that have left another server, or the gate.
pub static SESSIONS_MOVED: Family = Family {
    name: "dualpath_sessions_moved_total",
    kind: Kind::Counter,
    labels: &[SERVER],
    meaning: words("of these, sessions of clients whose own was another server's or the gate's: they have moved here"),
    bound: words("1 per server"),
};

/// How long a slot's token lives on.
pub static PAT_DAYS: Family = Family {
    name: "snowflake_pat_days_until_expiry",
    kind: Kind::Gauge,
    labels: &[CREDENTIAL, SLOT],
    meaning: words(
        "whole days until a token ends, or is as old as `max_age`, if its end is not known; only where either is known; 0 once the slot is emptied, so alert where \
              `dualpath_pat_present` is 1, or on `snowflake_pat_rotation_alerts`",
    ),
    bound: words("2 per credential"),
};

/// Whether a slot has a token.
pub static PAT_PRESENT: Family = Family {
    name: "dualpath_pat_present",
    kind: Kind::Gauge,
    labels: &[CREDENTIAL, SLOT],
    meaning: words("1 if the slot has a token that a header can carry, 0 if it is empty or has something else"),
    bound: words("2 per credential"),
};

/// Whether a slot's token is sent.
pub static PAT_SENT: Family = Family {
    name: "dualpath_pat_sent",
    kind: Kind::Gauge,
    labels: &[CREDENTIAL, SLOT],
    meaning: words(
        "1 if the slot's token may be sent; 0 if there is none, if it has ended or not begun, or if a server has refused \
              it for certain",
    ),
    bound: words("2 per credential"),
};

/// Whether it is known how long a slot's token lives on.
pub static PAT_EXPIRY_KNOWN: Family = Family {
    name: "dualpath_pat_expiry_known",
    kind: Kind::Gauge,
    labels: &[CREDENTIAL, SLOT],
    meaning: words("1 if it is known when the slot's token has to be replaced, 0 if not"),
    bound: words("2 per credential"),
};

/// How urgently a credential needs a new token.
pub static PAT_ALERT: Family = Family {
    name: "snowflake_pat_rotation_alerts",
    kind: Kind::Gauge,
    labels: &[CREDENTIAL, SEVERITY],
    meaning: words(
        "1 while a new token is needed: `alert`, or `critical`, also when a server has none that may be sent, for \
              whatever reason",
    ),
    bound: words("2 per credential"),
};

/// Whether a token lives for too long.
pub static PAT_AGE_VIOLATION: Family = Family {
    name: "dualpath_pat_age_violation",
    kind: Kind::Gauge,
    labels: &[CREDENTIAL],
    meaning: words("1 while a token lives for longer than the policy's `max_age`"),
    bound: words("1 per credential"),
};

/// Refused tokens.
pub static PAT_REJECTED: Family = Family {
    name: "dualpath_pat_rejected_total",
    kind: Kind::Counter,
    labels: &[CREDENTIAL, SLOT],
    meaning: words("tokens that a server refused"),
    bound: words("2 per credential"),
};

/// Calls that changed slots.
pub static PAT_SWITCH: Family = Family {
    name: "dualpath_pat_switch_total",
    kind: Kind::Counter,
    labels: &[CREDENTIAL, FROM, TO, REASON],
    meaning: words("calls that changed slots: `newer`, `rejected`, `expired`, `emptied`"),
    bound: words("8 per credential"),
};

/// Answers that quote the token.
pub static PAT_QUOTED: Family = Family {
    name: "dualpath_pat_quoted_total",
    kind: Kind::Counter,
    labels: &[SERVER],
    meaning: words("answers that quoted the token which they were asked with; it was made unreadable: alert on any"),
    bound: words("1 per server"),
};

/// Transitions of a breaker.
pub static TRANSITIONS: Family = Family {
    name: "dualpath_breaker_transitions_total",
    kind: Kind::Counter,
    labels: &[SERVER, FROM, TO],
    meaning: words("transitions, each counted once per process"),
    bound: words("9 per server"),
};

/// How long breakers open for.
pub static OPEN_PERIOD: Family = Family {
    name: "dualpath_breaker_open_ms",
    kind: Kind::Histogram,
    labels: &[SERVER],
    meaning: words("open periods, as they begin"),
    bound: words("1 per server"),
};

/// What happens inside a breaker.
pub static BREAKER_EVENTS: Family = Family {
    name: "dualpath_breaker_events_total",
    kind: Kind::Counter,
    labels: &[SERVER, EVENT],
    meaning: words(
        "inside the breaker: refusals by reason (`refused_open`, ...), probes (`probe_granted`, `probe_ok`, ...), \
              `last_resort`, `ramp_diverted`, `not_enforced`, stale results, write conflicts and the like",
    ),
    bound: words("22 per server"),
};

/// Under what calls are served.
pub static INFO: Family = Family {
    name: "dualpath_info",
    kind: Kind::Gauge,
    labels: &[REGISTRY, VERSION],
    meaning: words(
        "1 for the registry that calls are served under now, by the identity that `dualpath validate` shows, and the version of the module; \
              0 for those before",
    ),
    bound: words("1 per registry and version since the start of Envoy"),
};
