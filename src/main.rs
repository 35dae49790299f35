//! `dualpath`, the operator's command-line tool.

use std::process::ExitCode;

fn main() -> ExitCode {
    dualpath::cli::main()
}
