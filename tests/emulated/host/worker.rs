//! A worker: the VM of the current thread with its root contexts.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::Write;
use std::marker::PhantomData;
use std::panic::PanicHookInfo;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use proxy_wasm::types::{Action, BufferType, MapType};

use super::{Context, Headers, HttpCall, Process, StreamInfo, VM, Vm, with_vm};

/// A plugin of Envoy's configuration: one root context.
#[derive(Debug, Clone, Default)]
pub struct Plugin {
    /// Property `plugin_name`.
    pub name: String,
    /// Property `plugin_root_id`.
    pub root_id: String,
    /// What `on_configure` reads.
    pub configuration: String,
    /// What `on_vm_start` reads.
    pub vm_configuration: String,
    /// The cluster whose upstream chain it stands in; `None` for the listener's chain or a service.
    pub cluster: Option<String>,
}

unsafe extern "C" {
    fn proxy_on_context_create(context: u32, root: u32);
    fn proxy_on_vm_start(context: u32, size: usize) -> bool;
    fn proxy_on_configure(context: u32, size: usize) -> bool;
    fn proxy_on_tick(context: u32);
    fn proxy_on_request_headers(context: u32, count: usize, end: bool) -> Action;
    fn proxy_on_request_body(context: u32, size: usize, end: bool) -> Action;
    fn proxy_on_request_trailers(context: u32, count: usize) -> Action;
    fn proxy_on_response_headers(context: u32, count: usize, end: bool) -> Action;
    fn proxy_on_response_body(context: u32, size: usize, end: bool) -> Action;
    fn proxy_on_response_trailers(context: u32, count: usize) -> Action;
    fn proxy_on_log(context: u32);
    fn proxy_on_done(context: u32) -> bool;
    fn proxy_on_delete(context: u32);
    fn proxy_on_http_call_response(context: u32, token: u32, headers: usize, body: usize, trailers: usize);
}

/// A callback about a stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Callback {
    RequestHeaders(usize, bool),
    RequestBody(usize, bool),
    RequestTrailers(usize),
    ResponseHeaders(usize, bool),
    ResponseBody(usize, bool),
    ResponseTrailers(usize),
}

/// Context ids differ over the whole test process: contexts of a test that failed stay in the dispatcher of their thread.
static LAST_CONTEXT: AtomicU32 = AtomicU32::new(0);

type PanicHook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send>;

thread_local! {
    static IN_GUEST: Cell<bool> = const { Cell::new(false) };
}

/// Runs guest code as `context`.
fn enter<T>(context: u32, guest: impl FnOnce() -> T) -> T {
    super::tally::entry();
    uncounted(context, guest)
}

/// The same for what the shipped module does not export (`tests/make/build`): other filters than ours may want it, and ours is
/// not entered.
fn uncounted<T>(context: u32, guest: impl FnOnce() -> T) -> T {
    let before = with_vm(|vm| std::mem::replace(&mut vm.effective, context));
    let nested = IN_GUEST.replace(true);
    assert!(!nested, "a callback inside a callback of the same VM");
    let result = guest();
    IN_GUEST.set(false);
    with_vm(|vm| vm.effective = before);
    result
}

/// The default hook prints into the captured output, which an abort loses.
fn print_traps(default: PanicHook) {
    std::panic::set_hook(Box::new(move |panic| {
        if IN_GUEST.get() {
            let _ = writeln!(std::io::stderr(), "trap in the filter: {panic}");
        }
        default(panic);
    }));
}

/// Runs the module's entry point. The first time, the SDK installs a panic hook that writes into Envoy's log; here it
/// would swallow the message of every failed assertion, also on threads that have no VM.
fn initialize(entry: fn()) {
    static HOOKED: Mutex<bool> = Mutex::new(false);
    let mut hooked = HOOKED.lock().unwrap_or_else(PoisonError::into_inner);
    let default = (!*hooked).then(std::panic::take_hook);
    entry();
    if let Some(default) = default {
        print_traps(default);
        *hooked = true;
    }
}

/// The VM of the current thread. Neither sent nor shared: the SDK's dispatcher is thread-local.
pub struct Worker {
    process: Arc<Process>,
    roots: HashMap<String, u32>,
    not_send: PhantomData<*const ()>,
}

impl Worker {
    /// Starts a VM on this thread: `entry` (the module's `_initialize`), then for every plugin its root context,
    /// `on_vm_start` and `on_configure`. `clusters` are those that a dispatched call may name. A plugin that refuses
    /// its configuration is an error, with its name.
    pub fn start(
        process: &Arc<Process>,
        vm_id: &str,
        entry: fn(),
        plugins: &[Plugin],
        clusters: &[&str],
    ) -> Result<Self, String> {
        let vm = Vm {
            process: process.clone(),
            vm_id: vm_id.to_owned(),
            contexts: HashMap::new(),
            effective: 0,
            calls: Vec::new(),
            clusters: clusters.iter().map(|&name| name.to_owned()).collect(),
            tick_ms: HashMap::new(),
        };
        let before = VM.replace(Some(vm));
        assert!(before.is_none(), "one VM per thread");
        initialize(entry);
        let mut worker = Worker { process: process.clone(), roots: HashMap::new(), not_send: PhantomData };
        for plugin in plugins {
            let plugin = Rc::new(plugin.clone());
            let id = create(Context::new(plugin.clone()), 0);
            worker.roots.insert(plugin.name.clone(), id);
            let sizes = (plugin.vm_configuration.len(), plugin.configuration.len());
            let accepted = enter(id, || unsafe { proxy_on_vm_start(id, sizes.0) && proxy_on_configure(id, sizes.1) });
            if !accepted {
                return Err(plugin.name.clone());
            }
        }
        Ok(worker)
    }

    /// The process it belongs to.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    fn root(&self, plugin: &str) -> u32 {
        *self.roots.get(plugin).unwrap_or_else(|| panic!("no plugin {plugin}"))
    }

    /// The plugin in the upstream chain of `cluster`.
    pub(super) fn plugin_of(&self, cluster: &str) -> Option<String> {
        with_vm(|vm| {
            let mut plugins = self.roots.values().filter_map(|id| vm.contexts.get(id)).map(|root| &root.plugin);
            plugins.find(|plugin| plugin.cluster.as_deref() == Some(cluster)).map(|plugin| plugin.name.clone())
        })
    }

    /// Creates a stream context of `plugin`.
    pub(super) fn stream_context(&self, plugin: &str, stream: &Rc<RefCell<StreamInfo>>) -> u32 {
        let root = self.root(plugin);
        let mut context = Context::new(with_vm(|vm| vm.contexts[&root].plugin.clone()));
        context.downstream = context.plugin.cluster.is_none();
        context.stream = Some(stream.clone());
        create(context, root)
    }

    /// The tick period a plugin asked for, in milliseconds; 0 = none.
    pub fn tick_period(&self, plugin: &str) -> u32 {
        let root = self.root(plugin);
        with_vm(|vm| vm.tick_ms.get(&root).copied().unwrap_or(0))
    }

    /// Runs a plugin's `on_tick`.
    pub fn tick(&self, plugin: &str) {
        let root = self.root(plugin);
        enter(root, || unsafe { proxy_on_tick(root) });
    }

    /// Takes the calls dispatched and not answered yet.
    pub fn take_calls(&self) -> Vec<HttpCall> {
        with_vm(|vm| std::mem::take(&mut vm.calls))
    }

    /// Takes a call that this context has dispatched.
    pub(super) fn take_call_of(&self, context: u32) -> Option<HttpCall> {
        with_vm(|vm| {
            let at = vm.calls.iter().position(|call| call.context == context)?;
            Some(vm.calls.remove(at))
        })
    }

    /// Answers a call. No headers at all = reset; Envoy makes a 503 of a connect failure and a 504 of a timeout.
    pub fn answer(&self, call: &HttpCall, headers: Headers, body: &[u8]) {
        let count = headers.0.len();
        with_vm(|vm| {
            let context = vm.contexts.get_mut(&call.context).expect("a live context");
            context.maps.insert(MapType::HttpCallResponseHeaders as u32, headers);
            context.buffers.insert(BufferType::HttpCallResponseBody as u32, body.to_vec());
        });
        enter(call.context, || unsafe {
            proxy_on_http_call_response(call.context, call.token, count, body.len(), 0);
        });
        with_vm(|vm| {
            let context = vm.contexts.get_mut(&call.context).expect("a live context");
            context.maps.remove(&(MapType::HttpCallResponseHeaders as u32));
            context.buffers.remove(&(BufferType::HttpCallResponseBody as u32));
        });
    }
}

impl Drop for Worker {
    /// Ends the root contexts: a thread that is used again would otherwise find what they keep, such as the ids of
    /// metrics of a process that is gone.
    fn drop(&mut self) {
        if !IN_GUEST.get() {
            for root in self.roots.values() {
                finish(*root);
            }
        }
        VM.replace(None);
    }
}

fn create(context: Context, root: u32) -> u32 {
    let id = LAST_CONTEXT.fetch_add(1, Ordering::Relaxed) + 1;
    with_vm(|vm| vm.contexts.insert(id, context));
    enter(id, || unsafe { proxy_on_context_create(id, root) });
    id
}

/// Runs one callback; `true` = continue.
pub(super) fn call(context: u32, callback: Callback) -> bool {
    let action = enter(context, || unsafe {
        match callback {
            Callback::RequestHeaders(n, end) => proxy_on_request_headers(context, n, end),
            Callback::RequestBody(n, end) => proxy_on_request_body(context, n, end),
            Callback::RequestTrailers(n) => proxy_on_request_trailers(context, n),
            Callback::ResponseHeaders(n, end) => proxy_on_response_headers(context, n, end),
            Callback::ResponseBody(n, end) => proxy_on_response_body(context, n, end),
            Callback::ResponseTrailers(n) => proxy_on_response_trailers(context, n),
        }
    });
    action == Action::Continue
}

pub(super) fn log(context: u32) {
    enter(context, || unsafe { proxy_on_log(context) });
}

/// The end of a context: `on_done`, then `on_delete`. Pending calls are cancelled without a callback.
pub(super) fn finish(context: u32) {
    uncounted(context, || unsafe {
        proxy_on_done(context);
    });
    enter(context, || unsafe { proxy_on_delete(context) });
    with_vm(|vm| {
        vm.contexts.remove(&context);
        vm.calls.retain(|call| call.context != context);
    });
}
