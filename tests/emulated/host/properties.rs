//! Properties and filter state of one downstream stream, shared by the gate's and all attempts' contexts.

use std::collections::BTreeMap;

use proxy_wasm::types::{MapType, Status};

use super::{Context, give, taken, violation, with_context, with_vm};

/// What Envoy's stream info holds for one downstream request.
#[derive(Debug, Default)]
pub struct StreamInfo {
    /// Filter state by its full key, `wasm.<key>` for what a filter wrote with `set_property`.
    pub filter_state: BTreeMap<String, Vec<u8>>,
    /// Other properties by dotted path; the driver sets and removes them phase by phase.
    pub properties: BTreeMap<String, Vec<u8>>,
    /// The clusters the route's matcher names, and the one for no match.
    pub clusters: Vec<String>,
    /// The cluster for no match.
    pub on_no_match: String,
    /// The cluster of the cached route.
    pub cluster: String,
}

impl StreamInfo {
    /// Matches the route anew, by `wasm.pace`, and its cluster.
    pub fn refresh_route(&mut self) {
        let pace = self.filter_state.get("wasm.pace").map(|value| String::from_utf8_lossy(value).into_owned());
        self.set("xds.route_name", pace.map_or_else(|| "mcp".to_owned(), |pace| format!("mcp-{pace}")));
        self.refresh_cluster();
    }

    /// Evaluates the matcher cluster specifier over `wasm.next` anew.
    pub fn refresh_cluster(&mut self) {
        let next = self.filter_state.get("wasm.next").map(|value| String::from_utf8_lossy(value).into_owned());
        let known = next.filter(|name| self.clusters.contains(name));
        self.cluster = known.unwrap_or_else(|| self.on_no_match.clone());
        let cluster = self.cluster.clone();
        self.set("xds.cluster_name", cluster);
    }

    /// Sets a property of text.
    pub fn set(&mut self, path: &str, value: impl AsRef<[u8]>) {
        self.properties.insert(path.to_owned(), value.as_ref().to_vec());
    }

    /// Sets a property of a number, 8 bytes little endian.
    pub fn set_number(&mut self, path: &str, value: u64) {
        self.set(path, value.to_le_bytes());
    }
}

fn lookup(context: &mut Context, vm_id: &str, path: &str) -> Option<Vec<u8>> {
    let text = |value: &str| Some(value.as_bytes().to_vec());
    match path {
        "plugin_name" => return text(&context.plugin.name),
        "plugin_root_id" => return text(&context.plugin.root_id),
        "plugin_vm_id" => return text(vm_id),
        _ => {}
    }
    if let Some(field) = path.strip_prefix("request.") {
        let name = match field {
            "path" => ":path",
            "method" => ":method",
            "host" => ":authority",
            "id" => "x-request-id",
            other => other.strip_prefix("headers.").unwrap_or_default(),
        };
        let map = context.map(MapType::HttpRequestHeaders)?;
        let values: Vec<_> = map.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_slice()).collect();
        return (!values.is_empty()).then(|| values.join(&b","[..]));
    }
    let stream = context.stream.as_ref()?.borrow();
    let state = |key: &str| stream.filter_state.get(key).cloned();
    if let Some(key) = path.strip_prefix("filter_state.") {
        return state(key);
    }
    stream.properties.get(path).cloned().or_else(|| state(&format!("wasm.{path}")))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_property(
    path: *const u8,
    path_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> Status {
    super::tally::host_call("get_property");
    let path = String::from_utf8_lossy(unsafe { taken(path, path_size) }).replace('\0', ".");
    let vm_id = with_vm(|vm| vm.vm_id.clone());
    match with_context(|context| lookup(context, &vm_id, &path)) {
        None => Status::NotFound,
        Some(value) => {
            unsafe { give(&value, data, size) };
            Status::Ok
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_property(path: *const u8, path_size: usize, data: *const u8, size: usize) -> Status {
    super::tally::host_call("set_property");
    let key = format!("wasm.{}", String::from_utf8_lossy(unsafe { taken(path, path_size) }));
    let value = unsafe { taken(data, size) }.to_vec();
    if with_context(|context| context.stream.is_none()) {
        violation(format!("filter state {key} without a stream"));
    }
    with_context(|context| match &context.stream {
        None => Status::NotFound,
        Some(stream) => {
            stream.borrow_mut().filter_state.insert(key, value);
            Status::Ok
        }
    })
}
