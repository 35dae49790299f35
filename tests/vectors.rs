//! Runs the breaker's test vectors against the real engine: codec, steps and driver over a store with the semantics of
//! proxy-wasm-cpp-host's shared data. `BREAKER_VECTORS` names another file of the same form.
//!
//! Only vectors marked `adopt: same` are promises. One that needs a feature which is not built is skipped by name.

#[path = "vectors/budget.rs"]
mod budget;
#[path = "vectors/engine.rs"]
mod engine;
#[path = "vectors/pure.rs"]
mod pure;
#[path = "vectors/store.rs"]
mod store;

use std::process::ExitCode;

use serde_json::Value;

/// Why a vector did not pass.
enum Trouble {
    /// It needs something that is not built, or documents another library.
    Skip(String),
    /// The engine disagrees with it.
    Fail(String),
}

type Run<T = ()> = Result<T, Trouble>;

fn skip<T>(feature: impl Into<String>) -> Run<T> {
    Err(Trouble::Skip(feature.into()))
}

fn fail<T>(difference: impl Into<String>) -> Run<T> {
    Err(Trouble::Fail(difference.into()))
}

/// Fails unless `actual` is what the vector expects under `key`, if it expects anything.
fn expect(step: &Value, key: &str, actual: impl Into<Value>) -> Run {
    let actual = actual.into();
    match step.get(key) {
        Some(expected) if *expected != actual => fail(format!("{key} is {actual}, expected {expected}")),
        _ => Ok(()),
    }
}

fn run(vector: &Value) -> Run {
    match vector["adopt"].as_str() {
        Some("same") => {}
        // Left out by the text that the vectors come with, but built.
        Some("optional") if vector["component"] == "admission" => {}
        Some("differs") => return skip("documents a library from which this breaker differs on purpose"),
        _ => return skip("documents a feature that this breaker leaves out"),
    }
    match vector["component"].as_str().unwrap_or_default() {
        "breaker" | "shared" => engine::run(vector),
        "chain" => engine::run_chain(vector),
        "codec" => pure::run_codec(vector),
        "jitter" => pure::run_jitter(vector),
        "ramp" => pure::run_ramp(vector),
        "retry_budget" => budget::run_retry_budget(vector),
        "grpc_throttle" => budget::run_throttle(vector),
        "admission" => pure::run_admission(vector),
        other => skip(format!("component {other}")),
    }
}

fn main() -> ExitCode {
    let bundled = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/breaker_vectors.json");
    let path = std::env::var_os("BREAKER_VECTORS").unwrap_or_else(|| bundled.into());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for vector in file["vectors"].as_array().into_iter().flatten() {
        let id = vector["id"].as_str().unwrap_or("?");
        match run(vector) {
            Ok(()) => passed += 1,
            Err(Trouble::Skip(why)) => {
                println!("skipped {id}: {why}");
                skipped += 1;
            }
            Err(Trouble::Fail(why)) => {
                println!("FAILED {id}: {why}");
                failed += 1;
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 || passed == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
