//! Every name that the rendered configuration and the module agree on. It stands here once: the renderer writes it, the
//! filter reads it, and neither can drift from the other unseen.
//!
//! A name of this file is part of what is deployed. While an Envoy is updated, an old module may run under a new
//! configuration, or the other way round, so a name is not changed lightly.

use crate::credential::Slot;

/// Scope of the shared data. All roles name the same one, so that they see the same breakers.
pub const VM_ID: &str = "dualpath";

/// Name of the plugin in every role; Envoy's own stats about it are `wasm.dualpath.*`.
pub const PLUGIN: &str = "dualpath";

/// Environment variable that takes the MCP servers out of use from the start, when it is `false`, `0`, `off` or `no`. The
/// first users know it by this name.
pub const MCP_SWITCH: &str = "MCP_SNOWFLAKE_ENABLED";

/// The names of headers.
pub mod header {
    /// What all headers of Dualpath's own begin with. From a client they are taken off.
    pub const PREFIX: &str = "x-dualpath-";

    /// Request header that orders a drill.
    pub const DRILL: &str = "x-dualpath-drill";

    /// The private request headers in which Envoy's credential injectors hand over slot a and slot b.
    pub const SLOTS: [&str; 2] = ["x-dualpath-slot-a", "x-dualpath-slot-b"];

    /// Request headers that the route takes off before any upstream filter sees them. It costs nothing there, and it holds for
    /// this route alone, whatever else the listener serves.
    ///
    /// The gate has checked which web page asks, and a server that checks it as well can't know what the gate allows. The
    /// injector of an empty slot leaves a header of that name alone, and a client must not fill the slot. The others are what
    /// the connection manager, the router and proxies before this one tell of the client, of this Envoy and of its time
    /// limits, which is no concern of the servers.
    pub const REMOVED_BY_ROUTE: [&str; 20] = [
        "origin",
        "sec-fetch-site",
        SLOTS[0],
        SLOTS[1],
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-real-ip",
        "x-forwarded-proto",
        "x-forwarded-client-cert",
        "x-envoy-external-address",
        "x-envoy-internal",
        "x-envoy-decorator-operation",
        "x-envoy-force-trace",
        "x-envoy-ip-tags",
        SET_BY_ROUTER[0],
        SET_BY_ROUTER[1],
        SET_BY_ROUTER[2],
    ];

    /// Request headers that the route sets, whatever the client has sent: a compressed answer can't be judged, and a server
    /// that is told nothing may compress (RFC 9110, 12.5.3).
    pub const SET_BY_ROUTE: [(&str, &str); 1] = [("accept-encoding", "identity")];

    /// Request headers that Envoy's router may set. It does so again for each further attempt, when the route's removal is
    /// over, so the attempt takes them off then.
    pub const SET_BY_ROUTER: [&str; 3] =
        ["x-envoy-expected-rq-timeout-ms", "x-envoy-attempt-count", "x-envoy-is-timeout-retry"];

    /// Response headers that the route takes off: what Envoy tells of itself.
    pub const REMOVED_FROM_ANSWER: [&str; 3] =
        ["x-envoy-upstream-service-time", "x-envoy-attempt-count", "x-envoy-overloaded"];

    /// Response header that makes Envoy's router send the call to the next server; the route's `retriable_headers` name it.
    pub const FAILOVER: &str = "x-dualpath-failover";

    /// Response header with the number of seconds that the router is to wait before the next attempt; the route's
    /// `rate_limited_retry_back_off` names it.
    pub const WAIT: &str = "x-dualpath-wait";

    /// Request header by which an attempt knows the prober's requests.
    pub const PROBE: &str = "x-dualpath-probe";

    /// Request header that names the cluster, on the way through the listener for sessions that are opened.
    pub const TO: &str = "x-dualpath-to";

    /// Response header by which an attempt says that it has sent nothing. Never reaches a client.
    pub const ANSWER: &str = "x-dualpath-answer";

    /// Response header by which an attempt tells the prober which token its request was sent with: a fingerprint.
    pub const TOKEN: &str = "x-dualpath-token";

    /// Response header that names the server that answered, where clients may see that; request header that names the one to be
    /// asked first, from those who may.
    pub const SERVER: &str = "x-dualpath-server";

    /// Response header that says how many attempts the answer took, where clients may see that.
    pub const ATTEMPTS: &str = "x-dualpath-attempts";

    /// Response header that says under which registry the call was answered, where clients may see the two above.
    pub const REGISTRY: &str = "x-dualpath-registry";
}

/// Filter state of a request: what the module keeps with it and Envoy's configuration reads.
pub mod state {
    /// The cluster of the next attempt; the route's matcher reads it.
    pub const NEXT: &str = "next";

    /// The call's number, and the call itself where it has to be written down.
    pub const PLAN: &str = "plan";

    /// At which pace the router makes further attempts; routes are chosen by it. Unset = at once, also after a loss.
    pub const PACE: &str = "pace";

    /// The value of [`PACE`] for a call that must not be sent again unless it was certainly not sent.
    pub const ONCE: &str = "once";

    /// The value of [`PACE`] for a call whose attempts all go to one server, which needs time.
    pub const PATIENT: &str = "patient";

    /// The REST server that knows the called tool, where that is not the one that the route takes by itself while MCP is
    /// switched off.
    pub const DIRECT: &str = "direct";

    /// The tool that is called, where limits count the calls of some; Envoy's rate limit filter reads it.
    pub const TOOL: &str = "tool";

    /// What happened with the credentials of the call; the access log writes it.
    pub const AUDIT: &str = "audit";

    /// The story of a call that did not simply go to the first server of the order; the access log writes it.
    pub const STORY: &str = "story";

    /// The members of the call's line in the call log; Envoy adds its own and writes it.
    pub const CALL: &str = "call";

    /// What a trace tells of a call: the names of attributes, and of the filter state with their values. The first is OpenTelemetry's
    /// for the tool of a call, the second its one for what went wrong.
    pub const TAGS: [(&str, &str); 7] = [
        ("gen_ai.tool.name", "tag_tool"),
        ("error.type", "tag_error"),
        ("dualpath.mode", "tag_mode"),
        ("dualpath.server", "tag_server"),
        ("dualpath.attempts", "tag_attempts"),
        ("dualpath.breaker", "tag_breaker"),
        ("dualpath.client.traceparent", "tag_client"),
    ];

    /// The name that Envoy's configuration knows a module's filter state by.
    #[must_use]
    pub fn in_envoy(name: &str) -> String {
        format!("wasm.{name}")
    }
}

/// The names of routes.
pub mod route {
    /// The route that may use every server.
    pub const MCP: &str = "mcp";

    /// The route that the kill switch leaves: it reaches REST servers only.
    pub const DIRECT_ONLY: &str = "direct-only";

    /// The route of the endpoint's path with a slash behind it, from which the gate leads to the one without.
    pub const SLASH: &str = "mcp-slash";

    const ONCE: &str = "-once";
    const PATIENT: &str = "-patient";

    /// The name of the twin of `route` on which nothing is sent again that may have been sent.
    #[must_use]
    pub fn once(route: &str) -> String {
        format!("{route}{ONCE}")
    }

    /// The name of the twin of `route` that also waits before each further attempt.
    #[must_use]
    pub fn patient(route: &str) -> String {
        format!("{route}{PATIENT}")
    }

    /// Whether on a route of this name the router goes on only after what was certainly not sent.
    #[must_use]
    pub fn is_strict(name: &[u8]) -> bool {
        name.ends_with(ONCE.as_bytes()) || name.ends_with(PATIENT.as_bytes())
    }

    /// Whether a route of this name, whatever its pace, reaches REST servers only.
    #[must_use]
    pub fn is_direct_only(name: &[u8]) -> bool {
        let rest = name.strip_prefix(DIRECT_ONLY.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || is_strict(rest))
    }
}

/// The names of clusters. A server's own cluster is named by the server's id.
pub mod cluster {
    use super::Slot;

    /// Where a drilled attempt goes instead of to its server, and the listener behind it.
    pub const DRILL: &str = "dualpath-drill";

    /// Where OAuth's discovery documents are asked for: the server that clients authenticate with, without any filter.
    pub const DISCOVERY: &str = "dualpath-discovery";

    /// Where an attempt sends what opens a session, and the listener behind it, which sends it to a server's cluster.
    pub const SESSIONS: &str = "dualpath-sessions";

    /// Envoy's own admin interface, for the listener with the metrics and for the prober's look at the runtime.
    pub const ADMIN: &str = "dualpath-admin";

    /// The collector of traces.
    pub const TRACING: &str = "dualpath-tracing";

    /// The forward proxy of a server; the listeners that lead there have this name and a number.
    #[must_use]
    pub fn proxy(server: &str) -> String {
        format!("dualpath-proxy-{server}")
    }

    /// The secret with the certificate that is shown to a server.
    #[must_use]
    pub fn client_certificate(server: &str) -> String {
        format!("{server}-client")
    }

    /// Where the secret of a slot comes from: a secret server or a token endpoint.
    #[must_use]
    pub fn secret(credential: &str, slot: Slot) -> String {
        format!("dualpath-secret-{credential}-{}", slot.as_str())
    }

    /// Where the prober asks about a credential.
    #[must_use]
    pub fn credential(credential: &str) -> String {
        format!("dualpath-credential-{credential}")
    }
}

/// Where the module runs, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// On the listener, once per request.
    Gate,
    /// On a server's cluster, once per attempt.
    Attempt,
    /// On the cluster that stands for servers which are to fail.
    Drill,
    /// On the cluster of a credential, once per question of the prober.
    Keeper,
    /// On the listener with the metrics, once per question whether calls find a path.
    Ready,
    /// On the listener with the page for operators, once per request.
    Status,
    /// On the main thread, once per process; or on every thread, as the registry says.
    Prober,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 7] =
        [Role::Gate, Role::Attempt, Role::Drill, Role::Keeper, Role::Ready, Role::Status, Role::Prober];

    /// Its name in plugin configurations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Gate => "gate",
            Role::Attempt => "attempt",
            Role::Drill => "drill",
            Role::Keeper => "keeper",
            Role::Ready => "ready",
            Role::Status => "status",
            Role::Prober => "prober",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// The keys of a plugin's configuration.
pub mod key {
    /// Its [`Role`](super::Role).
    pub const ROLE: &str = "role";

    /// The registry, as it was written; the whole of it only for the gate, else the part that the role needs.
    pub const REGISTRY: &str = "registry";

    /// Tells registries apart: a number in hexadecimal digits, the same for all parts of one.
    pub const IDENTITY: &str = "identity";

    /// Of an attempt: the server whose cluster it stands on.
    pub const SERVER: &str = "server";

    /// Of a keeper: the credential whose cluster it stands on.
    pub const CREDENTIAL: &str = "credential";

    /// Of the page for operators: the names that it may be asked for under.
    pub const HOSTS: &str = "hosts";

    /// Of the page for operators: whether a token is asked for, which an injector hands over as slot a.
    pub const TOKEN: &str = "token";

    /// Of a prober: [`LISTENER`] where it is one of many.
    pub const PLACEMENT: &str = "placement";

    /// The value of [`PLACEMENT`] for a prober among a listener's filters.
    pub const LISTENER: &str = "listener";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_for_rest_only_is_known_in_all_its_paces_and_no_other_is_taken_for_one() {
        assert!(route::is_direct_only(route::DIRECT_ONLY.as_bytes()));
        assert!(route::is_direct_only(route::patient(route::DIRECT_ONLY).as_bytes()));
        assert!(route::is_direct_only(route::once(route::DIRECT_ONLY).as_bytes()));
        for other in [route::MCP, "mcp-patient", "", "direct", "direct-only-2", "direct-only-patient-2"] {
            assert!(!route::is_direct_only(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn only_the_twins_of_a_route_are_strict() {
        for route in [route::MCP, route::DIRECT_ONLY] {
            assert!(!route::is_strict(route.as_bytes()));
            assert!([route::once(route), route::patient(route)].iter().all(|twin| route::is_strict(twin.as_bytes())));
        }
    }

    #[test]
    fn every_role_is_read_back_by_its_name() {
        assert!(Role::ALL.into_iter().all(|role| Role::parse(role.as_str()) == Some(role)));
        assert_eq!(Role::parse("Gate"), None);
    }

    #[test]
    fn all_headers_of_our_own_are_recognised_by_their_prefix() {
        use header::{ANSWER, ATTEMPTS, DRILL, FAILOVER, PREFIX, REGISTRY, SERVER, SLOTS, TOKEN, WAIT};
        let all = [DRILL, FAILOVER, WAIT, ANSWER, TOKEN, SERVER, ATTEMPTS, REGISTRY];
        assert!(all.iter().chain(&SLOTS).all(|name| name.starts_with(PREFIX)));
    }
}
