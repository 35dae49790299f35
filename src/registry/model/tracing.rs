//! Traces of calls.

#[cfg(feature = "cli")]
use super::Url;

/// What becomes of the trace that a call belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracing {
    /// Whether a call that brings no trace context gets one.
    pub start: bool,
    /// Whether Envoy tells a collector of its part in each call.
    pub exports: bool,
    /// Whether servers are told of the trace.
    pub propagates: bool,
    /// The collector, which speaks OTLP over gRPC.
    #[cfg(feature = "cli")]
    pub otlp: Option<Url>,
    /// The share of traces that begin here which are told of, from 0 to 1.
    #[cfg(feature = "cli")]
    pub sampling: f64,
    /// What Envoy is called there.
    #[cfg(feature = "cli")]
    pub service_name: String,
}
