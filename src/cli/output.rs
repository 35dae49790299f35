//! Writing a file: whole or not at all, never over what it was made from, never through a link to something else.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Who may read the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Whoever may read the file that is there; for a new one, what the process's umask says.
    AsBefore,
    /// Its owner only.
    Owner,
}

/// What no output may replace.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// The files that the text was made from, the registry first; `-` is standard input.
    files: Vec<String>,
    /// The files that the registry names, such as those of tokens.
    named: Vec<String>,
    /// The files that something else than a registry's rendering is made from.
    sources: Vec<String>,
}

impl Inputs {
    /// Of a text that was made from `files`, and from registries that say this.
    pub fn of<'v>(files: &[String], registries: impl IntoIterator<Item = &'v Value>) -> Self {
        let mut inputs = Inputs { files: files.to_vec(), ..Inputs::default() };
        registries.into_iter().for_each(|registry| inputs.name(registry));
        inputs
    }

    /// Of what is made from these, such as a first registry or a report.
    pub fn sources(files: &[String]) -> Self {
        Inputs { sources: files.to_vec(), ..Inputs::default() }
    }

    /// Adds what stands under every key that is called like one of a file.
    fn name(&mut self, value: &Value) {
        match value {
            Value::Object(keys) => {
                for (key, value) in keys {
                    match value {
                        Value::String(file) if key.ends_with("_file") => self.named.push(file.clone()),
                        value => self.name(value),
                    }
                }
            }
            Value::Array(entries) => entries.iter().for_each(|entry| self.name(entry)),
            _ => {}
        }
    }
}

/// Writes `text` to `output`, which is none of `inputs`.
///
/// # Errors
/// Why it was not written. What was there before is still there then, except where `output` is a pipe or a device.
pub(super) fn write(output: &Path, text: &str, inputs: &Inputs, readers: Readers) -> Result<(), String> {
    let there = fs::metadata(output).ok();
    let is_there =
        |from: &Metadata| there.as_ref().is_some_and(|there| (there.dev(), there.ino()) == (from.dev(), from.ino()));
    if let Some(at) = inputs.files.iter().position(|input| metadata_of(input).as_ref().is_some_and(is_there)) {
        let what = if at == 0 { "is the registry itself" } else { "is a part of the registry" };
        return Err(format!("{what}, which would be lost: name another file"));
    }
    let is_file = there.as_ref().is_some_and(Metadata::is_file);
    if is_file && inputs.named.iter().any(|named| fs::metadata(named).as_ref().is_ok_and(is_there)) {
        return Err("is a file that the registry names, which would be lost: name another file".to_owned());
    }
    if is_file && inputs.sources.iter().any(|source| fs::metadata(source).as_ref().is_ok_and(is_there)) {
        return Err("is what it is made from, which would be lost: name another file".to_owned());
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
