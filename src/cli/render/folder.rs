//! A target of several files: a folder in which each is whole or the one before, and what has not changed is not touched.

use std::fs;
use std::path::Path;

use super::heading;
use super::target::File;
use crate::cli::output::{self, Inputs, Readers};
use crate::cli::shown;

/// Writes the files, in their order. Answers what became of each, a line for every one that has changed, and nothing of the others.
///
/// # Errors
/// Which file was not written, and why. Those before it are then, and those behind it are not.
pub(super) fn write(folder: &Path, files: &[File], inputs: &Inputs, readers: Readers) -> Result<String, String> {
    refuse_foreign(folder, files)?;
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

/// Refuses to replace what `dualpath render` has not written. Its heading tells; a file that has none goes by the others.
///
/// # Errors
/// Which file is somebody else's. Nothing is written then.
pub(super) fn refuse_foreign(folder: &Path, files: &[File]) -> Result<(), String> {
    let there = |file: &File| fs::read(folder.join(&file.path)).ok();
    let is_ours = |text: &[u8]| heading::is_at_the_beginning_of(&String::from_utf8_lossy(text));
    let folder_is_ours = files.iter().filter_map(there).any(|text| is_ours(&text));
    for file in files.iter().filter(|file| !file.is_yours) {
        let Some(text) = there(file).filter(|text| text != file.text.as_bytes()) else { continue };
        if !(is_ours(&text) || folder_is_ours && !is_ours(file.text.as_bytes())) {
            let place = folder.join(&file.path);
            let named = shown::line(&place.to_string_lossy()).into_owned();
            return Err(format!("{named}: is there already, and not by `dualpath render`: name another folder"));
        }
    }
    Ok(())
}
