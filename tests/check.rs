//! `dualpath check` and `dualpath explain` as processes: exit status and output.

use std::io::Write;
use std::process::{Command, Output, Stdio};

const RIGHT: &str = "version: 1\nservers: [{id: s, kind: mcp, url: 'https://host.example'}]\n";

/// Runs `dualpath` with `arguments` and `input` as its standard input.
fn dualpath(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dualpath"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // A command that does not read its input may have gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("the binary ends")
}

#[track_caller]
fn assert_run(output: &Output, status: i32, stdout: &str, stderr: &str) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{out}{err}");
    assert!(out.contains(stdout) && out.is_empty() == stdout.is_empty(), "{out}");
    assert!(err.contains(stderr) && err.is_empty() == stderr.is_empty(), "{err}");
}

#[test]
fn a_right_registry_is_summed_up_with_status_0() {
    assert_run(&dualpath(&["check", "-"], RIGHT), 0, "servers      s: mcp, primary, https://host.example/", "");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/envoy/registry.yaml");
    assert_run(&dualpath(&["check", example], ""), 0, "slot a from environment variable SNOWFLAKE_PAT", "");
}

#[test]
fn json_is_accepted() {
    let json = r#"{"version": 1, "servers": [{"id": "s", "kind": "mcp", "url": "https://host.example"}]}"#;
    assert_run(&dualpath(&["check", "-"], json), 0, "s: mcp, primary", "");
}

#[test]
fn problems_are_all_printed_and_counted_with_status_1() {
    let output = dualpath(&["check", "-"], "version: 2\nservers: [{id: s, kind: mcp, url: 'ftp://x'}]\n");
    assert_run(&output, 1, "", "version: 2: must be 1\n");
    assert_run(&output, 1, "", "servers[0].url: \"ftp://x\": must be a URL that begins with https:// or http://\n");
    assert_run(&output, 1, "", "\n-: 2 problems\n");
}

#[test]
fn a_syntax_error_is_printed_with_its_place_and_status_1() {
    assert_run(&dualpath(&["check", "-"], "version: 1\nversion: 1\n"), 1, "", "-:2:1: duplicate mapping key");
}

#[test]
fn a_wrong_command_line_or_an_unreadable_file_is_status_2() {
    assert_run(&dualpath(&["check", "no/such/file.yaml"], ""), 2, "", "no/such/file.yaml: cannot be read: ");
    assert_run(&dualpath(&["chekc"], ""), 2, "", "chekc");
    assert_run(&dualpath(&["check"], ""), 2, "", "<REGISTRY>");
}

#[test]
fn an_explanation_is_printed_with_status_0_whatever_it_says() {
    let registry = concat!(env!("CARGO_MANIFEST_DIR"), "/envoy/registry.yaml");
    let question = ["explain", registry, "--server", "snowflake-primary", "--tool", "sql"];
    let asked = |more: &[&str], input: &str| dualpath(&[&question, more].concat(), input);
    assert_run(&asked(&["--transport", "reset"], ""), 0, "class        lost: it gave no answer", "");
    let body = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"boom"}}"#;
    assert_run(&asked(&["--body", "-"], body), 0, "failover     no (when_replayable): the call may have been", "");
    assert_run(&asked(&["--status", "429", "--format", "json"], ""), 0, "\"name\": \"overload\"", "");
    assert_run(&asked(&["--tool", "sqll"], ""), 2, "", "cannot be used multiple times");
    assert_run(&asked(&[], ""), 2, "", "say what was seen: --status, --body or --transport");
    assert_run(&asked(&["--body", "no/such/file"], ""), 2, "", "--body no/such/file: cannot be read: ");
    assert_run(&asked(&["--transport", "reset", "--status", "500"], ""), 2, "", "--status");
    assert_run(&dualpath(&["explain", "-", "--server", "s", "--status", "500"], "version: 2\n"), 1, "", "version: 2");
}
