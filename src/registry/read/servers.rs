//! Reads `servers`.

use std::time::Duration;

use super::failure::{Owner, read_outcomes, read_rules};
use super::names::Names;
use super::offers::{read_offers, read_price};
#[cfg(feature = "cli")]
use super::upstream;
use super::{concurrency, probe};
use crate::breaker::Policy;
use crate::concurrency::ConcurrencyPolicy;
use crate::failure::{Dialect, Overrides, Rule, ServerKind};
use crate::mcp::ProtocolVersion;
#[cfg(feature = "cli")]
use crate::registry::Upstream;
use crate::registry::{Abilities, CredentialIndex, FailureSettings, Price, Probe, Server, Tier, Url};
use crate::wire::{Id, Node, Table, or, query};

/// A server's id is the name of its cluster and of its filter state; these names are taken there. Every name that begins
/// with `dualpath` is taken as well.
const RESERVED: [&str; 7] = ["admin", "attempt", "direct", "direct-only", "gate", "none", "prober"];

const SHORTEST_CONNECT: Duration = Duration::from_millis(10);
const LONGEST_CONNECT: Duration = Duration::from_secs(60);

/// What a server says for Envoy, and for the gate alone: which calls its pool has no room for.
pub const RENDERED: [&str; 6] = ["endpoints", "balance", "http", "tls", "proxy", "pool"];

/// A server as it was read, the name of its credential still text. `None` = a problem about it has been noted.
pub(super) struct WireServer<'v> {
    id: Option<Id>,
    /// What it speaks; tools are linked by it.
    pub kind: Option<ServerKind>,
    /// Its tier; tools are linked by it.
    pub tier: Option<Tier>,
    url: Option<Url>,
    query: &'v str,
    url_node: Option<Node<'v>>,
    dialect: Option<Dialect>,
    normalise: Option<bool>,
    /// Where it names its credential; the headers of direct paths are checked against that.
    pub credential: Option<Node<'v>>,
    ca_file: Option<Option<String>>,
    connect_timeout: Option<Duration>,
    timeout: Option<Duration>,
    protocol: Option<ProtocolVersion>,
    probe: Option<Option<Probe>>,
    /// What its breaker has of its own; read when the breakers' common policy is known.
    breaker: Option<Node<'v>>,
    rules: Option<Vec<Rule>>,
    on: Option<Overrides>,
    /// Whether its annotations count; tools are linked by it.
    pub trust_annotations: Option<bool>,
    attempts: Option<u8>,
    /// What it offers; tools are linked by it.
    pub offers: Option<Abilities>,
    /// What a call costs; likewise.
    pub price: Option<Option<Price>>,
    most_calls: Option<Option<u32>>,
    #[cfg(feature = "cli")]
    upstream: Option<Upstream>,
    concurrency: Option<Option<ConcurrencyPolicy>>,
}

impl<'v> WireServer<'v> {
    /// Reads one server and adds its name to `names`.
    #[inline(never)]
    pub fn read(node: &Node<'v>, names: &mut Names<'v>) -> Option<Self> {
        let Some(table) = node.table() else {
            names.add(None);
            return None;
        };
        let (id, id_node) = table.id("id");
        names.add(id_node.as_ref());
        let id = id.filter(|id| !is_reserved(id, id_node.as_ref()));
        let kind =
            table.required("kind").and_then(|node| node.choose(&["mcp", "rest"], &[ServerKind::Mcp, ServerKind::Rest]));
        let tier = or(table.optional("tier"), Tier::Primary, |node| {
            let tiers = [Tier::Primary, Tier::Secondary, Tier::Tertiary];
            node.choose(&tiers.map(Tier::as_str), &tiers)
        });
        // A password or a token may stand before the @ or in the query, where the rules do not allow them.
        let url_node = table.required("url").map(|node| if may_hold_secret(&node) { node.veiled() } else { node });
        let (url, query) = url_node.as_ref().and_then(read_url).unzip();
        // What cannot be a name may be a secret.
        let credential = table.optional("credential").map(|node| if is_name(&node) { node } else { node.veiled() });
        let ca_file = or(table.optional("ca_file"), None, |node| read_ca_file(node, url.as_ref()).map(Some));
        let connect_timeout = or(table.optional("connect_timeout"), Duration::from_secs(1), |node| {
            node.duration(SHORTEST_CONNECT, LONGEST_CONNECT)
        });
        let timeout = or(table.optional("timeout"), Duration::from_secs(30), |node| node.timeout());
        let attempts = or(table.optional("attempts"), 1, |node| u8::try_from(node.integer(1, 10)?).ok());
        check_timeouts(&table, connect_timeout, timeout);
        let protocol = probe::read_protocol(&table, kind);
        let probe = probe::read(&table, kind, protocol);
        let rules = or(table.optional("rules"), Vec::new(), |node| read_rules(node, kind));
        let on = read_outcomes(&table, Owner::Server);
        let trust_annotations = or(table.optional("trust_annotations"), false, |node| read_trust(node, kind));
        let by_host = url.as_ref().map_or(Dialect::None, |url| Dialect::of_host(&url.host));
        let dialect = or(table.optional("dialect"), by_host, |node| {
            node.choose(&Dialect::ALL.map(Dialect::as_str), &Dialect::ALL)
        });
        let is_theirs = dialect == Some(Dialect::Snowflake) && kind == Some(ServerKind::Mcp);
        let normalise = or(table.optional("normalise"), is_theirs, |node| read_normalise(node, kind));
        let breaker = table.optional("breaker");
        let concurrency = or(table.optional("concurrency"), None, |node| concurrency::read(node).map(Some));
        let offers = or(table.optional("offers"), Abilities::default(), read_offers);
        let price = or(table.optional("price"), None, |node| read_price(node).map(Some));
        let pool = table.optional("pool");
        let most_calls = or(pool.as_ref(), None, |node| read_most_calls(node));
        #[cfg(feature = "cli")]
        let upstream = upstream::read(&table, kind, url.as_ref(), pool.as_ref());
        #[cfg(not(feature = "cli"))]
        table.pass_over(&RENDERED);
        table.done();
        Some(WireServer {
            id,
            kind,
            tier,
            url,
            query: query.unwrap_or_default(),
            url_node,
            dialect,
            normalise,
            credential,
            ca_file,
            connect_timeout,
            timeout,
            protocol,
            probe,
            attempts,
            most_calls,
            concurrency,
            rules,
            on,
            trust_annotations,
            breaker,
            offers,
            price,
            #[cfg(feature = "cli")]
            upstream,
        })
    }

    /// Its name.
    pub fn name(&self) -> Option<&str> {
        self.id.as_ref().map(Id::as_str)
    }

    /// Resolves the credential's name and checks that its secret would not travel in the clear.
    #[inline(never)]
    pub fn link(
        self,
        credentials: &Names,
        breaker: Option<&Policy>,
        failure: Option<&FailureSettings>,
    ) -> Option<Server> {
        let credential = or(self.credential, None, |node| {
            let index = u16::try_from(credentials.resolve(node)?).ok()?;
            Some(Some(CredentialIndex(index)))
        });
        if let (Some(Some(_)), Some(url), Some(node)) = (credential, &self.url, &self.url_node)
            && !url.tls
            && !url.is_loopback()
        {
            node.refuse_with(
                "must be https, because a credential is sent there",
                "http is allowed only to this machine: 127.0.0.1, [::1] or localhost",
            );
        }
        let breaker = breaker.and_then(|common| or(self.breaker, *common, |node| Policy::read(node, common)));
        Some(Server {
            id: self.id?,
            kind: self.kind?,
            tier: self.tier?,
            url: self.url?,
            query: self.query.to_owned(),
            dialect: self.dialect?,
            normalise: self.normalise?,
            credential: credential?,
            ca_file: self.ca_file?,
            connect_timeout: self.connect_timeout?,
            timeout: self.timeout?,
            attempts: self.attempts?,
            most_calls: self.most_calls?,
            breaker: breaker?,
            protocol: self.protocol?,
            concurrency: self.concurrency?,
            probe: self.probe?,
            rules: [self.rules?, failure?.rules.clone()].concat(),
            on: self.on?,
            trust_annotations: self.trust_annotations?,
            offers: self.offers?,
            price: self.price?,
            #[cfg(feature = "cli")]
            upstream: self.upstream?,
        })
    }
}

fn is_name(node: &Node) -> bool {
    node.value().as_str().is_some_and(|text| Id::new(text).is_some())
}

fn is_reserved(id: &Id, node: Option<&Node>) -> bool {
    let reserved = RESERVED.contains(&id.as_str()) || id.as_str().starts_with("dualpath");
    if let (true, Some(node)) = (reserved, node) {
        let rule =
            format!("must not be a name that the rendered bootstrap uses itself: {}, dualpath...", RESERVED.join(", "));
        node.refuse_with(rule, "the id becomes the name of the server's cluster");
    }
    reserved
}

/// The URL and its query, which no other URL of a registry has.
fn read_url<'v>(node: &Node<'v>) -> Option<(Url, &'v str)> {
    let text = node.string()?;
    let (bare, query) = text.split_once('?').unwrap_or((text, ""));
    let url = Url::parse(bare).map_err(|violation| node.violates(violation)).ok()?;
    let query = query::sendable(query.as_bytes()).map_err(|rule| {
        node.refuse_with(rule, "a token goes into a header, by a credential; other characters are written as %XX");
    });
    Some((url, query.ok()?))
}

fn may_hold_secret(url: &Node) -> bool {
    url.value().as_str().is_some_and(|text| text.contains(['@', '?', '#']))
}

fn read_normalise(node: &Node, kind: Option<ServerKind>) -> Option<bool> {
    let normalises = node.boolean()?;
    if normalises && kind == Some(ServerKind::Rest) {
        node.refuse("must not be true for a rest server, whose answers are translated");
        return None;
    }
    Some(normalises)
}

fn read_trust(node: &Node, kind: Option<ServerKind>) -> Option<bool> {
    let trusted = node.boolean()?;
    if trusted && kind == Some(ServerKind::Rest) {
        node.refuse("must not be true for a rest server, which lists no tools");
        return None;
    }
    Some(trusted)
}

/// All of `pool` that is not for Envoy alone. The command line reads the rest.
fn read_most_calls(pool: &Node) -> Option<Option<u32>> {
    let table = pool.table()?;
    or(table.optional("calls"), None, |node| Some(Some(u32::try_from(node.integer(1, 100_000)?).ok()?)))
}

fn read_ca_file(node: &Node, url: Option<&Url>) -> Option<String> {
    if url.is_some_and(|url| !url.tls) {
        node.refuse("must not be given for an http server, which shows no certificate");
        return None;
    }
    node.file_name()
}

fn check_timeouts(table: &Table, connect: Option<Duration>, whole: Option<Duration>) {
    if let (Some(connect), Some(whole)) = (connect, whole)
        && connect > whole
        && let Some(node) = table.optional("connect_timeout").or_else(|| table.optional("timeout"))
    {
        node.refuse("must keep connect_timeout no longer than timeout");
    }
}
