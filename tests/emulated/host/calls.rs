//! Calls a filter dispatches itself. They are recorded; the test answers them.

use std::sync::atomic::{AtomicU32, Ordering};

use proxy_wasm::types::Status;

use super::{Headers, taken, violation, with_vm};

/// A dispatched call that waits for its answer.
#[derive(Debug, Clone)]
pub struct HttpCall {
    /// What the filter knows it by.
    pub token: u32,
    /// The context that dispatched it.
    pub context: u32,
    /// The cluster it goes to.
    pub cluster: String,
    /// Its headers, before any upstream filter.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
    /// Its timeout in milliseconds; 0 = none.
    pub timeout_ms: u32,
}

/// Tokens differ over the whole test process: the SDK keeps those of cancelled calls.
static LAST_TOKEN: AtomicU32 = AtomicU32::new(0);

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "the ABI's signature")]
unsafe extern "C" fn proxy_http_call(
    cluster: *const u8,
    cluster_size: usize,
    headers: *const u8,
    headers_size: usize,
    body: *const u8,
    body_size: usize,
    _trailers: *const u8,
    _trailers_size: usize,
    timeout_ms: u32,
    token: *mut u32,
) -> Status {
    super::tally::host_call("http_call");
    let cluster = String::from_utf8_lossy(unsafe { taken(cluster, cluster_size) }).into_owned();
    let (headers, body) = unsafe { (taken(headers, headers_size), taken(body, body_size)) };
    let Some(headers) = Headers::deserialize(headers) else { return Status::BadArgument };
    let complete = [":method", ":path", ":authority"].iter().all(|name| headers.first(name).is_some());
    if !complete || !with_vm(|vm| vm.clusters.contains(&cluster)) {
        return Status::BadArgument;
    }
    let same_vm = |vm: &mut super::Vm| {
        vm.contexts.values().any(|context| context.plugin.cluster.as_deref() == Some(cluster.as_str()))
    };
    if with_vm(same_vm) {
        violation(format!("a call to {cluster} would run that cluster's filter in the VM that is calling"));
        return Status::InternalFailure;
    }
    let issued = LAST_TOKEN.fetch_add(1, Ordering::Relaxed) + 1;
    unsafe { *token = issued };
    with_vm(|vm| {
        let call = HttpCall { token: issued, context: vm.effective, cluster, headers, body: body.to_vec(), timeout_ms };
        vm.calls.push(call);
    });
    Status::Ok
}
