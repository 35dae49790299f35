//! A registry from live MCP servers: what they list, asked for as the prober asks.

use std::time::Duration;

use serde_json::json;

use super::Failure;
use super::http::Client;
use super::listed::{self, Listed};
use super::plan::{Plan, PlannedCredential, PlannedServer};
use crate::cli::shown;
use crate::discovery::{Heard, Next, Walk};
use crate::mcp::ProtocolVersion;
use crate::probe::farewell;
use crate::registry::{Registry, Server, ServerKind, Url};
use crate::wire::looks_like_a_token;

/// Which servers are asked, and how.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Live MCP servers")]
pub(super) struct Live {
    /// URL of a live MCP server, which is asked for its tools; again for others that have the same tools, in the order in
    /// which calls are to try them
    #[arg(long, value_name = "URL")]
    from_mcp: Vec<String>,
    /// Environment variable of this command with a token for that server; for several servers once each, - for none. The token
    /// is sent to the server and stands nowhere else
    #[arg(long, value_name = "NAME", requires = "from_mcp")]
    token_env: Vec<String>,
    /// Authorities that sign for the servers, as PEM [default: the system's]
    #[arg(long, value_name = "FILE", requires = "from_mcp")]
    ca_file: Option<String>,
}

impl Live {
    pub fn is_empty(&self) -> bool {
        self.from_mcp.is_empty()
    }

    /// What somebody has answered.
    pub fn asked(url: String, second: Option<String>, token: Option<String>) -> Self {
        let from_mcp: Vec<_> = std::iter::once(url).chain(second).collect();
        let token_env = token.map(|name| vec![name; from_mcp.len()]).unwrap_or_default();
        Live { from_mcp, token_env, ca_file: None }
    }
}

/// Asks the servers, and makes a plan of what they say.
pub(super) fn plan(args: &Live) -> Result<Plan, Failure> {
    let Live { from_mcp, token_env, ca_file } = args;
    if !token_env.is_empty() && token_env.len() != from_mcp.len() {
        let why = format!("--token-env: is there {} times, --from-mcp {} times", token_env.len(), from_mcp.len());
        return Err(Failure::Unusable(format!("{why}: give one for each server, - for none")));
    }
    let inputs = ca_file.iter().cloned().collect();
    let mut plan = Plan { source: "what live servers list".to_owned(), inputs, ..Plan::default() };
    let mut all: Vec<(String, Vec<Listed>)> = Vec::new();
    for (at, text) in from_mcp.iter().enumerate() {
        let url = read_url(text)?;
        let client = Client::new(ca_file.as_deref(), url.is_loopback());
        let client = client.map_err(|why| Failure::Unusable(format!("--ca-file {why}")))?;
        let token = token_env.get(at).filter(|name| *name != "-");
        let headers = token.map(|name| token_headers(name, &url)).transpose()?.unwrap_or_default();
        let (tools, version) = list(&client, text, &url, &headers)
            .map_err(|why| Failure::Nothing(format!("{}: {why}", shown::line(text))))?;
        let id = plan.free_id(url.host.split('.').next().filter(|_| !url.is_loopback()).unwrap_or("mcp"));
        let credential = token.map(|name| credential(&mut plan, name, &headers));
        let count = tools.len();
        plan.told.push(format!("{id}: lists {count} tool{}", if count == 1 { "" } else { "s" }));
        let protocol = version.is_stateless().then(|| version.as_str());
        let comments = vec![format!("It listed {count} tools when this was written.")];
        let (kind, url, ca_file) = (ServerKind::Mcp, text.clone(), ca_file.clone().filter(|_| url.tls));
        plan.servers.push(PlannedServer { id: id.clone(), kind, url, protocol, credential, ca_file, comments });
        all.push((id, tools));
    }
    listed::propose(&mut plan, &all);
    Ok(plan)
}

/// A URL of the command line. What stands in it stands in the registry, so it has no token.
fn read_url(text: &str) -> Result<Url, Failure> {
    let (bare, _) = text.split_once('?').unwrap_or((text, ""));
    let url = Url::parse(bare).map_err(|violation| violation.rule);
    let url = url.and_then(|url| {
        if looks_like_a_token(text) {
            Err("looks like a token, which a registry never holds".to_owned())
        } else {
            Ok(url)
        }
    });
    // What is wrong with it may be that it has a secret.
    url.map_err(|rule| Failure::Unusable(format!("--from-mcp: {rule}")))
}

/// The headers that carry the token in a variable.
fn token_headers(name: &str, url: &Url) -> Result<Vec<(String, String)>, Failure> {
    if !url.tls && !url.is_loopback() {
        let why = "would be sent in the clear: the server must be https, or on this machine";
        return Err(Failure::Unusable(format!("--token-env: its token {why}")));
    }
    let token = std::env::var(name).ok().map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    let fits = |token: &String| token.bytes().all(|b| b.is_ascii_graphic());
    let token = token.filter(fits).ok_or_else(|| {
        Failure::Unusable("--token-env: must be the name of an environment variable that holds a token".to_owned())
    })?;
    let mut headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
    if is_snowflakes(&url.host) {
        headers.push((TOKEN_TYPE.to_owned(), "PROGRAMMATIC_ACCESS_TOKEN".to_owned()));
    }
    Ok(headers)
}

const TOKEN_TYPE: &str = "x-snowflake-authorization-token-type";

fn is_snowflakes(host: &str) -> bool {
    [".snowflakecomputing.com", ".snowflakecomputing.cn"].iter().any(|end| host.ends_with(end))
}

/// The id of the credential for the token of this variable, which is planned if it is not.
fn credential(plan: &mut Plan, name: &str, headers: &[(String, String)]) -> String {
    let comments = vec![format!("The token that {name} had when this was written.")];
    if let Some(there) = plan.credentials.iter().find(|there| there.comments == comments) {
        return there.id.clone();
    }
    let id = plan.free_id(name);
    let headers = headers.iter().filter(|(name, _)| name == TOKEN_TYPE).cloned().collect();
    let header = "authorization".to_owned();
    plan.credentials.push(PlannedCredential { id: id.clone(), header, prefix: None, headers, comments });
    id
}

/// What a server lists, and the version that it was asked in: one with sessions, else the one without.
fn list(
    client: &Client,
    text: &str,
    url: &Url,
    headers: &[(String, String)],
) -> Result<(Vec<Listed>, ProtocolVersion), String> {
    let mut said = String::new();
    for version in [ProtocolVersion::V2025_11_25, ProtocolVersion::V2026_07_28] {
        let server = server(text, version)?;
        match converse(client, &server, url, headers) {
            Ok(tools) => return Ok((tools, version)),
            // Another version would be answered the same.
            Err(Ended::ForGood(why)) => return Err(why),
            Err(Ended::Perhaps(why)) => said = if said.is_empty() { why } else { said },
        }
    }
    Err(said)
}

/// Why a conversation came to nothing.
enum Ended {
    /// Whatever version is spoken.
    ForGood(String),
    /// In this version.
    Perhaps(String),
}

/// The server as a registry has it.
fn server(url: &str, version: ProtocolVersion) -> Result<Server, String> {
    let wire = json!({"version": 1, "servers": [{"id": "s", "kind": "mcp", "url": url, "protocol": version.as_str()}]});
    let registry = Registry::from_wire(&wire)
        .map_err(|problems| problems.iter().map(|problem| problem.rule.clone()).collect::<Vec<_>>().join("; "))?;
    registry.servers.iter().next().cloned().ok_or_else(String::new)
}

/// Has the server list its tools, page by page, and closes the session that was opened for that.
fn converse(client: &Client, server: &Server, url: &Url, headers: &[(String, String)]) -> Result<Vec<Listed>, Ended> {
    let origin = format!("{}://{}", if url.tls { "https" } else { "http" }, url.authority());
    let (mut walk, mut message) = Walk::begin(server);
    let mut tools: Vec<Listed> = Vec::new();
    let listed = loop {
        let answer = match client.send(&origin, message, headers) {
            Ok(answer) => answer,
            Err(error) => break Err(Ended::ForGood(format!("cannot be asked: {}", cause(&error)))),
        };
        if let Some(why) = refusal(answer.status) {
            break Err(why);
        }
        if walk.page_under_way().is_some() {
            tools.extend(listed::of_page(&answer.body));
        }
        let heard = Heard { status: answer.status, session: answer.session.as_deref(), body: &answer.body };
        match walk.go_on(server, Some(heard), Duration::ZERO, 0) {
            Next::Ask(next) => message = next,
            Next::Done(..) => break Ok(tools),
            Next::Failed => {
                break Err(Ended::Perhaps("does not list its tools: is this the URL of an MCP endpoint?".to_owned()));
            }
        }
    };
    if let Some(session) = walk.session() {
        // A server that keeps it drops it by itself after a time.
        let _ = client.send(&origin, farewell(server, session.to_owned()), headers);
    }
    listed
}

/// What a status says of a server that will not list anything.
fn refusal(status: u16) -> Option<Ended> {
    Some(match status {
        200..=299 => return None,
        300..=399 => Ended::ForGood(format!("answers {status}, a redirect: give the URL that it leads to")),
        401 => Ended::ForGood("answers 401: it needs a token, see --token-env".to_owned()),
        403 => Ended::ForGood("answers 403: the token may not do that, or this machine's address may not".to_owned()),
        404 | 405 => Ended::Perhaps(format!("answers {status}: is this the URL of an MCP endpoint?")),
        status => Ended::Perhaps(format!("answers {status}")),
    })
}

/// What is at the bottom of an error. None of its texts has a header of ours.
fn cause(error: &ureq::Error) -> String {
    shown::line(&error.to_string()).into_owned()
}
