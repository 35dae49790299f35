//! Envoy as the filter sees it. What a request needs goes by calls of our own ([`abi`]), which never panic; the rest by the
//! SDK's, which panic on every status that they don't expect. So each function here says in which phase it may be called.

use std::time::Duration;

use proxy_wasm::hostcalls;
pub use proxy_wasm::types::MetricType as StatKind;
use proxy_wasm::types::{BufferType, MapType, Status};

use super::abi;
pub use super::abi::{define_stat, increment_stat, record_stat};
pub use super::header_map::HeaderMap;
use crate::call::attempt::is_event_stream;

/// A header map of the stream that the current callback belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headers {
    /// Request headers; to be read and changed only until the request callbacks have let the request go.
    Request,
    /// Response headers; to be read and changed only while they are held.
    Response,
    /// Headers of the answer to a [`dispatch`]ed request; only in the callback that brings it, and if it has any.
    Dispatched,
}

impl Headers {
    fn map(self) -> MapType {
        match self {
            Headers::Request => MapType::HttpRequestHeaders,
            Headers::Response => MapType::HttpResponseHeaders,
            Headers::Dispatched => MapType::HttpCallResponseHeaders,
        }
    }

    /// All pairs, as they are now.
    pub fn all(self) -> HeaderMap {
        HeaderMap::new(abi::header_pairs(self.map()))
    }

    /// The first value of `name`.
    pub fn get(self, name: &str) -> Option<Vec<u8>> {
        abi::header(self.map(), name)
    }

    /// The HTTP status; `None` also for one that is no number.
    pub fn status(self) -> Option<u16> {
        status(&self.get(":status")?)
    }

    /// Whether the body is a stream of Server-Sent Events, which may stay open for hours.
    pub fn are_of_events(self) -> bool {
        self.get("content-type").is_some_and(|kind| is_event_stream(&kind))
    }

    /// Replaces every value of `name` by `value`.
    pub fn set(self, name: &str, value: &[u8]) {
        abi::replace_header(self.map(), name, value);
    }

    /// Removes every value of `name`.
    pub fn remove(self, name: &str) {
        abi::remove_header(self.map(), name);
    }
}

/// A body of the stream that the current callback belongs to; only inside that body's callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// The request's body.
    Request,
    /// The response's body.
    Response,
    /// The body of the answer to a [`dispatch`]ed request, which is always whole.
    Dispatched,
}

impl Body {
    fn buffer(self) -> BufferType {
        match self {
            Body::Request => BufferType::HttpRequestBody,
            Body::Response => BufferType::HttpResponseBody,
            Body::Dispatched => BufferType::HttpCallResponseBody,
        }
    }

    /// `len` bytes from `start`, or as many as there are.
    pub fn read(self, start: usize, len: usize) -> Vec<u8> {
        abi::buffer(self.buffer(), start, len)
    }

    /// Puts `body` in place of the first `len` bytes.
    pub fn replace(self, len: usize, body: &[u8]) {
        abi::set_buffer(self.buffer(), 0, len, body);
    }
}

/// An attribute of the stream or of the configuration, e.g. `["xds", "route_name"]`.
pub fn attribute(path: &[&str]) -> Option<Vec<u8>> {
    abi::property(&path.join("\0"))
}

/// An attribute that is a whole number; 0 where there is none.
pub fn number(path: &[&str]) -> u64 {
    attribute(path).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// The HTTP status in a value of `:status`.
pub fn status(value: &[u8]) -> Option<u16> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Filter state of the request, shared with all contexts of the request; Envoy knows it as `wasm.<name>`.
pub fn set_filter_state(name: &str, value: &[u8]) {
    abi::set_property(name, value);
}

/// What [`set_filter_state`] has put under `name`.
pub fn filter_state(name: &str) -> Option<Vec<u8>> {
    abi::property(name)
}

/// Makes Envoy choose the route again, now that the filter state it depends on has changed.
pub fn clear_route_cache() {
    if let Err(status) = hostcalls::call_foreign_function("clear_route_cache", None) {
        log::error!("Envoy refused clear_route_cache ({status:?}); is it older than 1.33?");
    }
}

/// Answers the client in the server's place. The caller must pause the stream and do nothing more with it.
pub fn reply(status: u16, headers: &[(&str, &str)], body: &[u8]) {
    let _ = hostcalls::send_http_response(u32::from(status), headers.to_vec(), Some(body));
}

/// As [`reply`], in the place of a response that is held: with those of its headers that are to be kept, and with `more`.
pub fn reply_instead(status: u16, kept: &[&str], more: &[(&str, &str)], body: &[u8]) {
    let text = |name: &&str| String::from_utf8(Headers::Response.get(name)?).ok();
    let values: Vec<_> = kept.iter().map(text).collect();
    let mut headers = more.to_vec();
    headers.extend(kept.iter().zip(&values).filter_map(|(name, value)| Some((*name, value.as_deref()?))));
    reply(status, &headers, body);
}

/// Why a request of our own was not sent. There will be no answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDispatched {
    /// This Envoy has no such cluster.
    NoCluster,
    /// The cluster took no request now, e.g. because it has no host.
    Refused,
}

/// Lets the request go that was held. Once for a request, and nothing may be done with it afterwards: Envoy carries on with it
/// while it is being said.
pub fn resume_request() {
    let _ = hostcalls::resume_http_request();
}

/// Sends a request of our own through `cluster`, and answers the token that its answer will come with. To a cluster with an
/// attempt filter only from a VM without one: the SDK panics when that filter enters the VM which is sending.
pub fn dispatch(
    cluster: &str,
    headers: &[(&str, String)],
    body: &[u8],
    timeout: Duration,
) -> Result<u32, NotDispatched> {
    let headers = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = Some(body).filter(|body| !body.is_empty());
    hostcalls::dispatch_http_call(cluster, headers, body, Vec::new(), timeout).map_err(|status| match status {
        Status::BadArgument => NotDispatched::NoCluster,
        _ => NotDispatched::Refused,
    })
}

/// The plugin's configuration; only while it is being configured.
pub fn plugin_configuration() -> Vec<u8> {
    abi::buffer(BufferType::PluginConfiguration, 0, usize::MAX)
}
