//! Runs the breaker's test vectors against the real engine: codec, steps and driver over a store with the semantics of
//! proxy-wasm-cpp-host's shared data. `BREAKER_VECTORS` names another file of the same form.
//!
//! Vectors marked `adopt: same` are promises: all of them must pass, here and, with the same code, as wasm.

#[path = "vectors/budget.rs"]
mod budget;
#[path = "vectors/engine.rs"]
mod engine;
#[path = "vectors/pure.rs"]
mod pure;
#[path = "vectors/store.rs"]
mod store;

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

/// Runs every vector of `text`. A promise that is skipped is as bad as one that is broken.
fn run_all(text: &str) -> Result<String, String> {
    let file: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let (mut promises, mut extras, mut left_out, mut broken) = (0, 0, 0, Vec::new());
    for vector in file["vectors"].as_array().into_iter().flatten() {
        let id = vector["id"].as_str().unwrap_or("?");
        let promised = vector["adopt"] == "same";
        match run(vector) {
            Ok(()) if promised => promises += 1,
            Ok(()) => extras += 1,
            Err(Trouble::Fail(why)) => broken.push(format!("FAILED {id}: {why}")),
            Err(Trouble::Skip(why)) if promised => broken.push(format!("SKIPPED {id}: {why}")),
            Err(Trouble::Skip(_)) => left_out += 1,
        }
    }
    let summary = format!(
        "all {promises} promised vectors pass, none is skipped; {extras} more pass; \
         {left_out} document what this breaker does otherwise or leaves out"
    );
    if !broken.is_empty() || promises == 0 {
        return Err(format!("{}\n{promises} promised vectors pass, {} do not", broken.join("\n"), broken.len()));
    }
    Ok(summary)
}

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    let bundled = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/breaker_vectors.json");
    let path = std::env::var_os("BREAKER_VECTORS").unwrap_or_else(|| bundled.into());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match run_all(&text) {
        Ok(summary) => println!("{summary}\n1 passed, 0 failed"),
        Err(broken) => {
            println!("{broken}");
            return std::process::ExitCode::FAILURE;
        }
    }
    std::process::ExitCode::SUCCESS
}

/// The test runner calls the tests; there is nothing to do besides.
#[cfg(target_family = "wasm")]
fn main() {}

#[cfg(target_family = "wasm")]
#[wasm_bindgen_test::wasm_bindgen_test]
fn every_promised_vector_passes() {
    let summary = run_all(include_str!("vectors/breaker_vectors.json")).unwrap_or_else(|broken| panic!("{broken}"));
    wasm_bindgen_test::console_log!("{summary}");
}
