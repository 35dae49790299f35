//! Ports that are taken already. Envoy would start without the listener that comes second, or not at all.

use serde_json::Value;

use super::edit::Path;
use super::place::name;
use crate::cli::load::Tree;
use crate::registry::Problem;

/// Refuses a port of a new listener that a listener of the bootstrap or its admin interface has.
///
/// # Errors
/// Which one, and what to change.
pub(super) fn refuse_taken(tree: &Tree, new: &[Value]) -> Result<(), Problem> {
    let listeners = Path::of(&["static_resources", "listeners"]);
    let count = listeners.find(tree).map_or(0, |list| list.entries().len());
    let places = (0..count).map(|number| listeners.entry(number)).chain([Path::of(&["admin"])]);
    for place in places {
        let address = place.key("address");
        let Some(there) = address.find(tree).map(Tree::value).as_ref().and_then(socket) else { continue };
        for listener in new {
            let Some(wanted) = listener.get("address").and_then(socket) else { continue };
            if there.1 == wanted.1 && (there.0 == wanted.0 || is_any(&there.0) || is_any(&wanted.0)) {
                let whose = place.find(tree).and_then(name).unwrap_or("the admin interface").to_owned();
                let new = listener["name"].as_str().unwrap_or_default();
                let rule = format!("has port {}, which the listener {new} is to open beside {whose}", there.1);
                return Err(address.problem(rule, "give envoy.metrics_port of the registry another number"));
            }
        }
    }
    Ok(())
}

/// Address and port.
fn socket(address: &Value) -> Option<(String, u64)> {
    let socket = address.get("socket_address")?;
    Some((socket.get("address")?.as_str()?.to_owned(), socket.get("port_value")?.as_u64()?))
}

fn is_any(address: &str) -> bool {
    ["0.0.0.0", "::"].contains(&address)
}
