//! The alerts of `dualpath rules`, by `promtool test rules`, on what Envoy's metrics said in the runbooks' rehearsals:
//! `make record-outages` records those anew. A recording has two readings before, during and after an outage; here each state
//! lasts for long, at the rates between its readings.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Value, json};

/// How many minutes each state lasts: the longest alert waits for an hour, the slowest window that has to forget is of six.
const MINUTES: [usize; 3] = [90, 96, 420];

/// What fires while it is so. Nothing does before and after.
const FIRED: [(&str, &[&str]); 13] = [
    (
        "all-paths-down",
        &[
            "DualpathBreakerOpen",
            "DualpathDirectPathFails",
            "DualpathErrorBudgetFast",
            "DualpathErrorBudgetSlow",
            "DualpathNoPath",
        ],
    ),
    ("budget-empty", &["DualpathBudgetEmpty", "DualpathErrorBudgetFast", "DualpathErrorBudgetSlow"]),
    ("drift", &["DualpathDrift"]),
    ("kill-switch", &["DualpathFallbackShare", "DualpathSwitchedOff"]),
    ("kill-switch-task", &["DualpathSwitchedOff"]),
    // What finds no room is refused, which clients feel.
    ("memory", &["DualpathErrorBudgetFast", "DualpathErrorBudgetSlow", "DualpathMemory"]),
    ("server-flaps", &["DualpathFallbackShare", "DualpathFlapping"]),
    ("server-slow", &["DualpathLatency"]),
    ("token-ended", &["DualpathTokenEnded"]),
    ("token-ends-soon", &["DualpathTokenEndsSoon"]),
    ("token-last-day", &["DualpathTokenCritical"]),
    ("token-refused", &["DualpathFallbackShare", "DualpathTokenCritical", "DualpathTokenNone", "DualpathTokenRefused"]),
    // While the VM is loaded again, its worker refuses.
    ("trap", &["DualpathErrorBudgetFast", "DualpathErrorBudgetSlow", "DualpathTrap"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// promtool, as `tests/make/get` gets it: once, since it may have to be fetched.
static PROMTOOL: LazyLock<PathBuf> = LazyLock::new(|| {
    let got = Command::new(root().join("tests/make/get")).arg("promtool").output().expect("tests/make/get");
    assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
    PathBuf::from(String::from_utf8_lossy(&got.stdout).trim())
});

/// A folder with the rules of the recorded registry.
fn with_rules(name: &str) -> (PathBuf, Value) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder");
    let rules = Command::new(env!("CARGO_BIN_EXE_dualpath"))
        .args(["rules", "tests/alerts/registry.yaml"])
        .current_dir(root())
        .output()
        .expect("dualpath");
    assert!(rules.status.success(), "{}", String::from_utf8_lossy(&rules.stderr));
    fs::write(folder.join("rules.yaml"), &rules.stdout).expect("a file");
    let read = serde_saphyr::from_str(&String::from_utf8_lossy(&rules.stdout)).expect("YAML");
    (folder, read)
}

/// Runs promtool in the folder; answers what it says.
fn run(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(&*PROMTOOL).args(arguments).current_dir(folder).output().expect("promtool");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// One recorded series over all states, in promtool's notation.
struct Series {
    name: String,
    values: String,
}

/// A series by its line: its name with labels, then two values for each state, `_` for none.
fn series(line: &str, seconds: &[f64]) -> Series {
    let words: Vec<&str> = line.split(' ').collect();
    let (values, name) = (&words[words.len() - 6..], words[..words.len() - 6].join(" "));
    let metric = name.split('{').next().unwrap_or_default();
    let counts = ["_total", "_bucket", "_count", "_sum", "_success"].iter().any(|end| metric.ends_with(end));
    let mut notation = Vec::new();
    for (state, minutes) in MINUTES.iter().enumerate() {
        let at = |reading: usize| values[2 * state + reading].parse::<f64>().ok();
        let slope = |from: f64, to: f64| (to - from) / (seconds[2 * state + 1] - seconds[2 * state]) * 60.0;
        notation.push(match (at(0), at(1)) {
            // One that has appeared in between began at zero.
            (from, Some(to)) if counts => {
                let from = from.unwrap_or(0.0);
                (Some(from), slope(from, to), *minutes)
            }
            (_, to) => (to, 0.0, *minutes),
        });
    }
    // A counter goes on from where the state before has brought it.
    let (mut reached, mut read) = (0.0, 0.0);
    let states = notation.iter().enumerate().map(|(state, (from, slope, minutes))| {
        let Some(from) = from else { return format!("_x{minutes}") };
        let start = if counts { reached + (from - read) } else { *from };
        reached = start + slope * (*minutes as f64 - 1.0);
        read = values[2 * state + 1].parse().unwrap_or(0.0);
        format!("{start}+{slope}x{}", minutes - 1)
    });
    let values = states.collect::<Vec<_>>().join(" ");
    let labels = "job=\"agent\",instance=\"one\"";
    let name = match name.split_once('{') {
        Some((metric, "}")) => format!("{metric}{{{labels}}}"),
        Some((metric, own)) => format!("{metric}{{{labels},{own}"),
        None => format!("{name}{{{labels}}}"),
    };
    Series { name, values }
}

/// A test of promtool's of one outage.
fn case(outage: &str, fired: &[&str], rules: &str) -> Value {
    let file = root().join(format!("tests/alerts/recorded/{outage}.txt"));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (head, lines) = text.split_once('\n').expect("a heading");
    let seconds: Vec<f64> = head.split(' ').skip(1).map(|word| word.parse().expect("seconds")).collect();
    let asked = |line: &&str| rules.contains(line.split(['{', ' ']).next().unwrap_or_default());
    let series = lines.lines().filter(asked).map(|line| series(line, &seconds));
    let input: Vec<_> = series.map(|Series { name, values }| json!({"series": name, "values": values})).collect();
    let firing = |minute: usize, names: &[&str]| {
        let samples: Vec<_> =
            names.iter().map(|name| json!({"labels": format!("{{alertname=\"{name}\"}}"), "value": 1})).collect();
        json!({"expr": "group by (alertname) (ALERTS{alertstate=\"firing\"})", "eval_time": format!("{minute}m"), "exp_samples": samples})
    };
    let [before, meanwhile, after] = MINUTES;
    let checks =
        [firing(before - 2, &[]), firing(before + meanwhile - 2, fired), firing(before + meanwhile + after - 2, &[])];
    json!({"name": outage, "interval": "1m", "input_series": input, "promql_expr_test": checks})
}

#[test]
fn each_recorded_outage_fires_its_alerts_and_no_other() {
    let (folder, rules) = with_rules("alerts");
    let text = rules.to_string();
    let tests: Vec<_> = FIRED.iter().map(|(outage, fired)| case(outage, fired, &text)).collect();
    let file = json!({"rule_files": ["rules.yaml"], "evaluation_interval": "2m", "tests": tests});
    fs::write(folder.join("test.yaml"), file.to_string()).expect("a file");
    let (passed, said) = run(&folder, &["test", "rules", "test.yaml"]);
    assert!(passed, "{said}");
}

#[test]
fn every_alert_is_fired_by_some_recorded_outage() {
    let (_, rules) = with_rules("alerts-fired");
    let groups = rules["groups"].as_array().expect("groups");
    let all = groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten());
    let named: BTreeSet<&str> = all.filter_map(|rule| rule["alert"].as_str()).collect();
    let fired: BTreeSet<&str> = FIRED.iter().flat_map(|(_, fired)| fired.iter().copied()).collect();
    assert_eq!(named, fired);
}

#[test]
fn prometheus_takes_the_rules() {
    let (folder, _) = with_rules("alerts-checked");
    let (passed, said) = run(&folder, &["check", "rules", "rules.yaml"]);
    assert!(passed && said.contains("SUCCESS"), "{said}");
}
