//! Envoy's local rate limit, behind the gate: it reads the tool from the filter state that the gate sets. Calls without that, and
//! whatever else the listener serves, are not counted. Its buckets are the process's: all workers share them.

use serde_json::{Value, json};

use super::duration;
use super::extension::{extension, typed};
use crate::registry::{Caller, Rate, Registry};
use crate::wiring::state;

/// The name of the filter.
const NAME: &str = "dualpath.rate";

/// Callers whose buckets one limit keeps: those that have called last.
const MOST_CALLERS: u32 = 10_000;

/// The filter, if any calls are counted.
pub(super) fn filter(registry: &Registry) -> Option<Value> {
    if registry.rates.is_empty() {
        return None;
    }
    let mut callers: Vec<&Caller> = Vec::new();
    for rate in &registry.rates {
        if !callers.contains(&&rate.caller) {
            callers.push(&rate.caller);
        }
    }
    let always = json!({"default_value": {"numerator": 100, "denominator": "HUNDRED"}});
    Some(extension(
        NAME,
        "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        json!({
            "stat_prefix": "dualpath_rate",
            // What does not say so is off.
            "filter_enabled": always,
            "filter_enforced": always,
            // The gate says in its error when to try again, and knows it from these.
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
            "max_dynamic_descriptors": MOST_CALLERS,
            "rate_limits": callers.into_iter().map(actions).collect::<Vec<_>>(),
            "descriptors": registry.rates.iter().map(descriptor).collect::<Vec<_>>(),
        }),
    ))
}

/// What a call is counted by.
fn actions(caller: &Caller) -> Value {
    let input = typed(
        "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput",
        json!({"key": state::in_envoy(state::TOOL)}),
    );
    let tool = json!({"extension": {"name": state::TOOL, "typed_config": input}});
    let caller = match caller {
        Caller::All => None,
        Caller::Address => Some(json!({"remote_address": {}})),
        Caller::Header(name) => Some(json!({"request_headers": {"header_name": name, "descriptor_key": name}})),
    };
    let actions: Vec<_> = [tool].into_iter().chain(caller).collect();
    json!({"actions": actions})
}

fn descriptor(rate: &Rate) -> Value {
    // Without a value: each has a bucket of its own.
    let caller = match &rate.caller {
        Caller::All => None,
        Caller::Address => Some(json!({"key": "remote_address"})),
        Caller::Header(name) => Some(json!({"key": name})),
    };
    let tool = json!({"key": state::TOOL, "value": rate.tool});
    let entries: Vec<_> = [tool].into_iter().chain(caller).collect();
    json!({
        "entries": entries,
        "token_bucket": {"max_tokens": rate.calls, "tokens_per_fill": rate.calls, "fill_interval": duration(rate.per)},
    })
}
