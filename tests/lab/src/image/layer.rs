//! A layer: files as tar and gzip. Times, owners and the order of a folder's files are of no machine.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::layout::digest;

/// A file of a layer.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    path: String,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    File { bytes: Vec<u8>, executable: bool },
    Folder,
    Link(PathBuf),
}

impl Entry {
    pub(super) fn file(path: &str, bytes: Vec<u8>) -> Entry {
        Entry { path: path.to_owned(), what: What::File { bytes, executable: false } }
    }

    pub(super) fn folder(path: &str) -> Entry {
        Entry { path: path.to_owned(), what: What::Folder }
    }
}

/// A compressed layer.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) bytes: Vec<u8>,
    /// The digest of what is compressed.
    pub(super) diff_id: String,
}

impl Layer {
    /// The layer of these files, in their order.
    pub(super) fn of(entries: &[Entry]) -> io::Result<Layer> {
        let tar = tar(entries)?;
        // Without the time and the name that gzip can tell.
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::new(6));
        gzip.write_all(&tar)?;
        Ok(Layer { bytes: gzip.finish()?, diff_id: digest(&tar) })
    }
}

/// These files as tar.
pub(super) fn tar(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for Entry { path, what } in entries {
        let mut header = Header::new_gnu();
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let empty = Vec::new();
        let (kind, mode, bytes) = match what {
            What::File { bytes, executable } => (EntryType::Regular, if *executable { 0o755 } else { 0o644 }, bytes),
            What::Folder => (EntryType::Directory, 0o755, &empty),
            What::Link(_) => (EntryType::Symlink, 0o777, &empty),
        };
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        match what {
            What::Link(target) => tar.append_link(&mut header, path, target)?,
            What::Folder => tar.append_data(&mut header, format!("{path}/"), io::empty())?,
            What::File { .. } => tar.append_data(&mut header, path, bytes.as_slice())?,
        }
    }
    tar.into_inner()
}

/// Everything below a folder, by name. Of a file's mode only counts whether it may be executed.
pub(super) fn below(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    read(folder, "", &mut found)?;
    Ok(found)
}

fn read(folder: &Path, prefix: &str, found: &mut Vec<Entry>) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (from, kind) = (entry.path(), entry.file_type()?);
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if kind.is_dir() {
            found.push(Entry::folder(&path));
            read(&from, &format!("{path}/"), found)?;
        } else {
            let what = if kind.is_symlink() {
                What::Link(fs::read_link(&from)?)
            } else {
                let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
                What::File { bytes: fs::read(&from)?, executable }
            };
            found.push(Entry { path, what });
        }
    }
    Ok(())
}
