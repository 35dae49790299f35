//! GitHub's workflows: what they run is pinned, what they may do is little, and a token that they move is seen by nobody.
//! `make lint` has actionlint read them too.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const TOKEN: &str = "ver:1-hint:4242-ETMsDgAAAZ";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn workflows() -> Vec<(String, String)> {
    let entries = fs::read_dir(root().join(".github/workflows")).expect("the workflows");
    let read = entries.map(|entry| {
        let path = entry.expect("an entry").path();
        (path.display().to_string(), fs::read_to_string(path).expect("a workflow"))
    });
    read.collect()
}

#[test]
fn every_action_is_pinned_by_its_whole_commit() {
    for (name, text) in workflows() {
        for line in text.lines().filter_map(|line| line.split_once("uses: ")) {
            let pin = line.1.split_whitespace().next().and_then(|action| action.split_once('@')).map(|(_, pin)| pin);
            let whole = pin.is_some_and(|pin| pin.len() == 40 && pin.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(whole, "{name}: {}", line.1);
        }
    }
}

#[test]
fn no_workflow_may_write_unless_a_job_says_so() {
    for (name, text) in workflows() {
        let top = text.lines().find(|line| line.starts_with("permissions:"));
        assert!(matches!(top, Some("permissions: {}" | "permissions: {contents: read}")), "{name}: {top:?}");
        assert!(!text.contains("pull_request_target"), "{name} runs strangers' code with rights");
    }
}

/// Runs the script with an `esc` that writes down its arguments and its input.
fn sync(name: &str, change: &[(&str, &str)]) -> (Output, String) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("sync-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let esc = folder.join("esc");
    let mut file = fs::File::create(&esc).expect("a file");
    write!(file, "#!/bin/sh\necho \"$*\" > {0}/seen; cat >> {0}/seen\n", folder.display()).expect("a script");
    drop(file);
    fs::set_permissions(&esc, fs::Permissions::from_mode(0o755)).expect("a mode");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new(root().join(".github/sync-to-esc"))
        .env("PATH", path)
        .envs([("TOKEN", TOKEN), ("ESC_ENVIRONMENT", "my-org/dualpath/prod"), ("SLOT", "b")])
        .envs([("ISSUED", "2026-11-28"), ("EXPIRES", "9998-02-26")])
        .envs(change.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("python3");
    (output, fs::read_to_string(folder.join("seen")).unwrap_or_default())
}

#[test]
fn a_token_gets_to_esc_with_its_dates_and_on_no_command_line() {
    let (output, seen) = sync("whole", &[("TOKEN", &format!("{TOKEN}\n"))]);
    assert!(output.status.success(), "{output:?}");
    let (arguments, input) = seen.split_once('\n').expect("arguments and input");
    assert_eq!(arguments, "env set my-org/dualpath/prod snowflake.pat_b --secret --string --file -");
    let slot: serde_json::Value = serde_json::from_str(input).expect("JSON");
    assert_eq!(slot, serde_json::json!({"token": TOKEN, "issued": "2026-11-28", "expires": "9998-02-26"}));
    // The value that the manifests read.
    let manifest = fs::read_to_string(root().join("envoy/kubernetes/external-secrets.yaml")).expect("the manifest");
    assert!(manifest.contains("key: snowflake.pat_b"));
    let told = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8_lossy(&told).contains(TOKEN), "nothing tells the token");
}

#[test]
fn what_is_no_token_or_has_ended_does_not_get_to_esc() {
    let wrong = [
        ("none", "TOKEN", "", "there is no token"),
        ("spaces", "TOKEN", "two words", "no header can carry"),
        ("slot", "SLOT", "c", "SLOT must be"),
        ("day", "ISSUED", "28.11.2026", "must be a day"),
        ("ended", "EXPIRES", "2026-01-01", "has ended"),
        ("organisation", "ESC_ENVIRONMENT", "/dualpath/prod", "PULUMI_ORGANIZATION"),
    ];
    for (name, variable, value, why) in wrong {
        let (output, seen) = sync(name, &[(variable, value)]);
        assert!(!output.status.success(), "{name}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(why) && !said.contains("two words"), "{name}: {said}");
        assert_eq!(seen, "", "{name}");
    }
}
