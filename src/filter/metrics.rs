//! The filter's statistics, on their way to Envoy. What a call counts is added up in memory and told by the next tick: a
//! host call and the name of a stat cost more than all else about a metric. A trap loses what no tick has told yet.
//!
//! A stat is defined when it is first told and remembered, since defining costs a host call and a lock. The number of
//! stats is bounded by the registry; see [`crate::telemetry`].

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use super::host::{self, StatKind};
use crate::registry::Registry;
pub use crate::telemetry::{AnsweredBy, CallStatus, Metric};
use crate::telemetry::{Kind, Name, Names, Pending, RegistryNames, Series};

/// How long after the last tick, in ms, there is none to be expected: the gate's comes five times as often.
const NO_TICK_MS: u64 = 1_000;

/// The statistics of one VM, under whatever registries.
#[derive(Default)]
pub struct Metrics {
    names: RefCell<Names>,
    /// The stats that this VM has defined so far.
    series: RefCell<Series>,
    pending: RefCell<Pending>,
    /// When the last tick was, on the monotonic clock.
    ticked_ms: Cell<Option<u64>>,
}

thread_local! {
    static OF_THIS_VM: RefCell<Weak<Metrics>> = const { RefCell::new(Weak::new()) };
}

impl Metrics {
    /// Those of this VM. Kept by who asks for them: once nobody does any more, the ids of stats are forgotten.
    pub fn of_this_vm() -> Rc<Metrics> {
        OF_THIS_VM.with_borrow_mut(|weak| {
            weak.upgrade().unwrap_or_else(|| {
                let metrics = Rc::<Metrics>::default();
                *weak = Rc::downgrade(&metrics);
                metrics
            })
        })
    }

    /// The names that `registry` is counted under.
    pub fn names_of(&self, registry: &Registry) -> RegistryNames {
        RegistryNames::of(registry, &mut self.names.borrow_mut())
    }

    /// The name that is counted under this text.
    pub fn name(&self, text: &str) -> Name {
        self.names.borrow_mut().intern(text)
    }

    /// Adds one to a counter.
    pub fn count(&self, metric: Metric) {
        self.add(metric, 1_u32);
    }

    /// Adds to a counter.
    pub fn add(&self, metric: Metric, times: impl Into<u64>) {
        self.pending.borrow_mut().add(metric, times.into());
    }

    /// Sets a gauge at once, or keeps a value for a histogram.
    pub fn record(&self, metric: Metric, value: u64) {
        if metric.family().kind == Kind::Gauge {
            return self.tell(metric, |id| host::record_stat(id, value));
        }
        let has_room = self.pending.borrow_mut().record(metric, value);
        if !has_room {
            self.flush();
        }
    }

    /// Has a counter be there before it counts anything. Its id is not kept: who counts may be another VM.
    pub fn stand(&self, metric: Metric) {
        if let Some(id) = self.defined(metric) {
            host::record_stat(id, 0);
        }
    }

    /// Tells Envoy everything, and that there are ticks.
    pub fn tick(&self, now_ms: u64) {
        self.ticked_ms.set(Some(now_ms));
        self.flush();
    }

    /// Tells Envoy everything if no tick does: a VM may have attempts only, whose gate is of another module.
    pub fn maintain(&self, now_ms: u64) {
        let ticks = self.ticked_ms.get().is_some_and(|ticked| now_ms.saturating_sub(ticked) <= NO_TICK_MS);
        if !ticks {
            self.flush();
        }
    }

    /// Tells Envoy everything.
    pub fn flush(&self) {
        self.pending.borrow_mut().take(
            |metric, times| self.tell(metric, |id| host::increment_stat(id, times)),
            |metric, value| self.tell(metric, |id| host::record_stat(id, value)),
        );
    }

    fn tell(&self, metric: Metric, tell: impl FnOnce(u32)) {
        let (metric, known) = self.series.borrow().find(metric);
        if let Some(id) = known.or_else(|| self.define(metric)) {
            tell(id);
        }
    }

    fn define(&self, metric: Metric) -> Option<u32> {
        let id = self.defined(metric)?;
        self.series.borrow_mut().define(metric, id);
        Some(id)
    }

    fn defined(&self, metric: Metric) -> Option<u32> {
        let kind = match metric.family().kind {
            Kind::Counter => StatKind::Counter,
            Kind::Gauge => StatKind::Gauge,
            Kind::Histogram => StatKind::Histogram,
        };
        host::define_stat(kind, &metric.stat_name(&self.names.borrow()))
    }
}
