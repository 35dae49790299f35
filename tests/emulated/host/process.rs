//! What all workers of one Envoy process share: shared data, metrics, clock, log. Each test has a process of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proxy_wasm::types::{LogLevel, Status};

use super::metrics::{Metric, Metrics};
use super::shared_data::SharedData;
use super::{taken, with_vm};

/// One emulated Envoy process. Dropping it fails the test if a filter broke a rule of the host.
pub struct Process {
    shared_data: Mutex<SharedData>,
    metrics: Mutex<Metrics>,
    /// Time since the machine was started.
    monotonic_ns: AtomicU64,
    /// Time since 1970, as somebody has set it.
    wall_ns: AtomicU64,
    log: Mutex<Vec<(LogLevel, String)>>,
    violations: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    /// A process that has just started, at some time of 2026.
    pub fn new() -> Arc<Self> {
        Arc::new(Process {
            shared_data: Mutex::default(),
            metrics: Mutex::default(),
            monotonic_ns: AtomicU64::new(86_400_000_000_000),
            wall_ns: AtomicU64::new(1_780_000_000_000_000_000),
            log: Mutex::default(),
            violations: Mutex::default(),
        })
    }

    /// Lets time pass for every worker.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).expect("a short time");
        self.monotonic_ns.fetch_add(by, Ordering::SeqCst);
        self.wall_ns.fetch_add(by, Ordering::SeqCst);
    }

    /// Somebody sets the wall clock, so many seconds forward or back. No time passes.
    pub fn set_wall_clock(&self, by_s: i64) {
        let by = by_s.unsigned_abs() * 1_000_000_000;
        if by_s < 0 {
            self.wall_ns.fetch_sub(by, Ordering::SeqCst);
        } else {
            self.wall_ns.fetch_add(by, Ordering::SeqCst);
        }
    }

    /// The time on the monotonic clock.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.monotonic_ns.load(Ordering::SeqCst))
    }

    /// The shared data.
    pub fn shared_data(&self) -> MutexGuard<'_, SharedData> {
        lock(&self.shared_data)
    }

    pub(super) fn metrics(&self) -> MutexGuard<'_, Metrics> {
        lock(&self.metrics)
    }

    /// A counter's or gauge's value; 0 while nobody has defined it.
    pub fn metric(&self, name: &str) -> u64 {
        match self.metrics().values.get(name) {
            Some(Metric::Counter(n) | Metric::Gauge(n)) => *n,
            _ => 0,
        }
    }

    /// The sum of all counters whose name begins with `prefix`.
    pub fn metric_sum(&self, prefix: &str) -> u64 {
        let all = self.metric_names();
        all.iter().filter(|name| name.starts_with(prefix)).map(|name| self.metric(name)).sum()
    }

    /// Names of all metrics defined.
    pub fn metric_names(&self) -> Vec<String> {
        self.metrics().values.keys().cloned().collect()
    }

    /// Every log line so far.
    pub fn log(&self) -> Vec<(LogLevel, String)> {
        lock(&self.log).clone()
    }

    pub(super) fn violation(&self, text: String) {
        lock(&self.violations).push(text);
    }

    /// The rules broken so far; taken, they no longer fail the test.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.violations))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let broken = self.take_violations();
        if !std::thread::panicking() {
            assert!(broken.is_empty(), "the filter broke rules of the host: {broken:#?}");
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_current_time_nanoseconds(time: *mut u64) -> Status {
    super::tally::host_call("get_current_time_nanoseconds");
    with_vm(|vm| unsafe { *time = vm.process.wall_ns.load(Ordering::SeqCst) });
    Status::Ok
}

/// WASI's clocks: 0 is the wall's, 1 the monotonic one. Envoy has no others.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_time_get(id: u32, _precision: u64, time: *mut u64) -> u16 {
    super::tally::host_call("clock_time_get");
    const INVALID: u16 = 28;
    with_vm(|vm| {
        let clock = match id {
            0 => &vm.process.wall_ns,
            1 => &vm.process.monotonic_ns,
            _ => return INVALID,
        };
        unsafe { *time = clock.load(Ordering::SeqCst) };
        0
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_log(level: LogLevel, message: *const u8, size: usize) -> Status {
    super::tally::host_call("log");
    let message = String::from_utf8_lossy(unsafe { taken(message, size) }).into_owned();
    with_vm(|vm| lock(&vm.process.log).push((level, message)));
    Status::Ok
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_log_level(level: *mut LogLevel) -> Status {
    super::tally::host_call("get_log_level");
    unsafe { *level = LogLevel::Trace };
    Status::Ok
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_tick_period_milliseconds(period: u32) -> Status {
    super::tally::host_call("set_tick_period_milliseconds");
    with_vm(|vm| vm.tick_ms.insert(vm.effective, period));
    Status::Ok
}
