//! Vectors of single functions: the record's bytes, the open period.

use dualpath::breaker::codec::{Decoded, decode, encode};
use dualpath::breaker::{Counts, LastResort, Policy, Ramp, Record};
use serde_json::Value;

use crate::{Run, Trouble, expect, fail};

fn bytes(hex: &str) -> Vec<u8> {
    let nibbles: Vec<_> = hex.chars().map(|c| c.to_digit(16).expect("hex") as u8).collect();
    nibbles.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn run_codec(vector: &Value) -> Run {
    each_step(vector, |step| {
        let stored = bytes(step["hex"].as_str().unwrap_or_default());
        match decode(&stored) {
            Decoded::Absent => expect(step, "status", "absent"),
            Decoded::Corrupt(why) => expect(step, "status", format!("corrupt:{}", why.as_str())),
            Decoded::Ok(record) => expect(step, "status", "ok").and_then(|()| fields(step, &record, &stored)),
            Decoded::Newer(record) => {
                expect(step, "status", "ok:newer_minor").and_then(|()| fields(step, &record, &stored))
            }
        }
    })
}

fn fields(step: &Value, record: &Record, stored: &[u8]) -> Run {
    if encode(record) != stored {
        return fail("encoding the decoded record gives other bytes");
    }
    for (name, _) in step["fields"].as_object().into_iter().flatten() {
        let actual: Value = match name.as_str() {
            "epoch" => record.epoch.into(),
            "deadline" => record.deadline_ms.into(),
            "attempt" => record.attempt.into(),
            "schema" => record.schema.into(),
            "state" => record.state.as_str().into(),
            "tail" => hex(&record.newer_tail).into(),
            other => return fail(format!("the runner knows no field {other}")),
        };
        expect(&step["fields"], name, actual)?;
    }
    Ok(())
}

pub fn run_jitter(vector: &Value) -> Run {
    let config = &vector["config"];
    let policy = Policy {
        base_open_ms: config["base_ms"].as_u64().expect("base_ms"),
        max_open_ms: config["max_ms"].as_u64().expect("max_ms"),
        jitter: config["ratio"].as_f64().expect("ratio"),
        ..Policy::default()
    };
    each_step(vector, |step| {
        let attempt = step["attempt"].as_u64().expect("attempt") as u8;
        let random = (step["u"].as_f64().expect("u") * f64::from(u32::MAX)) as u32;
        expect(step, "duration", policy.open_period_ms(attempt, None, random))
    })
}

/// The share of a returning server, found by the draws on both sides of it.
pub fn run_ramp(vector: &Value) -> Run {
    let config = &vector["config"];
    let ramp = Ramp {
        ms: config["ramp_ms"].as_u64().expect("ramp_ms"),
        min_share: config["min_share"].as_f64().expect("min_share"),
        aggression: config["aggression"].as_f64().expect("aggression") as u8,
    };
    let policy = Policy { ramp, ..Policy::default() };
    each_step(vector, |step| {
        let elapsed_ms = step["elapsed"].as_u64().expect("elapsed");
        let share = step["share"].as_f64().expect("share");
        if !policy.ramp_takes(elapsed_ms, share - 1e-9) {
            return fail(format!("the share is below {share}"));
        }
        if share < 1.0 && policy.ramp_takes(elapsed_ms, share + 1e-9) {
            return fail(format!("the share is above {share}"));
        }
        Ok(())
    })
}

/// The probability with which a call of last resort is shed, found in the same way.
pub fn run_admission(vector: &Value) -> Run {
    let config = &vector["config"];
    let last_resort = LastResort {
        success_rate: config["threshold"].as_f64().expect("threshold"),
        aggression: config["aggression"].as_f64().expect("aggression") as u8,
        max_rejection: config["max"].as_f64().expect("max"),
        ..Policy::default().last_resort
    };
    let policy = Policy { last_resort, ..Policy::default() };
    each_step(vector, |step| {
        let [total, ok] = ["total", "success"].map(|key| step[key].as_u64().expect("a count") as u32);
        let counts = Counts { ok, fail: total - ok, slow: 0 };
        let expected = step["p"].as_f64().expect("p");
        if expected > 0.0 && !policy.sheds(counts, expected - 1e-9) {
            return fail(format!("the probability is below {expected}"));
        }
        if policy.sheds(counts, expected + 1e-9) {
            return fail(format!("the probability is above {expected}"));
        }
        Ok(())
    })
}

/// Runs `check` on every step; a failure says in which.
pub fn each_step(vector: &Value, mut check: impl FnMut(&Value) -> Run) -> Run {
    for (number, step) in vector["steps"].as_array().into_iter().flatten().enumerate() {
        check(step).map_err(|trouble| match trouble {
            Trouble::Fail(why) => Trouble::Fail(format!("step {number}: {why}")),
            skip => skip,
        })?;
    }
    Ok(())
}
