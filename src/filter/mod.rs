//! The host shell: Envoy's callbacks in, decisions of the core out. The only module that names `proxy_wasm`.
//!
//! A call passes through here in this order: [`gate`] (request), [`attempt`] (request, then response; once per attempt),
//! [`gate`] (response).

mod abi;
mod attempt;
mod cache;
mod calls;
mod clock;
mod crossing;
mod discoverer;
mod endpoints;
mod gate;
mod hands;
mod header_map;
mod host;
mod info;
mod keeper;
mod limits;
mod metrics;
mod prober;
mod ready;
mod root;
mod runtime;
mod shared_data;
mod status;
#[cfg(all(feature = "test-module", target_os = "wasi"))]
mod test_module;
mod vm;
mod watch;

use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    // Envoy filters by level itself, so that `/logging` works at run time.
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(root::Root::default()));
}}
