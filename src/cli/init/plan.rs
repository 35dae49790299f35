//! What a registry will say.

use crate::registry::ServerKind;

/// A registry to be written.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What it was made from, for its heading.
    pub source: String,
    /// The files that it was made from.
    pub inputs: Vec<String>,
    /// Its servers, the first ones first asked.
    pub servers: Vec<PlannedServer>,
    /// Their credentials.
    pub credentials: Vec<PlannedCredential>,
    /// Their tools.
    pub tools: Vec<PlannedTool>,
    /// What stands behind the tools, as comments.
    pub more: Vec<String>,
    /// What there is to know, for the person who asked.
    pub told: Vec<String>,
}

/// A server.
#[derive(Debug)]
pub(super) struct PlannedServer {
    pub id: String,
    pub kind: ServerKind,
    pub url: String,
    /// The version of MCP that it speaks, where that is not the usual one.
    pub protocol: Option<&'static str>,
    /// The id of its credential.
    pub credential: Option<String>,
    /// The authorities that sign for it.
    pub ca_file: Option<String>,
    /// What stands above it, as comments.
    pub comments: Vec<String>,
}

/// A credential. Its secret is in a file, for each of two slots.
#[derive(Debug)]
pub(super) struct PlannedCredential {
    pub id: String,
    /// The header that carries it.
    pub header: String,
    /// What stands before it there, where that is not the usual.
    pub prefix: Option<String>,
    /// Headers that go with it.
    pub headers: Vec<(String, String)>,
    /// What stands above it, as comments.
    pub comments: Vec<String>,
}

/// A tool.
#[derive(Debug, Default)]
pub(super) struct PlannedTool {
    pub name: String,
    pub replayable: bool,
    /// Why it may be sent again, or not.
    pub why: String,
    /// Its MCP servers, where not all have it.
    pub servers: Option<Vec<String>>,
    /// Keys that follow, with values that are YAML already.
    pub keys: Vec<(&'static str, String)>,
}

impl Plan {
    /// An id that no server or credential has, like `wanted`.
    pub fn free_id(&self, wanted: &str) -> String {
        let ids = || {
            let servers = self.servers.iter().map(|server| &server.id);
            servers.chain(self.credentials.iter().map(|credential| &credential.id))
        };
        let wanted = id_like(wanted);
        let numbered = (2..).map(|n| format!("{wanted}-{n}"));
        let mut all = std::iter::once(wanted.clone()).chain(numbered);
        all.find(|id| ids().all(|taken| taken != id)).unwrap_or_default()
    }
}

/// A legal id that reads like `text`.
pub(super) fn id_like(text: &str) -> String {
    const LONGEST: usize = 50;
    let legal = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let id: String = text.chars().take(LONGEST).map(legal).collect();
    let parts: Vec<&str> = id.split('-').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "server".to_owned() } else { parts.join("-") }
}

/// A text as a YAML scalar: plain where nobody can take it for anything else.
pub(super) fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b))
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
