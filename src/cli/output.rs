//! Writing a file: whole or not at all, never over what it was made from, never through a link to something else.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Who may read the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Whoever may read the file that is there; for a new one, what the process's umask says.
    AsBefore,
    /// Its owner only.
    Owner,
}

/// Writes `text` to `output`. `inputs` are the files that it was made from; `-` is standard input.
///
/// # Errors
/// Why it was not written. What was there before is still there then, except where `output` is a pipe or a device.
pub(super) fn write(output: &Path, text: &str, inputs: &[String], readers: Readers) -> Result<(), String> {
    let there = fs::metadata(output).ok();
    let is_there =
        |from: &Metadata| there.as_ref().is_some_and(|there| (there.dev(), there.ino()) == (from.dev(), from.ino()));
    if let Some(at) = inputs.iter().position(|input| metadata_of(input).as_ref().is_some_and(is_there)) {
        let what = if at == 0 { "is the registry itself" } else { "is a part of the registry" };
        return Err(format!("{what}, which would be lost: name another file"));
    }
    let done = match &there {
        Some(there) if there.is_dir() => return Err("is a directory".to_owned()),
        // A pipe, a terminal, /dev/fd/3 of a shell: nothing to replace.
        Some(there) if !there.is_file() => {
            OpenOptions::new().write(true).open(output).and_then(|mut file| file.write_all(text.as_bytes()))
        }
        _ => {
            if fs::symlink_metadata(output).is_ok_and(|link| link.is_symlink()) {
                let target = fs::read_link(output).unwrap_or_default();
                return Err(format!("is a symbolic link to {}: name that file itself, or -", target.display()));
            }
            replace(output, text, there.as_ref(), readers)
        }
    };
    done.map_err(|error| format!("cannot be written: {error}"))
}

fn metadata_of(input: &str) -> Option<Metadata> {
    if input == "-" {
        return File::from(io::stdin().as_fd().try_clone_to_owned().ok()?).metadata().ok();
    }
    fs::metadata(input).ok()
}

/// Puts a new file in the place of `output`, in one step.
fn replace(output: &Path, text: &str, there: Option<&Metadata>, readers: Readers) -> io::Result<()> {
    let new = beside(output)?;
    let mode = if readers == Readers::Owner || there.is_some() { 0o600 } else { 0o666 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    let done = (|| {
        if let (Readers::AsBefore, Some(there)) = (readers, there) {
            file.set_permissions(Permissions::from_mode(there.mode() & 0o777))?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, output)
    })();
    if done.is_err() {
        let _ = fs::remove_file(&new);
    } else if let Some(Ok(folder)) = new.parent().map(File::open) {
        // The file is whole either way; this makes its name outlive a power cut where the file system can do that.
        let _ = folder.sync_all();
    }
    done
}

/// A name in the same folder that nothing has.
fn beside(output: &Path) -> io::Result<PathBuf> {
    let name = output.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(folder.join(format!(".{}.{}.new", name.to_string_lossy(), std::process::id())))
}
