//! What only the module for tests does: it traps on a request that says so, and keeps records and writes calls down as later
//! minor versions would. No shipped module contains this; `make wasm` refuses one that does.

use super::host::Headers;

/// Request header that names the server whose attempt is to trap.
const TRAP: &str = "x-test-module-trap";

/// What the later version keeps behind the buckets.
const TAIL: [u8; 5] = *b"later";

const SCHEMA_AT: usize = 1;
const CHECKSUM: usize = 4;

/// A record's header and checksum.
const SHORTEST: usize = 48;

/// What the keys of records begin with. Other values stay as they are.
const RECORDS: &str = "cb1:";

/// Traps if the request asks for it: the VM is gone, with all that it had in memory.
pub fn trap_if_told(server: &str) {
    if Headers::Request.get(TRAP).is_some_and(|value| value == server.as_bytes()) {
        log::warn!("trapping, as the request says");
        std::process::abort();
    }
}

/// A record as it is stored by the later version: with a higher schema and a tail.
pub fn grown(key: &str, record: &[u8]) -> Vec<u8> {
    if record.len() < SHORTEST || !key.starts_with(RECORDS) {
        return record.to_vec();
    }
    let body = record.get(..record.len().saturating_sub(CHECKSUM)).unwrap_or_default();
    with_schema(2, &[body, &TAIL].concat())
}

/// A stored record as this version knows it. One that the older version has written since must still have its tail.
pub fn shrunk(key: &str, stored: Vec<u8>) -> Vec<u8> {
    if stored.len() < SHORTEST || !key.starts_with(RECORDS) || stored.get(SCHEMA_AT) != Some(&2) {
        return stored;
    }
    let body = stored.get(..stored.len().saturating_sub(CHECKSUM)).unwrap_or_default();
    match body.strip_suffix(&TAIL) {
        Some(known) => with_schema(1, known),
        None => {
            log::error!("a record has lost its tail");
            stored
        }
    }
}

/// A call as the later version writes it down: with a higher minor version and something at its end.
pub fn written_later(mut call: Vec<u8>) -> Vec<u8> {
    const MINOR_AT: usize = 1;
    if let Some(minor) = call.get_mut(MINOR_AT) {
        *minor = minor.saturating_add(1);
    }
    call.extend(TAIL);
    call
}

fn with_schema(schema: u8, body: &[u8]) -> Vec<u8> {
    let mut record = body.to_vec();
    if let Some(byte) = record.get_mut(SCHEMA_AT) {
        *byte = schema;
    }
    let checksum =
        record.iter().fold(0x811C_9DC5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    record.extend(checksum.to_le_bytes());
    record
}
