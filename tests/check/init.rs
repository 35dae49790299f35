//! `dualpath init` as a process: what it asks servers, what it writes, and what it leaves alone.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use super::stub_server::{Asked, Manner, start};
use super::{Place, assert_run, dualpath};

/// Runs it with a token in its environment, and a registry on standard output.
fn init(arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_dualpath"))
        .args(["init", "-o", "-"])
        .args(arguments)
        .env("A_TOKEN", "hunter2-hunter2")
        .env("http_proxy", "http://127.0.0.1:1")
        .output();
    command.expect("it runs")
}

/// The registry that it wrote, which passes `check --strict`.
#[track_caller]
fn sound(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let check = dualpath(&["check", "--strict", "-"], &text);
    assert_eq!(
        check.status.code(),
        Some(0),
        "{text}{}{}",
        String::from_utf8_lossy(&check.stdout),
        String::from_utf8_lossy(&check.stderr)
    );
    text
}

#[test]
fn a_live_server_is_asked_page_by_page_in_a_session_that_is_closed_again() {
    let (url, asked) = start(Manner::Events);
    let output = init(&["--from-mcp", &url]);
    let text = sound(&output);
    for part in [
        &format!("url: \"{url}\"\n") as &str,
        "- name: search\n    task: search\n    replayable: true   # its server says readOnlyHint\n    description: \"Does search.\"\n",
        "- name: delete\n    task: delete\n    replayable: false   # its server says that it changes something\n",
        "- name: put\n    task: put\n    replayable: true   # its server says idempotentHint\n",
        "    annotations: {idempotentHint: true}\n",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert_run(&output, 0, "version: 1", "note: mcp: lists 3 tools\n");
    let asked: Vec<Asked> = asked.try_iter().collect();
    let said: Vec<_> =
        asked.iter().map(|asked| (asked.0.split(' ').next().unwrap_or_default(), asked.2["method"].as_str())).collect();
    let post = |method: &'static str| ("POST", Some(method));
    let expected = [
        post("initialize"),
        post("notifications/initialized"),
        post("tools/list"),
        post("tools/list"),
        ("DELETE", None),
    ];
    assert_eq!(said, expected);
    assert!(asked[1..].iter().all(|asked| asked.header("mcp-session-id") == Some("s-1")));
    assert!(asked[2..4].iter().all(|asked| asked.header("mcp-protocol-version") == Some("2025-06-18")));
}

#[test]
fn a_server_without_handshake_is_written_with_its_version() {
    let (url, _) = start(Manner::Stateless);
    let text = sound(&init(&["--from-mcp", &url]));
    assert!(text.contains("protocol: \"2026-07-28\"") && text.contains("- name: search"), "{text}");
}

#[test]
fn a_token_goes_to_the_server_that_it_is_for_and_nowhere_else() {
    let ((guarded, _), (open, asked)) = (start(Manner::Guarded), start(Manner::Events));
    let output = init(&["--from-mcp", &guarded, "--from-mcp", &open, "--token-env", "A_TOKEN", "--token-env", "-"]);
    let text = sound(&output);
    assert!(
        text.contains("credential: a-token\n") && text.contains("a: {sds_file: /etc/dualpath/a-token-a.yaml}"),
        "{text}"
    );
    assert!(text.contains("servers: [mcp-2]   # the others do not list it"), "{text}");
    assert!(asked.try_iter().all(|asked| asked.header("authorization").is_none()));
    let said = [&output.stdout[..], &output.stderr].concat();
    assert!(!String::from_utf8_lossy(&said).contains("hunter2"));

    assert_run(&init(&["--from-mcp", &guarded]), 1, "", "answers 401: it needs a token, see --token-env\n");
    let once = init(&["--from-mcp", &guarded, "--from-mcp", &open, "--token-env", "A_TOKEN"]);
    assert_run(&once, 2, "", "--token-env: is there 1 times, --from-mcp 2 times: give one for each server, - for none");
    let clear = init(&["--from-mcp", "http://far.example.com/mcp", "--token-env", "A_TOKEN"]);
    assert_run(&clear, 2, "", "--token-env: its token would be sent in the clear");
    let unset = init(&["--from-mcp", &guarded, "--token-env", "hunter2-hunter2"]);
    assert_run(&unset, 2, "", "--token-env: must be the name of an environment variable that holds a token\n");
}

#[test]
fn a_server_that_lists_nothing_is_told_of_and_nothing_is_written() {
    let failure = |url: &str, told: &str| assert_run(&init(&["--from-mcp", url]), 1, "", told);
    let of = |manner: Manner| start(manner).0;
    let (url, asked) = start(Manner::Status(302));
    failure(&url, "answers 302, a redirect: give the URL that it leads to");
    assert_eq!(asked.try_iter().count(), 1);
    failure(&of(Manner::Status(404)), "answers 404: is this the URL of an MCP endpoint?");
    failure(&of(Manner::Status(500)), "answers 500");
    failure(&of(Manner::Endless), "does not list its tools");
    failure("http://127.0.0.1:1/mcp", "http://127.0.0.1:1/mcp: cannot be asked: ");
    assert_run(
        &init(&["--from-mcp", "ftp://x"]),
        2,
        "",
        "--from-mcp: must be a URL that begins with https:// or http://",
    );
    let token = "https://host.example/eyJhbGciOiJIUzI1NiJ9.SECRETSECRET.sig";
    let output = init(&["--from-mcp", token]);
    assert_run(&output, 2, "", "--from-mcp: looks like a token");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("SECRET"));
}

const SNOWFLAKE: [&str; 11] = [
    "init",
    "--preset",
    "snowflake",
    "--account",
    "my_org-my_account",
    "--database",
    "DB",
    "--schema",
    "S",
    "--server",
    "CORTEX",
];

#[test]
fn a_file_that_is_there_is_replaced_only_by_force() {
    let place = Place::new("init-force");
    let (file, link) = (place.path("registry.yaml"), place.path("link.yaml"));
    let run = |more: &[&str]| dualpath(&[&SNOWFLAKE, more].concat(), "");
    assert_run(
        &run(&["-o", &file]),
        0,
        "",
        &format!("next: dualpath check {file}; dualpath render {file} -o envoy.yaml\n"),
    );
    let written = fs::read_to_string(&file).expect("a registry");
    assert_run(&dualpath(&["check", "--strict", &file], ""), 0, "snowflake-mcp: mcp, primary", "");
    fs::write(&file, "mine").expect("a file");
    assert_run(
        &run(&["-o", &file]),
        2,
        "",
        "registry.yaml: is there already; --force replaces it, -o names another file\n",
    );
    symlink("nowhere", &link).expect("a link");
    assert_run(&run(&["-o", &link]), 2, "", "is there already");
    assert_eq!(fs::read_to_string(&file).expect("a file"), "mine");
    assert_run(&run(&["-o", &file, "--force"]), 0, "", "next: ");
    assert_eq!(fs::read_to_string(&file).expect("a registry"), written);
    assert_eq!(place.files(), ["link.yaml", "registry.yaml"]);
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    assert_run(
        &dualpath(&["init", "-o", "-"], "1\n"),
        2,
        "",
        "say what to begin with: --preset snowflake, --from-mcp URL",
    );
    assert_run(
        &dualpath(&["init", "-o", "-", "--preset", "snowflake"], "a\n"),
        2,
        "",
        "--preset snowflake needs --account\n",
    );
    assert_run(&dualpath(&["init", "--account", "a", "--from-mcp", "http://x"], ""), 2, "", "cannot be used with");
}

/// As on a real terminal, of which `script` has one.
#[test]
fn at_a_terminal_it_asks_for_what_is_missing() {
    let place = Place::new("init-terminal");
    let file = place.path("asked.yaml");
    let answers = place.write("answers", "1\nmy_org-my_account\nDB\nS\nCORTEX\n\nWH\n\n\n");
    let command = format!("{} init -o {file}", env!("CARGO_BIN_EXE_dualpath"));
    let typed = format!("script --quiet --return --command '{command}' /dev/null <{answers}");
    let output = Command::new("bash").args(["-c", &typed]).output().expect("script, of util-linux");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("What do you have?") && shown.contains("Warehouse, for a tool sql [none]: "), "{shown}");
    let text = fs::read_to_string(&file).expect("a registry");
    assert!(
        text.contains("my-org-my-account.snowflakecomputing.com") && text.contains("\"warehouse\":\"WH\""),
        "{text}"
    );
}

#[test]
fn a_clients_settings_become_a_registry_without_its_tokens() {
    let place = Place::new("init-json");
    let settings = place.write(
        "mcp.json",
        r#"{"mcpServers": {"docs": {"url": "https://docs.example.com/mcp", "headers": {"Authorization": "Bearer hunter2-hunter2"}},
            "shell": {"command": "npx", "args": ["hunter2"]}}}"#,
    );
    let output = init(&["--from-mcp-json", &settings]);
    let text = sound(&output);
    assert!(text.contains("- id: docs\n") && text.contains("credential: docs-token\n"), "{text}");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("note: shell: is not carried over: it is a command (stdio)\n"), "{err}");
    assert!(!text.contains("hunter2") && !err.contains("hunter2"));
    assert_run(&init(&["--from-mcp-json", &settings, "--only", "nothing"]), 2, "", "has no server of this name");
    assert_run(&init(&["--from-mcp-json", &place.path("no.json")]), 2, "", "cannot be read");
}

#[test]
fn what_a_registry_is_made_from_is_not_replaced_by_it_even_by_force() {
    let place = Place::new("init-over-itself");
    let json = r#"{"mcpServers": {"docs": {"url": "https://docs.example.com/mcp"}}}"#;
    let settings = place.write("mcp.json", json);
    let run = dualpath(&["init", "--from-mcp-json", &settings, "-o", &settings, "--force"], "");
    assert_run(&run, 2, "", "mcp.json: is what it is made from, which would be lost: name another file\n");
    assert_eq!(fs::read_to_string(&settings).expect("a file"), json);
}
