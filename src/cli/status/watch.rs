//! `dualpath status --watch`: one reading after another.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use super::history::History;
use super::reading::Reading;
use super::{Format, complain, screen, show, unread};
use crate::cli::{print_part, shown};

/// Goes on until it is interrupted or nobody reads.
pub(super) fn run(admin: &str, interval: Duration, format: Format) -> ExitCode {
    // What can't be asked at all is said at once; what fails later may come back.
    let first = match Reading::take(admin) {
        Ok(first) => first,
        Err(why) => return unread(&why),
    };
    if format == Format::Text && std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        return screen::run(admin, interval, first);
    }
    let mut history = History::default();
    let mut next: Result<Reading, String> = Ok(first);
    loop {
        match next {
            Ok(reading) => {
                let (status, changes) = history.add(reading);
                let text = match format {
                    Format::Text => show::line(&status),
                    Format::Json => format!("{}\n", show::json(&status, admin, &changes)),
                };
                if !print_part(&text) {
                    return ExitCode::SUCCESS;
                }
            }
            Err(why) => complain(&format!("{}\n", shown::line(&why))),
        }
        std::thread::sleep(interval);
        next = Reading::take(admin);
    }
}
