//! Envoy Gateway, standing alone: it reads its resources from a folder, and starts Envoy itself.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use dualpath_lab::client::Client;
use dualpath_lab::registry::Builder;
use dualpath_lab::traffic::Traffic;
use serde_json::{Value, json};

use crate::plane::{Plane, program, said_by, until};
use crate::proxy::{Proxy, Running};
use crate::rendered::{Rendered, assert_all_there, assert_first_routes, runs};
use crate::world::{ENVIRONMENT, World, a_change_loses_nothing, fails_over_and_returns, runtime_keys_work};

const HOST: &str = "mcp.example.com";
const OTHER: &str = "other.example.com";

/// The port of the Gateway, and the one of Envoy's admin interface: where Envoy Gateway's own is in a cluster, its own admin
/// interface is here. Nobody else is in this network.
const PORTS: (u16, u16) = (10080, 19901);

/// Envoy Gateway, and the folder that it reads its resources from.
struct Standing {
    plane: Plane,
    folder: PathBuf,
}

impl Standing {
    /// Starts it with these resources.
    fn start(scratch: &Path, resources: &str) -> Standing {
        let home = scratch.join("gateway");
        let folder = home.join("resources");
        let envoy = home.join("data/envoy-versions/1.40.0/bin");
        for folder in [&folder, &envoy] {
            fs::create_dir_all(folder).expect("a folder");
        }
        // So that nothing is looked for elsewhere.
        symlink(program("ENVOY"), envoy.join("envoy")).expect("a link");
        let config = home.join("config");
        let certificates = Command::new(program("ENVOY_GATEWAY"))
            .args(["certgen", "--local", "--config-home"])
            .arg(&config)
            .output()
            .expect("Envoy Gateway");
        assert!(certificates.status.success(), "{}", String::from_utf8_lossy(&certificates.stderr));
        let host = json!({"configHome": config, "dataHome": home.join("data"), "stateHome": home.join("state"), "runtimeDir": home.join("run")});
        let settings = json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyGateway",
            "gateway": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
            "provider": {
                "type": "Custom",
                "custom": {
                    "resource": {"type": "File", "file": {"paths": [folder]}},
                    "infrastructure": {"type": "Host", "host": host},
                },
            },
            "logging": {"level": {"default": "info"}},
            "extensionApis": {"enableBackend": true, "enableEnvoyPatchPolicy": true},
        });
        fs::write(home.join("settings.yaml"), settings.to_string()).expect("a file");
        write(&folder, resources);
        let mut command = Command::new(program("ENVOY_GATEWAY"));
        command.arg("server").arg("--config-path").arg(home.join("settings.yaml"));
        command.env(ENVIRONMENT.0, ENVIRONMENT.1).env_remove("MCP_SNOWFLAKE_ENABLED").current_dir(&home);
        Standing { plane: Plane::start(command, &scratch.join("gateway.log")), folder }
    }

    fn apply(&self, resources: &str) {
        write(&self.folder, resources);
    }
}

/// In one step, from outside the folder: a file that is empty for a moment would take the Gateway away.
fn write(folder: &Path, resources: &str) {
    let new = folder.with_extension("new");
    fs::write(&new, resources).expect("a file");
    fs::rename(&new, folder.join("all.yaml")).expect("a rename");
}

/// A Gateway with a server of its own behind two hosts.
fn own(own: u16) -> Vec<Value> {
    let metadata = |name: &str| json!({"name": name, "namespace": "default"});
    let route = |host: &str| {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": metadata(host.split('.').next().unwrap_or_default()),
            "spec": {
                "parentRefs": [{"name": "eg"}], "hostnames": [host],
                "rules": [{"backendRefs": [{"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "own"}]}],
            },
        })
    };
    let proxy = json!({"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "dualpath"});
    vec![
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "eg"},
            "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
        }),
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": metadata("eg"),
            "spec": {
                "gatewayClassName": "eg", "infrastructure": {"parametersRef": proxy},
                "listeners": [{"name": "http", "protocol": "HTTP", "port": PORTS.0}],
            },
        }),
        json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend", "metadata": metadata("own"),
            "spec": {"endpoints": [{"ip": {"address": "127.0.0.1", "port": own}}]},
        }),
        route(HOST),
        route(OTHER),
    ]
}

/// The rendered resources beside one's own, as they are but for what has no cluster: who starts Envoy, and at which port its
/// admin interface is.
fn resources(own: &[Value], rendered: &Rendered) -> String {
    let on_this_machine = |(text, tree): &(String, Value)| {
        if tree["kind"] != "EnvoyProxy" {
            return text.clone();
        }
        let mut tree = tree.clone();
        tree["spec"]["provider"] = json!({"type": "Host", "host": {"envoyVersion": "1.40.0"}});
        let port = json!({"op": "replace", "path": "/admin/address/socket_address/port_value", "value": PORTS.1});
        tree["spec"]["bootstrap"]["jsonPatches"].as_array_mut().expect("patches").push(port);
        tree.to_string()
    };
    let own = own.iter().map(Value::to_string);
    own.chain(rendered.0.iter().map(on_this_machine)).collect::<Vec<_>>().join("\n---\n")
}

/// What the rendered policy adds to resources of this kind: whole ones, and parts of one.
fn patches<'r>(rendered: &'r Rendered, kind: &'static str) -> impl DoubleEndedIterator<Item = &'r Value> {
    let all = rendered.kind("EnvoyPatchPolicy").1["spec"]["jsonPatches"].as_array().expect("patches").iter();
    all.filter(move |patch| patch["type"].as_str().is_some_and(|at| at.ends_with(kind)))
        .map(|patch| &patch["operation"])
}

fn whole<'r>(rendered: &'r Rendered, kind: &'static str) -> impl Iterator<Item = &'r Value> {
    patches(rendered, kind).filter(|operation| operation["path"] == "").map(|operation| &operation["value"])
}

#[tokio::test]
async fn a_gateway_gets_gate_and_routes_for_one_host_from_envoy_gateway() {
    let (mut world, proxy) = (World::start(PORTS.0).await, Proxy::new(PORTS));
    let scratch = world.scratch.path().to_owned();
    let admin = proxy.admin.to_string();
    let arguments = ["--target", "envoy-gateway", "--host", HOST, "--proxy-admin", &admin];
    let render = |registry: &Builder| Rendered::of(registry, &scratch, &arguments);
    let (own, rendered) = (own(world.own.addr.port()), render(&world.registry));
    let file = scratch.join("rendered.yaml");
    fs::write(&file, rendered.0.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join("\n---\n"))
        .expect("a file");
    let validated = said_by(Command::new(program("EGCTL")).args(["x", "validate", "-f"]).arg(&file)).to_lowercase();
    println!("{validated}");
    for bad in ["unknown", "invalid", "error", "required"] {
        assert!(!validated.contains(bad), "{bad}: {validated}");
    }
    let standing = Standing::start(&scratch, &resources(&own, &rendered));

    let has_routes = |running: &Running| running.routes_of(HOST).len() > 2;
    let running =
        proxy.until_running("the routes", |running| runs(running, &world.registry) && has_routes(running)).await;
    assert_all_there(&running.clusters, whole(&rendered, "Cluster"));
    assert_all_there(&running.listeners, whole(&rendered, "Listener"));
    let filters = running.filters();
    assert!(
        filters.ends_with(&["dualpath.prober", "dualpath.gate", "envoy.filters.http.router"].map(str::to_owned)),
        "{filters:?}"
    );
    let routes: Vec<_> = patches(&rendered, "RouteConfiguration").rev().map(|operation| &operation["value"]).collect();
    assert_first_routes(&running.routes_of(HOST), &routes);
    assert_eq!(running.routes_of(OTHER).len(), 1, "another host has what it had");

    let (client, other) = (proxy.client(HOST, "/mcp"), proxy.client(OTHER, "/mcp"));
    until("the listener", async || is_open(&client).await).await;
    fails_over_and_returns(&world, &proxy, &client).await;
    runtime_keys_work(&proxy, &client).await;
    let others = Traffic::start(&other, 1, std::time::Duration::from_millis(5));
    let apply = async |registry: &Builder| standing.apply(&resources(&own, &render(registry)));
    a_change_loses_nothing(&mut world, &proxy, &client, apply).await;
    let others = others.outcomes();
    assert!(
        others.iter().all(|call| call.answered_by.as_deref() == Ok("own")),
        "the same path of another host: {others:#?}"
    );

    // The way back: without the policy nobody gets past the gate, without the route the host is as it was.
    let mut rest = render(&world.registry);
    rest.0.retain(|(_, tree)| tree["kind"] != "EnvoyPatchPolicy");
    standing.apply(&resources(&own, &rest));
    until("503", async || client.request("1", "ping", &json!({})).await.is_ok_and(|reply| reply.status() == 503)).await;
    rest.0.retain(|(_, tree)| tree["kind"] == "EnvoyProxy");
    standing.apply(&resources(&own, &rest));
    until("the host's own", async || client.search("q").await.served_by().as_deref() == Some("own")).await;
    let said = standing.plane.said();
    assert!(!said.contains("Failed to process JSON patches"), "{said}");
}

async fn is_open(client: &Client) -> bool {
    client.request("1", "ping", &json!({})).await.is_ok()
}
