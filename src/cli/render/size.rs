//! How much Envoy must be able to hold of one message, in bytes.

use crate::registry::Limits;

/// Room above the registry's limits. A body is over the limit before Envoy's own limit is met, so that it is the
/// filter that refuses it, in JSON-RPC, and translation and framing have room to grow.
const SLACK: u32 = 64 * 1024;

/// Buffer of a connection, to a client or to a server: how much is read ahead of what the other side takes. Small, since
/// every connection may fill it: a client that doesn't read its answers costs this much. What is held of a message on
/// purpose is not in it but in its [`stream`].
pub(super) const CONNECTION: u32 = 64 * 1024;

/// Buffer of a stream: of its request, which is held to be sent again, and of its answer, which is held to be judged, with
/// the piece that Envoy adds before the filter can let go. Over it the stream would be reset.
pub(super) fn stream(limits: &Limits) -> u32 {
    limits.request_body.max(limits.response_body).saturating_add(CONNECTION).saturating_add(SLACK)
}
