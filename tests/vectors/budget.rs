//! Vectors of the failover budget: retry budgets by share of the calls, and gRPC's throttle by balance.

use dualpath::budget::{Budget, BudgetPolicy, TOKEN};
use serde_json::Value;

use crate::{Run, expect, fail};

fn thousandths(value: &Value) -> u32 {
    (value.as_f64().unwrap_or_default() * f64::from(TOKEN)).round() as u32
}

/// Every request pays in and asks for one retry, all at one moment.
pub fn run_retry_budget(vector: &Value) -> Run {
    let config = &vector["config"];
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let reserve = u32::try_from(number(&config["min_per_s"]) * number(&config["ttl_s"])).expect("a small number");
    let mut budget = Budget::new(BudgetPolicy {
        deposit: thousandths(&config["percent"]),
        per_second: thousandths(&config["min_per_s"]),
        capacity: reserve.max(1) * TOKEN,
        threshold: TOKEN - 1,
    });
    if reserve == 0 {
        // Even without a reserve the shares of several requests must add up to a token, but none is there at first.
        budget.spend();
    }
    let mut retries = 0_u64;
    for _ in 0..number(&vector["requests"]) {
        budget.deposit(0);
        if budget.allows(0) {
            budget.spend();
            retries += 1;
        }
    }
    let expected = number(&vector["retries"]);
    if retries.abs_diff(expected) > number(&vector["tolerance"]) {
        return fail(format!("{retries} retries, expected {expected}"));
    }
    Ok(())
}

/// A failed attempt takes a token out, whether it is tried again or not; it is while more than half is left.
pub fn run_throttle(vector: &Value) -> Run {
    let capacity = thousandths(&vector["config"]["max_tokens"]);
    let deposit = thousandths(&vector["config"]["token_ratio"]);
    let mut budget = Budget::new(BudgetPolicy { deposit, per_second: 0, capacity, threshold: capacity / 2 });
    for step in vector["steps"].as_array().into_iter().flatten() {
        match step["op"].as_str() {
            Some("ok") => budget.deposit(0),
            Some("fail") => {
                budget.spend();
                expect(step, "retry", budget.allows(0))?;
            }
            other => return fail(format!("unknown step {other:?}")),
        }
        expect(step, "tokens", f64::from(budget.balance()) / f64::from(TOKEN))?;
    }
    Ok(())
}
