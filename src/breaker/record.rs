//! What the workers share about one server, and what an admitted call takes along.

use super::policy::Policy;
use super::window::Window;

/// The state of a breaker. The numbers are those of the record and of the state gauge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Calls pass and are counted.
    Closed = 0,
    /// Calls are refused until the deadline.
    Open = 1,
    /// One probe at a time decides.
    HalfOpen = 2,
}

impl State {
    /// The name used in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half_open",
        }
    }
}

/// Why the state last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It has not changed since the record was created.
    Created,
    /// So many failures in a row.
    Consecutive,
    /// The failure rate of the window.
    FailureRate,
    /// The slow call rate of the window.
    SlowRate,
    /// A probe failed, was limited, or was slow.
    ProbeFailed,
    /// Too many probes never reported.
    ProbeLost,
    /// The open period was over and a call asked.
    Due,
    /// Enough probes succeeded.
    ProbeSucceeded,
    /// The server answered several probes in a row, though none of the answers said how it is.
    ProbeAlive,
    /// The operator asked for it.
    Reset,
    /// A reason of a newer version; 10 to 15.
    Unknown(u8),
}

impl Reason {
    const KNOWN: [Reason; 10] = [
        Reason::Created,
        Reason::Consecutive,
        Reason::FailureRate,
        Reason::SlowRate,
        Reason::ProbeFailed,
        Reason::ProbeLost,
        Reason::Due,
        Reason::ProbeSucceeded,
        Reason::ProbeAlive,
        Reason::Reset,
    ];

    /// The reason's number in the record, below 16.
    pub fn number(self) -> u8 {
        match self {
            Reason::Unknown(number) => number & 0xF,
            known => (0u8..).zip(Self::KNOWN).find(|(_, reason)| *reason == known).map_or(0, |(number, _)| number),
        }
    }

    /// The reason with this number.
    pub fn from_number(number: u8) -> Self {
        Self::KNOWN.get(usize::from(number)).copied().unwrap_or(Reason::Unknown(number))
    }

    /// The name used in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Created => "created",
            Reason::Consecutive => "consecutive",
            Reason::FailureRate => "failure_rate",
            Reason::SlowRate => "slow_rate",
            Reason::ProbeFailed => "probe_failed",
            Reason::ProbeLost => "probe_lost",
            Reason::Due => "due",
            Reason::ProbeSucceeded => "probe_succeeded",
            Reason::ProbeAlive => "probe_alive",
            Reason::Reset => "reset",
            Reason::Unknown(_) => "unknown",
        }
    }
}

/// The right to be the probe: bit 0 says whether a lease is live, the rest numbers the last one issued.
///
/// The number is kept when a lease ends. If it started again, a very late answer of a lost probe could pass for the
/// current one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lease(pub u32);

impl Lease {
    /// Whether some call holds it.
    pub fn is_live(self) -> bool {
        self.0 & 1 == 1
    }

    /// The next lease, live.
    pub fn next(self) -> Self {
        Lease((self.0 | 1).wrapping_add(2))
    }

    /// This lease, held by nobody any more.
    pub fn ended(self) -> Self {
        Lease(self.0 & !1)
    }
}

/// The shared state of one server's breaker. Times are monotonic milliseconds of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Version that wrote it: 1, or more for a newer minor with the same leading fields.
    pub schema: u8,
    /// The state.
    pub state: State,
    /// Why it has this state.
    pub reason: Reason,
    /// One more at every change of state; wraps, so it is compared for equality only.
    pub epoch: u32,
    /// When the state last changed.
    pub since_ms: u64,
    /// Open: end of the open period. Half-open: end of the live lease, 0 without one. Closed: 0.
    pub deadline_ms: u64,
    /// The probe's lease.
    pub lease: Lease,
    /// How often it opened, less what healthy time has taken off; sets the open period.
    pub attempt: u8,
    /// Good probes in this half-open period.
    pub streak: u8,
    /// Leases lost in this half-open period.
    pub lost: u8,
    /// Closed: failures in a row. Half-open: probes in a row that the server answered without a verdict.
    pub run: u16,
    /// Fingerprint of the policy behind the last change of state; for diagnosis only.
    pub policy: u32,
    /// Results of the last seconds.
    pub window: Window,
    /// Header bytes that only a newer minor understands.
    pub newer_header: Vec<u8>,
    /// Trailing bytes that only a newer minor understands.
    pub newer_tail: Vec<u8>,
}

impl Record {
    /// Version of the record that this code writes.
    pub const SCHEMA: u8 = 1;

    /// A closed breaker that knows nothing yet.
    pub fn new(epoch: u32, policy: &Policy, now_ms: u64) -> Self {
        Record {
            schema: Self::SCHEMA,
            state: State::Closed,
            reason: Reason::Created,
            epoch,
            since_ms: now_ms,
            deadline_ms: 0,
            lease: Lease::default(),
            attempt: 0,
            streak: 0,
            lost: 0,
            run: 0,
            policy: policy.fingerprint(),
            window: Window::new(policy.buckets, policy.bucket_ms, now_ms),
            newer_header: Vec::new(),
            newer_tail: Vec::new(),
        }
    }

    /// For how long the server has been coming back, ms; `None` once it is back, or if it was never away.
    pub(super) fn ramping_ms(&self, policy: &Policy, now_ms: u64) -> Option<u64> {
        let returned =
            self.state == State::Closed && matches!(self.reason, Reason::ProbeSucceeded | Reason::ProbeAlive);
        Some(now_ms.saturating_sub(self.since_ms)).filter(|elapsed| returned && *elapsed < policy.ramp.ms)
    }
}

/// What an admitted call must show when it reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticket {
    /// The epoch that admitted the call.
    pub epoch: u32,
    /// The lease it holds as the probe; `None` for a normal call.
    pub lease: Option<Lease>,
    /// Whether the breaker refused and the call goes nonetheless, because nobody else could answer it.
    pub last_resort: bool,
}

impl Ticket {
    /// A live lease is odd, so that the even numbers are free for normal calls.
    const NORMAL: u32 = 0;
    const LAST_RESORT: u32 = 2;

    /// The ticket in 64 bits, to travel in a call's plan.
    pub fn to_bits(self) -> u64 {
        let low = match self.lease {
            Some(lease) => lease.0,
            None if self.last_resort => Self::LAST_RESORT,
            None => Self::NORMAL,
        };
        u64::from(self.epoch) << 32 | u64::from(low)
    }

    /// The ticket that [`Ticket::to_bits`] wrote; `None` for bits that it never writes.
    #[allow(clippy::cast_possible_truncation)]
    pub fn from_bits(bits: u64) -> Option<Self> {
        let (epoch, low) = ((bits >> 32) as u32, bits as u32);
        let ticket = Ticket { epoch, ..Ticket::default() };
        match low {
            Self::NORMAL => Some(ticket),
            Self::LAST_RESORT => Some(Ticket { last_resort: true, ..ticket }),
            _ => Some(Lease(low)).filter(|lease| lease.is_live()).map(|lease| Ticket { lease: Some(lease), ..ticket }),
        }
    }
}
