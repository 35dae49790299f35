//! This machine, as far as a registry names parts of it.

use std::fs;
use std::io;

/// What there is. An Envoy that runs elsewhere may find something else.
pub struct Here<'h> {
    /// Whether an environment variable has a value.
    pub is_set: &'h dyn Fn(&str) -> bool,
    /// What is in a file.
    pub file: &'h dyn Fn(&str) -> io::Result<Vec<u8>>,
}

impl Here<'_> {
    /// What there really is.
    pub fn of_this_machine() -> Self {
        Here { is_set: &|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()), file: &read }
    }
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
