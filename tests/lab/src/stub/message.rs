//! The little of JSON-RPC that a stub reads.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The parts of a JSON-RPC message that matter to a stub. `id` stays text, to be sent back byte for byte.
#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    pub(super) method: Option<String>,
    #[serde(default)]
    pub(super) params: serde_json::Value,
}
