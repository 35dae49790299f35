//! The door: the headers of a client's request. Who may ask, in whose session it is, what it orders, and which of its
//! headers end here.

use super::headers::RequestHeaders;
use super::passage::is_kept_from_servers;
use super::{Session, encoding, page};
use crate::credential::Secret;
use crate::drill::{self, Malformed, Orders};
use crate::jsonrpc::ErrorCode;
use crate::mcp::{METHOD_HEADER, Mirror, NAME_HEADER, SessionId, VERSION_HEADER, is_stateless};
use crate::registry::{ClientAuthorization, ClientQuery, Registry, Server, ServerIndex, ServerKind};
use crate::wire::query;
use crate::wiring::header;

/// Header in which an Envoy before this one says how many milliseconds the client waits for the answer.
const EXPECTED_TIMEOUT: &str = "x-envoy-expected-rq-timeout-ms";

/// Headers of a client that end here: its own credentials (MCP forbids passing them on, the server gets its own; where the
/// operator wants it otherwise, attempts put the one of this header back), and cookies (the next server has no business
/// with those of this one).
const NEVER_PASSED_ON: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// How a request presents itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// A message in the body.
    #[default]
    Post,
    /// A stream of the server's.
    Get,
    /// The end of a session.
    Delete,
}

/// The methods that the endpoint serves, as the header `allow` lists them.
pub const ALLOWED: &str = "POST, GET, DELETE";

/// A client that may ask.
#[derive(Debug, Default)]
pub struct Client {
    /// How it asks.
    pub method: Method,
    /// When its request came, on the monotonic clock, in ms.
    pub started_ms: u64,
    /// How long it says that it waits, in ms.
    pub told_ms: Option<u64>,
    /// The session that it is in.
    pub session: Session,
    /// The id that it knows the session by, where that tells how to open it another one.
    pub session_id: Option<Box<[u8]>>,
    /// The query behind the path that it asks for, as far as servers get it.
    pub query: Box<str>,
    /// What it authenticates with itself, where a server may get that, or a cache tells callers apart by it.
    pub authorization: Option<Secret>,
    /// The servers that are to fail for it.
    pub drill: Orders,
    /// The server that it wants to be asked first.
    pub prefer: Option<ServerIndex>,
    /// What its headers say of the message, if they name a version without a handshake.
    pub mirror: Option<Box<Mirror>>,
    /// Whether the message is text in another charset than UTF-8.
    pub is_other_text: bool,
}

/// A request at the door.
#[derive(Debug)]
pub struct Visit {
    /// The web page that sends it, by its position in the listener's `allowed_origins`: its browser shows it an answer only
    /// if that says so.
    pub page: Option<usize>,
    /// What the door says.
    pub entry: Entry,
}

/// What the door says.
#[derive(Debug)]
pub enum Entry {
    /// The request is not for the MCP endpoint.
    Elsewhere,
    /// It has a method that MCP's transport doesn't know, so no server may see it: nobody can say what it would do there.
    NoSuchMethod,
    /// A page's browser asks whether the page may call; it may, and may send headers of these names, if any are asked for.
    Preflight(Option<String>),
    /// It is turned away.
    Refused(ErrorCode, String),
    /// It may come in.
    Admitted {
        /// Who it is.
        client: Box<Client>,
        /// The length of its body, where it says so.
        declared_length: Option<u64>,
        /// The path, with its query, under which the endpoint's routes stand, where the request has a slash behind it.
        route_as: Option<Vec<u8>>,
        /// Names of its headers that are to be taken off.
        ends_here: Vec<String>,
        /// The reason why a drill that it orders is not carried out.
        drill_ignored: Option<&'static str>,
        /// Whether it names a server to be asked first, from where it may not.
        name_ignored: bool,
    },
}

/// Looks at a request. `source` asks for the address that it comes from, and is called only if something is ordered by a header.
pub fn knock(headers: RequestHeaders<'_>, registry: &Registry, now_ms: u64, source: &dyn Fn() -> Vec<u8>) -> Visit {
    let target = headers.get(":path").unwrap_or_default();
    // The query with the sign before it.
    let (path, query) = target.split_at(target.iter().position(|b| *b == b'?').unwrap_or(target.len()));
    if !is_endpoint(path, registry.listener.path.as_bytes()) {
        return Visit { page: None, entry: Entry::Elsewhere };
    }
    match page::sender(headers, &registry.listener) {
        Ok(page) => Visit { page, entry: enter(headers, registry, page.is_some(), (path, query), now_ms, source) },
        Err(page::Foreign) => {
            let why = "listener.allowed_origins does not name this origin";
            Visit { page: None, entry: Entry::Refused(ErrorCode::OriginNotAllowed, why.to_owned()) }
        }
    }
}

/// Whether `path` is that of the endpoint. A slash behind it means nothing: some clients put one there.
fn is_endpoint(path: &[u8], endpoint: &[u8]) -> bool {
    path == endpoint || bare(path) == bare(endpoint)
}

fn bare(path: &[u8]) -> &[u8] {
    path.strip_suffix(b"/").unwrap_or(path)
}

/// Where the routes of a request's path stand, if that has a slash behind it: there is only one to lead away from it.
fn route_as((path, query): (&[u8], &[u8])) -> Option<Vec<u8>> {
    let bare = path.strip_suffix(b"/").filter(|bare| !bare.is_empty())?;
    Some([bare, query].concat())
}

fn enter(
    headers: RequestHeaders<'_>,
    registry: &Registry,
    of_page: bool,
    target: (&[u8], &[u8]),
    now_ms: u64,
    source: &dyn Fn() -> Vec<u8>,
) -> Entry {
    // Case counts.
    let method = match headers.get(":method") {
        Some(b"POST") => Method::Post,
        Some(b"GET") => Method::Get,
        Some(b"DELETE") => Method::Delete,
        Some(b"OPTIONS") if of_page => {
            let asked = headers.get("access-control-request-headers").map(<[u8]>::to_vec);
            return Entry::Preflight(asked.and_then(|asked| String::from_utf8(asked).ok()));
        }
        _ => return Entry::NoSuchMethod,
    };
    if method == Method::Get && !accepts_events(headers) {
        let why = "GET opens a stream of events: accept must list text/event-stream";
        return Entry::Refused(ErrorCode::NotAcceptable, why.to_owned());
    }
    let query = match passed_on(target.1.get(1..).unwrap_or_default(), registry) {
        Ok(query) => query,
        Err(rule) => return Entry::Refused(ErrorCode::QueryNotAllowed, ["the URL ", rule].concat()),
    };
    if encoding::is_encoded(headers) {
        let why = "the body must not have a content-encoding: nobody decodes it here";
        return Entry::Refused(ErrorCode::BodyEncoded, why.to_owned());
    }
    let (drill, drill_ignored) = match ordered_drill(headers, registry, source) {
        Ok(ordered) => ordered,
        Err(malformed) => return Entry::Refused(ErrorCode::DrillMalformed, malformed.to_string()),
    };
    let (prefer, name_ignored) = match named(headers, registry, source) {
        Named::No => (None, false),
        Named::Ignored => (None, true),
        Named::Unknown => {
            let why = "x-dualpath-server must name one server of the registry";
            return Entry::Refused(ErrorCode::ServerUnknown, why.to_owned());
        }
        Named::Server(server) => (Some(server), false),
    };
    let (session, session_id) = session(headers, registry);
    let known = Client { method, started_ms: now_ms, session, session_id, query, drill, prefer, ..Client::default() };
    let mut client = Box::new(known);
    (client.mirror, client.is_other_text) = (mirror(headers), encoding::is_other_text(headers));
    if registry.listener.client_authorization != ClientAuthorization::Drop || registry.caches_by_caller {
        client.authorization = only(headers, "authorization").and_then(Secret::new);
    }
    let mut ends_here = Vec::new();
    for (name, value) in headers.pairs() {
        if name == EXPECTED_TIMEOUT {
            client.told_ms = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        }
        let foreign_session = client.session == Session::Gate && name == "mcp-session-id";
        if (is_reserved(name, registry) || foreign_session) && !ends_here.iter().any(|known| known == name) {
            ends_here.push(name.to_owned());
        }
    }
    let declared = headers.get("content-length").and_then(|value| std::str::from_utf8(value).ok());
    Entry::Admitted {
        client,
        declared_length: declared.and_then(|text| text.parse().ok()),
        route_as: route_as(target),
        ends_here,
        drill_ignored,
        name_ignored,
    }
}

/// What MCP servers get of the client's query; the rule that it breaks if it is refused.
fn passed_on(query: &[u8], registry: &Registry) -> Result<Box<str>, &'static str> {
    if query.is_empty() || registry.listener.query == ClientQuery::Drop {
        return Ok(Box::default());
    }
    if registry.listener.query == ClientQuery::Refuse {
        return Err("must have no query; see listener.query");
    }
    let query = query::sendable(query)?;
    // With two values for one parameter, many a server takes the last: the client's.
    let is_taken = |server: &Server| query::share_a_name(&server.query, query);
    if registry.servers.iter().any(|server| server.kind == ServerKind::Mcp && is_taken(server)) {
        return Err("must not set what a server's URL sets");
    }
    Ok(query.into())
}

/// What the headers say of the message, if they name a version without a handshake.
fn mirror(headers: RequestHeaders<'_>) -> Option<Box<Mirror>> {
    let version = headers.get(VERSION_HEADER)?;
    if std::str::from_utf8(version).is_ok_and(|version| !is_stateless(version)) {
        return None;
    }
    let value = |name: &str| headers.get(name).map(<[u8]>::to_vec);
    let is_doubled = |name: &&str| headers.all(name).nth(1).is_some();
    Some(Box::new(Mirror {
        version: version.to_vec(),
        method: value(METHOD_HEADER),
        name: value(NAME_HEADER),
        is_doubled: [VERSION_HEADER, METHOD_HEADER, NAME_HEADER].iter().any(is_doubled),
    }))
}

/// Whether the client says that it reads a stream of events. `*/*` does not: a page that no browser lets read the answer
/// sends that.
fn accepts_events(headers: RequestHeaders<'_>) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    let names_it = |list: &[u8]| list.windows(EVENTS.len()).any(|part| part.eq_ignore_ascii_case(EVENTS));
    headers.all("accept").any(names_it)
}

/// Whether a client may not send this header through: it would order Envoy or us, carry what is only ours to send, or deceive
/// a server. What the connection manager sets with every request is not among them: a header that the gate takes off has
/// Envoy match the route again, so the route takes that off itself ([`header::REMOVED_BY_ROUTE`]).
fn is_reserved(name: &str, registry: &Registry) -> bool {
    if name.starts_with("x-envoy-") || is_kept_from_servers(name) {
        // Envoy's router obeys some of its own before the route takes them off: from a client they would override the
        // operator's policy, above all "never send this twice".
        return !header::REMOVED_BY_ROUTE.contains(&name) || header::SET_BY_ROUTER.contains(&name);
    }
    name.starts_with(header::PREFIX) || NEVER_PASSED_ON.contains(&name) || registry.is_credential_header(name)
}

/// The value of a header that stands there once. Of several nobody can tell which one counts.
fn only<'h>(headers: RequestHeaders<'h>, name: &str) -> Option<&'h [u8]> {
    let mut values = headers.all(name);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// The drill that the request orders, if it may. Who may not is not told so: the header is taken off like any other
/// that is not a client's to send.
fn ordered_drill(
    headers: RequestHeaders<'_>,
    registry: &Registry,
    source: &dyn Fn() -> Vec<u8>,
) -> Result<(Orders, Option<&'static str>), Malformed> {
    let mut orders = Orders::default();
    let mut values = headers.all(header::DRILL).peekable();
    if values.peek().is_none() {
        return Ok((orders, None));
    }
    let Some(drill) = &registry.drill else { return Ok((orders, Some("off"))) };
    if !drill::is_allowed(&drill.sources, &source()) {
        return Ok((orders, Some("source")));
    }
    values.try_for_each(|value| orders.add(value, registry))?;
    Ok((orders, None))
}

/// What comes of the name of a server in a request.
enum Named {
    /// There is none, or it means nothing under this registry.
    No,
    /// It comes from where none may. As with a drill, that is not told to who has sent it.
    Ignored,
    /// There is no such server, or several are named.
    Unknown,
    /// This one is to be asked first.
    Server(ServerIndex),
}

fn named(headers: RequestHeaders<'_>, registry: &Registry, source: &dyn Fn() -> Vec<u8>) -> Named {
    let Some(permission) = &registry.routing.by_header else { return Named::No };
    if headers.get(header::SERVER).is_none() {
        return Named::No;
    }
    if !drill::is_allowed(&permission.sources, &source()) {
        return Named::Ignored;
    }
    let name = only(headers, header::SERVER).and_then(|name| std::str::from_utf8(name).ok());
    name.and_then(|name| registry.server_by_id(name)).map_or(Named::Unknown, |(at, _)| Named::Server(at))
}

/// Whose session the client is in. A server that has left the registry can't be asked any more and an API has no sessions,
/// so theirs are treated like the gate's own; and with several ids nobody can tell whose it is, so nobody gets to see it.
///
/// With it comes the id itself, where that tells how the client has introduced itself.
fn session(headers: RequestHeaders<'_>, registry: &Registry) -> (Session, Option<Box<[u8]>>) {
    let mut ids = headers.all("mcp-session-id");
    let (id, read) = match (ids.next(), ids.next()) {
        (_, Some(_)) => return (Session::Gate, None),
        (None, None) => return (Session::None, None),
        (Some(id), None) => (id, SessionId::parse(id)),
    };
    let session = match read {
        SessionId::Gate { .. } | SessionId::Forged => Session::Gate,
        SessionId::Unknown(_) => Session::None,
        SessionId::Server { server, original, .. } => match registry.server_by_id(server) {
            Some((_, server)) if server.kind == ServerKind::Mcp => {
                Session::Server { owner: server.id.clone(), id: original.to_vec() }
            }
            _ => Session::Gate,
        },
    };
    (session, (!read.introduction().is_empty()).then(|| id.into()))
}
