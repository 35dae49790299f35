//! How much Envoy must be able to hold of one message, in bytes.

use crate::registry::Limits;

/// Room above the registry's limits. A body is over the limit before Envoy's own limit is met, so that it is the
/// filter that refuses it, in JSON-RPC, and translation and framing have room to grow.
const SLACK: u32 = 64 * 1024;

/// Buffer for request bodies, which are held to be sent again.
pub(super) fn request_buffer(limits: &Limits) -> u32 {
    limits.request_body.saturating_add(SLACK)
}

/// Buffer of a connection that carries requests one way and held answers the other. Twice what is held: Envoy adds a piece
/// of a body to what is held before the filter can let go of it, a piece may be megabytes long, and over the buffer the
/// stream is reset.
pub(super) fn connection_buffer(limits: &Limits) -> u32 {
    limits.request_body.max(limits.response_body).saturating_mul(2).saturating_add(SLACK)
}
