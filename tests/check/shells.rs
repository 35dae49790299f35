//! Completions as a real shell has them, and manual pages.

use std::process::Command;

use super::{Place, assert_run, dualpath};

/// What bash offers behind these words.
fn completed(script: &str, words: &[&str]) -> Vec<String> {
    let last = words.len() - 1;
    let list = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let program = format!(
        "source {script} || exit 1
        complete -p dualpath >/dev/null || exit 1
        COMP_WORDS=({list}) COMP_CWORD={last}
        _dualpath dualpath '{}' '{}'
        printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words[last],
        words[last - 1]
    );
    let output = Command::new("bash").args(["--norc", "-c", &program]).output().expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_their_values() {
    let place = Place::new("completions");
    let output = dualpath(&["completions", "bash"], "");
    assert_run(&output, 0, "_dualpath()", "");
    let script = place.write("dualpath.bash", &String::from_utf8(output.stdout).expect("UTF-8"));
    assert_eq!(completed(&script, &["dualpath", "che"]), ["check"]);
    assert_eq!(completed(&script, &["dualpath", "check", "--str"]), ["--strict"]);
    assert_eq!(completed(&script, &["dualpath", "check", "--format", "s"]), ["sarif"]);
    assert_eq!(completed(&script, &["dualpath", "pat", "rotate"]), ["rotate-plan"]);
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert_run(&dualpath(&["completions", shell], ""), 0, "dualpath", "");
    }
    assert_run(&dualpath(&["completions", "tcsh"], ""), 2, "", "invalid value 'tcsh'");
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let place = Place::new("man");
    let folder = place.path("new/man1");
    assert_run(&dualpath(&["man", &folder], ""), 0, "", "");
    let page = |name: &str| std::fs::read_to_string(format!("{folder}/{name}.1")).expect("a page");
    let help = String::from_utf8(dualpath(&["--help"], "").stdout).expect("UTF-8");
    let commands = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("commands");
    for command in commands.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        assert!(page(&format!("dualpath-{command}")).contains(".TH "), "{command}");
    }
    assert!(page("dualpath-pat-check").contains("SYNOPSIS") && page("dualpath-check").contains("Exit status"));
    let file = place.write("file", "");
    assert_run(&dualpath(&["man", &file], ""), 2, "", "cannot be written");
}
