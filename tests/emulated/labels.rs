//! Every outcome has the label that the failure table says.

use crate::fixture::{World, first, json_answer};
use crate::host::{Behaviour, Response};

/// What the first server's attempts are counted as, if it behaves like this.
fn counted(tool: &str, behaviour: Behaviour) -> Vec<String> {
    let world = World::new();
    world.call(tool, first(behaviour));
    let prefix = "dualpath_attempts_total.server.mcp-a.outcome.";
    let names = world.metric_names().into_iter().filter_map(|name| Some(name.strip_prefix(prefix)?.to_owned()));
    names.filter(|outcome| world.metric(&format!("{prefix}{outcome}")) > 0).collect()
}

#[test]
fn every_outcome_of_an_attempt_has_the_label_of_its_class() {
    let error = |code: i32| format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"m"}}}}"#);
    let is_error = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"no"}],"isError":true}}"#;
    let mut busy = Response::new(503, "text/plain", "busy");
    busy.headers.set("retry-after", "1");
    let broken = Response { reset: true, ..Response::new(200, "application/json", "{") };
    let stalled = Response { stall: true, ..Response::new(200, "application/json", "{") };
    for (behaviour, label) in [
        (Behaviour::ConnectFailure, "not_sent"),
        (json_answer(429, "{}"), "overload"),
        (Behaviour::Answer(busy), "overload"),
        (json_answer(401, "{}"), "credential"),
        (json_answer(403, "{}"), "authorization"),
        (json_answer(500, "{}"), "server"),
        (json_answer(503, "{}"), "server"),
        (json_answer(200, "garbage"), "server"),
        (json_answer(200, &error(-32603)), "server"),
        (Behaviour::Reset, "lost"),
        (Behaviour::Hang, "lost"),
        (Behaviour::Answer(broken), "lost"),
        (Behaviour::Answer(stalled), "lost"),
        (json_answer(422, "{}"), "caller"),
        (json_answer(200, &error(-32602)), "caller"),
        (json_answer(200, is_error), "tool_error"),
        (Behaviour::Reply(crate::fixture::mcp_answer), "success"),
    ] {
        for tool in ["search", "write"] {
            assert_eq!(counted(tool, behaviour.clone()), [label], "{tool}: {behaviour:?}");
        }
    }
}
