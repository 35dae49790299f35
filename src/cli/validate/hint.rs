//! What to do about a failure, by the words that tell of it.

use crate::failure::{Class, Dialect};
use crate::registry::Server;

/// A word of an error, and what to do about it.
const KNOWN: [(&[&str], &str); 9] = [
    (
        &["390432", "390422", "Network policy is required"],
        "Snowflake takes a PAT only from where a network policy lets its user in: give the user a policy with the address that \
         this sidecar's calls leave from (the egress address of the NAT or proxy, as Snowflake's LOGIN_HISTORY shows it)",
    ),
    (&["394401"], "the token has ended: make a new one, `dualpath pat rotate-plan` says how"),
    (
        &["394400"],
        "Snowflake does not know the token (revoked, of another account, or its user's authentication policy does not list \
         PROGRAMMATIC_ACCESS_TOKEN): make a new one, `dualpath pat rotate-plan` says how",
    ),
    (
        &["391902"],
        "Snowflake got no Accept header: something between this sidecar and Snowflake takes it off; it must be \
         `application/json, text/event-stream`",
    ),
    (
        &["399504", "No tool result received calling Cortex Agent"],
        "a Cortex agent failed behind the tool; trial accounts can list such tools but not call them: try the account's own \
         console, then another tool",
    ),
    (
        &["does not exist or not authorized"],
        "the token's role lacks USAGE on the MCP server, its database or its schema, or on what the tool stands for: grant it, \
         or name another role",
    ),
    (
        &["CREDENTIAL_UNAVAILABLE", "50302"],
        "no token may be sent, or the server refused it: `dualpath pat status REGISTRY --admin URL` says which slot and why",
    ),
    (
        &["NO_PATH", "50301"],
        "breakers refuse, MCP is switched off, or the server does not list the tool: `dualpath status` says what is open",
    ),
    (
        &["TIME_OVER", "50401"],
        "the time was over first: raise `timeout` of the server or of the tool, or `client_timeout`",
    ),
];

/// What a refused token may mean at Snowflake.
pub const REFUSED: &str = "a server refused the token. Snowflake's code in its answer says why: 394400 unknown or not allowed by the \
     authentication policy, 394401 ended, 390432 no network policy lets this sidecar's egress address in. A new token: `dualpath pat \
     rotate-plan`";

/// What to do about a failure that `text` tells of.
pub fn of(text: &str) -> Option<String> {
    let found = KNOWN.iter().find(|(words, _)| words.iter().any(|word| text.contains(word)));
    found.map(|(_, hint)| (*hint).to_owned())
}

/// What to do about attempts at a server that have ended so.
pub fn of_class(class: Class, server: &Server) -> Option<String> {
    let is_snowflake = server.dialect == Dialect::Snowflake;
    let own = match class {
        Class::Credential if is_snowflake => REFUSED,
        Class::Credential => "the server refused the token: `dualpath pat status REGISTRY --admin URL` says which slot",
        Class::NotSent if is_snowflake && server.url.tls => {
            "is the account's host right (ORG-ACCOUNT.snowflakecomputing.com, with hyphens where the account's name has \
             underscores: TLS fails otherwise), and may this machine reach it?"
        }
        Class::NotSent => {
            "does anything listen at the server's url, and may this machine reach it? Envoy's log and /clusters say more"
        }
        Class::Authorization => "the token is good, but its role may not do this: grant it, or name another role",
        Class::Lost => "the server is too slow for its `timeout`, or ends connections: look at its log at this time",
        Class::Refused => "is the path in the server's url right? Something else answers there",
        _ => return None,
    };
    Some(own.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_snowflake_says_has_a_hint_of_its_own() {
        for (text, word) in [
            (r#"{"code":"390432","message":"Network policy is required."}"#, "egress address"),
            ("394400 Programmatic access token is invalid.", "rotate-plan"),
            ("394401 Programmatic access token is expired.", "has ended"),
            ("391902 Unsupported Accept header null", "text/event-stream"),
            ("MCP Server tool error: Agent error (code 399504): failed", "trial accounts"),
            ("-32603 Database 'X' does not exist or not authorized", "USAGE"),
        ] {
            assert!(of(text).is_some_and(|hint| hint.contains(word)), "{text}");
        }
        assert_eq!(of("all is well"), None);
    }
}
