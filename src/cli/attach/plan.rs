//! What has to be put where.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::edit::{Edit, Path};
use super::place::{Choice, Place, is_a, name};
use super::{ports, shadow};
use crate::cli::load::Tree;
use crate::cli::render::parts::{self, Parts};
use crate::registry::{Admin, Problem, Registry};
use crate::telemetry::ENVOY_PREFIX;
use crate::wiring::cluster;

/// The edits, and what an operator should know beside them.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub edits: Vec<Edit>,
    pub notes: Vec<String>,
}

const BY_HAND: &str = "take out what was put in by hand, then attach again";

impl Plan {
    /// # Errors
    /// What of the bootstrap is not understood, or is in the way, and what to do about it.
    pub fn of(tree: &Tree, registry: &Registry, wire: &Value, choice: &Choice) -> Result<Self, Problem> {
        let place = Place::find(tree, choice)?;
        let admin = admin(tree)?;
        if admin.is_none() && registry.envoy.metrics.is_some() {
            let hint = "add one, such as admin: {address: {pipe: {path: /run/envoy/admin.sock}}}, or take envoy.metrics_port out of the registry";
            return Err(Path::of(&["admin"]).problem("is missing, and the listener with the metrics asks it", hint));
        }
        let registry = with_admin(registry, admin.as_ref());
        let mut parts = Parts::of(&registry, wire);
        if admin.is_none() {
            parts.clusters.retain(|one| one["name"] != cluster::ADMIN);
        }
        let mut plan = Plan { notes: shadow::notes(tree, &place, &parts.routes), ..Plan::default() };
        ports::refuse_taken(tree, &parts.listeners)?;
        plan.put_node(tree, &registry, &parts);
        plan.put_filters(tree, &place, parts.filters)?;
        plan.edits.push(Edit::Entries(place.host.key("routes"), 0, parts.routes));
        plan.put(tree, &place.manager, "access_log", parts.access_log);
        let static_resources = Path::of(&["static_resources"]);
        for (key, new) in [("listeners", parts.listeners), ("clusters", parts.clusters)] {
            refuse_same_names(tree, &static_resources.key(key), &new)?;
            plan.put(tree, &static_resources, key, new);
        }
        plan.put_extensions(tree, parts.bootstrap_extensions);
        plan.put_stats(tree, parts.stats_config)?;
        plan.put_layers(tree, parts.layers)?;
        Ok(plan)
    }

    /// Envoy asks no one for secrets, not even a file, unless it has a name; and it tells near from far by where it says it is.
    fn put_node(&mut self, tree: &Tree, registry: &Registry, parts: &Parts) {
        let needed = registry.envoy.region.is_some() || json!(parts.clusters).to_string().contains("\"sds_config\"");
        let Some(node) = tree.get("node") else {
            if needed {
                self.edits.push(Edit::Key(Path::default(), "node", parts::node(registry)));
            }
            return;
        };
        for key in ["id", "cluster"].into_iter().filter(|key| needed && node.get(key).is_none()) {
            self.notes.push(format!("node.{key}: is missing: Envoy asks for no secrets without it. Give it, or start Envoy with --service-{}", if key == "id" { "node" } else { key }));
        }
        if let Some(region) = &registry.envoy.region {
            let there = node.get("locality").and_then(|locality| locality.get("region")).and_then(Tree::text);
            if there != Some(region.as_str()) {
                self.notes.push(format!(
                    "node.locality.region: is not {region}, as the registry has it: Envoy goes by its own"
                ));
            }
        }
    }

    /// Entries ahead of those of a list, which is made if it is not there.
    fn put(&mut self, tree: &Tree, path: &Path, key: &'static str, entries: Vec<Value>) {
        if entries.is_empty() {
            return;
        }
        self.edits.push(match path.key(key).find(tree) {
            Some(_) => Edit::Entries(path.key(key), 0, entries),
            None => Edit::Key(path.clone(), key, json!(entries)),
        });
    }

    fn put_filters(&mut self, tree: &Tree, place: &Place, filters: Vec<Value>) -> Result<(), Problem> {
        let list = place.manager.key("http_filters");
        for (number, filter) in list.find(tree).map(Tree::entries).unwrap_or_default().iter().enumerate() {
            if name(filter).is_some_and(|name| name.starts_with("dualpath.")) {
                return Err(list.entry(number).problem("is Dualpath's already, and not by `dualpath attach`", BY_HAND));
            }
            if is_a(filter, ".cors.v3.Cors") {
                self.notes.push(
                    "the gate answers CORS for its path itself (listener.allowed_origins): the CORS filter must not"
                        .to_owned(),
                );
            }
        }
        self.edits.push(Edit::Entries(list, place.router(tree)?, filters));
        Ok(())
    }

    fn put_extensions(&mut self, tree: &Tree, mut extensions: Vec<Value>) {
        let there = tree.get("bootstrap_extensions").map(Tree::entries).unwrap_or_default();
        let is_internal = |extension: &Value| extension["name"] == "envoy.bootstrap.internal_listener";
        if there.iter().any(|extension| is_a(extension, ".InternalListener")) {
            extensions.retain(|extension| !is_internal(extension));
        }
        self.put(tree, &Path::default(), "bootstrap_extensions", extensions);
    }

    fn put_stats(&mut self, tree: &Tree, stats_config: Value) -> Result<(), Problem> {
        let path = Path::of(&["stats_config"]);
        if path.find(tree).is_none() {
            self.edits.push(Edit::Key(Path::default(), "stats_config", stats_config));
            return Ok(());
        }
        for key in ["stats_tags", "histogram_bucket_settings"] {
            let entries = stats_config.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
            self.put(tree, &path, key, entries);
        }
        let matcher = path.key("stats_matcher");
        let Some(there) = matcher.find(tree) else {
            self.edits.push(Edit::Key(
                path,
                "stats_matcher",
                stats_config.get("stats_matcher").cloned().unwrap_or_default(),
            ));
            return Ok(());
        };
        let ours = stats_config.pointer("/stats_matcher/exclusion_list/patterns").and_then(Value::as_array);
        let (list, entries) = match (there.get("exclusion_list"), there.get("inclusion_list")) {
            (Some(_), _) => ("exclusion_list", ours.cloned().unwrap_or_default()),
            (_, Some(_)) => ("inclusion_list", vec![json!({"prefix": format!("{ENVOY_PREFIX}.")})]),
            _ => {
                return Err(matcher.problem(
                    "lets no statistics through, so nothing would be known of breakers and tokens",
                    "take it out, or name what is to be left out in an exclusion_list",
                ));
            }
        };
        self.put(tree, &matcher.key(list), "patterns", entries);
        Ok(())
    }

    fn put_layers(&mut self, tree: &Tree, layers: Vec<Value>) -> Result<(), Problem> {
        let layers = layers.into_iter().map(|layer| match layer.get("name").and_then(Value::as_str) {
            Some("static") => renamed(layer, "dualpath"),
            Some(name) => {
                let name = format!("dualpath-{name}");
                renamed(layer, &name)
            }
            None => layer,
        });
        let (last, first): (Vec<_>, Vec<_>) = layers.partition(|layer| layer.get("admin_layer").is_some());
        let path = Path::of(&["layered_runtime", "layers"]);
        let Some(there) = path.find(tree) else {
            if tree.get("layered_runtime").is_some() {
                return Err(path.problem("is missing", "take layered_runtime out; it is made anew"));
            }
            let layers: Vec<_> = first.into_iter().chain(last).collect();
            self.edits.push(Edit::Key(Path::default(), "layered_runtime", json!({"layers": layers})));
            return Ok(());
        };
        for (number, layer) in there.entries().iter().enumerate() {
            if name(layer).is_some_and(|name| name == "dualpath" || name.starts_with("dualpath-")) {
                return Err(path.entry(number).problem("is Dualpath's already, and not by `dualpath attach`", BY_HAND));
            }
            let fixed = layer.get("static_layer").map(Tree::keys).unwrap_or_default();
            if fixed.iter().any(|(key, _)| key == "dualpath" || key.starts_with("dualpath.")) {
                self.notes.push(format!(
                    "{}: sets keys of Dualpath's, above its own: a kill switch there counts",
                    path.entry(number)
                ));
            }
        }
        if !there.entries().iter().any(|layer| layer.get("admin_layer").is_some()) {
            self.edits.push(Edit::Entries(path.clone(), there.entries().len(), last));
        }
        self.edits.push(Edit::Entries(path, 0, first));
        Ok(())
    }
}

fn renamed(mut layer: Value, name: &str) -> Value {
    if let Some(there) = layer.get_mut("name") {
        *there = json!(name);
    }
    layer
}

/// A name that is there already would be there twice, and Envoy would take the first.
fn refuse_same_names(tree: &Tree, path: &Path, new: &[Value]) -> Result<(), Problem> {
    let there = path.find(tree).map(Tree::entries).unwrap_or_default();
    for (number, entry) in there.iter().enumerate() {
        if let Some(name) = name(entry).filter(|name| new.iter().any(|new| new["name"] == *name)) {
            let rule = format!("is called {name}, as one that is to be attached");
            return Err(path.entry(number).problem(
                rule,
                "rename it or the server of the registry; or, if it is an older copy of Dualpath's, take that out",
            ));
        }
    }
    Ok(())
}

/// Where the bootstrap has its admin interface, if it has one.
fn admin(tree: &Tree) -> Result<Option<Admin>, Problem> {
    let path = Path::of(&["admin", "address"]);
    let Some(address) = path.find(tree) else { return Ok(None) };
    if let Some(socket) = address.get("pipe").and_then(|pipe| pipe.get("path")).and_then(Tree::text) {
        return Ok(Some(Admin::Socket(socket.to_owned())));
    }
    let socket = address.get("socket_address");
    let host = socket.and_then(|socket| socket.get("address")).and_then(Tree::text);
    let port = socket.and_then(|socket| socket.get("port_value")).and_then(|port| port.value().as_u64());
    let port = port.and_then(|port| u16::try_from(port).ok());
    match (host, port) {
        (Some(host), Some(port)) => Ok(Some(Admin::Port(host.to_owned(), port))),
        _ => Err(path.problem(
            "must be a socket_address with a port_value, or a pipe",
            "Dualpath asks the admin interface for the runtime and the metrics",
        )),
    }
}

/// The registry for an Envoy whose admin interface is there. Without one there is nothing to be asked.
fn with_admin<'r>(registry: &'r Registry, admin: Option<&Admin>) -> Cow<'r, Registry> {
    let Some(admin) = admin else { return Cow::Borrowed(registry) };
    let mut registry = registry.clone();
    registry.envoy.admin = admin.clone();
    Cow::Owned(registry)
}
