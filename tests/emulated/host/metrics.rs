//! Metrics: one per name and process, whoever defines it.

use std::collections::BTreeMap;

use proxy_wasm::types::{MetricType, Status};

use super::{taken, with_vm};

/// One metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metric {
    /// Only grows.
    Counter(u64),
    /// Last value set.
    Gauge(u64),
    /// Everything recorded, in order.
    Histogram(Vec<u64>),
}

/// The metrics of a process. An id is an index of `ids`; defining a name again gives a new id to the same metric.
#[derive(Default)]
pub struct Metrics {
    ids: Vec<String>,
    /// Metrics by name, without Envoy's `wasmcustom.`.
    pub values: BTreeMap<String, Metric>,
}

impl Metrics {
    fn get(&mut self, id: u32) -> Option<&mut Metric> {
        let name = self.ids.get(id as usize)?;
        self.values.get_mut(name)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_define_metric(kind: MetricType, name: *const u8, size: usize, id: *mut u32) -> Status {
    super::tally::host_call("define_metric");
    let name = String::from_utf8_lossy(unsafe { taken(name, size) }).into_owned();
    with_vm(|vm| {
        let mut metrics = vm.process.metrics();
        metrics.values.entry(name.clone()).or_insert(match kind {
            MetricType::Counter => Metric::Counter(0),
            MetricType::Gauge => Metric::Gauge(0),
            _ => Metric::Histogram(Vec::new()),
        });
        metrics.ids.push(name);
        unsafe { *id = u32::try_from(metrics.ids.len() - 1).expect("few metrics") };
    });
    Status::Ok
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_metric(id: u32, value: *mut u64) -> Status {
    super::tally::host_call("get_metric");
    with_vm(|vm| match vm.process.metrics().get(id) {
        None => Status::NotFound,
        Some(Metric::Histogram(_)) => Status::BadArgument,
        Some(Metric::Counter(n) | Metric::Gauge(n)) => {
            unsafe { *value = *n };
            Status::Ok
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_record_metric(id: u32, value: u64) -> Status {
    super::tally::host_call("record_metric");
    with_vm(|vm| {
        match vm.process.metrics().get(id) {
            None => return Status::NotFound,
            Some(Metric::Counter(n)) => *n += value,
            Some(Metric::Gauge(n)) => *n = value,
            Some(Metric::Histogram(all)) => all.push(value),
        }
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_increment_metric(id: u32, offset: i64) -> Status {
    super::tally::host_call("increment_metric");
    with_vm(|vm| match vm.process.metrics().get(id) {
        None => Status::NotFound,
        Some(Metric::Counter(n)) if offset > 0 => {
            *n += offset.unsigned_abs();
            Status::Ok
        }
        Some(Metric::Gauge(n)) => {
            *n = n.saturating_add_signed(offset);
            Status::Ok
        }
        Some(_) => Status::BadArgument,
    })
}
