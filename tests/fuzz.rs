//! Bytes that somebody else wrote, changed at random: nothing may panic, and each reader has something that always holds.
//!
//! `cargo test` spends a moment on each reader; `make fuzz` as long as FUZZ_SECONDS says, from another seed each time (SEED
//! repeats one). An input that breaks something is written to `build/fuzz/`.

#[path = "fuzz/mutator.rs"]
mod mutator;
#[path = "fuzz/targets.rs"]
mod targets;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mutator::{Random, input};
use targets::{TARGETS, Target};

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number: {text}")))
}

/// How many inputs were tried, or the first that breaks something.
fn fuzz(target: &Target, seed: u64, time: Duration) -> Result<u64, Vec<u8>> {
    let corpus = (target.corpus)();
    let mut random = Random(seed);
    let (start, mut tried) = (Instant::now(), 0);
    for seed in &corpus {
        catch_unwind(|| (target.check)(seed)).map_err(|_| seed.clone())?;
    }
    while start.elapsed() < time {
        let bytes = input(&mut random, &corpus, target.words);
        catch_unwind(|| (target.check)(&bytes)).map_err(|_| bytes.clone())?;
        tried += 1;
    }
    Ok(tried)
}

fn main() -> ExitCode {
    let time = number("FUZZ_SECONDS").map_or(Duration::from_millis(700), Duration::from_secs);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let seed = number("SEED").unwrap_or_else(|| if number("FUZZ_SECONDS").is_some() { now() } else { 1 });
    let only = std::env::var("TARGET").unwrap_or_default();
    let mut broken = 0;
    for target in TARGETS.iter().filter(|target| only.is_empty() || target.name == only) {
        match fuzz(target, seed, time) {
            Ok(tried) => println!("{}: {tried} inputs from seed {seed}, nothing broke", target.name),
            Err(bytes) => {
                broken += 1;
                let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/build/fuzz");
                let file = format!("{folder}/{}-{seed}", target.name);
                let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, &bytes));
                println!("{}: BROKEN, seed {seed}: {:?}", target.name, String::from_utf8_lossy(&bytes));
                println!("  {}", written.map_or_else(|error| error.to_string(), |()| file));
            }
        }
    }
    println!("{} passed, {broken} failed", TARGETS.len() - broken);
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
