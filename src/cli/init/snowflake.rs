//! A registry for Snowflake: its managed MCP server, and Cortex's REST API as the direct path.

use serde_json::json;

use super::Failure;
use super::ask::Ask;
use super::plan::{Plan, PlannedCredential, PlannedServer, PlannedTool, scalar};
use crate::registry::{ServerKind, Url};

/// What is known of an account.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Snowflake")]
pub(super) struct Account {
    /// Account identifier, such as MY_ORG-MY_ACCOUNT, or its host
    #[arg(long, value_name = "ORG-ACCOUNT", conflicts_with_all = ["from_mcp", "from_mcp_json"])]
    account: Option<String>,
    /// Database of the MCP server, and of the tools
    #[arg(long, value_name = "NAME", requires = "account")]
    database: Option<String>,
    /// Its schema
    #[arg(long, value_name = "NAME", requires = "account")]
    schema: Option<String>,
    /// The MCP server's name there
    #[arg(long, value_name = "NAME", requires = "account")]
    server: Option<String>,
    /// Cortex Search service, for a tool search
    #[arg(long, value_name = "NAME", requires = "account")]
    search_service: Option<String>,
    /// Warehouse, for a tool sql
    #[arg(long, value_name = "NAME", requires = "account")]
    warehouse: Option<String>,
    /// Semantic view, for a tool analyst
    #[arg(long, value_name = "DB.SCHEMA.VIEW", requires = "account")]
    semantic_view: Option<String>,
    /// Cortex agent, for a tool agent
    #[arg(long, value_name = "NAME", requires = "account")]
    agent: Option<String>,
}

impl Account {
    pub fn is_given(&self) -> bool {
        self.account.is_some()
    }
}

/// The registry of an account, with what is missing asked for.
pub(super) fn plan(args: &Account, ask: &mut Ask) -> Result<Plan, Failure> {
    let needed = |given: &Option<String>, option: &str, what: &str, usually: Option<&str>, ask: &mut Ask| match given {
        Some(given) => Ok(given.clone()),
        None if ask.can_ask() => ask.line(what, usually),
        None => {
            usually.map(str::to_owned).ok_or_else(|| Failure::Unusable(format!("--preset snowflake needs {option}")))
        }
    };
    let optional = |given: &Option<String>, what: &str, ask: &mut Ask| match given {
        Some(given) => Ok(Some(given.clone())),
        // Whoever gives flags has said what there is.
        None if args.is_given() => Ok(None),
        None => ask.optional(what),
    };
    let account = needed(&args.account, "--account", "Account (ORG-ACCOUNT)", None, ask)?;
    let host = host(&account)?;
    let database = needed(&args.database, "--database", "Database of the MCP server", Some("MY_DATABASE"), ask)?;
    let schema = needed(&args.schema, "--schema", "Its schema", Some("PUBLIC"), ask)?;
    let server = needed(&args.server, "--server", "Name of the MCP server", Some("MY_MCP_SERVER"), ask)?;
    let search = optional(&args.search_service, "Cortex Search service, for a tool search", ask)?;
    let warehouse = optional(&args.warehouse, "Warehouse, for a tool sql", ask)?;
    let view = optional(&args.semantic_view, "Semantic view (DB.SCHEMA.VIEW), for a tool analyst", ask)?;
    let agent = optional(&args.agent, "Cortex agent, for a tool agent", ask)?;

    let [d, s, n] = [&database, &schema, &server].map(|name| segment(name));
    let mcp = format!("https://{host}/api/v2/databases/{d}/schemas/{s}/mcp-servers/{n}");
    let mut plan = Plan { source: "the preset snowflake".to_owned(), ..Plan::default() };
    plan.credentials.push(PlannedCredential {
        id: "snowflake-pat".to_owned(),
        header: "authorization".to_owned(),
        prefix: None,
        headers: vec![("x-snowflake-authorization-token-type".to_owned(), "PROGRAMMATIC_ACCESS_TOKEN".to_owned())],
        comments: vec!["Programmatic access tokens: dualpath pat rotate-plan has the SQL for them.".to_owned()],
    });
    let planned = |id: &str, kind: ServerKind, url: String, comment: &str| PlannedServer {
        id: id.to_owned(),
        kind,
        url,
        protocol: None,
        credential: Some("snowflake-pat".to_owned()),
        ca_file: None,
        comments: vec![comment.to_owned()],
    };
    plan.servers.push(planned("snowflake-mcp", ServerKind::Mcp, mcp, "Snowflake's managed MCP server."));
    plan.servers.push(planned(
        "snowflake-rest",
        ServerKind::Rest,
        format!("https://{host}"),
        "The direct path: the REST APIs of the same account.",
    ));
    let with = |key: &str, value: &str| json!({"database": database, "schema": schema, key: value});
    let mut add = |name: &str, why: &str, replayable: bool, with: serde_json::Value| {
        let rest = format!("{{server: snowflake-rest, preset: snowflake.{name}, with: {with}}}");
        let tool = PlannedTool { name: name.to_owned(), replayable, why: why.to_owned(), ..PlannedTool::default() };
        plan.tools.push(PlannedTool { keys: vec![("rest", rest)], ..tool });
    };
    if let Some(service) = &search {
        add("search", "it reads only", true, with("service", service));
    }
    if let Some(warehouse) = &warehouse {
        add("sql", "a statement may write", false, with("warehouse", warehouse));
    }
    if let Some(view) = &view {
        add("analyst", "it writes SQL and runs none", true, json!({"semantic_view": view}));
    }
    if let Some(agent) = &agent {
        add("agent", "its tools may write", false, with("agent", agent));
    }
    if plan.tools.is_empty() {
        let rest = "{server: snowflake-rest, preset: snowflake.complete}".to_owned();
        let (name, why) = ("complete".to_owned(), "it changes nothing".to_owned());
        let tool = PlannedTool { name, replayable: true, why, ..PlannedTool::default() };
        plan.tools.push(PlannedTool { keys: vec![("rest", rest)], ..tool });
    }
    plan.more = vec![
        "The names of tools must be those of your MCP server: DESCRIBE MCP SERVER lists them. Presets for the direct path:".to_owned(),
        "snowflake.search, .sql, .analyst, .agent, .complete, .embed; dualpath keys says what each needs under with.".to_owned(),
    ];
    for (option, given) in [("database", &args.database), ("server", &args.server)] {
        if given.is_none() && !ask.can_ask() {
            plan.told.push(format!(
                "--{option} was not given: mend {} in the URL of snowflake-mcp",
                scalar(if option == "server" { &server } else { &database })
            ));
        }
    }
    Ok(plan)
}

/// The host of an account. Underscores are hyphens there, or no certificate fits.
fn host(account: &str) -> Result<String, Failure> {
    let bare = account.trim().trim_start_matches("https://");
    let bare = bare.split('/').next().unwrap_or_default().to_ascii_lowercase().replace('_', "-");
    let is_host = [".snowflakecomputing.com", ".snowflakecomputing.cn"].iter().any(|end| bare.ends_with(end));
    let host = if is_host { bare } else { format!("{bare}.snowflakecomputing.com") };
    match Url::parse(&format!("https://{host}")) {
        Ok(url) if url.port == 443 => Ok(url.host),
        _ => Err(Failure::Unusable("--account: must be an account identifier, such as MY_ORG-MY_ACCOUNT".to_owned())),
    }
}

/// A name as a segment of a path.
fn segment(name: &str) -> String {
    let mut text = String::new();
    for b in name.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~$".contains(&b) {
            text.push(char::from(b));
        } else {
            text += &format!("%{b:02X}");
        }
    }
    text
}
