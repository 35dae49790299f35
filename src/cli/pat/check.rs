//! `dualpath pat check`: whether a file with a token is as it should be.

use std::fmt::Write;
use std::io::{self, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Urgency;
use super::look::World;
use super::sds::{self, Text};
use super::shape::{Finding, findings};
use crate::cli::credentials::days_left;
use crate::cli::load::parse;
use crate::cli::{complain, now_s, print, shown};
use crate::credential::{AgePolicy, Declared, Defect, Handed, Lifetime, Severity, Validity, date};
use crate::registry::Id;

/// Check a file with a token before Envoy gets it: its shape, its name and its end.
///
/// The file is an SDS file, as a slot's sds_file names it, or holds the token alone. Says what is wrong, where, and how to
/// mend it, without showing the token. Nothing is sent anywhere, so whether a server accepts the token is not known.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File with a token; - reads standard input
    file: String,
    /// Name that the secret in an SDS file must have: the credential's id, a hyphen and the slot
    #[arg(long)]
    name: Option<String>,
    /// Judge its end as if it were this date (2026-12-24) or time in UTC (2026-12-24T08:30:00Z)
    #[arg(long, value_name = "TIME", value_parser = super::read_time)]
    at: Option<u64>,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Urgency {
    let bytes = match read(&args.file) {
        Ok(bytes) => bytes,
        Err(error) => {
            complain(&format!("{}: cannot be read: {error}\n", shown::file(&args.file)));
            return Urgency::Unknown;
        }
    };
    let read_file = |path: &str| std::fs::read(path);
    let variable = |name: &str| std::env::var(name).ok();
    let world = World { file: &read_file, variable: &variable };
    let found = judge(&args.file, &bytes, args.name.as_deref(), args.at.unwrap_or_else(now_s), world);
    let urgency = found.iter().map(|finding| finding.urgency).max().unwrap_or(Urgency::Fine);
    let file = shown::file(&args.file);
    let mut text = String::new();
    for Finding { urgency, text: what } in &found {
        let how = if *urgency == Urgency::Fine { "note" } else { urgency.as_str() };
        let _ = writeln!(text, "{file}: {how}: {what}");
    }
    let _ = writeln!(text, "{file}: {}", urgency.as_str());
    urgency.if_told(print(&text))
}

/// The largest file that is read, in bytes; a token has a few hundred.
const LARGEST: u64 = 1 << 20;

fn read(file: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let more = LARGEST.saturating_add(1);
    if file == "-" {
        io::stdin().lock().take(more).read_to_end(&mut bytes)?;
    } else {
        let file = std::fs::File::open(file)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::other("it is a directory: name the file with the token"));
        }
        file.take(more).read_to_end(&mut bytes)?;
    }
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(io::Error::other("it is larger than 1 MiB, so it is another file than one with a token"));
    }
    Ok(bytes)
}

/// Everything about the `bytes` of `file` at `now_s`. `name` is what its secret must be called, if that is known.
pub fn judge(file: &str, bytes: &[u8], name: Option<&str>, now_s: u64, world: World) -> Vec<Finding> {
    let text = String::from_utf8_lossy(bytes);
    let is_json = text.trim_start().starts_with('{');
    let tree = parse(file, text.trim_start_matches('\u{feff}'));
    match tree {
        Ok(tree) if tree.is_object() && !(is_json && tree.get("token").is_some()) => {
            of_document(&tree, name, now_s, world)
        }
        Err(error) if looks_like_a_document(&text) => {
            vec![Finding::new(Urgency::Critical, format!("is no YAML or JSON, so Envoy refuses it: {error}"))]
        }
        _ => of_token(bytes, now_s),
    }
}

/// Whether somebody meant this to be an SDS file.
fn looks_like_a_document(text: &str) -> bool {
    let begins = |line: &str| ["resources", "\"resources\"", "{", "---"].iter().any(|start| line.starts_with(start));
    text.lines().any(begins)
}

fn of_document(tree: &Value, name: Option<&str>, now_s: u64, world: World) -> Vec<Finding> {
    let critical = |text: String| vec![Finding::new(Urgency::Critical, text)];
    if tree.get("kind").is_some() && tree.get("apiVersion").is_some() {
        return critical("is a manifest for Kubernetes: the SDS file is the text of one key in it".to_owned());
    }
    let resources = match sds::resources(tree) {
        Ok(resources) => resources,
        Err(why) => return critical(format!("{why}, so Envoy refuses it")),
    };
    let [resource] = resources.as_slice() else {
        return critical(format!(
            "has {} resources: Envoy takes exactly one, so each slot has a file",
            resources.len()
        ));
    };
    let mut found = named(resource.name, name);
    match resource.text {
        Err(why) => found.extend(critical(format!("{why}, so Envoy refuses it"))),
        Ok(text) => found.extend(of_text(text, now_s, world)),
    }
    found
}

fn named(name: &str, wanted: Option<&str>) -> Vec<Finding> {
    let slot = |name: &str| name.ends_with("-a") || name.ends_with("-b");
    let wrong = match wanted {
        Some(wanted) if name != wanted => {
            format!("names its secret {}, not {wanted}: Envoy does not take it", sds::shown(name))
        }
        None if Id::new(name).is_none() || !slot(name) => {
            "names its secret otherwise than a credential's id, a hyphen and a or b: Envoy does not take it".to_owned()
        }
        _ => return Vec::new(),
    };
    vec![Finding::new(Urgency::Critical, wrong)]
}

fn of_text(text: Text, now_s: u64, world: World) -> Vec<Finding> {
    let note = |text: &str| Finding::new(Urgency::Fine, text);
    match text {
        Text::Inline(text) => of_token(text.as_bytes(), now_s),
        Text::Base64(text) => match STANDARD.decode(text) {
            Ok(bytes) => of_token(&bytes, now_s),
            Err(_) => vec![Finding::new(Urgency::Critical, "has inline_bytes that are no base64, so Envoy refuses it")],
        },
        Text::File(inner) => match (world.file)(inner) {
            Ok(bytes) => {
                let mut found = vec![note("points to another file, which is judged")];
                if !inner.starts_with('/') {
                    found.push(Finding::new(
                        Urgency::Alert,
                        "points to a file by a path that depends on where Envoy is started",
                    ));
                }
                found.extend(of_token(&bytes, now_s));
                found
            }
            Err(error) => {
                vec![Finding::new(Urgency::Unknown, format!("points to another file, which cannot be read: {error}"))]
            }
        },
        Text::Environment(variable) => match (world.variable)(variable) {
            Some(value) => {
                let mut found = vec![note("points to an environment variable, whose value here is judged")];
                found.extend(of_token(value.as_bytes(), now_s));
                found
            }
            None => vec![Finding::new(Urgency::Unknown, "points to an environment variable that is not set here")],
        },
    }
}

fn of_token(bytes: &[u8], now_s: u64) -> Vec<Finding> {
    let handed = Handed::read(bytes);
    let mut found = match &handed {
        Some(Handed { defect: Some(Defect::NotReadable), .. }) => return vec![not_readable(bytes)],
        Some(handed) if bytes.trim_ascii().starts_with(b"{") => {
            let mut found = findings(&handed.secret.header_value(""));
            found.extend(handed.bad_date.then(|| {
                let date = "2027-01-30 or 2027-01-30T08:30:00Z";
                Finding::new(
                    Urgency::Alert,
                    format!("has a date beside its token that is none such as {date}: mend it"),
                )
            }));
            found
        }
        None if bytes.trim_ascii().starts_with(b"{") => findings(b""),
        _ => findings(bytes),
    };
    // The end of something that is no token yet would only confuse.
    if let Some(handed) = handed.filter(|_| found.iter().all(|finding| finding.urgency < Urgency::Critical)) {
        let policy = AgePolicy::default();
        found.extend(life(Lifetime::of(&handed, Declared::default()), now_s, &policy));
    }
    found
}

fn not_readable(bytes: &[u8]) -> Finding {
    if let Some(placeholder) = findings(bytes).into_iter().find(|finding| finding.text.contains("placeholder")) {
        return placeholder;
    }
    let shape = r#"{"token": "...", "issued": "2026-11-01", "expires": "2027-01-30"}"#;
    Finding::new(
        Urgency::Critical,
        format!("begins as JSON and has no readable token: write {shape}, or the token alone"),
    )
}

/// What the token says of its own life, by the default policy.
fn life(lifetime: Lifetime, now_s: u64, policy: &AgePolicy) -> Vec<Finding> {
    let mut found = Vec::new();
    let Some(due) = lifetime.due_s(policy) else {
        return vec![Finding::new(
            Urgency::Fine,
            r#"does not tell its end: put its dates beside it, {"token": "...", "expires": "2027-01-30"}"#,
        )];
    };
    let (at, left) = (date::show(due), days_left(lifetime.days_left(now_s, policy).unwrap_or_default()));
    let ends = if lifetime.expires_s.is_some() { "ends" } else { "is as old as 90d, the default max_age," };
    found.push(match (lifetime.validity(now_s), lifetime.severity(now_s, policy)) {
        (Validity::Expired, _) => Finding::new(Urgency::Critical, format!("ended at {at}")),
        (_, Some(Severity::Critical)) => Finding::new(Urgency::Critical, format!("{ends} at {at}, {left} left")),
        (_, Some(Severity::Alert)) => Finding::new(Urgency::Alert, format!("{ends} at {at}, {left} left")),
        _ => Finding::new(Urgency::Fine, format!("{ends} at {at}, {left} left")),
    });
    if lifetime.validity(now_s) == Validity::NotYet {
        let begin = lifetime.not_before_s.map(date::show).unwrap_or_default();
        found.push(Finding::new(Urgency::Alert, format!("is not valid before {begin}, and not sent before")));
    }
    if lifetime.validity(now_s) != Validity::Expired && lifetime.violates_age(now_s, policy) == Some(true) {
        found.push(Finding::new(Urgency::Critical, "lives for longer than 90d, the default policy's max_age"));
    }
    found
}
