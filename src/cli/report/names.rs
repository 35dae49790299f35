//! Callers' names, or what stands for them.

use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// How callers are named.
#[derive(Debug, Default)]
pub struct Names {
    /// What their names are hashed with, if they are.
    key: Option<Vec<u8>>,
}

impl Names {
    /// Hashed with what `key_file` holds, else with a key that nobody knows and no other report has: an address alone would be found
    /// by trying all there are.
    ///
    /// # Errors
    /// What can't be read.
    pub fn hashed(key_file: Option<&str>) -> Result<Self, String> {
        let key = match key_file {
            Some(file) => std::fs::read(file).map_err(|error| format!("{file}: cannot be read: {error}"))?,
            None => random().map_err(|error| format!("/dev/urandom: cannot be read: {error}"))?,
        };
        if key.len() < 16 {
            return Err(format!("--hash-key {}: must have at least 16 bytes", key_file.unwrap_or_default()));
        }
        Ok(Names { key: Some(key) })
    }

    /// The name that a report shows.
    pub fn caller(&self, name: &str) -> String {
        match &self.key {
            Some(key) if !name.starts_with('(') => {
                let inner = Sha256::new().chain_update(key).chain_update(name).finalize();
                let outer = Sha256::new().chain_update(key).chain_update(inner).finalize();
                outer.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
            }
            _ => name.to_owned(),
        }
    }
}

fn random() -> io::Result<Vec<u8>> {
    let mut key = vec![0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hashed_caller_is_the_same_within_a_report_and_another_in_the_next() {
        let (one, two) = (Names::hashed(None).unwrap(), Names::hashed(None).unwrap());
        assert_eq!(one.caller("10.0.0.7"), one.caller("10.0.0.7"));
        assert_ne!(one.caller("10.0.0.7"), one.caller("10.0.0.8"));
        assert_ne!(one.caller("10.0.0.7"), two.caller("10.0.0.7"));
        assert_eq!(one.caller("10.0.0.7").len(), 12);
        assert_eq!(Names::default().caller("10.0.0.7"), "10.0.0.7");
    }
}
