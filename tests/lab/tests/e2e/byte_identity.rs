//! Ids, byte for byte, whichever way the answer came.

use dualpath_lab::stub::Behaviour;
use serde_json::json;

use crate::world::World;

const IDS: [&str; 7] = ["1", "\"1\"", "9007199254740993", "\"a\\u0000\"", "-0", "\"é\\/\"", "\"\""];

#[tokio::test]
async fn an_id_comes_back_byte_for_byte_on_every_path() {
    let world = World::start().await;
    for path in ["primary", "secondary", "rest", "nobody"] {
        match path {
            "secondary" => world.primary.set(Behaviour::rpc_error(-32603, "Internal error")),
            "rest" => world.stop_mcp().await,
            "nobody" => world.rest.stop().await.expect("stop"),
            _ => {}
        }
        for id in IDS {
            let params = json!({"name": "search", "arguments": {"query": "q"}});
            let reply = world.client.request(id, "tools/call", &params).await.expect("an answer");
            assert_eq!(reply.id().as_deref(), Some(id), "{path}: {}", reply.answer.text());
            let expected = if path == "nobody" { None } else { Some(path) };
            assert_eq!(reply.served_by().as_deref(), expected, "{id}");
        }
    }
}

#[tokio::test]
async fn the_request_reaches_an_mcp_server_byte_for_byte() {
    let world = World::start().await;
    let body = "{ \"jsonrpc\":\"2.0\" ,\"id\": 7.0e0,\"method\":\"tools/call\",\"params\":{\"name\":\"search\",\"arguments\":{\"query\":\"\\u0041\"}}}\n";
    world.primary.set(Behaviour::status(503));
    world.client.post(body).await.expect("an answer");
    for stub in [&world.primary, &world.secondary] {
        assert_eq!(stub.received()[0].body, body, "{}", stub.name());
    }
}
