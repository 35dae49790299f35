//! Codes, levels and formats of what `dualpath check` finds.

use serde_json::Value;

use super::{Place, RIGHT, assert_run, dualpath};

const WARNED: &str = "version: 1
listener: {client_timeout: 60s}
envoy: {wasm_file: /no/such/module}
servers: [{id: s, kind: mcp, url: 'https://host.example'}]
tools:
  - {name: t, task: t}
";

fn json(arguments: &[&str], input: &str, status: i32) -> Value {
    let output = dualpath(arguments, input);
    assert_eq!(output.status.code(), Some(status), "{arguments:?} {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_warning_is_told_with_its_code_and_its_place() {
    assert_run(&dualpath(&["check", "-"], WARNED), 0, "nothing takes over for it [DP0802]\n", "");
    let found = json(&["check", "--format", "json", "-"], WARNED, 0);
    let [warning] = found["warnings"].as_array().expect("a list").as_slice() else { panic!("{found}") };
    assert_eq!((&warning["code"], &warning["line"], &warning["column"]), (&"DP0802".into(), &6.into(), &5.into()));
    assert_eq!((&warning["path"], &warning["file"]), (&"tools[0] \"t\"".into(), &"-".into()));
    assert_eq!((&found["notes"][0]["code"], &found["notes"][0]["line"]), (&"DP0901".into(), &3.into()));
}

#[test]
fn notes_never_fail_a_check_and_warnings_do_when_it_is_strict() {
    let strict = |more: &[&str], input: &str, status: i32| {
        let output = dualpath(&[&["check", "-", "--strict"], more].concat(), input);
        assert_eq!(output.status.code(), Some(status), "{more:?} {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    strict(&[], WARNED, 1);
    assert!(strict(&["--level", "DP0802=note"], WARNED, 0).contains("note: tool t has only one path"));
    assert!(!strict(&["--level", "DP0802=off"], WARNED, 0).contains("only one path"));
    assert!(strict(&["--level=DP0802=off", "--level", "DP0901=error"], WARNED, 1).contains("error: envoy.wasm_file"));
    assert_eq!(dualpath(&["check", "-", "--level", "DP0901=error"], WARNED).status.code(), Some(1));
    let commented = format!("# check: DP0802=note; a second server comes in spring\n{WARNED}");
    assert!(strict(&[], &commented, 0).contains("note: tool t has only one path"));
    strict(&["--level", "DP0802=warning"], &commented, 1);
}

#[test]
fn a_level_that_no_code_can_have_is_told() {
    assert_run(&dualpath(&["check", "-", "--level", "DP0104=off"], RIGHT), 2, "", "must be CODE=LEVEL");
    let output = dualpath(&["check", "-"], &format!("{RIGHT}# check: DP0104=off\n"));
    assert_run(&output, 1, "", "<stdin>:3:1: # check: must be CODE=LEVEL");
    assert_run(&output, 1, "", "[DP0118]\n");
}

#[test]
fn several_files_are_checked_in_one_run_and_the_worst_decides() {
    let place = Place::new("several");
    let (right, warned) = (place.write("right.yaml", RIGHT), place.write("warned.yaml", WARNED));
    let wrong = place.write("wrong.yaml", "version: 2\n");
    let missing = place.path("missing.yaml");
    let status = |files: &[&str]| dualpath(&[&["check"], files].concat(), "").status.code();
    assert_eq!((status(&[&right, &warned]), status(&[&right, &wrong, &warned])), (Some(0), Some(1)));
    assert_eq!(status(&[&wrong, &missing, &right]), Some(2));
    let output = dualpath(&["check", &wrong, &right, &warned], "");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        out.contains(&format!("registry     {right}\nlistener")) && out.contains("tool t has only one path"),
        "{out}"
    );
    assert!(err.contains(&format!("{wrong}: 2 problems")), "{err}");
    let found = json(&["check", "--format", "json", &right, &wrong], "", 1);
    assert_eq!((&found[0]["registry"], &found[1]["problems"][0]["code"]), (&right.into(), &"DP0113".into()));
}

#[test]
fn findings_of_all_files_are_annotations_or_one_sarif_log() {
    let place = Place::new("formats");
    let (warned, wrong) = (place.write("warned.yaml", WARNED), place.write("wrong.yaml", "version: 2\nservers: []\n"));
    let output = dualpath(&["check", "--format", "github", &warned, &wrong], "");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1));
    let begins: Vec<_> = text.lines().map(|line| line.split(",title=").next().unwrap_or_default()).collect();
    let expected = [
        format!("::notice file={warned},line=3,col=9"),
        format!("::warning file={warned},line=6,col=5"),
        format!("::error file={wrong},line=1,col=1"),
        format!("::error file={wrong},line=2,col=1"),
    ];
    assert_eq!(begins, expected, "{text}");

    let log = json(&["check", "--format", "sarif", &warned, &wrong], "", 1);
    let results = log["runs"][0]["results"].as_array().expect("results");
    let told: Vec<_> = results.iter().map(|result| (&result["ruleId"], &result["level"])).collect();
    let expected = ["DP0901 note", "DP0802 warning", "DP0113 error", "DP0114 error"].map(|word| {
        let (code, level) = word.split_once(' ').expect("two words");
        (Value::from(code), Value::from(level))
    });
    assert_eq!(told, expected.iter().map(|(code, level)| (code, level)).collect::<Vec<_>>());
    let right = json(&["check", "--format", "sarif", "-"], RIGHT, 0);
    assert!(right["runs"][0]["results"].is_array());
    let missing = json(&["check", "--format", "sarif", &place.path("no.yaml")], "", 2);
    assert_eq!(missing["runs"][0]["results"][0]["ruleId"], "DP0101");
}

#[test]
fn a_code_is_explained_beside_registries_of_that_name() {
    let output = dualpath(&["explain", "DP0109"], "");
    assert_run(&output, 0, "DP0109 (error): The duration has no unit, or is out of range\n", "");
    assert_run(&output, 0, "Wrong:\n    listener: {client_timeout: 60}\n", "");
    assert_eq!(dualpath(&["explain", "dp0109"], "").stdout, output.stdout);
    assert_eq!(json(&["explain", "DP0802", "--format", "json"], "", 0)["level"], "warning");
    assert_run(&dualpath(&["explain", "DP9999"], ""), 2, "", "DP9999: there is no such code");
    let alone = dualpath(&["explain", "DP0109", "--server", "s"], "");
    assert_run(&alone, 2, "", "DP0109 is a code, which is explained alone; a file of that name is ./DP0109");
    assert_run(&dualpath(&["explain", "./DP0109", "--server", "s", "--status", "500"], ""), 2, "", "cannot be read");
    assert_run(&dualpath(&["explain", "-"], RIGHT), 2, "", "say which server was asked, by --server");
    assert_run(&dualpath(&["explain", "--codes"], ""), 0, "DP0802  warning  A tool has one path only\n", "");
    assert!(json(&["explain", "--codes", "--format", "json"], "", 0).as_array().is_some_and(|all| all.len() > 90));
    assert_run(&dualpath(&["explain", "--codes", "DP0109"], ""), 2, "", "cannot be used with");
}
