//! Reads a log line by line, and goes on with what is written to it, also after it was rotated or cut.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A line that is longer is no line of the access log, and is passed over.
const LONGEST: usize = 1 << 20;

/// A log that is read.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
}

impl Log {
    /// Opens it at its beginning.
    ///
    /// # Errors
    /// Why it can't be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Log { path: path.to_owned(), file: File::open(path)?, begun: Vec::new() })
    }

    /// Gives `each` every whole line that has come since; it answers whether to go on. Whether it was told to.
    ///
    /// # Errors
    /// Why it can't be read.
    pub fn read(&mut self, mut each: impl FnMut(&str) -> bool) -> io::Result<bool> {
        if !self.drain(&mut each)? {
            return Ok(false);
        }
        // What was written to the old file before the new one came has been read.
        if self.is_replaced() {
            self.file = File::open(&self.path)?;
            self.begun.clear();
            return self.drain(&mut each);
        }
        Ok(true)
    }

    fn drain(&mut self, each: &mut impl FnMut(&str) -> bool) -> io::Result<bool> {
        let at = self.file.stream_position().unwrap_or(0);
        if self.file.metadata().is_ok_and(|now| now.is_file() && now.len() < at) {
            self.file.seek(SeekFrom::Start(0))?;
            self.begun.clear();
        }
        lines(&mut self.file, &mut self.begun, each)
    }

    fn is_replaced(&self) -> bool {
        let id = |it: fs::Metadata| (it.dev(), it.ino());
        let (Ok(there), Ok(own)) = (fs::metadata(&self.path), self.file.metadata()) else { return false };
        id(there) != id(own)
    }
}

/// Gives `each` every whole line of what can be read now; what is left has `begun`. Whether to go on.
///
/// # Errors
/// Why it can't be read.
pub fn lines(from: &mut impl Read, begun: &mut Vec<u8>, each: &mut impl FnMut(&str) -> bool) -> io::Result<bool> {
    let mut piece = [0; 65_536];
    loop {
        let count = match from.read(&mut piece) {
            Ok(0) => return Ok(true),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for part in piece.get(..count).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
            if begun.len().saturating_add(part.len()) > LONGEST {
                // Its end still ends it.
                begun.clear();
                begun.push(0);
            }
            begun.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let go_on = each(&String::from_utf8_lossy(begun));
                begun.clear();
                if !go_on {
                    return Ok(false);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn new(log: &mut Log) -> Vec<String> {
        let mut found = Vec::new();
        log.read(|line| {
            found.push(line.trim_end().to_owned());
            true
        })
        .unwrap();
        found
    }

    #[test]
    fn a_log_is_followed_through_half_lines_rotation_and_truncation() {
        let place = std::env::temp_dir().join(format!("dualpath-follow-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let path = place.join("log");
        fs::write(&path, "one\ntwo\nthr").unwrap();
        let mut log = Log::open(&path).unwrap();
        assert_eq!(new(&mut log), ["one", "two"]);
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"ee\n").unwrap();
        assert_eq!(new(&mut log), ["three"]);
        fs::rename(&path, place.join("log.1")).unwrap();
        file.write_all(b"four\n").unwrap();
        fs::write(&path, "five\n").unwrap();
        assert_eq!(new(&mut log), ["four", "five"]);
        fs::write(&path, "6\n").unwrap();
        assert_eq!(new(&mut log), ["6"]);
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_for_ever() {
        let (mut begun, mut found) = (Vec::new(), Vec::new());
        let text = [vec![b'x'; LONGEST + 10], b"\nnext\n".to_vec()].concat();
        lines(&mut text.as_slice(), &mut begun, &mut |line| {
            found.push(line.to_owned());
            true
        })
        .unwrap();
        assert!(found[0].len() < LONGEST, "{}", found[0].len());
        assert_eq!(found[1], "next\n");
    }
}
