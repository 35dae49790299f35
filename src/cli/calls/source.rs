//! A log from its beginning to its end: a file, one that gzip has made smaller, or standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::follow;

/// What gzip begins a file with.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Gives `each` every line, the last one too if it has no end. `each` answers whether to go on. `-` is standard input.
///
/// # Errors
/// Why it can't be read. What came before that has been given.
pub fn every_line(name: &str, each: &mut impl FnMut(&str) -> bool) -> io::Result<()> {
    match name {
        "-" => from(BufReader::new(io::stdin().lock()), each),
        file => from(BufReader::with_capacity(1 << 16, File::open(file)?), each),
    }
}

fn from(mut log: impl BufRead, each: &mut impl FnMut(&str) -> bool) -> io::Result<()> {
    if log.fill_buf()?.starts_with(GZIP) {
        return lines(MultiGzDecoder::new(log), each);
    }
    lines(log, each)
}

fn lines(mut log: impl Read, each: &mut impl FnMut(&str) -> bool) -> io::Result<()> {
    let mut begun = Vec::new();
    let done = follow::lines(&mut log, &mut begun, each);
    if !begun.is_empty() && !matches!(done, Ok(false)) {
        each(&String::from_utf8_lossy(&begun));
    }
    done.map(drop)
}
