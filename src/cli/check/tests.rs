use serde_json::{Value, json};

use super::*;
use crate::cli::codes::all;

fn finding(level: Level) -> Finding {
    Finding {
        code: "DP0109",
        level,
        file: "a folder/r:1,2.yaml".to_owned(),
        at: Some((2, 30)),
        path: Some("servers[0] \"s\".timeout".to_owned()),
        value: Some("30".to_owned()),
        text: "must be 100 %, ::set-env name=x::y\r\n::error::forged".to_owned(),
        hint: Some("such as 5s".to_owned()),
    }
}

#[test]
fn an_annotation_is_one_line_that_nothing_can_end_or_steer() {
    let line = github::annotation(&finding(Level::Error));
    let expected = "::error file=a folder/r%3A1%2C2.yaml,line=2,col=30,title=DP0109 The duration has no unit%2C or is out of range\
        ::servers[0] \"s\".timeout: 30: must be 100 %25, ::set-env name=x::y%0D%0A::error::forged%0Ahint: such as 5s\n";
    assert_eq!(line, expected);
    for (level, begins) in [(Level::Warning, "::warning file="), (Level::Note, "::notice file=")] {
        assert!(github::annotation(&finding(level)).starts_with(begins));
    }
    let stdin = Finding { file: "-".to_owned(), ..finding(Level::Error) };
    assert!(github::annotation(&stdin).starts_with("::error title="), "{}", github::annotation(&stdin));
}

/// What the schema of SARIF 2.1.0 demands of the parts that are written, and what of it forges demand besides.
#[test]
fn a_log_has_what_sarif_demands() {
    let whole = Finding { at: None, path: None, file: "/etc/r.yaml".to_owned(), ..finding(Level::Note) };
    let log = sarif::log([finding(Level::Error), finding(Level::Warning), whole].iter());
    assert_eq!((&log["version"], log["runs"].as_array().map(Vec::len)), (&json!("2.1.0"), Some(1)));
    let keys = |value: &Value| value.as_object().expect("a mapping").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&log), ["$schema", "version", "runs"]);
    let run = &log["runs"][0];
    assert_eq!(keys(run), ["tool", "columnKind", "results"]);
    let driver = &run["tool"]["driver"];
    assert!(driver["name"] == "dualpath" && driver["version"].is_string());
    let rules = driver["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), all().len());
    for rule in rules {
        assert!(rule["id"].as_str().is_some_and(|id| rules.iter().filter(|other| other["id"] == id).count() == 1));
        for text in ["shortDescription", "fullDescription", "help"] {
            assert!(rule[text]["text"].as_str().is_some_and(|text| !text.is_empty()), "{rule}");
        }
        assert!(["error", "warning", "note"].contains(&rule["defaultConfiguration"]["level"].as_str().unwrap()));
    }
    let results = run["results"].as_array().expect("results");
    for (result, level) in results.iter().zip(["error", "warning", "note"]) {
        assert_eq!(result["level"], level);
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!(result["locations"].as_array().map(Vec::len), Some(1));
    }
    let place = &results[0]["locations"][0];
    assert_eq!(place["physicalLocation"]["artifactLocation"]["uri"], "a%20folder/r%3A1%2C2.yaml");
    assert_eq!(place["physicalLocation"]["region"], json!({"startLine": 2, "startColumn": 30}));
    assert_eq!(place["logicalLocations"][0]["fullyQualifiedName"], "servers[0] \"s\".timeout");
    let whole = &results[2]["locations"][0];
    assert_eq!(*whole, json!({"physicalLocation": {"artifactLocation": {"uri": "file:///etc/r.yaml"}}}));
}
