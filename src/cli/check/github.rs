//! Findings as annotations of a GitHub workflow: lines `::error file=F,line=L,col=C,title=T::MESSAGE`, which its runner reads
//! from the output of a step.

use crate::cli::codes::{Finding, Level};

/// The line for one finding.
pub(super) fn annotation(finding: &Finding) -> String {
    let command = match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note | Level::Off => "notice",
    };
    // An annotation without a file belongs to the whole run.
    let file = Some(&finding.file).filter(|file| *file != "-").map(|file| ("file", file.clone()));
    let at = finding.at.filter(|_| file.is_some());
    let place = [at.map(|at| ("line", at.0.to_string())), at.map(|at| ("col", at.1.to_string()))];
    let title = finding.explained().map(|code| code.title.as_str()).unwrap_or_default();
    let title = ("title", format!("{} {title}", finding.code));
    let properties: Vec<_> = file
        .into_iter()
        .chain(place.into_iter().flatten())
        .chain([title])
        .map(|(name, value)| format!("{name}={}", property(&value)))
        .collect();
    let hint = finding.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!("::{command} {}::{}\n", properties.join(","), data(&(finding.message() + &hint)))
}

/// As the runner's own library writes what stands behind `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// As it writes the value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
