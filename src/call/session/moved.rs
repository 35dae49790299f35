//! Where sessions have moved: a table in the shared data, of a bounded number of keys with a bounded number of entries each.
//! A newer entry takes the place of the oldest under its key; its client gets one more session then. That a session's client
//! has ended it stands there too: such a session is not opened again.
//!
//! | bytes of an entry | what |
//! |---|---|
//! | 0..8 | the hash of the client's session id, little endian |
//! | 8 | length of the server's id, which follows; 0: the session's client has ended it |
//! | .. | length of the server's id for the session in two bytes, little endian; then that id |

use super::LONGEST_ID;
use crate::shared_data::{CREATE, SetError, SharedData};

/// Keys of the table; a power of two.
const KEYS: u64 = 512;

/// Entries under one key. All keys together keep 4096 sessions in at most 1.2 MiB; most ids are 36 bytes long.
const ENTRIES: usize = 8;

/// Version of the encoding.
const VERSION: u8 = 1;

/// The key that exists once a session has moved.
const ANY: &str = "sm";

/// A lost race is run again so often.
const TRIES: usize = 4;

/// Where a session is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The server.
    pub server: String,
    /// Its id for the session; empty if it needs none.
    pub id: Vec<u8>,
}

/// Whether any session of this process has moved.
pub fn any(shared: &impl SharedData) -> bool {
    matches!(shared.get(ANY), Ok(Some(_)))
}

/// Where the session has moved whose client's id has this hash.
pub fn find(shared: &impl SharedData, hash: u64) -> Option<Moved> {
    look_up(shared, hash).filter(|found| !found.server.is_empty())
}

/// Whether the client whose id has this hash has ended its session.
pub fn has_ended(shared: &impl SharedData, hash: u64) -> bool {
    look_up(shared, hash).is_some_and(|found| found.server.is_empty())
}

fn look_up(shared: &impl SharedData, hash: u64) -> Option<Moved> {
    let (bytes, _) = shared.get(&key(hash)).ok()??;
    let (_, server, id) = entries(&bytes).find(|(found, ..)| *found == hash)?;
    Some(Moved { server: std::str::from_utf8(server).ok()?.to_owned(), id: id.to_vec() })
}

/// Notes that it has moved; `None`: its client has ended it.
pub fn note(shared: &impl SharedData, hash: u64, to: Option<(&str, &[u8])>) {
    let key = key(hash);
    for _ in 0..TRIES {
        let (bytes, token) = match shared.get(&key) {
            Ok(Some((bytes, token))) => (bytes, token),
            _ => (Vec::new(), CREATE),
        };
        let mut kept: Vec<_> = entries(&bytes).filter(|(found, ..)| *found != hash).collect();
        let (server, id) = to.unwrap_or_default();
        kept.push((hash, server.as_bytes(), id));
        let written = write(kept.get(kept.len().saturating_sub(ENTRIES)..).unwrap_or_default());
        if shared.set(&key, &written, token) != Err(SetError::CasMismatch) {
            break;
        }
    }
    if to.is_some() && !any(shared) {
        let _ = shared.set(ANY, b"1", CREATE);
    }
}

fn key(hash: u64) -> String {
    format!("s{}", hash % KEYS)
}

type Entry<'b> = (u64, &'b [u8], &'b [u8]);

/// The entries in `bytes`, up to the first that can't be read.
fn entries(bytes: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let mut rest = bytes.strip_prefix(&[VERSION]).unwrap_or_default();
    std::iter::from_fn(move || {
        let (hash, tail) = rest.split_first_chunk()?;
        let (length, tail) = tail.split_first()?;
        let (server, tail) = tail.split_at_checked((*length).into())?;
        let (length, tail) = tail.split_first_chunk()?;
        let (id, tail) = tail.split_at_checked(u16::from_le_bytes(*length).into())?;
        rest = tail;
        Some((u64::from_le_bytes(*hash), server, id))
    })
}

fn write(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for (hash, server, id) in entries.iter().filter(|(_, _, id)| id.len() <= LONGEST_ID) {
        let (Ok(server_length), Ok(id_length)) = (u8::try_from(server.len()), u16::try_from(id.len())) else {
            continue;
        };
        bytes.extend(hash.to_le_bytes());
        bytes.push(server_length);
        bytes.extend_from_slice(server);
        bytes.extend(id_length.to_le_bytes());
        bytes.extend_from_slice(id);
    }
    bytes
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::shared_data::memory::Store;

    fn at(server: &str, id: &[u8]) -> Option<Moved> {
        Some(Moved { server: server.to_owned(), id: id.to_vec() })
    }

    #[test]
    fn a_session_is_found_where_it_went_last_until_it_ends() {
        let store = Store::default();
        assert!(!any(&store));
        assert_eq!(find(&store, 7), None);
        note(&store, 7, Some(("b", b"one")));
        note(&store, 7 + KEYS, Some(("b", b"")));
        note(&store, 7, Some(("c", b"two")));
        assert!(any(&store));
        assert_eq!(find(&store, 7), at("c", b"two"));
        assert_eq!(find(&store, 7 + KEYS), at("b", b""));
        note(&store, 7, None);
        assert_eq!((find(&store, 7), find(&store, 7 + KEYS)), (None, at("b", b"")));
        assert_eq!([7, 7 + KEYS, 8].map(|hash| has_ended(&store, hash)), [true, false, false]);
    }

    #[test]
    fn while_sessions_only_end_nobody_has_to_look_for_moved_ones() {
        let store = Store::default();
        note(&store, 7, None);
        assert!(has_ended(&store, 7) && !any(&store));
    }

    #[test]
    fn the_table_stays_within_its_bounds_whatever_is_noted() {
        let store = Store::default();
        let longest = vec![b'x'; LONGEST_ID];
        for hash in 0..40_000 {
            note(&store, hash, Some(("server", &longest)));
        }
        note(&store, 1, Some(("server", &[b'x'; LONGEST_ID + 1])));
        let all = store.0.borrow();
        assert_eq!(all.len(), 1 + usize::try_from(KEYS).unwrap());
        assert!(all.values().map(|(value, _)| value.len()).sum::<usize>() < 2_400_000);
        drop(all);
        assert_eq!(find(&store, 39_999), at("server", &longest), "the newest is there");
        assert_eq!((find(&store, 0), find(&store, 1)), (None, None), "the oldest and what is too long are not");
    }

    #[test]
    fn a_damaged_value_costs_its_entries_and_nothing_else() {
        let store = Store::default();
        note(&store, 3, Some(("b", b"one")));
        let whole = store.0.borrow()["s3"].0.clone();
        for cut in 0..whole.len() {
            store.0.borrow_mut().insert("s3".to_owned(), (whole[..cut].to_vec(), 9));
            assert_eq!(find(&store, 3), None, "{cut}");
            note(&store, 3 + KEYS, Some(("c", b"two")));
            assert_eq!(find(&store, 3 + KEYS), at("c", b"two"));
        }
    }
}
