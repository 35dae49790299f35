//! The host calls that a request needs, declared here rather than taken from the SDK: its wrappers panic on every status
//! that they do not expect, which ends the VM with all of its requests, and they copy each header by itself. Here every
//! status is an answer; whatever is not `OK` is "there is none".
//!
//! What the host returns lies in memory that it has asked this module for: the SDK's `proxy_on_memory_allocate` gives it a
//! boxed slice of exactly the size, which becomes a `Vec` of that size and capacity here.

use std::ptr::null_mut;

use proxy_wasm::types::{BufferType, MapType, MetricType};

use crate::shared_data::{HostError, SetError};

/// A status of the ABI, as a number: the host may know more of them than any list.
type HostStatus = u32;

const OK: HostStatus = 0;
const NOT_FOUND: HostStatus = 1;
const CAS_MISMATCH: HostStatus = 8;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> HostStatus;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> HostStatus;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> HostStatus;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> HostStatus;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        length: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> HostStatus;
    fn proxy_set_buffer_bytes(buffer: u32, start: usize, length: usize, data: *const u8, size: usize) -> HostStatus;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> HostStatus;
    fn proxy_set_property(path: *const u8, path_size: usize, data: *const u8, size: usize) -> HostStatus;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        token: *mut u32,
    ) -> HostStatus;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, data: *const u8, size: usize, token: u32) -> HostStatus;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> HostStatus;
    fn proxy_increment_metric(id: u32, offset: i64) -> HostStatus;
    fn proxy_record_metric(id: u32, value: u64) -> HostStatus;
}

/// What a call puts into memory of ours; empty where it puts nothing, `Err` with the status where it fails.
fn given(call: impl FnOnce(*mut *mut u8, *mut usize) -> HostStatus) -> Result<Vec<u8>, HostStatus> {
    let (mut data, mut size) = (null_mut::<u8>(), 0_usize);
    match call(&raw mut data, &raw mut size) {
        OK if data.is_null() => Ok(Vec::new()),
        // SAFETY: the host has had `data` from `proxy_on_memory_allocate` with `size`, has filled it and forgotten it.
        OK => Ok(unsafe { Vec::from_raw_parts(data, size, size) }),
        status => Err(status),
    }
}

/// Says what the host has refused to do. It does so only where this module asks in the wrong phase.
fn done(status: HostStatus, what: &str, name: &str) {
    if status != OK {
        log::error!("Envoy refused to {what} {name} (status {status})");
    }
}

/// All pairs of a header map, as the host serialises them.
pub fn header_pairs(map: MapType) -> Vec<u8> {
    // SAFETY: `given` hands over places for the two results.
    given(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) }).unwrap_or_default()
}

/// The first value of a header.
pub fn header(map: MapType, name: &str) -> Option<Vec<u8>> {
    // SAFETY: `name` is valid for its length; `given` hands over places for the two results.
    given(|data, size| unsafe { proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size) }).ok()
}

/// Puts `value` in the place of every value of a header.
pub fn replace_header(map: MapType, name: &str, value: &[u8]) {
    // SAFETY: `name` and `value` are valid for their lengths, and the host only reads them.
    let status =
        unsafe { proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    done(status, "set the header", name);
}

/// Takes a header out.
pub fn remove_header(map: MapType, name: &str) {
    // SAFETY: `name` is valid for its length, and the host only reads it.
    let status = unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) };
    done(status, "remove the header", name);
}

/// `length` bytes of a buffer from `start`, or as many as there are.
pub fn buffer(buffer: BufferType, start: usize, length: usize) -> Vec<u8> {
    // SAFETY: `given` hands over places for the two results.
    given(|data, size| unsafe { proxy_get_buffer_bytes(buffer as u32, start, length, data, size) }).unwrap_or_default()
}

/// Puts `bytes` in the place of `length` bytes of a buffer from `start`.
pub fn set_buffer(buffer: BufferType, start: usize, length: usize, bytes: &[u8]) {
    // SAFETY: `bytes` is valid for its length, and the host only reads it.
    let status = unsafe { proxy_set_buffer_bytes(buffer as u32, start, length, bytes.as_ptr(), bytes.len()) };
    done(status, "replace", "the body");
}

/// A property; its path's parts are separated by zeros. `None` also for one that is empty.
pub fn property(path: &str) -> Option<Vec<u8>> {
    // SAFETY: `path` is valid for its length; `given` hands over places for the two results.
    let found = given(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) });
    found.ok().filter(|value| !value.is_empty())
}

/// Sets a property, which becomes filter state of the request.
pub fn set_property(path: &str, value: &[u8]) {
    // SAFETY: `path` and `value` are valid for their lengths, and the host only reads them.
    let status = unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) };
    done(status, "set the filter state", path);
}

/// The value of a key and its token; `None` where there is none, and for a value without a token.
pub fn shared_data(key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
    let mut token = 0;
    // SAFETY: `key` is valid for its length; `given` hands over places for two results, and `token` is the third's.
    let read = |data, size| unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut token) };
    match given(read) {
        Ok(value) => Ok((token != 0).then_some((value, token))),
        Err(NOT_FOUND) => Ok(None),
        Err(_) => Err(HostError),
    }
}

/// Sets the value of a key that still has this token.
pub fn set_shared_data(key: &str, value: &[u8], token: u32) -> Result<(), SetError> {
    // SAFETY: `key` and `value` are valid for their lengths, and the host only reads them.
    match unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), token) } {
        OK => Ok(()),
        CAS_MISMATCH => Err(SetError::CasMismatch),
        _ => Err(SetError::Host),
    }
}

/// Defines a stat, or finds the one of this name, and answers its id.
pub fn define_stat(kind: MetricType, name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: `name` is valid for its length, and `id` is the place of the result.
    let status = unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) };
    (status == OK).then_some(id)
}

/// Adds to a counter.
pub fn increment_stat(id: u32, times: u64) {
    let times = i64::try_from(times).unwrap_or(i64::MAX);
    // SAFETY: the call takes numbers only.
    unsafe {
        proxy_increment_metric(id, times);
    }
}

/// Sets a gauge, or records a value in a histogram.
pub fn record_stat(id: u32, value: u64) {
    // SAFETY: the call takes numbers only.
    unsafe {
        proxy_record_metric(id, value);
    }
}
