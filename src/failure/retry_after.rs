//! The Retry-After header.

use std::time::UNIX_EPOCH;

/// The longest wait believed, in milliseconds: an hour. The breaker's policy bounds it further.
pub const MAX_MS: u64 = 3_600_000;

/// How long to wait, in milliseconds, at most [`MAX_MS`]. Takes both of HTTP's forms, seconds and a date, which is
/// compared with `now_ms`, the wall clock in milliseconds since 1970; a date gone by means no wait. Anything else is
/// `None`, as if the header were not there.
pub fn parse(value: &[u8], now_ms: u64) -> Option<u64> {
    let value = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    let wait = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are a legal number too, only a large one.
        value.parse::<u64>().map_or(u64::MAX, |seconds| seconds.saturating_mul(1000))
    } else {
        let date = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
        date.as_secs().saturating_mul(1000).saturating_sub(now_ms)
    };
    Some(wait.min(MAX_MS))
}
