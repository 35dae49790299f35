//! An emulated proxy-wasm host: the `proxy_*` functions the SDK imports, with the semantics of Envoy 1.40 and
//! proxy-wasm-cpp-host, and a driver that plays Envoy's filter chains and router around the real SDK dispatcher.
//!
//! The dispatcher's state is thread-local, so a thread stands for a worker VM. A panic in a callback cannot unwind out
//! of the dispatcher's `extern "C"` functions and aborts the test binary, as a trap ends a VM.

mod answer;
mod buffers;
mod calls;
mod chain;
mod exchange;
mod foreign;
mod headers;
mod inside;
mod interrupted;
mod metrics;
mod process;
mod properties;
mod router;
mod shared_data;
mod stream;
pub mod tally;
mod unsupported;
mod upstream;
mod worker;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use proxy_wasm::types::{BufferType, MapType};

pub use calls::HttpCall;
pub use chain::Frame;
pub use exchange::{Abort, Behaviour, Exchange, Response, Route};
pub use headers::Headers;
pub use inside::through;
pub use interrupted::{interrupt, under_way};
pub use process::Process;
pub use properties::StreamInfo;
pub use router::play;
pub use stream::{Attempt, Played, Reply};
pub use worker::{Plugin, Worker};

/// What one VM holds on the host's side.
pub struct Vm {
    process: Arc<Process>,
    vm_id: String,
    contexts: HashMap<u32, Context>,
    /// The context that host calls act on.
    effective: u32,
    calls: Vec<HttpCall>,
    /// Clusters that `proxy_http_call` knows.
    clusters: Vec<String>,
    tick_ms: HashMap<u32, u32>,
}

/// The host's half of a root context or of a stream context.
pub struct Context {
    plugin: Rc<Plugin>,
    maps: HashMap<u32, Headers>,
    buffers: HashMap<u32, Vec<u8>>,
    /// `None` for a root context.
    stream: Option<Rc<RefCell<StreamInfo>>>,
    /// Whether this is a filter of the listener's chain; only there the route cache can be cleared.
    downstream: bool,
    local_reply: Option<Reply>,
    resumed: bool,
}

impl Context {
    fn new(plugin: Rc<Plugin>) -> Self {
        Context {
            plugin,
            maps: HashMap::new(),
            buffers: HashMap::new(),
            stream: None,
            downstream: false,
            local_reply: None,
            resumed: false,
        }
    }

    fn map(&mut self, kind: MapType) -> Option<&mut Headers> {
        self.maps.get_mut(&(kind as u32))
    }

    fn buffer(&mut self, kind: BufferType) -> Option<&mut Vec<u8>> {
        self.buffers.get_mut(&(kind as u32))
    }
}

thread_local! {
    static VM: RefCell<Option<Vm>> = const { RefCell::new(None) };
}

/// Runs `work` on this thread's VM. Never held while the guest runs.
fn with_vm<T>(work: impl FnOnce(&mut Vm) -> T) -> T {
    VM.with(|vm| work(vm.borrow_mut().as_mut().expect("no VM on this thread: start a Worker first")))
}

/// Runs `work` on the context that host calls act on.
fn with_context<T>(work: impl FnOnce(&mut Context) -> T) -> T {
    with_vm(|vm| work(vm.contexts.get_mut(&vm.effective).expect("host call outside of a callback")))
}

/// Notes a call that real Envoy answers with a hang, a crash or a broken message. The test fails at its end.
fn violation(text: impl Into<String>) {
    with_vm(|vm| vm.process.violation(text.into()));
}

/// The guest's bytes.
///
/// # Safety
/// `data` is null or valid for `size` bytes.
unsafe fn taken<'a>(data: *const u8, size: usize) -> &'a [u8] {
    if data.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(data, size) } }
}

/// Hands `bytes` to the guest, which frees them. Nothing is allocated for an empty value, as in proxy-wasm-cpp-host.
///
/// # Safety
/// `data` and `size` are valid for writes.
unsafe fn give(bytes: &[u8], data: *mut *mut u8, size: *mut usize) {
    let pointer = if bytes.is_empty() {
        std::ptr::null_mut()
    } else {
        tally::allocation(bytes.len());
        Box::into_raw(bytes.to_vec().into_boxed_slice()).cast::<u8>()
    };
    unsafe {
        *data = pointer;
        *size = bytes.len();
    }
}
