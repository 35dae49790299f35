//! From a file's bytes to text.

use std::fs::File;
use std::io::{self, Read};

use super::{At, LoadError};

/// The text of `file`; `-` is standard input.
///
/// # Errors
/// It cannot be read, is no UTF-8 text, or says nothing.
pub(in crate::cli) fn read(file: &str) -> Result<String, LoadError> {
    let bytes = bytes(file).map_err(|source| LoadError::Read { file: file.to_owned(), source })?;
    let refused = |(at, message, hint): Refusal| LoadError::Unusable { file: file.to_owned(), at, message, hint };
    let text = decode(bytes).map_err(refused)?;
    if is_empty(&text) {
        return Err(refused((None, "the file is empty".to_owned(), None)));
    }
    if text.lines().all(|line| is_empty(line.split('#').next().unwrap_or_default())) {
        return Err(refused((None, "the file has only comments".to_owned(), None)));
    }
    Ok(text)
}

/// The largest registry that is read, in bytes: one with a thousand tools has less than a tenth.
const LARGEST: u64 = 16 << 20;

fn bytes(file: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let more = LARGEST.saturating_add(1);
    if file == "-" {
        io::stdin().lock().take(more).read_to_end(&mut bytes)?;
    } else {
        let file = File::open(file)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
        }
        file.take(more).read_to_end(&mut bytes)?;
    }
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= LARGEST) {
        return Ok(bytes);
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB"))
}

fn is_empty(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim().is_empty()
}

type Refusal = (Option<At>, String, Option<&'static str>);

/// What files that are no text begin with.
const NO_TEXT: [(&[u8], &str); 8] = [
    (b"%PDF-", "a PDF"),
    (b"\x7fELF", "a program"),
    (b"\0asm", "a WebAssembly module"),
    (b"PK\x03\x04", "a ZIP archive, as office documents are"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
];

fn decode(bytes: Vec<u8>) -> Result<String, Refusal> {
    const SAVE: &str = "save the file as UTF-8";
    if let Some((_, what)) = NO_TEXT.iter().find(|(begin, _)| bytes.starts_with(begin)) {
        return Err((
            Some((1, 1)),
            format!("the file is {what}, by its first bytes"),
            Some("name a text: YAML or JSON"),
        ));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err((Some((1, 1)), "the file is UTF-16, by its first two bytes".to_owned(), Some(SAVE)));
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err((
            Some(place(&bytes, at)),
            "byte 0x00: this is no text, or UTF-16".to_owned(),
            Some("name a text, YAML or JSON, saved as UTF-8"),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let (bytes, at) = (error.as_bytes(), error.utf8_error().valid_up_to());
        let byte = bytes.get(at).copied().unwrap_or_default();
        let hint = "save the file as UTF-8; it seems to be Latin-1 or Windows-1252, or no text at all";
        (Some(place(bytes, at)), format!("byte 0x{byte:02x}: this is not UTF-8"), Some(hint))
    })
}

/// Line and column of the byte at `at`. Before it everything is UTF-8, or counted by bytes.
fn place(bytes: &[u8], at: usize) -> At {
    let before = String::from_utf8_lossy(bytes.get(..at).unwrap_or_default());
    let last = before.rsplit('\n').next().unwrap_or_default();
    let lines = before.matches('\n').count();
    let from_1 = |n: usize| u64::try_from(n).unwrap_or(u64::MAX).saturating_add(1);
    (from_1(lines), from_1(last.chars().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refusal(bytes: &[u8]) -> (Option<At>, String) {
        let (at, message, _) = decode(bytes.to_vec()).expect_err("it is refused");
        (at, message)
    }

    #[test]
    fn a_byte_that_is_no_utf_8_is_named_with_its_place() {
        assert_eq!(refusal(b"a: 1\nb: gr\xfcn\n"), (Some((2, 6)), "byte 0xfc: this is not UTF-8".to_owned()));
        assert_eq!(refusal("ü\u{0}".as_bytes()), (Some((1, 2)), "byte 0x00: this is no text, or UTF-16".to_owned()));
        assert_eq!(refusal(b"\xff\xfea\0").0, Some((1, 1)));
    }

    #[test]
    fn a_file_that_is_plainly_no_text_is_told_as_what_it_is() {
        for (begin, what) in NO_TEXT {
            let told = refusal(&[begin, b"\0\xff"].concat());
            assert_eq!(told, (Some((1, 1)), format!("the file is {what}, by its first bytes")));
        }
    }

    #[test]
    fn utf_8_is_taken_with_and_without_a_mark() {
        for text in ["\u{feff}a: ü\r\n", "a: ü\n"] {
            assert_eq!(decode(text.as_bytes().to_vec()), Ok(text.to_owned()));
        }
    }
}
