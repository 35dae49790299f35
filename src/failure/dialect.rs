//! Whose words a server speaks beside those of HTTP and MCP: what is known of each vendor, as data.

use super::{Class, Place};

/// A vendor's way of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// No vendor's that is known here: only HTTP and MCP count.
    None,
    /// Snowflake's: its managed MCP servers and its REST APIs.
    Snowflake,
}

/// A text that is known, and what an answer means that begins with it.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownText {
    /// Where it stands.
    pub place: Place,
    /// The text, in lower case. A `*` stands for one word.
    pub text: &'static str,
    /// What it means.
    pub class: Class,
}

/// What is known of a vendor.
struct Facts {
    name: &'static str,
    /// Its servers' host names end so.
    hosts: &'static [&'static str],
    texts: &'static [KnownText],
    /// Codes in an error body (`{"code": "394400"}`) that speak of the token.
    token_codes: &'static [u32],
}

pub(super) const fn known(place: Place, text: &'static str, class: Class) -> KnownText {
    KnownText { place, text, class }
}

static NONE: Facts = Facts { name: "none", hosts: &[], texts: &[], token_codes: &[] };

static SNOWFLAKE: Facts = Facts {
    name: "snowflake",
    hosts: &[".snowflakecomputing.com", ".snowflakecomputing.cn"],
    texts: &[
        known(Place::InternalErrorStart, "programmatic access token is ", Class::Credential),
        known(Place::InternalErrorStart, "mcp server * does not exist or not authorized", Class::Authorization),
        known(Place::InternalErrorStart, "database * does not exist or not authorized", Class::Authorization),
        known(Place::InternalErrorStart, "schema * does not exist or not authorized", Class::Authorization),
        known(Place::BadRequestStart, "all requests were throttled by remote service", Class::Overload),
    ],
    // Expired, unknown or invalid tokens: of a session (390110 to 390115), a JWT (390144, 390198), an id (390195), OAuth
    // (390303, 390318), a PAT (394400, 394401); and a PAT that no network policy lets in (390432). What else begins with 390
    // or 394 may be about the request: a role that the token may not take is 390317.
    token_codes: &[
        390_110, 390_112, 390_113, 390_114, 390_115, 390_144, 390_195, 390_198, 390_303, 390_318, 390_432, 394_400,
        394_401,
    ],
};

impl Dialect {
    /// Every dialect.
    pub const ALL: [Dialect; 2] = [Dialect::None, Dialect::Snowflake];

    fn facts(self) -> &'static Facts {
        match self {
            Dialect::None => &NONE,
            Dialect::Snowflake => &SNOWFLAKE,
        }
    }

    /// Its name in the registry.
    pub fn as_str(self) -> &'static str {
        self.facts().name
    }

    /// The dialect of the servers of this host, as far as its name (in lower case) tells.
    pub fn of_host(host: &str) -> Self {
        let is_theirs = |dialect: &Dialect| dialect.facts().hosts.iter().any(|end| host.ends_with(end));
        Dialect::ALL.into_iter().find(is_theirs).unwrap_or(Dialect::None)
    }

    pub(super) fn texts(self) -> &'static [KnownText] {
        self.facts().texts
    }

    /// Whether a vendor's code speaks of the token.
    pub(super) fn is_token_code(self, code: u32) -> bool {
        self.facts().token_codes.contains(&code)
    }
}
