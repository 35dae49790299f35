//! This machine, as far as a registry names parts of it.

use std::fs;
use std::io;
use std::path::Path;

/// What there is. An Envoy that runs elsewhere may find something else.
pub struct Here<'h> {
    /// Whether an environment variable has a value.
    pub is_set: &'h dyn Fn(&str) -> bool,
    /// What is in a file.
    pub file: &'h dyn Fn(&str) -> io::Result<Vec<u8>>,
    /// Whether a log can be at this path.
    pub log: &'h dyn Fn(&str) -> io::Result<()>,
    /// Whether this is a folder, or a link to one.
    pub folder: &'h dyn Fn(&str) -> io::Result<()>,
}

impl Here<'_> {
    /// What there really is.
    pub fn of_this_machine() -> Self {
        let is_set = &|name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Here { is_set, file: &read, log: &log, folder: &folder }
    }
}

fn folder(path: &str) -> io::Result<()> {
    let there = fs::metadata(path)?;
    if there.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

/// Nothing is written to find out, and Envoy may run as somebody else: what nobody may write to is told.
fn log(path: &str) -> io::Result<()> {
    let of = match fs::metadata(path) {
        Ok(there) if there.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty());
            fs::metadata(parent.unwrap_or(Path::new(".")))?
        }
        Err(error) => return Err(error),
    };
    if of.permissions().readonly() { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
}

/// The content of a regular file of ordinary size; of a larger one nothing, but that it can be read.
fn read(file: &str) -> io::Result<Vec<u8>> {
    const LARGEST: u64 = 1 << 20;
    let there = fs::metadata(file)?;
    if !there.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if there.len() > LARGEST {
        return fs::File::open(file).map(|_| Vec::new());
    }
    fs::read(file)
}
