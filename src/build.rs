//! Gives the build a name made from all its sources: modules of the same name share the memory of live calls, others
//! must not (see `filter::crossing`). Nothing of the machine goes into it, so that a build can be repeated.

use std::fs;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=Cargo.lock");
    let mut name = Name(0xcbf2_9ce4_8422_2325);
    name.add(Path::new("src"));
    name.add(Path::new("Cargo.lock"));
    if std::env::var_os("CARGO_FEATURE_TEST_MODULE").is_some() {
        name.take(b"test-module");
    }
    println!("cargo::rustc-env=DUALPATH_BUILD={:016x}", name.0);
}

/// FNV-1a.
struct Name(u64);

impl Name {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn add(&mut self, path: &Path) {
        self.take(path.to_string_lossy().as_bytes());
        if path.is_dir() {
            let entries = fs::read_dir(path).expect("a folder of sources can be read");
            let mut entries: Vec<_> = entries.map(|entry| entry.expect("so can its entries").path()).collect();
            entries.sort();
            entries.iter().for_each(|entry| self.add(entry));
        } else {
            self.take(&fs::read(path).expect("a source can be read"));
        }
    }
}
