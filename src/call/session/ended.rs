//! Sessions of the gate's own that their clients have ended: a table in the shared data, of a bounded number of keys with a
//! bounded number of hashes each, eight bytes long, the newest at the end. It is another one than that of the sessions that have
//! moved ([`super::moved`]): anybody can make up ids of the gate's and end them, which must push out nothing else.

use crate::shared_data::{CREATE, SetError, SharedData};

/// Keys of the table; a power of two.
const KEYS: u64 = 64;

/// Bytes under one key. All keys together keep 4096 sessions.
const LONGEST: usize = 64 * 8;

/// A lost race is run again so often.
const TRIES: usize = 4;

/// Notes that the client has ended the session whose id has this hash.
pub fn note(shared: &impl SharedData, hash: u64) {
    let key = key(hash);
    for _ in 0..TRIES {
        let (mut hashes, token) = shared.get(&key).ok().flatten().unwrap_or((Vec::new(), CREATE));
        hashes.extend_from_slice(&hash.to_le_bytes());
        let kept = hashes.get(hashes.len().saturating_sub(LONGEST)..).unwrap_or_default();
        if shared.set(&key, kept, token) != Err(SetError::CasMismatch) {
            break;
        }
    }
}

/// Whether that is noted.
pub fn is_noted(shared: &impl SharedData, hash: u64) -> bool {
    let found = shared.get(&key(hash)).ok().flatten();
    found.is_some_and(|(hashes, _)| hashes.chunks_exact(8).any(|noted| *noted == hash.to_le_bytes()))
}

fn key(hash: u64) -> String {
    format!("e{}", hash % KEYS)
}
