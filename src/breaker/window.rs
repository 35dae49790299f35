//! The sliding window: a row of equally long buckets, newest first.

/// Results of one bucket. `slow` calls are among `ok` and `fail` as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Successes.
    pub ok: u16,
    /// Failures, limited answers included.
    pub fail: u16,
    /// Calls over the policy's slow threshold.
    pub slow: u16,
}

/// Results over several buckets, or waiting to be counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Successes.
    pub ok: u32,
    /// Failures, limited answers included.
    pub fail: u32,
    /// Calls over the policy's slow threshold, successful or not.
    pub slow: u32,
}

impl Counts {
    /// All calls.
    pub fn total(self) -> u32 {
        self.ok.saturating_add(self.fail)
    }
}

/// The buckets with the position of the newest one in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Width of a bucket, ms; not 0.
    pub bucket_ms: u16,
    /// Number of the newest bucket: time / width, modulo 2^32.
    pub head: u32,
    /// At least one; the first is the newest.
    pub buckets: Vec<Bucket>,
}

/// Where a point in time lies, as seen from the head.
enum Position {
    /// In the head bucket, or a little before it: a clock that stepped back must not lose samples.
    Head,
    /// This many buckets after the head.
    After(usize),
    /// So far away, in either direction, that no bucket says anything about it.
    Elsewhere,
}

impl Window {
    /// An empty window of `buckets` buckets of `bucket_ms` each.
    pub fn new(buckets: u8, bucket_ms: u16, now_ms: u64) -> Self {
        let mut window =
            Window { bucket_ms: bucket_ms.max(1), head: 0, buckets: vec![Bucket::default(); buckets.max(1).into()] };
        window.head = window.number(now_ms);
        window
    }

    /// What lies inside the window at `now_ms`.
    pub fn counts(&self, now_ms: u64) -> Counts {
        let inside = match self.position(now_ms) {
            Position::Head => self.buckets.len(),
            Position::After(by) => self.buckets.len().saturating_sub(by),
            Position::Elsewhere => 0,
        };
        self.buckets.iter().take(inside).fold(Counts::default(), |sum, bucket| Counts {
            ok: sum.ok.saturating_add(bucket.ok.into()),
            fail: sum.fail.saturating_add(bucket.fail.into()),
            slow: sum.slow.saturating_add(bucket.slow.into()),
        })
    }

    /// Whether it has a success of a bucket that began after `since_ms`.
    pub fn has_success_since(&self, since_ms: u64) -> bool {
        let newer = self.head.wrapping_sub(self.number(since_ms));
        // A number of the future is no distance.
        let newer = if newer > u32::MAX >> 1 { 0 } else { usize::try_from(newer).unwrap_or(usize::MAX) };
        self.buckets.iter().take(newer).any(|bucket| bucket.ok > 0)
    }

    /// Moves the window to `now_ms` and adds `counts` to its newest bucket.
    pub fn add(&mut self, counts: Counts, now_ms: u64) {
        match self.position(now_ms) {
            Position::Head => {}
            Position::After(by) => {
                self.buckets.rotate_right(by);
                self.buckets.iter_mut().take(by).for_each(|bucket| *bucket = Bucket::default());
                self.head = self.number(now_ms);
            }
            Position::Elsewhere => self.clear(now_ms),
        }
        if let Some(bucket) = self.buckets.first_mut() {
            bucket.add(counts);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self, now_ms: u64) {
        self.buckets.fill(Bucket::default());
        self.head = self.number(now_ms);
    }

    /// The number wraps around: only the distance of two numbers means something.
    #[allow(clippy::cast_possible_truncation)]
    fn number(&self, now_ms: u64) -> u32 {
        now_ms.checked_div(self.bucket_ms.into()).unwrap_or(0) as u32
    }

    fn position(&self, now_ms: u64) -> Position {
        let number = self.number(now_ms);
        let within = |distance: u32| usize::try_from(distance).ok().filter(|d| *d < self.buckets.len());
        match (within(number.wrapping_sub(self.head)), within(self.head.wrapping_sub(number))) {
            (Some(0), _) | (None, Some(_)) => Position::Head,
            (Some(by), _) => Position::After(by),
            (None, None) => Position::Elsewhere,
        }
    }
}

impl Bucket {
    /// Where a counter would overflow all three are halved, which keeps the rates.
    fn add(&mut self, counts: Counts) {
        let mut sums = [
            counts.ok.saturating_add(self.ok.into()),
            counts.fail.saturating_add(self.fail.into()),
            counts.slow.saturating_add(self.slow.into()),
        ];
        while sums.iter().any(|sum| *sum > u16::MAX.into()) {
            sums = sums.map(|sum| sum >> 1);
        }
        let [ok, fail, slow] = sums.map(|sum| u16::try_from(sum).unwrap_or(u16::MAX));
        *self = Bucket { ok, fail, slow };
    }
}
