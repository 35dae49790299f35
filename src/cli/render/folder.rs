//! A target of several files: a folder in which each is whole or the one before, and what has not changed is not touched.

use std::fs;
use std::path::Path;

use super::target::File;
use crate::cli::output::{self, Inputs, Readers};
use crate::cli::shown;

/// Writes the files, in their order. Answers what became of each, a line for every one that has changed, and nothing of the others.
///
/// # Errors
/// Which file was not written, and why. Those before it are then, and those behind it are not.
pub(super) fn write(folder: &Path, files: &[File], inputs: &Inputs, readers: Readers) -> Result<String, String> {
    let mut told = String::new();
    for File { path, text, is_yours } in files {
        let place = folder.join(path);
        let named = shown::line(&place.to_string_lossy()).into_owned();
        let there = fs::read_to_string(&place).ok();
        if there.as_ref().is_some_and(|there| *is_yours || there == text) {
            continue;
        }
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(|error| format!("{named}: its folder cannot be made: {error}"))?;
        }
        output::write(&place, text, inputs, readers).map_err(|why| format!("{named}: {why}"))?;
        told.push_str(&format!("{} {named}\n", if there.is_some() { "changed" } else { "new    " }));
    }
    Ok(told)
}
