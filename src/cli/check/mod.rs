//! `dualpath check`: what a registry says, and what about it is wrong, or legal but unwise.

mod github;
mod sarif;
mod summary;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use serde_json::{Value, json};

pub(super) use self::summary::socket;
pub use self::summary::summary;
use super::codes::{Finding, Level, Setting, Warning, named};
use super::here::Here;
use super::load::{LoadError, Loaded, load_all, load_one};
use super::warnings::{former_names, warnings};
use super::{Environment, PROBLEMS, UNUSABLE, complain, now_s, print, shown};

/// Check registries and say what was read.
///
/// Prints servers by tier, tools with the servers that answer them in the order in which they are tried, credentials with
/// the sources of their slots, and warnings; all that for each environment, unless one is named. If a registry breaks rules,
/// prints every problem with its place in the file, its path, the value there, the rule and a hint. SDS files are looked at
/// for their form; no secret is printed.
///
/// Everything that is found has a code, such as DP0104: dualpath explain DP0104 says what it means and how to mend it.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Registry files, YAML or JSON; - reads standard input
    #[arg(required = true, value_name = "REGISTRY")]
    registries: Vec<String>,
    #[command(flatten)]
    environment: Environment,
    /// How to say it. All but text have what was found alone, on standard output
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    format: CheckFormat,
    /// Take warnings for problems
    #[arg(long)]
    strict: bool,
    /// Give a warning or note another level: error, warning, note or off; may be given more than once
    #[arg(long = "level", value_name = "CODE=LEVEL")]
    levels: Vec<Setting>,
}

const AFTER_HELP: &str = "\
A comment `# check: DP0802=note` on a line of its own sets a level for its registry; --level comes before it.

Exit status, that of the worst of several files:
  0  nothing was found but warnings and notes
  1  there are problems; with --strict, or warnings
  2  the command line is wrong, or a file cannot be read";

/// How findings are said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CheckFormat {
    /// For people.
    Text,
    /// For programs: an object per registry; a list of them where there are several.
    Json,
    /// SARIF 2.1.0, which code scanning reads.
    Sarif,
    /// Annotations of a GitHub workflow.
    Github,
}

/// What was found in one registry.
struct Checked<'a> {
    registry: &'a str,
    findings: Vec<Finding>,
    /// Whether something could not even be read.
    unusable: bool,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    let mut checked = Vec::new();
    for (at, registry) in args.registries.iter().enumerate() {
        match check(args, registry, at) {
            Some(found) => checked.push(found),
            None => return ExitCode::from(UNUSABLE),
        }
    }
    let all = || checked.iter().flat_map(|checked| &checked.findings);
    let done = match args.format {
        CheckFormat::Text => true,
        CheckFormat::Json => print(&format!("{:#}\n", json_of(&checked))),
        CheckFormat::Sarif => print(&format!("{:#}\n", sarif::log(all()))),
        CheckFormat::Github => print(&all().map(github::annotation).collect::<String>()),
    };
    let fails = |finding: &Finding| match finding.level {
        Level::Error => true,
        Level::Warning => args.strict,
        Level::Note | Level::Off => false,
    };
    if !done || checked.iter().any(|checked| checked.unusable) {
        ExitCode::from(UNUSABLE)
    } else if all().any(fails) {
        ExitCode::from(PROBLEMS)
    } else {
        ExitCode::SUCCESS
    }
}

/// Checks the registry at position `at` of those that were named, and says it if that is for people. `None`: that could
/// not be done.
fn check<'a>(args: &Args, registry: &'a str, at: usize) -> Option<Checked<'a>> {
    let one = |name| load_one(registry, Some(name)).map(|loaded| vec![loaded]);
    let loaded = match args.environment.name().map_or_else(|| load_all(registry), one) {
        Ok(loaded) => loaded,
        Err(error) => {
            if args.format == CheckFormat::Text {
                complain(&format!("{error}\n"));
            }
            let unusable = matches!(error, LoadError::Read { .. } | LoadError::Unusable { .. });
            return Some(Checked { registry, findings: error.findings(), unusable });
        }
    };
    let several = loaded.len() > 1;
    let (mut findings, mut texts) = (Vec::new(), Vec::new());
    for loaded in &loaded {
        let mut warned = former_names(&loaded.wire);
        warned.extend(warnings(&loaded.registry, now_s(), &Here::of_this_machine()));
        let found: Vec<_> = warned.into_iter().filter_map(|warning| finding(args, loaded, warning)).collect();
        let lines = found.iter().map(|found| format!("{}: {} [{}]\n", found.level.as_str(), found.text, found.code));
        texts.push(summary(&loaded.registry) + &taken(&loaded.variables) + &lines.collect::<String>());
        let environment = loaded.registry.environment.as_ref().filter(|_| several);
        findings.extend(found.into_iter().map(|found| match environment {
            Some(name) => Finding { text: format!("environment {name}: {}", found.text), ..found },
            None => found,
        }));
    }
    if args.format == CheckFormat::Text {
        let between = if at > 0 { "\n" } else { "" };
        let heading = if args.registries.len() > 1 {
            format!("{between}registry     {}\n", shown::file(registry))
        } else {
            String::new()
        };
        if !print(&(heading + &texts.join("\n"))) {
            return None;
        }
    }
    Some(Checked { registry, findings, unusable: false })
}

/// A warning with its level and its place; `None` if it is switched off.
fn finding(args: &Args, loaded: &Loaded, warning: Warning) -> Option<Finding> {
    let set = loaded.levels.iter().chain(&args.levels).rfind(|set| set.code.name == warning.code);
    let level = set.map(|set| set.level).or_else(|| Some(named(warning.code)?.level())).unwrap_or(Level::Warning);
    let spot = loaded.root.spot(&warning.path);
    (level != Level::Off).then(|| Finding {
        code: warning.code,
        level,
        file: loaded.files.get(spot.place.file).cloned().unwrap_or_default(),
        at: spot.place.at,
        path: Some(spot.path),
        value: None,
        text: warning.text,
        hint: None,
    })
}

/// The variables whose values depend on who runs the command.
fn taken(variables: &[String]) -> String {
    if variables.is_empty() {
        String::new()
    } else {
        format!("variables    {} from the environment of this command\n", variables.join(", "))
    }
}

/// What was found, for programs.
fn json_of(checked: &[Checked]) -> Value {
    let one = |checked: &Checked| {
        let of = |level: Level| checked.findings.iter().filter(move |found| found.level == level).map(Finding::json);
        let [problems, warnings, notes] =
            [Level::Error, Level::Warning, Level::Note].map(|level| of(level).collect::<Vec<_>>());
        json!({"registry": checked.registry, "problems": problems, "warnings": warnings, "notes": notes})
    };
    match checked {
        [checked] => one(checked),
        several => several.iter().map(one).collect(),
    }
}
