//! `dualpath report` as a process: which files it reads, what it writes.

use std::fs;
use std::io::Write;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Place, dualpath};

fn line(time: &str, server: &str) -> String {
    format!(
        "{{\"time\":\"{time}\",\"caller\":\"10.0.0.7\",\"tool\":\"search\",\"mode\":\"mcp\",\"server\":\"{server}\",\"outcome\":\"success\",\"hops\":[{{\"server\":\"{server}\",\"reason\":\"first\",\"class\":\"success\"}}],\"duration_ms\":20}}\n"
    )
}

fn told(arguments: &[&str], input: &str) -> String {
    let output = dualpath(arguments, input);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn rotated_and_compressed_logs_and_standard_input_are_read_together() {
    let place = Place::new("report-files");
    let new = place.write("calls.log", &line("2026-11-28T09:00:00Z", "one"));
    let mut old = GzEncoder::new(fs::File::create(place.path("calls.log.1.gz")).expect("a file"), Compression::fast());
    old.write_all(line("2026-11-27T09:00:00Z", "one").repeat(2).as_bytes()).expect("written");
    old.finish().expect("written");
    let text = told(
        &["report", "--log", &new, &place.path("calls.log.1.gz"), "--log", "-"],
        &line("2026-11-29T09:00:00Z", "two"),
    );
    assert!(text.starts_with("4 calls, 2026-11-27 09:00 to 2026-11-29 09:00 UTC\n"), "{text}");
    let text = told(&["report", "--log", &new, &place.path("calls.log.1.gz"), "--since", "2026-11-28"], "");
    assert!(text.starts_with("1 calls, "), "{text}");
    let cut = fs::read(place.path("calls.log.1.gz")).expect("a file");
    fs::write(place.path("cut.gz"), &cut[..cut.len() - 9]).expect("a file");
    let text = told(&["report", "--log", &place.path("cut.gz")], "");
    assert!(text.contains("ends in the middle"), "{text}");
}

#[test]
fn a_report_does_not_replace_its_log_and_says_what_cannot_be_read() {
    let place = Place::new("report-output");
    let log = place.write("calls.log", &line("2026-11-28T09:00:00Z", "one"));
    let output = dualpath(&["report", "--log", &log, "-o", &log], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is what it is made from"), "{output:?}");
    let output = dualpath(&["report", "--log", &place.path("none")], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("none: cannot be read"), "{output:?}");
    told(&["report", "--log", &log, "--format", "html", "-o", &place.path("page.html")], "");
    assert!(fs::read_to_string(place.path("page.html")).expect("a page").starts_with("<!doctype html>"));
}

#[test]
fn hashed_callers_are_in_no_form_of_the_report() {
    let place = Place::new("report-hashed");
    let log = place.write("calls.log", &line("2026-11-28T09:00:00Z", "one"));
    let key = place.write("key", "0123456789abcdef");
    let mut seen = Vec::new();
    for format in ["text", "json", "html"] {
        let report = told(&["report", "--log", &log, "--hash-callers", "--hash-key", &key, "--format", format], "");
        assert!(!report.contains("10.0.0.7"), "{report}");
        seen.push(told(&["report", "--log", &log, "--hash-callers", "--format", format], ""));
    }
    assert_ne!(seen[0], told(&["report", "--log", &log, "--hash-callers"], ""), "a key that no other report has");
}

/// A reader that goes away wants no more of it.
#[test]
fn a_report_into_a_closed_pipe_is_no_error() {
    let place = Place::new("report-pipe");
    let log = place.write("calls.log", &line("2026-11-28T09:00:00Z", "one"));
    let script = format!("{} report --log {log} --format html | head -c 1", env!("CARGO_BIN_EXE_dualpath"));
    let output = Command::new("bash").args(["-o", "pipefail", "-c", &script]).output().expect("bash");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}
