//! gzip (RFC 1952) whose blocks are stored as they are (RFC 1951, 3.2.4): every reader of gzip reads it, and nobody who
//! doesn't can. That is all that stubs and their clients need of compression.

/// Magic number, method (deflate), no flags, no time, no hints.
const HEAD: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];

/// The longest stored block, in bytes.
const LONGEST: usize = 0xFFFF;

/// `bytes` as gzip.
pub(crate) fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = HEAD.to_vec();
    let mut blocks = bytes.chunks(LONGEST).peekable();
    if bytes.is_empty() {
        encoded.extend([1, 0, 0, 0xFF, 0xFF]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        encoded.push(u8::from(blocks.peek().is_none()));
        encoded.extend(length.to_le_bytes());
        encoded.extend((!length).to_le_bytes());
        encoded.extend_from_slice(block);
    }
    encoded.extend(checksum(bytes).to_le_bytes());
    encoded.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    encoded
}

/// What [`encode`] was given; `None` if it is not whole, or not made by it.
pub(crate) fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut rest = encoded.strip_prefix(&HEAD)?;
    let mut bytes = Vec::with_capacity(rest.len());
    loop {
        let ([last, length @ .., _, _], tail) = rest.split_first_chunk::<5>()?;
        let (block, tail) = tail.split_at_checked(u16::from_le_bytes(*length).into())?;
        bytes.extend_from_slice(block);
        rest = tail;
        if *last == 1 {
            break;
        }
    }
    let (sum, length) = rest.split_first_chunk()?;
    let whole =
        u32::from_le_bytes(*sum) == checksum(&bytes) && length == u32::try_from(bytes.len()).ok()?.to_le_bytes();
    whole.then_some(bytes)
}

/// CRC-32.
fn checksum(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let (mut value, mut bit) = (at as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { 0xEDB8_8320 ^ (value >> 1) } else { value >> 1 };
                bit += 1;
            }
            table[at] = value;
            at += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |sum: u32, byte| TABLE[((sum ^ u32::from(*byte)) & 0xFF) as usize] ^ (sum >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_comes_back_and_what_is_damaged_does_not() {
        assert_eq!(checksum(b"123456789"), 0xCBF4_3926, "the check value of CRC-32");
        for length in [0, 1, LONGEST, LONGEST + 1, 200_000] {
            let bytes: Vec<_> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut encoded = encode(&bytes);
            assert_eq!(decode(&encoded).as_ref(), Some(&bytes), "{length}");
            assert_eq!(decode(&encoded[..encoded.len() - 1]), None);
            let end = encoded.len() - 5;
            encoded[end] ^= 1;
            assert_eq!(decode(&encoded), None);
        }
    }

    #[test]
    fn other_programs_read_it() {
        use std::io::Write;
        use std::process::{Command, Stdio};
        let reader = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut reader) = reader else { return };
        reader.stdin.take().expect("a pipe").write_all(&encode(b"read me")).expect("writing");
        assert_eq!(reader.wait_with_output().expect("an end").stdout, b"read me");
    }
}
