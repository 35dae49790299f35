//! `dualpath completions` and `dualpath man`: what a shell and a reader of manual pages get, made from the commands themselves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man as Page;

use super::{Cli, UNUSABLE, complain, now_s, print_exactly, printed, shown};
use crate::credential::date;

/// Print what has a shell complete commands.
///
/// bash: dualpath completions bash > ~/.local/share/bash-completion/completions/dualpath;
/// zsh: dualpath completions zsh > a folder of $fpath/_dualpath;
/// fish: dualpath completions fish > ~/.config/fish/completions/dualpath.fish
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// Shell that reads it
    shell: Shell,
}

/// Write the manual pages of all commands.
///
/// Writes dualpath.1 and a page for each command, such as dualpath-check.1. man -l DIR/dualpath.1 shows one; packages put
/// them into /usr/share/man/man1. Their date is today, or that of the variable SOURCE_DATE_EPOCH.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// Folder for the pages; made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Runs the subcommand.
pub fn completions(args: &Completions) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "dualpath", &mut script);
    printed(print_exactly(&String::from_utf8_lossy(&script)))
}

/// Runs the subcommand.
pub fn man(args: &Man) -> ExitCode {
    let mut commands = Cli::command().disable_help_subcommand(true);
    commands.build();
    let written = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let day = date::show(written.unwrap_or_else(now_s));
    let day = day.split('T').next().unwrap_or_default();
    let done = fs::create_dir_all(&args.folder).and_then(|()| write_pages(&commands, day, &args.folder));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{}: cannot be written: {error}\n", shown::line(&args.folder.to_string_lossy())));
            ExitCode::from(UNUSABLE)
        }
    }
}

/// Writes the page of a command, and those of the commands below it.
fn write_pages(command: &Command, day: &str, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_pages(below, day, folder)?;
    }
    let version = concat!("dualpath ", env!("CARGO_PKG_VERSION"));
    let page = Page::new(command.clone().disable_help_subcommand(true)).date(day).source(version).manual("Dualpath");
    let mut text = Vec::new();
    page.render(&mut text)?;
    // A blank line between breaks is a paragraph, which mandoc wants to be written as one.
    let text =
        String::from_utf8_lossy(&text).replace("\n.br\n\n.br\n", "\n.sp\n").replace(".SH EXTRA\n", ".SH NOTES\n");
    fs::write(folder.join(page.get_filename()), text)
}
