//! Time and randomness, the two inputs that the core takes as parameters.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::credential::Now;
use crate::random::Generator;

/// Milliseconds on a clock that never goes back and is the same for all VMs of the process.
///
/// Breaker records hold such times, so the SDK's clock won't do: it is wall time. WASI's monotonic clock is Envoy's.
#[cfg(target_os = "wasi")]
pub fn now_ms() -> u64 {
    // SAFETY: the import takes plain numbers; the wrapper owns the memory of the result.
    let nanoseconds = unsafe { wasip1::clock_time_get(wasip1::CLOCKID_MONOTONIC, 1_000_000) };
    nanoseconds.unwrap_or_default().checked_div(1_000_000).unwrap_or_default()
}

/// The same of the emulated host, whose clocks tests turn by hand.
#[cfg(not(target_os = "wasi"))]
pub fn now_ms() -> u64 {
    const MONOTONIC: u32 = 1;
    unsafe extern "C" {
        fn clock_time_get(id: u32, precision: u64, time: *mut u64) -> u16;
    }
    let mut nanoseconds = 0;
    // SAFETY: the host writes one number where it is told to.
    unsafe { clock_time_get(MONOTONIC, 1_000_000, &raw mut nanoseconds) };
    nanoseconds.checked_div(1_000_000).unwrap_or_default()
}

/// Wall time since 1970: for dates in headers and for logs, never for deadlines.
pub fn wall_time() -> Duration {
    let now = proxy_wasm::hostcalls::get_current_time().unwrap_or(SystemTime::UNIX_EPOCH);
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Both clocks, the monotonic one having been read already.
pub fn now_with(ms: u64) -> Now {
    Now { wall_s: wall_time().as_secs(), ms }
}

thread_local! {
    /// This VM's generator.
    static GENERATOR: RefCell<Generator> = RefCell::new(Generator::new(seed()));
}

/// A seed from the host; without a source of randomness there, from the clock. That keeps the VMs of one process apart
/// that were not started within the same nanosecond, and nothing else is asked of it: nobody must be kept from guessing
/// what [`random_u32`] answers.
fn seed() -> u64 {
    getrandom::u64().unwrap_or_else(|_| u64::try_from(wall_time().as_nanos()).unwrap_or_default())
}

/// Random bits for jitter and shares, from this VM's own generator.
pub fn random_u32() -> u32 {
    GENERATOR.with_borrow_mut(Generator::next_u32)
}

/// Random bytes that nobody can guess, for ids and keys; `None` if the host has no source of them.
pub fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}
