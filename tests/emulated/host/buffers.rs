//! Buffers: bodies of the current callback and the plugin's configurations.

use proxy_wasm::types::{BufferType, Status};

use super::{give, taken, violation, with_context};

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_buffer_bytes(
    kind: BufferType,
    start: usize,
    max_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> Status {
    super::tally::host_call("get_buffer_bytes");
    with_context(|context| {
        let bytes = match kind {
            BufferType::PluginConfiguration => Some(context.plugin.configuration.as_bytes()),
            BufferType::VmConfiguration => Some(context.plugin.vm_configuration.as_bytes()),
            other => context.buffer(other).map(|bytes| bytes.as_slice()),
        };
        let Some(bytes) = bytes else { return Status::NotFound };
        if start.checked_add(max_size).is_none() && start > 0 {
            return Status::BadArgument;
        }
        let rest = bytes.get(start..).unwrap_or_default();
        unsafe { give(&rest[..rest.len().min(max_size)], data, size) };
        Status::Ok
    })
}

/// Envoy knows three ranges only: prepend (0, 0), replace all (0, at least the length), append (at or after the end).
#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_buffer_bytes(
    kind: BufferType,
    start: usize,
    length: usize,
    data: *const u8,
    size: usize,
) -> Status {
    super::tally::host_call("set_buffer_bytes");
    let value = unsafe { taken(data, size) };
    let status = with_context(|context| {
        let Some(buffer) = context.buffer(kind) else { return Status::BadArgument };
        if start == 0 && length == 0 {
            buffer.splice(0..0, value.iter().copied());
        } else if start == 0 && length >= buffer.len() {
            *buffer = value.to_vec();
        } else if start > 0 && start >= buffer.len() {
            buffer.extend_from_slice(value);
        } else {
            return Status::BadArgument;
        }
        Status::Ok
    });
    if status != Status::Ok {
        violation(format!("a change of {kind:?} that Envoy refuses: {length} bytes from {start}"));
    }
    status
}
