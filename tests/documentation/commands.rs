//! The commands, and what they print.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::blocks::{Block, blocks, documents, fits, root};

/// Blocks that no test runs, and why.
const NOT_RUN: &[(&str, &str)] = &[
    ("ENVOY=$(make -s envoy)", "Envoy needs the built module; make test validates this very bootstrap"),
    (
        "docker build --tag example.com/dualpath:1 --file Dockerfile ../../build",
        "needs Docker and a cluster; make test checks the manifests against Kubernetes' schemas and limits",
    ),
    (
        "kubectl exec deployment/agent -c envoy -- perl -MIO::Socket::UNIX -e '",
        "needs a cluster; an end-to-end test sends preStop's request the same way",
    ),
    ("resources:", "an SDS file, no registry; the end-to-end tests of rotation move such files under load"),
    (
        "dualpath pat status envoy/registry.yaml --admin http://127.0.0.1:9901   # as a running Envoy sees them",
        "needs an Envoy with this registry and a new token; tests/pat.rs runs both",
    ),
    ("apiVersion: 1", "a configuration of Grafana"),
    ("rule_files: [dualpath-rules.yaml]", "a configuration of Prometheus"),
    ("resources:", "an SDS file, no registry; the end-to-end tests of endpoints have Envoy show such a certificate"),
    (
        "curl -s http://127.0.0.1:10000/mcp -H 'x-dualpath-server: snowflake-secondary' -H 'content-type: application/json' \\",
        "of a registry with this key; an end-to-end test sends such requests",
    ),
    ("metadata:", "a part of a Deployment; needs a cluster"),
    (
        "kubectl apply --server-side --namespace agents -f sidecar.yaml",
        "needs a cluster; make targets has istiod serve these files to Envoy",
    ),
    ("apiVersion: gateway.networking.k8s.io/v1", "a part of the resources of Envoy Gateway; needs a cluster"),
    (
        "kubectl apply --server-side -f eg.yaml",
        "needs a cluster; make targets has Envoy Gateway serve these files to Envoy",
    ),
    (
        "MCP_SNOWFLAKE_ENABLED=false envoy -c envoy.yaml",
        "starts an Envoy that does not end; an end-to-end test of the gate starts one with this variable",
    ),
    ("mkdir /etc/dualpath/runtime/2026-11-28", "an end-to-end test replaces such a link under a running Envoy"),
    (
        "# yaml-language-server: $schema=registry.schema.json",
        "a comment; an editor's language server reads it in make test",
    ),
    (
        "dualpath init --from-mcp https://one.example.com/mcp --token-env ONE_PAT \\",
        "needs a live MCP server; tests/check/init.rs and tests/sdk/test_init.py ask some",
    ),
    ("sha256sum --check --ignore-missing SHA256SUMS", "needs a release and its signature"),
];

/// A folder as a reader has it: the example, the built tool, an SDS file to look at.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("build")).expect("a folder");
        fs::create_dir_all(folder.join("envoy")).expect("a folder");
        for file in ["registry.yaml", "bootstrap.yaml", "environments.yaml", "tools.yaml", "your-envoy.yaml"] {
            fs::copy(root().join("envoy").join(file), folder.join("envoy").join(file)).expect("the example");
        }
        fs::write(folder.join("build/dualpath.wasm"), "").expect("the module's place");
        symlink(env!("CARGO_BIN_EXE_dualpath"), folder.join("build/dualpath")).expect("a link");
        Folder(folder)
    }

    /// Runs a block; answers its exit status and what it wrote, errors first to last as a terminal shows them.
    fn run(&self, script: &str) -> (i32, String) {
        let path = format!("{}:{}", self.0.join("build").display(), std::env::var("PATH").unwrap_or_default());
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &format!("exec 2>&1\n{script}")])
            .current_dir(&self.0)
            .env("PATH", path)
            .env_remove("SNOWFLAKE_PAT")
            .output()
            .expect("bash");
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

#[test]
fn commands_do_what_the_documents_say() {
    let folder = Folder::new("documentation");
    for document in documents() {
        let blocks = blocks(&document);
        for (block, next) in blocks.iter().zip(blocks.iter().skip(1).map(Some).chain([None])) {
            if block.language != "sh" || block.option("run").is_some() {
                continue;
            }
            let (status, output) = folder.run(&block.text);
            let expected = block.option("exit").map_or(0, |exit| exit.parse().expect("a number"));
            assert_eq!(status, expected, "{}: {}\n{output}", block.place, block.text);
            if let Some(shown) = next.filter(|next| next.language == "text" && next.info.is_empty()) {
                assert!(fits(&shown.text, &output), "{}: it prints\n{output}", shown.place);
            }
        }
    }
}

/// Tables between `<!-- made by: COMMAND -->` and `<!-- end -->`. `make guide` writes them anew.
#[test]
fn made_tables_are_up_to_date() {
    let folder = Folder::new("documentation-tables");
    for document in documents() {
        let mut text = String::new();
        let mut rest = document.text.as_str();
        while let Some((before, after)) = rest.split_once("<!-- made by: ") {
            let (command, after) = after.split_once(" -->").expect("the end of the command");
            let (_, after) = after.split_once("<!-- end -->").expect("the end of the table");
            let output = if command == "telemetry::table()" {
                dualpath::telemetry::table()
            } else {
                let (status, output) = folder.run(command);
                assert_eq!(status, 0, "{command}: {output}");
                output
            };
            text += &format!("{before}<!-- made by: {command} -->\n\n{output}\n<!-- end -->");
            rest = after;
        }
        text += rest;
        if std::env::var_os("DUALPATH_WRITE_GUIDE").is_some() {
            fs::write(root().join(&document.name), text).expect("the document");
        } else {
            assert_eq!(text, document.text, "{}: run `make guide`", document.name);
        }
    }
}

/// What editors complete registries with, and what a line of the call log is. `make guide` writes them anew.
#[test]
fn made_schemas_are_up_to_date() {
    let folder = Folder::new("documentation-schema");
    for (command, name) in [
        ("dualpath keys --schema", "envoy/registry.schema.json"),
        ("dualpath top calls --schema", "envoy/call-log.schema.json"),
    ] {
        let (status, schema) = folder.run(command);
        assert_eq!(status, 0, "{schema}");
        let file = root().join(name);
        if std::env::var_os("DUALPATH_WRITE_GUIDE").is_some() {
            fs::write(file, schema).expect("the schema");
        } else {
            assert!(fs::read_to_string(file).is_ok_and(|there| there == schema), "{name}: run `make guide`");
        }
    }
}

#[test]
fn what_is_not_run_says_why_and_is_listed() {
    let all = documents().iter().flat_map(blocks).collect::<Vec<_>>();
    let not_run = all.iter().filter(|block| block.option("run") == Some("no"));
    let not_run: Vec<_> = not_run
        .map(|block| {
            (block.text.lines().next().unwrap_or_default(), block.option("reason").unwrap_or("says no reason"))
        })
        .collect();
    assert_eq!(not_run, NOT_RUN);
}

#[test]
fn every_block_is_of_a_kind_that_a_test_knows() {
    for block in documents().iter().flat_map(blocks) {
        let Block { place, language, info, .. } = &block;
        let known = match (language.as_str(), block.option("run")) {
            ("sh", None | Some("make" | "sidecar" | "runbook" | "func-e" | "no")) | ("yaml", None | Some("no")) => true,
            ("text", None) => {
                info.is_empty()
                    || ["picture", "sidecar", "runbook", "func-e", "demo", "measured"].contains(&info.as_str())
            }
            ("json", None) => true,
            _ => false,
        };
        assert!(known, "{place}: {language} {info}");
    }
}

#[test]
fn json_is_json() {
    for block in documents().iter().flat_map(blocks).filter(|block| block.language == "json") {
        serde_json::from_str::<serde_json::Value>(&block.text)
            .unwrap_or_else(|error| panic!("{}: {error}", block.place));
    }
}
