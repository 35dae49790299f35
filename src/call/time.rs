//! The time that a call's client waits, and what of it an attempt may take.

/// How long each attempt of a call may take, and until when the client waits. Times are of the monotonic clock, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Time {
    /// The longest an attempt may take to the first byte of its answer; 0 = as long as it takes.
    pub per_try_ms: u64,
    /// When the client stops waiting; `None` = never.
    pub deadline_ms: Option<u64>,
    /// Whether the client's own word has made `per_try_ms` shorter than the operator would have it. Such an attempt can
    /// run out of time at a server that is well.
    pub hurried: bool,
}

impl Time {
    /// Time without limits, as for a stream.
    pub const UNLIMITED: Time = Time { per_try_ms: 0, deadline_ms: None, hurried: false };

    /// Whether the client still waits in so many ms from `now_ms`.
    pub fn is_left(&self, now_ms: u64, in_ms: u64) -> bool {
        self.deadline_ms.is_none_or(|deadline| now_ms.saturating_add(in_ms) < deadline)
    }

    /// Whether an attempt that begins in `wait_ms` from `now_ms` can end before the client stops waiting.
    pub fn allows_another(&self, now_ms: u64, wait_ms: u64) -> bool {
        let end = now_ms.saturating_add(wait_ms).saturating_add(self.per_try_ms);
        self.deadline_ms.is_none_or(|deadline| end <= deadline)
    }
}

/// How long a client waits for the answer to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientTime {
    /// When its call came.
    pub started_ms: u64,
    /// How long the operator says that clients wait.
    pub allowed_ms: Option<u64>,
    /// How long this client says that it waits. It can only lower that.
    pub told_ms: Option<u64>,
}

impl ClientTime {
    /// Whether the client waits no longer.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.deadline_ms().is_some_and(|deadline| deadline <= now_ms)
    }

    /// Shares what is left at `now_ms` among `attempts` that may each use up their time, one after the other. None gets
    /// more than `timeout_ms`, which is what the operator gives an attempt at most.
    pub fn share(&self, now_ms: u64, timeout_ms: u64, attempts: u64) -> Time {
        let part = |limit: Option<u64>| {
            let left = limit.map(|limit_ms| self.started_ms.saturating_add(limit_ms).saturating_sub(now_ms));
            left.map_or(timeout_ms, |left_ms| part_of(left_ms, attempts).min(timeout_ms))
        };
        let per_try_ms = part(self.limit_ms());
        Time { per_try_ms, deadline_ms: self.deadline_ms(), hurried: per_try_ms < part(self.allowed_ms) }
    }

    fn limit_ms(&self) -> Option<u64> {
        self.allowed_ms.into_iter().chain(self.told_ms).min()
    }

    fn deadline_ms(&self) -> Option<u64> {
        self.limit_ms().map(|limit_ms| self.started_ms.saturating_add(limit_ms))
    }
}

/// What each attempt gets: a little less than an equal part, because a timer is late rather than early, and the last
/// attempt must still fit. Never 0, which is no limit.
fn part_of(left_ms: u64, attempts: u64) -> u64 {
    let part = left_ms.checked_div(attempts).unwrap_or(left_ms);
    part.saturating_sub(part.checked_div(16).unwrap_or_default()).max(1)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn time(allowed_ms: Option<u64>, told_ms: Option<u64>) -> ClientTime {
        ClientTime { started_ms: 0, allowed_ms, told_ms }
    }

    #[test]
    fn without_a_word_about_the_clients_time_there_is_no_limit_but_the_servers() {
        let time = time(None, None).share(200, 30_000, 3);
        assert_eq!(time, Time { per_try_ms: 30_000, deadline_ms: None, hurried: false });
        assert!(time.allows_another(u64::MAX, 1));
    }

    #[test]
    fn all_attempts_fit_even_if_each_takes_all_its_time_and_its_timer_is_late() {
        let time = time(Some(9_000), None).share(0, 30_000, 3);
        assert!((2_700..3_000).contains(&time.per_try_ms), "{time:?}");
        let mut now = 0;
        for attempt in 1..=3 {
            assert!(time.allows_another(now, 10), "attempt {attempt}");
            now += time.per_try_ms + 50;
        }
        assert!(now <= 9_000 && !time.allows_another(now, 0));
    }

    #[test]
    fn a_client_can_lower_its_time_and_not_raise_it() {
        let share = |told| time(Some(9_000), Some(told)).share(0, 5_000, 1);
        assert_eq!(share(20_000), Time { per_try_ms: 5_000, deadline_ms: Some(9_000), hurried: false });
        assert_eq!(share(6_000), Time { per_try_ms: 5_000, deadline_ms: Some(6_000), hurried: false });
        assert!(share(1_000).hurried && share(1_000).per_try_ms < 1_000);
        assert!(!time(Some(1_000), None).share(0, 5_000, 1).hurried, "that is the operator's word");
    }

    #[test]
    fn a_client_that_waits_no_longer_is_told_apart() {
        assert!(time(Some(1_000), None).is_over(1_000));
        assert!(time(None, Some(0)).is_over(0));
        assert!(!time(Some(1_000), None).is_over(999));
        assert!(!time(None, None).is_over(u64::MAX));
    }

    #[cfg(not(target_family = "wasm"))]
    proptest::proptest! {
        #[test]
        fn no_attempt_may_take_longer_than_its_client_waits(
            started_ms in 0..1_000_000_u64, read in 0..100_000_u64, timeout in 10..100_000_u64, limit in 0..200_000_u64,
            attempts in 1..10_u64,
        ) {
            let now = started_ms + read;
            let client = ClientTime { started_ms, allowed_ms: Some(limit), told_ms: None };
            let time = client.share(now, timeout, attempts);
            proptest::prop_assert!(time.per_try_ms >= 1 && time.per_try_ms <= timeout);
            proptest::prop_assert_eq!(client.is_over(now), !time.allows_another(now, 0));
        }
    }
}
