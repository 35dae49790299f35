//! Writes a plan as a registry, with comments that say why.

use super::plan::{Plan, PlannedCredential, PlannedServer, PlannedTool, id_like, scalar};
use crate::registry::ServerKind;

const TIERS: [&str; 3] = ["primary", "secondary", "tertiary"];

/// The registry.
pub(super) fn registry(plan: &Plan) -> String {
    let mut out = Lines::default();
    out.comment(0, &format!("A Dualpath registry, made by dualpath init from {}.", plan.source));
    out.comment(0, "It holds no secret. dualpath check says what is read here; dualpath keys explains every key.");
    for (code, why) in levels(plan) {
        out.comment(0, &format!("check: {code}=note; {why}"));
    }
    out.line(0, "version: 1");
    out.blank();
    out.comment(0, "Where MCP clients connect: http://127.0.0.1:10000/mcp.");
    out.line(0, "listener:");
    out.comment(1, "How long clients wait. Set it to theirs: no attempt begins that could not end in that time.");
    out.line(1, "client_timeout: 60s");
    out.blank();
    out.comment(0, "Where the filter's module is, as Envoy's machine sees it.");
    out.line(0, "envoy:");
    out.line(1, "wasm_file: /etc/dualpath/dualpath.wasm");
    if !plan.credentials.is_empty() {
        out.blank();
        out.comment(0, "Places of tokens. Two slots, so that a token is replaced while calls flow: the new one goes into the other slot.");
        out.comment(0, "Envoy watches the files. dualpath pat rotate-plan has the commands that write them.");
        out.line(0, "credentials:");
        plan.credentials.iter().for_each(|credential| write_credential(&mut out, credential));
    }
    out.blank();
    out.comment(0, "Who answers calls: MCP servers by tier, then the direct path.");
    out.line(0, "servers:");
    let mut mcp = 0_usize;
    for server in &plan.servers {
        let tier = (server.kind == ServerKind::Mcp).then(|| TIERS.get(mcp).copied().unwrap_or("tertiary"));
        mcp = mcp.saturating_add(usize::from(tier.is_some()));
        write_server(&mut out, server, tier);
    }
    out.blank();
    out.comment(
        0,
        "A tool that is not listed goes to the MCP servers all the same, but is never sent again once one may have",
    );
    out.comment(0, "executed it. Say replayable: true only where doing it twice does no harm.");
    out.line(0, if plan.tools.is_empty() { "tools: []" } else { "tools:" });
    plan.tools.iter().for_each(|tool| write_tool(&mut out, tool));
    plan.more.iter().for_each(|line| out.comment(0, line));
    out.0
}

/// Warnings that are true of what was found, and that somebody has to do something about: they are notes until then.
fn levels(plan: &Plan) -> Vec<(&'static str, &'static str)> {
    let mcp = plan.servers.iter().filter(|server| server.kind == ServerKind::Mcp).count();
    let paths = |tool: &PlannedTool| {
        let direct = tool.keys.iter().any(|(key, _)| *key == "rest");
        (tool.servers.as_ref().map_or(mcp, Vec::len), direct)
    };
    let mut levels = Vec::new();
    if plan.tools.is_empty() {
        levels.push(("DP0805", "no tools are listed yet"));
    }
    if plan.tools.iter().any(|tool| matches!(paths(tool), (1, false) | (0, true))) {
        levels.push(("DP0802", "until there is a second server or a direct path"));
    }
    if plan.tools.iter().any(|tool| matches!(paths(tool), (2.., false))) {
        levels.push(("DP0803", "until there is a direct path"));
    }
    if plan.servers.iter().any(|server| !server.url.starts_with("https://")) {
        levels.push(("DP0807", "http was in what this was made from"));
    }
    levels
}

fn write_credential(out: &mut Lines, credential: &PlannedCredential) {
    let PlannedCredential { id, header, prefix, headers, comments } = credential;
    comments.iter().for_each(|line| out.comment(1, line));
    out.line(1, &format!("- id: {}", scalar(id)));
    if header != "authorization" {
        out.line(2, &format!("header: {}", scalar(header)));
    }
    if let Some(prefix) = prefix {
        out.line(2, &format!("prefix: {}", scalar(prefix)));
    }
    if !headers.is_empty() {
        out.line(2, "headers:");
        for (name, value) in headers {
            out.line(3, &format!("{}: {}", scalar(name), scalar(value)));
        }
    }
    out.line(2, "slots:");
    for slot in ["a", "b"] {
        out.line(3, &format!("{slot}: {{sds_file: /etc/dualpath/{id}-{slot}.yaml}}"));
    }
}

fn write_server(out: &mut Lines, server: &PlannedServer, tier: Option<&str>) {
    let PlannedServer { id, kind, url, protocol, credential, ca_file, comments } = server;
    comments.iter().for_each(|line| out.comment(1, line));
    out.line(1, &format!("- id: {}", scalar(id)));
    out.line(2, if *kind == ServerKind::Mcp { "kind: mcp" } else { "kind: rest" });
    if let Some(tier) = tier {
        out.line(2, &format!("tier: {tier}"));
    }
    out.line(2, &format!("url: {}", scalar(url)));
    if let Some(protocol) = protocol {
        out.line(2, &format!("protocol: {}", scalar(protocol)));
    }
    if let Some(credential) = credential {
        out.line(2, &format!("credential: {}", scalar(credential)));
    }
    if let Some(file) = ca_file {
        out.line(2, &format!("ca_file: {}", scalar(file)));
    }
}

fn write_tool(out: &mut Lines, tool: &PlannedTool) {
    let PlannedTool { name, replayable, why, servers, keys } = tool;
    out.line(1, &format!("- name: {}", scalar(name)));
    out.line(2, &format!("task: {}", scalar(&id_like(name))));
    out.line(2, &format!("replayable: {replayable}   # {why}"));
    if let Some(servers) = servers {
        let names: Vec<String> = servers.iter().map(|id| scalar(id)).collect();
        out.line(2, &format!("servers: [{}]   # the others do not list it", names.join(", ")));
    }
    for (key, yaml) in keys {
        out.line(2, &format!("{key}: {yaml}"));
    }
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, depth: usize, text: &str) {
        self.0.push_str(&"  ".repeat(depth));
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// A comment of one line, whatever is in `text`.
    fn comment(&mut self, depth: usize, text: &str) {
        self.line(depth, &format!("# {}", crate::cli::shown::line(text)));
    }

    fn blank(&mut self) {
        self.0.push('\n');
    }
}
