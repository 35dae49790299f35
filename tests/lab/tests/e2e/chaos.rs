//! The chaos run finds what it is there to find: a filter that was told to repeat what must not be repeated.

use std::path::Path;

use dualpath_lab::chaos::{Options, run};
use dualpath_lab::scratch::Scratch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_may_repeat_everything_does_not_pass_the_chaos_run() {
    let folder = Scratch::new().expect("a directory");
    let json = folder.path().join("chaos.json");
    // Early under this seed, the primary executes what it is asked for and resets the connection.
    let options = Options { module: crate::world::module(), seed: 243, calls: 1500, json, sabotage: true };
    let violations = run(Path::new(env!("CARGO_BIN_EXE_dualpath-lab")), &options).await.expect("a run");
    assert!(!violations.duplicated.is_empty(), "{violations:?}");
}
