//! Foreign functions and the calls about the stream as a whole.

use proxy_wasm::types::{Status, StreamType};

use super::{Headers, Reply, give, taken, violation, with_context, with_vm};

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_call_foreign_function(
    name: *const u8,
    name_size: usize,
    _arguments: *const u8,
    _arguments_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> Status {
    super::tally::host_call("call_foreign_function");
    if unsafe { taken(name, name_size) } != b"clear_route_cache" {
        return Status::NotFound;
    }
    unsafe { give(&[], data, size) };
    with_context(|context| {
        if context.downstream {
            context.stream.as_ref().expect("a stream context").borrow_mut().refresh_route();
        }
    });
    Status::Ok
}

/// Takes effect after the callback has returned. A second one hangs the client (envoy #28826).
#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_send_local_response(
    status: u32,
    _details: *const u8,
    _details_size: usize,
    body: *const u8,
    body_size: usize,
    headers: *const u8,
    headers_size: usize,
    _grpc_status: i32,
) -> Status {
    super::tally::host_call("send_local_response");
    let (body, headers) = unsafe { (taken(body, body_size), taken(headers, headers_size)) };
    let Some(extra) = Headers::deserialize(headers) else { return Status::BadArgument };
    let mut headers = Headers::new(&[(":status", status.to_string())]);
    if !body.is_empty() {
        headers.add("content-length", body.len().to_string());
        headers.add("content-type", "text/plain");
    }
    for (name, value) in extra.0 {
        // Envoy's own pairs give way to the filter's for the two it makes itself.
        if name == "content-type" || name == "content-length" {
            headers.set(&name, value)
        } else {
            headers.add(&name, value)
        }
    }
    let twice = with_context(|context| {
        let reply = Reply { headers, body: body.to_vec(), complete: true, ..Reply::default() };
        context.local_reply.replace(reply).is_some()
    });
    if twice {
        violation("send_http_response twice on one stream: the client would hang");
    }
    Status::Ok
}

#[unsafe(no_mangle)]
extern "C" fn proxy_continue_stream(_kind: StreamType) -> Status {
    super::tally::host_call("continue_stream");
    with_context(|context| context.resumed = true);
    Status::Ok
}

#[unsafe(no_mangle)]
extern "C" fn proxy_close_stream(_kind: StreamType) -> Status {
    super::tally::host_call("close_stream");
    violation("proxy_close_stream is not emulated");
    Status::Ok
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_effective_context(context_id: u32) -> Status {
    super::tally::host_call("set_effective_context");
    with_vm(|vm| {
        if !vm.contexts.contains_key(&context_id) {
            return Status::BadArgument;
        }
        vm.effective = context_id;
        Status::Ok
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_done() -> Status {
    super::tally::host_call("done");
    Status::Ok
}
