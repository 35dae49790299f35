//! The same in seconds, as Prometheus wants times: Envoy's stats of a module are whole numbers, so its own are milliseconds.

use serde_json::{Value, json};

use crate::cli::render::bounds;
use crate::telemetry::{FAMILIES, Family, Kind};

/// The rules of every metric in milliseconds.
pub(super) fn rules() -> Vec<Value> {
    FAMILIES.iter().flat_map(|family| of(family)).collect()
}

fn of(family: &Family) -> Vec<Value> {
    let Some(stem) = family.name.strip_suffix("_ms") else { return Vec::new() };
    match family.kind {
        Kind::Histogram => histogram(family.name, &format!("{stem}_seconds"), |series| series),
        _ => vec![json!({"record": format!("{stem}_seconds"), "expr": format!("{} / 1000", family.name)})],
    }
}

/// The rules that make a histogram in seconds of one in milliseconds: one for each bucket, whose bound is a label. `named` gives
/// each series its labels.
pub(super) fn histogram(from: &str, to: &str, named: impl Fn(String) -> String) -> Vec<Value> {
    let bucket = |(bound, seconds): (String, String)| {
        let expression = named(format!("{from}_bucket{{le=\"{bound}\"}}"));
        json!({"record": format!("{to}_bucket"), "expr": expression, "labels": {"le": seconds}})
    };
    let infinite = ("+Inf".to_owned(), "+Inf".to_owned());
    let bounds = bounds(from).into_iter().map(|ms| (ms.to_string(), (ms / 1000.0).to_string()));
    let mut rules: Vec<_> = bounds.chain([infinite]).map(bucket).collect();
    rules.push(json!({"record": format!("{to}_sum"), "expr": format!("{} / 1000", named(format!("{from}_sum")))}));
    rules.push(json!({"record": format!("{to}_count"), "expr": named(format!("{from}_count"))}));
    rules
}
