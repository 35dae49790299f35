use serde_json::json;

use super::*;
use crate::cli::codes::Level;
use crate::cli::here::Here;
use crate::cli::warnings::warnings;

/// What is planned, written and read again: nothing of it is wrong or unwise, but for notes.
#[track_caller]
fn assert_sound(plan: &Plan) -> String {
    let text = write::registry(plan);
    let loaded = load_text("r.yaml", &text, None).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let level = |code: &str| {
        let set = loaded.levels.iter().rfind(|set| set.code.name == code).map(|set| set.level);
        set.or_else(|| Some(crate::cli::codes::named(code)?.level()))
    };
    let found = warnings(&loaded.registry, 0, &Here::of_this_machine());
    let bad: Vec<_> = found.iter().filter(|warning| level(warning.code) != Some(Level::Note)).collect();
    assert!(bad.is_empty(), "{bad:?}\n{text}");
    text
}

fn snowflake_args(text: &str) -> snowflake::Account {
    use clap::{Args as _, FromArgMatches as _};
    // Those that name what is no part of this command alone.
    let command = snowflake::Account::augment_args(clap::Command::new("init"))
        .arg(clap::Arg::new("from_mcp").long("from-mcp"))
        .arg(clap::Arg::new("from_mcp_json").long("from-mcp-json"));
    let matches = command.get_matches_from(std::iter::once("init").chain(text.split_whitespace()));
    snowflake::Account::from_arg_matches(&matches).expect("arguments")
}

#[test]
fn an_account_becomes_a_registry_with_its_host_and_paths() {
    let args = snowflake_args(
        "--account My_Org-My_Account --database DB --schema PUBLIC --server CORTEX --search-service DOCS --warehouse WH \
         --semantic-view DB.PUBLIC.SALES --agent HELPER",
    );
    let text = assert_sound(&snowflake::plan(&args, &mut Ask::nobody()).expect("a plan"));
    let url = "https://my-org-my-account.snowflakecomputing.com/api/v2/databases/DB/schemas/PUBLIC/mcp-servers/CORTEX";
    assert!(text.contains(&format!("url: {}\n", json!(url))), "{text}");
    for tool in ["search", "sql", "analyst", "agent"] {
        assert!(text.contains(&format!("preset: snowflake.{tool}")), "{tool}: {text}");
    }
    assert!(text.contains("replayable: false   # a statement may write") && !text.contains("check: DP"), "{text}");
    for (account, host) in [
        ("xy12345.eu-central-1", "xy12345.eu-central-1.snowflakecomputing.com"),
        ("https://a-b.snowflakecomputing.com/console", "a-b.snowflakecomputing.com"),
    ] {
        let args = snowflake_args(&format!("--account {account} --database a/b --schema \"S\" --server N"));
        let text = assert_sound(&snowflake::plan(&args, &mut Ask::nobody()).expect("a plan"));
        assert!(text.contains(&format!("https://{host}/api/v2/databases/a%2Fb/schemas/%22S%22/")), "{text}");
    }
    for wrong in ["a b", "a@b", "", "a:8443", "-"] {
        let args = snowflake::Account::default();
        let answers = format!("{wrong}\n\n\n\n\n\n\n\n");
        assert!(matches!(snowflake::plan(&args, &mut Ask::of(&answers)), Err(Failure::Unusable(_))), "{wrong}");
    }
}

#[test]
fn what_is_missing_is_asked_for_where_somebody_is_there() {
    let answers = "my_org-my_account\nDB\nPUBLIC\nCORTEX\n\nWH\n\n\n";
    let asked = snowflake::plan(&snowflake::Account::default(), &mut Ask::of(answers)).expect("a plan");
    let given =
        snowflake_args("--account my_org-my_account --database DB --schema PUBLIC --server CORTEX --warehouse WH");
    let given = snowflake::plan(&given, &mut Ask::nobody()).expect("a plan");
    assert_eq!(assert_sound(&asked), assert_sound(&given));
    let nobody = snowflake::plan(&snowflake::Account::default(), &mut Ask::nobody());
    assert!(matches!(nobody, Err(Failure::Unusable(why)) if why == "--preset snowflake needs --account"));
    assert!(matches!(from_questions(&snowflake::Account::default(), &mut Ask::nobody()), Err(Failure::Unusable(_))));
}

/// A page of a list.
fn page(tools: serde_json::Value) -> Vec<listed::Listed> {
    listed::of_page(json!({"jsonrpc": "2.0", "id": "x", "result": {"tools": tools}}).to_string().as_bytes())
}

fn planned(all: &[(&str, serde_json::Value)]) -> Plan {
    let mut plan = Plan { source: "a test".to_owned(), ..Plan::default() };
    for (id, _) in all {
        plan.servers.push(plan::PlannedServer {
            id: (*id).to_owned(),
            kind: crate::registry::ServerKind::Mcp,
            url: format!("https://{id}.example.com/mcp"),
            protocol: None,
            credential: None,
            ca_file: None,
            comments: Vec::new(),
        });
    }
    let all: Vec<_> = all.iter().map(|(id, tools)| ((*id).to_owned(), page(tools.clone()))).collect();
    listed::propose(&mut plan, &all);
    plan
}

#[test]
fn a_tool_is_replayable_by_the_word_of_all_servers_that_list_it() {
    let tool = |name: &str, annotations: serde_json::Value| json!({"name": name, "annotations": annotations});
    let one = json!([
        tool("read", json!({"readOnlyHint": true})),
        tool("put", json!({"idempotentHint": true, "destructiveHint": true})),
        tool("torn", json!({"readOnlyHint": true})),
        tool("write", json!({"readOnlyHint": false})),
        {"name": "silent"},
        tool("lonely", json!({"readOnlyHint": true}))
    ]);
    let two = json!([
        tool("read", json!({"readOnlyHint": true})),
        tool("put", json!({"idempotentHint": true})),
        tool("torn", json!({})),
        tool("write", json!({"readOnlyHint": false})),
        {"name": "silent"}
    ]);
    let plan = planned(&[("one", one), ("two", two)]);
    let told: Vec<_> =
        plan.tools.iter().map(|tool| (tool.name.as_str(), tool.replayable, tool.servers.clone())).collect();
    let of_one = Some(vec!["one".to_owned()]);
    let expected = [
        ("read", true, None),
        ("put", true, None),
        ("torn", false, None),
        ("write", false, None),
        ("silent", false, None),
        ("lonely", true, of_one),
    ];
    assert_eq!(told, expected);
    let text = assert_sound(&plan);
    assert!(text.contains("replayable: true   # its servers say readOnlyHint"), "{text}");
    assert!(text.contains("annotations: {destructiveHint: true, idempotentHint: true}"), "{text}");
    assert!(text.contains("# check: DP0802=note") && text.contains("# check: DP0803=note"), "{text}");
}

/// Whatever a server lists, what comes out is a registry, and says nothing else.
#[test]
fn nothing_that_a_server_lists_can_write_the_registry() {
    let token = "eyJhbGciOiJIUzI1NiJ9.SECRETSECRET.sig";
    let schema = |text: &str| json!({"type": "object", "properties": {"x": {"description": text}}});
    let hostile =
        ["a\n  - id: forged", "# x: y", "${HOME}", "\u{1b}]0;x\u{7}", "\u{2028}x: y", "\"", "'", "- a", "&a *b", token];
    for text in hostile {
        let tools = json!([
            {"name": text}, {"name": "t", "title": text, "description": text, "inputSchema": schema(text)},
            {"name": "yes", "description": "on", "inputSchema": {"type": "array"}, "annotations": {"readOnlyHint": text}},
            {"description": text}, text
        ]);
        let written = assert_sound(&planned(&[("one", tools)]));
        assert!(!written.contains(token) && !written.contains("\n  - id: forged"), "{written}");
        let loaded = load_text("r.yaml", &written, None).expect("a registry");
        let names: Vec<_> = loaded.registry.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["t", "yes"], "{text:?}");
    }
}

#[test]
fn a_clients_servers_are_carried_over_and_its_tokens_are_not() {
    let file = r#"{
        // VS Code takes comments
        "servers": {
            "My GitHub": {"type": "http", "url": "https://api.example.com/mcp/", "headers": {
                "Authorization": "Bearer ghp_secretsecretsecret", "X-Trace": "hunter2-hunter2"}},
            "keyed": {"url": "https://keyed.example.com/mcp?k=hunter2", "headers": {"X-API-Key": "hunter2"}},
            "snow": {"url": "https://a-b.snowflakecomputing.com/mcp", "headers": {"Authorization": "hunter2",
                "X-Snowflake-Authorization-Token-Type": "hunter2"}},
            "local": {"command": "npx", "args": ["-y", "--token", "hunter2"], "env": {"TOKEN": "hunter2"}},
            "old": {"type": "sse", "url": "https://old.example.com/sse"},
            "clear": {"url": "http://far.example.com/mcp", "headers": {"Authorization": "Bearer hunter2"}},
            "user": {"url": "https://me:hunter2@far.example.com/mcp"},
            "plain": {"url": "http://127.0.0.1:9000/mcp"}, /* the last */
        },
    }"#;
    let plan = client_file::plan_of("mcp.json", file, &[]).expect("a plan");
    let text = assert_sound(&plan);
    let said = said(&plan, "r.yaml");
    for secret in ["hunter2", "ghp_"] {
        assert!(!text.contains(secret) && !said.contains(secret), "{text}{said}");
    }
    let ids: Vec<_> = plan.servers.iter().map(|server| server.id.as_str()).collect();
    assert_eq!(ids, ["my-github", "keyed", "snow", "plain"]);
    for line in [
        "local: is not carried over: it is a command (stdio)",
        "old: is not carried over: it speaks the HTTP+SSE transport of 2024-11-05",
        "clear: is not carried over: it has a token, which would be sent in the clear: make its URL https",
        "user: is not carried over: its URL must not have a user name or password",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    assert!(
        text.contains("header: x-api-key")
            && text.contains("x-snowflake-authorization-token-type: PROGRAMMATIC_ACCESS_TOKEN")
    );
    assert!(
        text.contains("prefix: \"\"") && text.contains("{sds_file: /etc/dualpath/my-github-token-a.yaml}"),
        "{text}"
    );
    let only = client_file::plan_of("mcp.json", file, &["plain".to_owned()]).expect("a plan");
    assert_eq!((only.servers.len(), only.credentials.len()), (1, 0));
    assert_sound(&only);
}

#[test]
fn settings_without_a_server_for_us_are_told_without_quoting_them() {
    for (text, told) in [
        ("{\"mcpServers\": {\"x\": {\"command\": \"hunter2\"}}}", "x: is not carried over: it is a command (stdio)"),
        ("{\"token\": \"hunter2\"}", "has none of mcpServers, servers, context_servers"),
        ("{\"mcpServers\": {\"x\": hunter2}}", "f.json:1:22: is no JSON"),
        ("{}", "has none of"),
        ("{\"mcpServers\": {}}", "has no server that Dualpath can stand before"),
    ] {
        let Err(Failure::Nothing(why)) = client_file::plan_of("f.json", text, &[]) else { panic!("{text}") };
        assert!(why.contains(told) && !why.contains("hunter2"), "{why}");
    }
}
