//! Header maps: multi-valued, ordered, values any bytes.

use std::fmt;

use proxy_wasm::types::{MapType, Status};

use super::{give, taken, violation, with_context};

/// A header map. Names are lower case; a name may occur more than once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, Vec<u8>)>);

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |(name, value): &(String, Vec<u8>)| format!("{name}: {}", value.escape_ascii());
        f.debug_list().entries(self.0.iter().map(text)).finish()
    }
}

impl Headers {
    /// A map of these pairs, in order.
    pub fn new<V: AsRef<[u8]>>(pairs: &[(&str, V)]) -> Self {
        Headers(pairs.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_ref().to_vec())).collect())
    }

    /// The first value of `name` as text; lossy.
    pub fn get(&self, name: &str) -> Option<String> {
        self.first(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The first value of `name`.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// How often `name` occurs.
    pub fn count(&self, name: &str) -> usize {
        self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).count()
    }

    /// Replaces every value of `name` by one.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.remove(name);
        self.add(name, value);
    }

    /// Appends a value.
    pub fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.0.push((name.to_ascii_lowercase(), value.as_ref().to_vec()));
    }

    /// Removes every value of `name` and returns the first.
    pub fn remove(&mut self, name: &str) -> Option<Vec<u8>> {
        let first = self.first(name).map(<[u8]>::to_vec);
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        first
    }

    /// Whether any name or value contains `needle`.
    pub fn contain(&self, needle: &str) -> bool {
        let inside = |hay: &[u8]| hay.windows(needle.len()).any(|window| window == needle.as_bytes());
        self.0.iter().any(|(name, value)| inside(name.as_bytes()) || inside(value))
    }

    pub(super) fn serialize(&self) -> Vec<u8> {
        let length = |n: usize| u32::try_from(n).expect("a header map is below 4 GiB").to_le_bytes();
        let mut bytes = length(self.0.len()).to_vec();
        for (name, value) in &self.0 {
            bytes.extend(length(name.len()));
            bytes.extend(length(value.len()));
        }
        for (name, value) in &self.0 {
            bytes.extend([name.as_bytes(), b"\0", value, b"\0"].concat());
        }
        bytes
    }

    pub(super) fn deserialize(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
        if bytes.is_empty() {
            return Some(Headers::default());
        }
        let count = number(0)?;
        let mut at = 4 + count * 8;
        let mut take = |size: usize| {
            let part = bytes.get(at..at + size)?;
            at += size + 1;
            Some(part.to_vec())
        };
        let mut pairs = Vec::new();
        for n in 0..count {
            let name = take(number(4 + n * 8)?)?;
            pairs.push((String::from_utf8(name).ok()?.to_ascii_lowercase(), take(number(8 + n * 8)?)?));
        }
        Some(Headers(pairs))
    }
}

fn check_value(name: &str, value: &[u8]) {
    if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        violation(format!("the value of header {name} would split the message: {value:?}"));
    }
}

/// Changes the map of the effective context. A request header changed in the listener's chain drops the cached route
/// (ABI 0.2.1); the map of another phase is a bad argument.
fn change(kind: MapType, work: impl FnOnce(&mut Headers)) -> Status {
    let status = with_context(|context| {
        let Some(map) = context.map(kind) else { return Status::BadArgument };
        work(map);
        if kind == MapType::HttpRequestHeaders && context.downstream {
            context.stream.as_ref().expect("a stream context").borrow_mut().refresh_route();
        }
        Status::Ok
    });
    if status != Status::Ok {
        violation(format!("a change of {kind:?} in another phase"));
    }
    status
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_header_map_pairs(kind: MapType, data: *mut *mut u8, size: *mut usize) -> Status {
    super::tally::host_call("get_header_map_pairs");
    let bytes = with_context(|context| context.map(kind).cloned().unwrap_or_default().serialize());
    unsafe { give(&bytes, data, size) };
    Status::Ok
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_header_map_pairs(kind: MapType, data: *const u8, size: usize) -> Status {
    super::tally::host_call("set_header_map_pairs");
    let Some(headers) = Headers::deserialize(unsafe { taken(data, size) }) else { return Status::BadArgument };
    for (name, value) in &headers.0 {
        check_value(name, value);
    }
    change(kind, |map| *map = headers)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_header_map_value(
    kind: MapType,
    key: *const u8,
    key_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> Status {
    super::tally::host_call("get_header_map_value");
    let name = String::from_utf8_lossy(unsafe { taken(key, key_size) }).into_owned();
    if with_context(|context| context.map(kind).is_none()) {
        violation(format!("{name} of {kind:?} is asked for in another phase"));
    }
    with_context(|context| match context.map(kind) {
        None => Status::BadArgument,
        Some(map) => match map.first(&name) {
            None => Status::NotFound,
            Some(value) => {
                unsafe { give(value, data, size) };
                Status::Ok
            }
        },
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_remove_header_map_value(kind: MapType, key: *const u8, key_size: usize) -> Status {
    super::tally::host_call("remove_header_map_value");
    let name = String::from_utf8_lossy(unsafe { taken(key, key_size) }).into_owned();
    change(kind, |map| {
        map.remove(&name);
    })
}

/// A name and the value that a filter gives it.
unsafe fn pair<'a>(key: *const u8, key_size: usize, value: *const u8, value_size: usize) -> (String, &'a [u8]) {
    let name = String::from_utf8_lossy(unsafe { taken(key, key_size) }).into_owned();
    let value = unsafe { taken(value, value_size) };
    check_value(&name, value);
    (name, value)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_replace_header_map_value(
    kind: MapType,
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
) -> Status {
    super::tally::host_call("replace_header_map_value");
    let (name, value) = unsafe { pair(key, key_size, value, value_size) };
    change(kind, |map| map.set(&name, value))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_add_header_map_value(
    kind: MapType,
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
) -> Status {
    super::tally::host_call("add_header_map_value");
    let (name, value) = unsafe { pair(key, key_size, value, value_size) };
    change(kind, |map| map.add(&name, value))
}
