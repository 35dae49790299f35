//! The call log as the real Envoy writes it: one line for each call, each as the list of members says, and readable by the commands.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use dualpath::cli::call_log::MEMBERS;
use dualpath_lab::stub::Behaviour;
use serde_json::{Value, json};

use crate::world::{World, dualpath};

async fn world() -> World {
    World::start_with(|options| {
        let log = options.scratch.path().join("calls.log");
        options.set("/log", json!({"calls": log, "caller_header": "x-user"}));
    })
    .await
}

/// The lines of the log, once there are so many.
async fn lines(world: &World, count: usize) -> Vec<Value> {
    world.log("calls.log", count).await
}

fn told(arguments: &[&str], log: &[Value]) -> String {
    let mut command = Command::new(dualpath());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("dualpath");
    let mut input = child.stdin.take().expect("a pipe");
    log.iter().for_each(|line| writeln!(input, "{line}").expect("written"));
    drop(input);
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[tokio::test]
async fn every_call_leaves_one_line_also_a_plain_one_and_one_whose_client_left() {
    let world = world().await;
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("primary"));
    world.primary.set(Behaviour::ResetBeforeHeaders);
    world.secondary.set(Behaviour::status(429));
    assert_eq!(world.client.search("q").await.served_by().as_deref(), Some("rest"));
    world.primary.set(Behaviour::Hang);
    let _ = tokio::time::timeout(Duration::from_millis(200), world.client.search("q")).await;
    let lines = lines(&world, 3).await;
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for line in &lines {
        let members = line.as_object().expect("an object");
        assert!(members.keys().all(|name| MEMBERS.iter().any(|member| member.name == name)), "{line}");
        assert!(
            MEMBERS.iter().filter(|member| member.always).all(|member| members.contains_key(member.name)),
            "{line}"
        );
        assert!(line["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{line}");
        assert_eq!(line["caller"], "127.0.0.1", "{line}");
    }
    let [plain, fallback, left] = &lines[..] else { panic!("{lines:#?}") };
    assert_eq!(
        [&plain["outcome"], &plain["mode"], &plain["class"]],
        ["success", "mcp", "success"].map(Value::from).each_ref()
    );
    assert_eq!(
        [&plain["status"], &plain["tool"], &plain["method"]],
        [&json!(200), &json!("search"), &json!("tools/call")]
    );
    assert!(plain["request_bytes"].as_u64() > Some(0) && plain["response_bytes"].as_u64() > Some(0), "{plain}");
    assert!(plain["credential"].as_str().is_some_and(|it| it.starts_with("pat-primary/a/")), "{plain}");
    assert_eq!(
        [&fallback["outcome"], &fallback["server"], &fallback["attempts"]],
        [&json!("fallback"), &json!("rest"), &json!(3)]
    );
    assert_eq!(
        [&left["outcome"], &left["class"], &left["status"]],
        [&json!("cancelled"), &json!("cancelled"), &json!(0)]
    );
    let said = told(&["explain", "--line", "-"], &lines);
    assert!(said.contains("why          primary is the first of the order"), "{said}");
    assert!(said.contains("why          primary failed (lost"), "{said}");
    let top = told(&["top", "calls", "--log", "-"], &lines);
    assert!(top.contains("2 calls that did not simply go to their first server, 1 that did"), "{top}");
}
