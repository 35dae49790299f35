//! What validation has found, for people, for programs and for pipelines.

use std::fmt::Write;

use serde_json::{Value, json};

use super::row::{Outcome, Row};
use crate::cli::shown;

/// What was validated.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The registry's file.
    pub registry: &'a str,
    /// The endpoint that was called.
    pub url: &'a str,
    /// The admin interface that was asked.
    pub admin: &'a str,
    /// Whether warnings count as problems.
    pub strict: bool,
}

impl About<'_> {
    /// Whether these rows are as they should be.
    pub fn is_good(&self, rows: &[Row]) -> bool {
        let is_bad = |row: &Row| row.outcome == Outcome::Problem || self.strict && row.outcome == Outcome::Warning;
        !rows.iter().any(is_bad)
    }
}

/// A table. The words tell all that the colours tell.
pub fn text(rows: &[Row], about: About<'_>, colour: bool) -> String {
    let width =
        |of: fn(&Row) -> &str| rows.iter().map(|row| shown::line(of(row)).chars().count()).max().unwrap_or_default();
    let (checks, names) = (width(|row| row.check), width(|row| &row.about).min(40));
    let mut text = String::new();
    for row in rows {
        let (word, paint) = match row.outcome {
            Outcome::Good => ("ok  ", "32"),
            Outcome::Warning => ("WARN", "33"),
            Outcome::Problem => ("FAIL", "31;1"),
            Outcome::Skipped => ("skip", "2"),
        };
        let word = if colour { format!("\u{1b}[{paint}m{word}\u{1b}[0m") } else { word.to_owned() };
        // What a server says must not steer the terminal; the colours are our own.
        let [name, says] = [&row.about, &row.says].map(|text| shown::line(text));
        let _ = writeln!(text, "{word}  {:<checks$}  {name:<names$}  {says}", row.check);
        if let Some(hint) = &row.hint {
            let _ = writeln!(text, "      hint: {}", shown::line(hint));
        }
    }
    let counts = counts(rows).into_iter().filter(|(_, count)| *count > 0);
    let counts: Vec<_> = counts.map(|(outcome, count)| format!("{count} {}", outcome.as_str())).collect();
    let verdict = if about.is_good(rows) { "good" } else { "NOT GOOD" };
    let _ = writeln!(text, "{}: {verdict} ({})", shown::line(about.registry), counts.join(", "));
    text
}

fn counts(rows: &[Row]) -> Vec<(Outcome, usize)> {
    let all = [Outcome::Good, Outcome::Warning, Outcome::Problem, Outcome::Skipped];
    all.map(|outcome| (outcome, rows.iter().filter(|row| row.outcome == outcome).count())).into()
}

/// One JSON object, whose keys are stable.
pub fn json(rows: &[Row], about: About<'_>) -> String {
    let row = |row: &Row| json!({"check": row.check, "about": row.about, "outcome": row.outcome.as_str(), "says": row.says, "hint": row.hint});
    let counts: Value =
        counts(rows).into_iter().map(|(outcome, count)| (outcome.as_str().to_owned(), json!(count))).collect();
    let whole = json!({
        "registry": about.registry, "url": about.url, "admin": about.admin, "good": about.is_good(rows), "counts": counts,
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
    });
    format!("{whole:#}\n")
}

/// `JUnit`'s XML, as pipelines read it: a case for each row.
pub fn junit(rows: &[Row], about: About<'_>) -> String {
    let is_bad = |row: &Row| !about.is_good(std::slice::from_ref(row));
    let failures = rows.iter().filter(|row| is_bad(row)).count();
    let skipped = rows.iter().filter(|row| row.outcome == Outcome::Skipped).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites>\n<testsuite name=\"dualpath validate {}\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\">\n",
        xml(about.registry),
        rows.len()
    );
    for row in rows {
        let (class, name, says) = (xml(row.check), xml(&row.about), xml(&row.says));
        let hint = row.hint.as_deref().map(|hint| format!("hint: {}", xml(hint))).unwrap_or_default();
        let inner = match row.outcome {
            _ if is_bad(row) => format!("<failure message=\"{says}\">{hint}</failure>"),
            Outcome::Skipped => format!("<skipped message=\"{says}\"/>"),
            _ => format!("<system-out>{says} {hint}</system-out>"),
        };
        let _ = writeln!(text, "<testcase classname=\"{class}\" name=\"{class} {name}\">{inner}</testcase>");
    }
    text.push_str("</testsuite>\n</testsuites>\n");
    text
}

fn xml(text: &str) -> String {
    let text = shown::line(text);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Commands of GitHub's workflows, which mark a run: a line for each row that is not good.
pub fn github(rows: &[Row], about: About<'_>) -> String {
    let mut text = String::new();
    for row in rows {
        let command = match row.outcome {
            _ if !about.is_good(std::slice::from_ref(row)) => "error",
            Outcome::Warning => "warning",
            Outcome::Skipped => "notice",
            _ => continue,
        };
        let hint = row.hint.as_deref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        let title = escaped(&format!("{} {}", row.check, row.about)).replace(':', "%3A").replace(',', "%2C");
        let _ = writeln!(text, "::{command} title={title}::{}", escaped(&format!("{}{hint}", row.says)));
    }
    text
}

/// As GitHub reads it back.
fn escaped(text: &str) -> String {
    shown::lines(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About<'static> =
        About { registry: "r.yaml", url: "http://127.0.0.1:1/mcp", admin: "http://127.0.0.1:2", strict: false };

    fn rows() -> Vec<Row> {
        vec![
            Row::good("registry", "1f", "Envoy runs this registry"),
            Row::problem("path", "search on \u{1b}[2Jb", "50% <bad> & \"so\"\u{7}").hint("mend it: now,\nat once"),
            Row::new("drift", "b", Outcome::Warning, "1 missing"),
            Row::new("drill", "each path", Outcome::Skipped, "no drill"),
        ]
    }

    #[test]
    fn the_table_tells_all_without_colour_and_nothing_steers_the_terminal() {
        let plain = text(&rows(), ABOUT, false);
        assert_eq!(
            plain,
            "ok    registry  1f                    Envoy runs this registry\n\
             FAIL  path      search on \\u001b[2Jb  50% <bad> & \"so\"\\u0007\n      hint: mend it: now,\\u000aat once\n\
             WARN  drift     b                     1 missing\n\
             skip  drill     each path             no drill\n\
             r.yaml: NOT GOOD (1 good, 1 warning, 1 problem, 1 skipped)\n"
        );
        let mut coloured = text(&rows(), ABOUT, true);
        for paint in ["\u{1b}[32m", "\u{1b}[33m", "\u{1b}[31;1m", "\u{1b}[2m", "\u{1b}[0m"] {
            coloured = coloured.replace(paint, "");
        }
        assert_eq!(coloured, plain);
    }

    #[test]
    fn warnings_are_problems_only_where_one_is_strict() {
        let warned = [Row::new("drift", "b", Outcome::Warning, "1 missing")];
        assert!(ABOUT.is_good(&warned));
        assert!(!About { strict: true, ..ABOUT }.is_good(&warned));
        assert!(!ABOUT.is_good(&rows()));
    }

    #[test]
    fn programs_and_pipelines_read_the_same() {
        let tree: Value = serde_json::from_str(&json(&rows(), ABOUT)).unwrap();
        assert_eq!(
            (&tree["good"], &tree["counts"]["problem"], &tree["rows"][2]["outcome"]),
            (&json!(false), &json!(1), &json!("warning"))
        );
        let xml = junit(&rows(), ABOUT);
        assert!(xml.contains("tests=\"4\" failures=\"1\" skipped=\"1\""), "{xml}");
        assert!(
            xml.contains("<failure message=\"50% &lt;bad&gt; &amp; &quot;so&quot;\\u0007\">hint: mend it: now,"),
            "{xml}"
        );
        assert!(!xml.contains('\u{1b}') && !xml.contains('\u{7}'));
        assert_eq!(
            github(&rows(), ABOUT).lines().next(),
            Some(
                "::error title=path search on \\u001b[2Jb::50%25 <bad> & \"so\"\\u0007%0Ahint: mend it: now,%0Aat once"
            )
        );
        assert_eq!(github(&rows(), ABOUT).lines().count(), 3);
    }
}
