//! From the message to its flight: who may answer, in which order, and what Envoy's router has to know of it.

use std::rc::Rc;

use super::admission::{AdmissionTerms, Admitted, Breakers, admit};
use super::door::Client;
use super::flight::{Flight, Hop, Pace};
use super::message::Message;
use super::originals::{HeaderList, is_touched_by_rest, mcp_follows_rest, originals};
use super::route::{Lot, Route, chain};
use super::story::{Skip, Skipped};
use super::time::{ClientTime, Time};
use super::{Call, Called, Kind, Opening, Question, Task};
use crate::breaker::Ticket;
use crate::discovery;
use crate::drill::Orders;
use crate::failure::may_follow_loss;
use crate::registry::{Registry, Server, ServerIndex, ServerKind, Tool};

/// What Envoy's router is told of a call. What is as the route has it is not said again.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RouterOrders {
    /// The cluster of the first attempt; `None` if it is the one that the route takes by itself.
    pub cluster: Option<String>,
    /// The tool's REST server, where that is not the one that the route takes by itself while MCP is switched off.
    pub direct: Option<String>,
    /// The rules for further attempts.
    pub pace: Pace,
    /// The longest that an attempt may take to the first byte of its answer, in ms; `None`: as the route has it.
    pub per_try_ms: Option<u64>,
    /// How many attempts may follow the first; `None`: as the route has it, which is enough for any call.
    pub max_retries: Option<usize>,
}

/// What planning comes to.
#[derive(Debug)]
pub enum Planned {
    /// The call goes to its first server.
    Go(Box<Call>, RouterOrders),
    /// Its client waits no longer.
    TimeOver,
    /// Nobody may answer it now. These servers could have, but for this.
    NoPath(Vec<Skipped>),
}

/// What planning asks of its surroundings.
pub struct Surroundings<'s, B> {
    /// The registry.
    pub registry: &'s Rc<Registry>,
    /// The breakers.
    pub breakers: B,
    /// The servers that are to fail for the call.
    pub drill: &'s Orders,
    /// Whether a server is known not to have the tool that is called. Asked only of calls that any server may answer which
    /// has it. The last word: the client is in a session of the server's.
    pub lacks: &'s dyn Fn(ServerIndex, discovery::Called<'_>, bool) -> bool,
    /// The number by which the call is drawn for a server; see [`Route::draw`].
    pub draw: Option<u32>,
    /// All servers, the fastest first; needed only where calls are routed by that.
    pub fastest: &'s [ServerIndex],
    /// Whether MCP servers may be used for the message at all.
    pub mcp_enabled: bool,
    /// The monotonic clock.
    pub now_ms: u64,
    /// Random bits for the call's UUID.
    pub uuid: &'s mut dyn FnMut() -> [u8; 16],
    /// The request's headers, for those that an attempt must be able to restore.
    pub headers: &'s dyn Fn() -> HeaderList,
}

/// Plans the flight of a message.
pub fn plan<B: Breakers>(message: Message<'_>, client: &mut Client, around: &mut Surroundings<'_, B>) -> Planned {
    let registry = around.registry;
    let owner = client.session.owner().and_then(|owner| registry.server_by_id(owner.as_str())).map(|(at, _)| at);
    let lot = Lot { owner, draw: around.draw, prefer: client.prefer, fastest: around.fastest };
    let mut servers = chain(registry, message.route, lot);
    let off = follow_hands(&mut servers, lot, around);
    match (message.kind, message.route) {
        (Kind::Session, _) => servers.truncate(1),
        // They are about the session; a batch may hold answers to what its server has asked.
        (Kind::Notification | Kind::Opaque, _) if owner.is_some() => servers.truncate(1),
        (_, Route::Issuer(_)) => leave_issuer(&mut servers, owner, &mut around.breakers),
        _ => {}
    }
    if message.question.as_ref().is_some_and(Question::is_faulty) {
        servers.retain(|at| registry.server(*at).is_some_and(|server| server.kind == ServerKind::Mcp));
    }
    let mut unlisted = Vec::new();
    if let Some(called) = message.called() {
        let has = |server: &ServerIndex| !(around.lacks)(*server, called, owner == Some(*server));
        // If all lack it the first says so itself, in its own words.
        if servers.iter().any(has) {
            servers.retain(|server| {
                let has = has(server);
                if !has {
                    unlisted.push(Skipped { server: *server, why: Skip::NotListed, at: 0 });
                }
                has
            });
        }
    }
    let tool = message.route.tool();
    let waits = client_time(registry, client, tool);
    if message.kind != Kind::Session && waits.is_over(around.now_ms) {
        return Planned::TimeOver;
    }
    let terms = AdmissionTerms {
        may_probe: matches!(message.kind, Kind::Request | Kind::Notification),
        may_divert: owner.is_none(),
        is_limited: message.is_limited(),
        last_resort: message.question.is_none() && message.kind != Kind::Session,
    };
    let Admitted { hops: admitted, mut skipped } = admit(&servers, terms, &mut around.breakers);
    skipped.splice(0..0, off.into_iter().chain(unlisted));
    if admitted.is_empty() {
        return Planned::NoPath(skipped);
    }
    let outline = Outline { registry, message: &message, tool, hops: &admitted };
    let again = if terms.last_resort { outline.again() } else { 0 };
    let pace = outline.pace(again);
    let time = outline.time(&waits, around.now_ms);
    let hop = |(index, ticket): &(ServerIndex, Ticket)| {
        let server = registry.server(*index)?;
        Some(Hop {
            server: server.id.clone(),
            index: Some(*index),
            ticket: *ticket,
            drill: around.drill.class_of(*index),
        })
    };
    let flight = Flight::new(admitted.iter().filter_map(hop).collect(), again, pace, time);
    let usual = if around.mcp_enabled { registry.usual_server() } else { None };
    let usual = usual.and_then(|at| registry.server(at)).map(|server| server.id.as_str());
    let orders = RouterOrders {
        cluster: flight.destination().filter(|cluster| Some(*cluster) != usual).map(str::to_owned),
        direct: outline.direct().map(str::to_owned),
        pace,
        per_try_ms: Some(time.per_try_ms).filter(|ms| *ms != registry.longest_timeout_ms()),
        // A retry too many would have to be stopped, for which a client must not be kept waiting.
        max_retries: (pace == Pace::Patient)
            .then(|| outline.slots().max(again.into()).saturating_add(client.session_id.is_some().into())),
    };
    let call = Call {
        originals: outline.headers_to_restore(around.headers),
        authorization: client.authorization.take().filter(|_| outline.shows_client_authorization()),
        uuid: if tool.is_some_and(|tool| tool.rest.is_some() || tool.idempotency.is_some()) {
            (around.uuid)()
        } else {
            [0; 16]
        },
        registry: Rc::clone(registry),
        kind: message.kind,
        task: message.task,
        tool: if let Task::Tool(at) = message.task { Some(Called::At(at)) } else { None },
        replay: message.replay,
        tools_page: message.tools_page,
        introduction: message.introduction,
        session: std::mem::take(&mut client.session),
        session_id: client.session_id.take(),
        opening: Opening::default(),
        query: std::mem::take(&mut client.query),
        carried: Vec::new(),
        owners_failure: None,
        poll: None,
        to_keep: super::cached::ToKeep::default(),
        answered_ms: None,
        ledger: registry.log.calls.is_some().then(Box::default),
        skipped,
        flight,
        id: message.id,
    };
    Planned::Go(Box::new(call), orders)
}

/// Takes out the servers that are switched off, and answers them. Those whose weight is 0 come behind all others, but for the
/// server that the client is in a session with, and the one that the request names: so a drained server is tried out.
fn follow_hands<B: Breakers>(
    servers: &mut Vec<ServerIndex>,
    lot: Lot<'_>,
    around: &Surroundings<'_, B>,
) -> Vec<Skipped> {
    let (mut off, mut last) = (Vec::new(), Vec::new());
    servers.retain(|at| {
        let hand = around.breakers.hand(*at);
        let is_mcp = || around.registry.server(*at).is_some_and(|server| server.kind == ServerKind::Mcp);
        if hand.is_off() || !around.mcp_enabled && is_mcp() {
            off.push(Skipped { server: *at, why: Skip::KillSwitch, at: 0 });
            return false;
        }
        let is_last = hand.is_drained() && ![lot.owner, lot.prefer].contains(&Some(*at));
        last.extend(is_last.then_some(*at));
        !is_last
    });
    servers.append(&mut last);
    off
}

/// Leaves the server that has issued what a message names: the owner of its client's session. Out of a session nobody can
/// tell which it was. Then it is the server that gets this client's calls now, the first that admits any: as long as
/// nothing changes, an outage included, that one has issued it. It is asked and no other, whatever becomes of that.
fn leave_issuer(servers: &mut Vec<ServerIndex>, owner: Option<ServerIndex>, breakers: &mut impl Breakers) {
    let mut admits = |server: ServerIndex| breakers.barred(server).is_none() && breakers.look(server).admits;
    let one = owner.filter(|owner| servers.contains(owner));
    let one = one.or_else(|| servers.iter().copied().find(|server| admits(*server))).or(servers.first().copied());
    servers.clear();
    servers.extend(one);
}

fn client_time(registry: &Registry, client: &Client, tool: Option<&Tool>) -> ClientTime {
    let allowed = tool.and_then(|tool| tool.client_timeout).or(registry.listener.client_timeout);
    let allowed_ms = allowed.map(|allowed| u64::try_from(allowed.as_millis()).unwrap_or(u64::MAX));
    ClientTime { started_ms: client.started_ms, allowed_ms, told_ms: client.told_ms }
}

/// A flight in outline: the hops are known, what they need is not yet.
struct Outline<'a> {
    registry: &'a Registry,
    message: &'a Message<'a>,
    tool: Option<&'a Tool>,
    hops: &'a [(ServerIndex, Ticket)],
}

impl<'a> Outline<'a> {
    fn servers(&self) -> impl DoubleEndedIterator<Item = &'a Server> {
        let registry = self.registry;
        self.hops.iter().filter_map(|(server, _)| registry.server(*server))
    }

    /// How often the last server may be asked once more.
    fn again(&self) -> u8 {
        self.servers().next_back().map_or(0, |server| server.attempts.saturating_sub(1))
    }

    /// The tool's REST server, if it is none that a route without MCP servers takes by itself.
    fn direct(&self) -> Option<&'a str> {
        let direct = self.tool?.rest.as_ref()?;
        let first = self.registry.indexed_servers().find(|(_, server)| server.kind == ServerKind::Rest)?;
        let server = self.registry.server(direct.server).filter(|_| first.0 != direct.server)?;
        Some(server.id.as_str())
    }

    fn pace(&self, again: u8) -> Pace {
        match self.hops.len() {
            1 if again > 0 => Pace::Patient,
            // Nothing follows a loss, which the flight sees to itself.
            1 => Pace::Usual,
            _ if self.may_be_sent_after_loss() => Pace::Usual,
            _ => Pace::Once,
        }
    }

    /// Whether the router itself may send the call on after a loss.
    fn may_be_sent_after_loss(&self) -> bool {
        let servers = self.servers().rev().skip(1).map(|server| &server.on);
        may_follow_loss(self.tool.map(|tool| &tool.on), servers, self.message.replay)
    }

    /// How many further attempts other credential slots may need.
    fn slots(&self) -> usize {
        self.hops.iter().filter(|(server, _)| self.registry.has_two_slots(*server)).count()
    }

    /// How long each attempt may take.
    fn time(&self, client: &ClientTime, now_ms: u64) -> Time {
        if self.message.listens {
            // The stream may stay silent for as long as the server has nothing to say.
            return Time::UNLIMITED;
        }
        let slowest = self.servers().map(|server| server.timeout).max();
        let timeout = self.tool.and_then(|tool| tool.timeout).or(slowest).unwrap_or_default();
        let timeout = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        // Only what may be sent again after it was lost can need the whole time more than once.
        let shares = if self.may_be_sent_after_loss() { self.hops.len() } else { 1 };
        client.share(now_ms, timeout, u64::try_from(shares).unwrap_or(1))
    }

    /// The client's headers that an MCP attempt needs after a REST attempt; `None` where no such order is planned.
    fn headers_to_restore(&self, headers: &dyn Fn() -> HeaderList) -> Option<HeaderList> {
        let tool = self.tool.filter(|_| mcp_follows_rest(self.servers().map(|server| server.kind)))?;
        let headers = headers();
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        Some(originals(pairs, |name| is_touched_by_rest(name, tool.mapped_headers())))
    }

    /// Whether any of the servers gets what the client authenticates with.
    fn shows_client_authorization(&self) -> bool {
        self.servers().any(|server| self.registry.gets_client_authorization(server))
    }
}
