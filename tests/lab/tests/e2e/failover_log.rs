//! The line that a failed-over call leaves in Envoy's access log, and the command that reads it.

use std::io::Write;
use std::process::{Command, Stdio};

use dualpath_lab::stub::Behaviour;
use serde_json::{Value, json};

use crate::world::{World, dualpath};

async fn world() -> World {
    World::start_with(|options| {
        let log = options.scratch.path().join("failover.log");
        options.set("/failover/access_log", json!(log));
        options.set("/audit", json!({"access_log": options.scratch.path().join("audit.log")}));
    })
    .await
}

/// The lines of the failover log, once there are so many.
async fn lines(world: &World, count: usize) -> Vec<Value> {
    world.log("failover.log", count).await
}

fn explained(line: &Value) -> String {
    let mut command = Command::new(dualpath());
    command.args(["explain", "--line", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("dualpath");
    writeln!(child.stdin.take().expect("a pipe"), "{line}").expect("written");
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[tokio::test]
async fn a_failed_over_call_leaves_one_line_of_json_and_a_plain_one_none() {
    let world = world().await;
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"));
    world.primary.set(Behaviour::ResetBeforeHeaders);
    world.secondary.set(Behaviour::status(429));
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("rest"));
    world.envoy.modify_runtime("dualpath.mcp_enabled", "0").await.expect("runtime");
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("rest"));
    let lines = lines(&world, 2).await;
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let [line, switched] = &lines[..] else { panic!("{lines:#?}") };
    assert_eq!(line["status"], 200);
    assert!(line["duration_ms"].is_u64() && line["time"].is_string(), "{line}");
    let story = &line["failover"];
    assert_eq!([&story["tool"], &story["mode"], &story["attempts"]], [&json!("search"), &json!("direct"), &json!(3)]);
    assert!(story["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{line}");
    let hop = |server: &str, reason: &str, class: &str| json!({"server": server, "reason": reason, "class": class});
    let hops =
        json!([hop("primary", "first", "lost"), hop("secondary", "next", "overload"), hop("rest", "next", "success")]);
    assert_eq!(story["hops"], hops);
    let said = explained(line);
    assert!(said.contains("answered by  the direct path"), "{said}");
    assert!(said.contains("why          primary failed (lost"), "{said}");
    let said = explained(switched);
    assert!(said.contains("primary was not asked (MCP is switched off)"), "{said}");
}
