//! A registry from the settings of an MCP client: `mcp.json` and its like. Tokens in it stay where they are.

use serde_json::{Map, Value};

use super::Failure;
use super::plan::{Plan, PlannedCredential, PlannedServer};
use crate::cli::load::read_text;
use crate::cli::shown;
use crate::registry::{ServerKind, Url};
use crate::wire::{VEIL, looks_like_a_token};

/// The names under which clients keep their servers: most of them, VS Code, Zed.
const SECTIONS: [&str; 3] = ["mcpServers", "servers", "context_servers"];
/// And those under which they keep a URL: most of them, Windsurf, Gemini.
const URLS: [&str; 3] = ["url", "serverUrl", "httpUrl"];

/// A header of Snowflake's that says what kind of token goes with it, and is none itself.
const TOKEN_TYPE: &str = "x-snowflake-authorization-token-type";

/// The registry of the servers in `file` that have URLs; of those named in `only`, if any is.
pub(super) fn plan(file: &str, only: &[String]) -> Result<Plan, Failure> {
    let text = read_text(file).map_err(|error| Failure::Unusable(error.to_string()))?;
    let plan = plan_of(file, &text, only)?;
    Ok(Plan { inputs: vec![file.to_owned()], ..plan })
}

pub(super) fn plan_of(file: &str, text: &str, only: &[String]) -> Result<Plan, Failure> {
    let file = shown::file(file);
    // A parser's message may quote the file.
    let json: Value = serde_json::from_str(&without_comments(text))
        .map_err(|error| Failure::Nothing(format!("{file}:{}:{}: is no JSON", error.line(), error.column())))?;
    let servers = SECTIONS.iter().find_map(|section| json.get(section)?.as_object());
    let servers = servers.ok_or_else(|| {
        Failure::Nothing(format!("{file}: has none of {}: is it the settings of an MCP client?", SECTIONS.join(", ")))
    })?;
    for name in only {
        if !servers.contains_key(name) {
            return Err(Failure::Unusable(format!("--only {}: {file} has no server of this name", shown::line(name))));
        }
    }
    let mut plan = Plan { source: "a client's settings".to_owned(), ..Plan::default() };
    for (name, server) in servers.iter().filter(|(name, _)| only.is_empty() || only.contains(name)) {
        if let Err(why) = add(&mut plan, name, server) {
            plan.told.push(format!("{}: is not carried over: {why}", calm(name)));
        }
    }
    if plan.servers.is_empty() {
        let told: String = plan.told.iter().map(|told| format!("\n  {told}")).collect();
        return Err(Failure::Nothing(format!("{file}: has no server that Dualpath can stand before{told}")));
    }
    if plan.servers.len() > 1 {
        plan.told.push(
            "Dualpath sends a call to one of these servers, and to the next if that fails: keep those that have the same tools (--only)"
                .to_owned(),
        );
    }
    plan.more = vec![
        "dualpath init --from-mcp URL asks a live server for its tools and proposes these entries. Such as:".to_owned(),
        "  - {name: search, task: search, replayable: true}".to_owned(),
    ];
    Ok(plan)
}

/// Adds one server.
fn add(plan: &mut Plan, name: &str, server: &Value) -> Result<(), String> {
    let Some(given) = URLS.iter().find_map(|key| server.get(key)?.as_str()) else {
        let is_command = server.get("command").is_some();
        return Err(if is_command { "it is a command (stdio)" } else { "it has no URL" }.to_owned());
    };
    if server.get("type").and_then(Value::as_str) == Some("sse") {
        return Err("it speaks the HTTP+SSE transport of 2024-11-05".to_owned());
    }
    let mut comments = vec![format!("{} in the client's settings.", calm(name))];
    let (bare, query) = given.split_once('?').map_or((given, None), |(bare, query)| (bare, Some(query)));
    if query.is_some() {
        comments.push("Its URL had a query, which may hold a secret and was left out.".to_owned());
    }
    if looks_like_a_token(bare) {
        return Err("its URL has what looks like a token".to_owned());
    }
    // The rule shows nothing of the URL.
    let url = Url::parse(bare).map_err(|violation| format!("its URL {}", violation.rule))?;
    let nothing = Map::new();
    let headers = server.get("headers").and_then(Value::as_object).unwrap_or(&nothing);
    let secret = headers.iter().find(|(name, _)| carries_a_secret(name));
    if secret.is_some() && !url.tls && !url.is_loopback() {
        return Err("it has a token, which would be sent in the clear: make its URL https".to_owned());
    }
    let id = plan.free_id(name);
    let credential = secret.map(|(header, value)| credential(plan, &id, header, value, headers));
    for header in headers.keys().filter(|name| Some(*name) != secret.map(|(name, _)| name)) {
        if !header.eq_ignore_ascii_case(TOKEN_TYPE) {
            comments
                .push(format!("Its header {} was left out, whatever it holds.", calm(&header.to_ascii_lowercase())));
        }
    }
    let (kind, url) = (ServerKind::Mcp, bare.to_owned());
    plan.servers.push(PlannedServer { id, kind, url, protocol: None, credential, ca_file: None, comments });
    Ok(())
}

/// Plans the credential whose token this header has, and answers its id.
fn credential(plan: &mut Plan, server: &str, header: &str, value: &Value, headers: &Map<String, Value>) -> String {
    let id = plan.free_id(&format!("{server}-token"));
    let header = header.to_ascii_lowercase();
    // Schemes of RFC 9110 that are words; anything else may be the secret.
    let value = value.as_str().unwrap_or_default();
    let scheme = ["Bearer ", "Token ", "Basic "]
        .into_iter()
        .find(|scheme| value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let usually = if header == "authorization" { "Bearer " } else { "" };
    let prefix = Some(scheme.unwrap_or_default().to_owned()).filter(|prefix| prefix != usually);
    let kind = headers.keys().any(|name| name.eq_ignore_ascii_case(TOKEN_TYPE));
    let kind = kind.then(|| (TOKEN_TYPE.to_owned(), "PROGRAMMATIC_ACCESS_TOKEN".to_owned()));
    let comments =
        vec!["Its token is in the client's settings still: put it into the file, and take it out there.".to_owned()];
    let headers = kind.into_iter().collect();
    plan.credentials.push(PlannedCredential { id: id.clone(), header, prefix, headers, comments });
    id
}

/// Whether a header of this name is there to carry a secret.
fn carries_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let parts = ["key", "token", "secret", "auth", "password", "pat", "credential"];
    name == "authorization" || name != TOKEN_TYPE && name.split('-').any(|word| parts.contains(&word))
}

/// A name for people; one that may be a token is not shown.
fn calm(name: &str) -> String {
    if looks_like_a_token(name) { VEIL.to_owned() } else { shown::line(name).into_owned() }
}

/// JSON as editors take it: `//` and `/* */` are comments, and a comma may stand before a bracket that closes.
fn without_comments(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text.trim_start_matches('\u{feff}'));
    let mut in_text = false;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        if in_text {
            plain.push(c);
            rest = after;
            match c {
                '"' => in_text = false,
                '\\' => {
                    if let Some(escaped) = after.chars().next() {
                        plain.push(escaped);
                        rest = after.get(escaped.len_utf8()..).unwrap_or_default();
                    }
                }
                _ => {}
            }
        } else if rest.starts_with("//") {
            rest = rest.find('\n').and_then(|end| rest.get(end..)).unwrap_or_default();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, behind)| behind);
        } else {
            in_text = c == '"';
            if matches!(c, '}' | ']') && plain.trim_end().ends_with(',') {
                plain.truncate(plain.trim_end().len().saturating_sub(1));
            }
            plain.push(c);
            rest = after;
        }
    }
    plain
}
