//! What README and guide show of a running Envoy, in the set-up of `make run`; and the story of `make demo`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dualpath_lab::stage::Stage;

use crate::world::{dualpath, module};

use crate::blocks::{Block, blocks as blocks_of, documents, fits};

const LAB: &str = env!("CARGO_BIN_EXE_dualpath-lab");

/// The addresses that the documents show.
const LISTENER: &str = "127.0.0.1:10000";
const ADMIN: &str = "127.0.0.1:9901";

/// Every block with `run=sidecar`, in the order of the documents, in front of one Envoy.
#[tokio::test(flavor = "multi_thread")]
async fn commands_against_a_running_envoy_do_what_the_documents_say() {
    let stage = Stage::raise(Path::new(LAB), &module(), None).await.unwrap_or_else(|error| panic!("{error}"));
    let (listener, admin) = (stage.envoy.addr().to_string(), stage.envoy.admin_addr().to_string());
    for document in documents() {
        let blocks = blocks_of(&document);
        for (block, shown) in blocks.iter().zip(blocks.iter().skip(1)) {
            if block.option("run") != Some("sidecar") {
                continue;
            }
            assert_eq!(
                (shown.language.as_str(), shown.info.as_str()),
                ("text", "sidecar"),
                "{}: its output does not follow",
                block.place
            );
            let script = block.text.replace(LISTENER, &listener).replace(ADMIN, &admin);
            // Counters show up to a second late.
            let deadline = Instant::now() + Duration::from_secs(10);
            let mut output = bash(&script, stage.envoy.scratch().path());
            while !fits(&shown.text, &output) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(100));
                output = bash(&script, stage.envoy.scratch().path());
            }
            assert!(fits(&shown.text, &output), "{}: it prints\n{output}", shown.place);
        }
    }
}

#[test]
fn the_demo_tells_the_story_of_the_documents() {
    let output = Command::new(LAB).arg("demo").arg("--wasm").arg(module()).output();
    let output = output.expect("the laboratory's program");
    let story = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{story}{}", String::from_utf8_lossy(&output.stderr));
    let told: Vec<Block> = documents().iter().flat_map(blocks_of).filter(|block| block.info == "demo").collect();
    assert!(!told.is_empty());
    for part in told {
        assert!(fits(&without_figures(&part.text), &without_figures(&story)), "{}: it prints\n{story}", part.place);
    }
}

/// What a script writes, errors too, and how it ends if that is not well. It finds the operator's tool, and the registry in its folder.
fn bash(script: &str, folder: &Path) -> String {
    let script = format!("exec 2>&1\n{script}");
    let tool = dualpath();
    let tool = tool.parent().unwrap_or(Path::new("")).display();
    let path = format!("{tool}:{}", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", &script]).current_dir(folder).env("PATH", path);
    let output = command.output().expect("bash");
    // Lines of HTTP headers end with a carriage return as well.
    let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    if output.status.success() { text } else { format!("{text}{}\n", output.status) }
}

/// Times, ports and counts differ from run to run.
fn without_figures(text: &str) -> String {
    let line = |line: &str| {
        let words = line.split_whitespace().map(|word| match word.parse::<f64>() {
            Ok(_) => "#",
            Err(_) if word.contains("127.0.0.1") => "ADDRESS",
            Err(_) => word,
        });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
