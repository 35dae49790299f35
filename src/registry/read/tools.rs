//! Reads `tools`.

use std::time::Duration;

use super::cache::read_policy;
use super::failure::{Owner, read_outcomes};
use super::headers::check_name;
use super::names::Names;
use super::routing::{Candidates, WireSettings};
use super::servers::WireServer;
use crate::cache::CachePolicy;
use crate::failure::{Overrides, ServerKind};
use crate::json::{Object, Value};
use crate::registry::Listing;
use crate::registry::{Credential, Direct, Idempotency, Replayable, ServerIndex, Tool};
use crate::translate::Mapping;
use crate::wire::{Id, Node, Table, or, sort_short};

/// A tool as it was read, the names of its servers still text. `None` = a problem about it has been noted.
pub(super) struct WireTool<'v> {
    node: Node<'v>,
    name: Option<String>,
    task: Option<Id>,
    replayable: Option<Replayable>,
    replayable_node: Option<Node<'v>>,
    on: Option<Overrides>,
    timeout: Option<Option<Duration>>,
    client_timeout: Option<Option<Duration>>,
    cache_node: Option<Node<'v>>,
    cache: Option<Option<CachePolicy>>,
    idempotency_node: Option<Node<'v>>,
    idempotency: Option<Option<Idempotency>>,
    /// The servers it names; the outer `None` = the list could not be read, the inner = there is no list.
    servers: Option<Option<Vec<Node<'v>>>>,
    rest: Option<Option<WireDirect<'v>>>,
    /// Its own order.
    routing: Option<Node<'v>>,
    listing: Option<Listing>,
}

struct WireDirect<'v> {
    node: Node<'v>,
    server: Option<Node<'v>>,
    first: Option<bool>,
    mapping: Option<Mapping>,
}

/// What a tool's servers are linked against: names and servers by position.
pub(super) struct Linked<'a, 'v> {
    /// Names of the servers.
    pub names: &'a Names<'v>,
    /// All MCP servers in order of preference: those of a tool that names none.
    pub all_mcp: Vec<ServerIndex>,
    /// The orders of tasks; `None` = they could not be read.
    pub routing: Option<&'a WireSettings<'v>>,
    /// The servers as they were read.
    pub servers: &'a [Option<WireServer<'v>>],
    /// Names of the credentials.
    pub credential_names: &'a Names<'v>,
    /// The credentials.
    pub credentials: &'a [Option<Credential>],
}

impl<'v> WireTool<'v> {
    /// Reads one tool and adds its name to `names`.
    #[inline(never)]
    pub fn read(node: &Node<'v>, names: &mut Names<'v>) -> Option<Self> {
        let Some(table) = node.table() else {
            names.add(None);
            return None;
        };
        let name_node = table.required("name");
        let name = name_node.as_ref().and_then(read_name);
        names.add(name_node.as_ref());
        let (task, _) = table.id("task");
        let replayable_node = table.optional("replayable");
        let replayable = or(replayable_node.as_ref(), Replayable::Annotations, |node| read_replayable(node));
        let on = read_outcomes(&table, Owner::Tool);
        let time = |node: &Node| node.timeout().map(Some);
        let timeout = or(table.optional("timeout"), None, time);
        let client_timeout = or(table.optional("client_timeout"), None, time);
        let idempotency_node = table.optional("idempotency");
        let idempotency = or(idempotency_node.as_ref(), None, |node| read_idempotency(node).map(Some));
        let cache_node = table.optional("cache");
        let cache = or(cache_node.as_ref(), None, |node| read_policy(node).map(Some));
        let servers = or(table.optional("servers"), None, |node| node.list().map(Some));
        let listing = read_listing(&table, name.as_deref());
        let rest = or(table.optional("rest"), None, |node| WireDirect::read(node).map(Some));
        let routing = table.optional("routing");
        table.done();
        Some(WireTool {
            node: *node,
            name,
            task,
            replayable,
            replayable_node,
            on,
            timeout,
            client_timeout,
            cache_node,
            cache,
            idempotency_node,
            idempotency,
            servers,
            rest,
            routing,
            listing,
        })
    }

    /// Resolves the names of its servers; a tool must be left with at least one way to be answered.
    #[inline(never)]
    pub fn link(self, linked: &Linked<'_, 'v>) -> Option<Tool> {
        let mut mcp = self.servers.and_then(|chosen| match chosen {
            None => Some(linked.all_mcp.clone()),
            Some(nodes) => linked.chosen_mcp(&nodes),
        });
        let rest = self.rest.and_then(|rest| or(rest, None, |direct| direct.link(linked).map(Some)));
        if rest.as_ref().is_some_and(Option::is_none) && mcp.as_ref().is_some_and(Vec::is_empty) {
            self.node.refuse_with("must have an MCP server or a rest mapping", "without either nothing can answer it");
        }
        let own = self.routing.is_some();
        let of_task = || linked.routing?.of_task(self.task.as_ref());
        let routing = or(self.routing.or_else(of_task), None, |node| {
            let rest = rest.as_ref()?.as_ref().map(|direct| direct.server);
            let of = Candidates { names: linked.names, servers: linked.servers, mcp: mcp.as_mut()?, rest, own };
            of.read(node).map(|routing| Some(Box::new(routing)))
        });
        if let (Some(node), Some(Replayable::Annotations), Some(mcp)) = (&self.replayable_node, self.replayable, &mcp) {
            linked.check_trust(node, mcp);
        }
        if let (Some(node), Some(replayable)) = (&self.cache_node, self.replayable)
            && replayable != Replayable::Yes
        {
            node.refuse_with(
                "must not be given without replayable: true",
                "an answer that is kept stands for a call that is not made, so the tool must only read; what its annotations allow may write",
            );
        }
        if let (Some(node), Some(Some(Idempotency { header: Some(name), .. }))) =
            (&self.idempotency_node, &self.idempotency)
            && (name == "authorization" || linked.credentials.iter().flatten().any(|credential| credential.sets(name)))
        {
            node.refuse(format!("must not set the header {name}, which belongs to a credential"));
        }
        Some(Tool {
            name: self.name?,
            // What the listener allows is known once all is read.
            is_allowed: true,
            task: self.task?,
            replayable: self.replayable?,
            on: self.on?,
            timeout: self.timeout?,
            client_timeout: self.client_timeout?,
            cache: self.cache?,
            idempotency: self.idempotency?,
            mcp: mcp?,
            rest: rest?,
            routing: routing?,
            listing: self.listing?,
        })
    }
}

impl<'v> WireDirect<'v> {
    fn read(node: &Node<'v>) -> Option<Self> {
        let table = node.table()?;
        let server = table.required("server");
        let first = or(table.optional("first"), false, Node::boolean);
        let mapping = Mapping::read(&table);
        table.done();
        Some(WireDirect { node: *node, server, first, mapping })
    }

    fn link(&self, linked: &Linked) -> Option<Direct> {
        let server = linked.resolve(self.server.as_ref()?, ServerKind::Rest)?;
        let mapping = self.mapping.clone()?;
        if let Some(credential) = linked.credential_of(server) {
            for name in mapping.header_names().filter(|name| credential.sets(name)) {
                self.node
                    .refuse(format!("must not set the header {name}, which belongs to credential {}", credential.id));
            }
        }
        Some(Direct { server, first: self.first?, mapping })
    }
}

impl Linked<'_, '_> {
    fn resolve(&self, node: &Node, kind: ServerKind) -> Option<ServerIndex> {
        let index = self.names.resolve(node)?;
        let found = self.servers.get(index)?.as_ref()?.kind?;
        if found != kind {
            let (wanted, place) = match kind {
                ServerKind::Mcp => ("mcp", "a rest server goes under rest.server"),
                ServerKind::Rest => ("rest", "an mcp server goes under servers"),
            };
            node.refuse_with(format!("must be a server of kind {wanted}"), place);
            return None;
        }
        u16::try_from(index).ok().map(ServerIndex)
    }

    fn credential_of(&self, server: ServerIndex) -> Option<&Credential> {
        let node = self.servers.get(usize::from(server.0))?.as_ref()?.credential.as_ref()?;
        self.credentials.get(self.credential_names.position(node.value().as_str()?)?)?.as_ref()
    }

    /// Refuses to leave a tool to annotations that would never count.
    fn check_trust(&self, node: &Node, mcp: &[ServerIndex]) {
        let strangers = mcp.iter().filter_map(|at| self.servers.get(usize::from(at.0))?.as_ref());
        if mcp.is_empty() || strangers.into_iter().any(|server| server.trust_annotations == Some(false)) {
            node.refuse_with(
                "must not be annotations unless all MCP servers of the tool have trust_annotations: true",
                "else its calls are never sent again",
            );
        }
    }

    fn chosen_mcp(&self, nodes: &[Node]) -> Option<Vec<ServerIndex>> {
        let mut chosen = Vec::new();
        let mut complete = true;
        for node in nodes {
            match self.resolve(node, ServerKind::Mcp) {
                Some(index) if chosen.contains(&index) => node.refuse("must be named only once"),
                Some(index) => chosen.push(index),
                None => complete = false,
            }
        }
        complete.then(|| in_order(self.servers, chosen))
    }
}

/// The positions of all MCP servers, in order of preference.
pub(super) fn all_mcp(servers: &[Option<WireServer>]) -> Vec<ServerIndex> {
    let all = (0u16..).map(ServerIndex).zip(servers);
    let mcp = all.filter(|(_, server)| server.as_ref().is_some_and(|server| server.kind == Some(ServerKind::Mcp)));
    in_order(servers, mcp.map(|(at, _)| at).collect())
}

/// By tier, then in file order.
fn in_order(servers: &[Option<WireServer>], mut chosen: Vec<ServerIndex>) -> Vec<ServerIndex> {
    sort_short(&mut chosen, |at| (servers.get(usize::from(at.0)).and_then(|server| server.as_ref()?.tier), at.0));
    chosen
}

fn read_replayable(node: &Node) -> Option<Replayable> {
    match (node.value().as_bool(), node.value().as_str()) {
        (Some(true), _) => Some(Replayable::Yes),
        (Some(false), _) => Some(Replayable::No),
        (None, Some("annotations")) => Some(Replayable::Annotations),
        _ => {
            node.refuse_boolean("must be true, false or annotations");
            None
        }
    }
}

fn read_idempotency(node: &Node) -> Option<Idempotency> {
    let table = node.table()?;
    let header = or(table.optional("header"), None, |node| {
        let name = node.string()?;
        check_name(name).map_err(|violation| node.violates(violation)).ok()?;
        Some(Some(name.to_owned()))
    });
    let meta = or(table.optional("meta"), None, |node| {
        let name = node.string()?;
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"_-./".contains(&b);
        let prefix = name.rsplit_once('/').map_or("", |(prefix, _)| prefix);
        if name.is_empty() || name.len() > 128 || !name.bytes().all(legal) {
            node.refuse("must be a name for _meta: 1 to 128 of the characters A-Z, a-z, 0-9, _, -, . and /");
            return None;
        }
        if prefix.split('.').any(|label| matches!(label, "modelcontextprotocol" | "mcp")) {
            node.refuse_with(
                "must not be a name that MCP keeps for itself",
                "begin it with a domain of yours, as example.com/",
            );
            return None;
        }
        Some(Some(name.to_owned()))
    });
    table.done();
    let read = Idempotency { header: header?, meta: meta? };
    if read.header.is_none() && read.meta.is_none() {
        node.refuse_with("must name header, meta or both", "header: idempotency-key is the IETF's");
        return None;
    }
    Some(read)
}

fn read_name(node: &Node) -> Option<String> {
    let name = node.string()?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"_-./".contains(&b);
    if name.len() > 128 || !name.bytes().all(legal) {
        node.refuse("must be an MCP tool name: 1 to 128 of the characters A-Z, a-z, 0-9, _, -, . and /");
        return None;
    }
    Some(name.to_owned())
}

/// The tool as the gate lists it: an MCP `Tool` object.
fn read_listing(table: &Table, name: Option<&str>) -> Option<Listing> {
    let title = optional_text(table, "title");
    let description = optional_text(table, "description");
    let schema = or(table.optional("input_schema"), r#"{"type":"object"}"#.to_owned(), read_schema);
    let annotations = or(table.optional("annotations"), None, |node| read_annotations(node).map(Some));
    let listing = Object::default().text("name", name?).text("title", title?).text("description", description?);
    let listing = listing.json("inputSchema", &schema?);
    Some(Listing::of(match annotations? {
        Some(annotations) => listing.json("annotations", &annotations).done(),
        None => listing.done(),
    }))
}

fn optional_text<'v>(table: &Table<'v>, key: &'static str) -> Option<Option<&'v str>> {
    or(table.optional(key), None, |node| node.string().map(Some))
}

fn read_schema(node: &Node) -> Option<String> {
    let object = node.value().get("type").and_then(Value::as_str) == Some("object");
    if !object {
        node.refuse_with("must be a JSON Schema with type: object", "MCP arguments are always an object");
    }
    object.then(|| node.value().to_json())
}

/// MCP's hints to the client, under MCP's names.
fn read_annotations(node: &Node) -> Option<String> {
    let table = node.table()?;
    let hints = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];
    // Every hint is read before the first failure counts, so that all problems are noted.
    let read = hints.map(|hint| (hint, or(table.optional(hint), None, |node| node.boolean().map(Some))));
    table.done();
    let mut annotations = Object::default();
    for (hint, value) in read {
        if let Some(is_true) = value? {
            annotations = annotations.json(hint, if is_true { "true" } else { "false" });
        }
    }
    Some(annotations.done())
}
