//! A directory that lives as long as the test that made it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A new directory, readable by its owner only because secrets are written into it. Removed on drop, unless the thread is
/// panicking.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the directory.
    pub fn new() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dualpath-lab-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Scratch(path))
    }

    /// Its place.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes an SDS file with one generic secret and returns its path. A file that is there is replaced by a rename, which
    /// is what Envoy watches for.
    pub fn write_secret(&self, file: &str, name: &str, secret: &str) -> io::Result<PathBuf> {
        let resource = serde_json::json!({
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": name,
            "generic_secret": { "secret": { "inline_string": secret } },
        });
        let text = serde_json::json!({ "resources": [resource] }).to_string();
        let (target, new) = (self.0.join(file), self.0.join(format!("{file}.new")));
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?
            .write_all(text.as_bytes())?;
        fs::rename(&new, &target)?;
        Ok(target)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("Envoy's files are kept in {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
