//! Which probes have an answer that has begun.
//!
//! To the prober an answer that never ends is none, as it gets answers whole. But the attempt filter has seen that a stream
//! of events began, so it leaves word of that in the shared data: a server that takes longer than the probe's time for what
//! it says is alive.

use crate::shared_data::SharedData;

/// Overwrites whatever is there.
const ANY: u32 = 0;

fn key(server: &str) -> String {
    ["probe-begun:", server].concat()
}

/// A stream of events has begun at `now_ms` as the answer to a probe of `server`.
pub fn note_begun(store: &impl SharedData, server: &str, now_ms: u64) {
    // Without the word it is as if nothing had come.
    let _ = store.set(&key(server), &now_ms.to_le_bytes(), ANY);
}

/// Whether the answer to a probe of `server`, which was sent at `sent_ms`, has begun.
pub fn has_begun(store: &impl SharedData, server: &str, sent_ms: u64) -> bool {
    let bytes = store.get(&key(server)).ok().flatten().and_then(|(bytes, _)| bytes.try_into().ok());
    bytes.is_some_and(|bytes| u64::from_le_bytes(bytes) >= sent_ms)
}
