//! istiod. Envoy's bootstrap is Istio's own, as far as it concerns Dualpath, with the rendered override on top.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use dualpath_lab::envoy::{Envoy, Settings, free_ports};
use dualpath_lab::http;
use dualpath_lab::registry::Builder;
use serde_json::{Value, json};

use crate::kubernetes_api;
use crate::plane::{Plane, program, said_by, until};
use crate::proxy::{Proxy, Running};
use crate::rendered::{Rendered, assert_all_there, assert_first_routes, runs};
use crate::world::{ENVIRONMENT, World, a_change_loses_nothing, fails_over_and_returns, runtime_keys_work};

/// istiod, and the folder that it reads its configuration from.
struct Istiod {
    _plane: Plane,
    folder: PathBuf,
    xds: u16,
}

impl Istiod {
    async fn start(scratch: &Path) -> Istiod {
        let folder = scratch.join("istio");
        fs::create_dir(&folder).expect("a folder");
        let api = kubernetes_api::serve().await;
        let context = json!({"name": "c", "context": {"cluster": "c", "user": "u"}});
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {}}],
            "clusters": [{"name": "c", "cluster": {"server": format!("http://{api}")}}], "contexts": [context],
        });
        fs::write(scratch.join("kubeconfig"), kubeconfig.to_string()).expect("a file");
        fs::write(scratch.join("mesh.yaml"), "ingressControllerMode: \"OFF\"\n").expect("a file");
        let ((http, xds), (monitoring, _)) = (free_ports().expect("ports"), free_ports().expect("ports"));
        let at = |port: u16| format!("127.0.0.1:{port}");
        let mut command = Command::new(program("ISTIOD"));
        command.args([
            "discovery",
            "--registries",
            "Kubernetes",
            "--secureGRPCAddr=",
            "--httpsAddr=",
            "--ctrlz_port",
            "0",
        ]);
        command.arg("--configDir").arg(&folder).arg("--kubeconfig").arg(scratch.join("kubeconfig"));
        command.arg("--meshConfig").arg(scratch.join("mesh.yaml"));
        command.args(["--httpAddr", &at(http), "--grpcAddr", &at(xds), "--monitoringAddr", &at(monitoring)]);
        let environment = [
            ("POD_NAME", "istiod"),
            ("POD_NAMESPACE", "istio-system"),
            ("CLUSTER_ID", "Kubernetes"),
            ("VALIDATION_WEBHOOK_CONFIG_NAME", ""),
            ("ENABLE_CA_SERVER", "false"),
            ("INJECT_ENABLED", "false"),
            ("PILOT_ENABLE_GATEWAY_API", "false"),
            ("PILOT_ENABLE_IP_AUTOALLOCATE", "false"),
            // Filters that only Istio's own build of Envoy has.
            ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
            ("PILOT_ENABLE_ALPN_FILTER", "false"),
        ];
        command.envs(environment).current_dir(scratch);
        let plane = Plane::start(command, &scratch.join("istiod.log"));
        let ready = ([127, 0, 0, 1], http).into();
        until("istiod", async || {
            http::request(ready, "GET", "/ready", &[], "").await.is_ok_and(|answer| answer.status == 200)
        })
        .await;
        Istiod { _plane: plane, folder, xds }
    }

    /// In one step: one file that can't be read stops the reading of the whole folder.
    fn apply(&self, file: &str, text: &str) {
        let new = self.folder.with_extension("new");
        fs::write(&new, text).expect("a file");
        fs::rename(&new, self.folder.join(file)).expect("a rename");
    }

    fn delete(&self, file: &str) {
        fs::remove_file(self.folder.join(file)).expect("a file");
    }
}

/// What Istio's agent starts Envoy with, where it concerns Dualpath. `id` must not name an address that a ServiceEntry has.
fn bootstrap(kind: &str, app: &str, admin: u16, xds: u16) -> Value {
    let inside = json!({
        "name": "envoy.bootstrap.internal_listener",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
            "buffer_size_kb": 64,
        },
    });
    let prefix = |text: &str| json!({"prefix": text});
    let included = [
        "reporter=",
        "cluster_manager",
        "listener_manager",
        "server",
        "cluster.xds-grpc",
        "wasm",
        "component",
        "istio",
    ];
    let source = json!({"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"});
    let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": xds}});
    let http2 = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    });
    json!({
        "node": {
            "id": format!("{kind}~10.9.9.9~{app}-1.agents~agents.svc.cluster.local"),
            "cluster": format!("{app}.agents"),
            "metadata": {
                "NAMESPACE": "agents", "NAME": format!("{app}-1"), "CLUSTER_ID": "Kubernetes", "ISTIO_VERSION": "1.32.0",
                "LABELS": {"app": app}, "INSTANCE_IPS": "10.9.9.9", "INTERCEPTION_MODE": "NONE",
            },
        },
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
        "layered_runtime": {"layers": [{"name": "global config", "static_layer": {}}, {"name": "admin", "admin_layer": {}}]},
        "bootstrap_extensions": [inside],
        "stats_config": {
            "use_all_default_tags": false,
            "stats_tags": [
                {"tag_name": "cluster_name", "regex": "^cluster(\\.(.+);)"},
                {"tag_name": "response_code", "regex": "_rq(_(\\d{3}))$"},
                {"tag_name": "component", "regex": "(component\\.(.+?)\\.)"},
                {"tag_name": "tag", "regex": "(tag\\.(.+?);\\.)"},
                {"tag_name": "wasm_filter", "regex": "(wasm_filter\\.(.+?)\\.)"},
            ],
            "stats_matcher": {"inclusion_list": {"patterns": included.map(prefix)}},
        },
        "dynamic_resources": {
            "lds_config": source, "cds_config": source,
            "ads_config": {
                "api_type": "GRPC", "transport_api_version": "V3", "set_node_on_first_message_only": true,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
            },
        },
        "static_resources": {"clusters": [{
            "name": "xds-grpc", "type": "STATIC",
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
            "load_assignment": {
                "cluster_name": "xds-grpc", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
        }]},
    })
}

/// Envoy with Istio's bootstrap and the rendered override on top of it, as the agent hands it over.
async fn envoy(world: &World, istiod: &Istiod, kind: &str, app: &str, ports: (u16, u16), rendered: &Rendered) -> Envoy {
    let over = rendered.kind("ConfigMap").1["data"]["custom_bootstrap.json"].as_str().expect("the override").to_owned();
    let settings = Settings {
        env: vec![(ENVIRONMENT.0.to_owned(), ENVIRONMENT.1.to_owned())],
        config_yaml: Some(over),
        ..Settings::default()
    };
    let bootstrap = bootstrap(kind, app, ports.1, istiod.xds).to_string();
    Envoy::start(&bootstrap, Arc::clone(&world.scratch), ports, &settings)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The patches of the rendered EnvoyFilter that apply to this.
fn patches<'r>(rendered: &'r Rendered, apply_to: &'static str) -> impl DoubleEndedIterator<Item = &'r Value> {
    let all = rendered.kind("EnvoyFilter").1["spec"]["configPatches"].as_array().expect("patches").iter();
    all.filter(move |patch| patch["applyTo"] == apply_to).map(|patch| &patch["patch"]["value"])
}

/// What Istio's own validators say; their status tells nothing of a field that istiod would drop.
fn validated(world: &World, rendered: &Rendered, others: &[&str]) {
    let file = world.scratch.path().join("rendered.yaml");
    let texts: Vec<_> = rendered.0.iter().map(|(text, _)| text.as_str()).chain(others.iter().copied()).collect();
    fs::write(&file, texts.join("\n---\n")).expect("a file");
    let validate = said_by(Command::new(program("ISTIOCTL")).args(["validate", "-f"]).arg(&file));
    let analyze = said_by(Command::new(program("ISTIOCTL")).args(["analyze", "--use-kube=false", "-A"]).arg(&file));
    println!("{validate}{analyze}");
    let said = format!("{validate}{analyze}").to_lowercase();
    for bad in ["unknown field", "error", "ist0151", "invalid"] {
        assert!(!said.contains(bad), "{bad}: {said}");
    }
}

#[tokio::test]
async fn a_sidecar_gets_its_listener_and_clusters_from_istiod() {
    let ports = free_ports().expect("ports");
    let (mut world, proxy) = (World::start(ports.0).await, Proxy::new(ports));
    let (scratch, istiod) = (world.scratch.path().to_owned(), Istiod::start(world.scratch.path()).await);
    let admin = proxy.admin.to_string();
    let arguments = ["--target", "istio", "--namespace", "agents", "--selector", "app=agent", "--proxy-admin", &admin];
    let render = |registry: &Builder| Rendered::of(registry, &scratch, &arguments);
    let rendered = render(&world.registry);
    validated(&world, &rendered, &[]);
    istiod.apply("dualpath.yaml", &rendered.kind("EnvoyFilter").0);
    let _envoy = envoy(&world, &istiod, "sidecar", "agent", ports, &rendered).await;

    let running = proxy.until_running("the listener", |running| runs(running, &world.registry)).await;
    assert_all_there(&running.clusters, patches(&rendered, "CLUSTER"));
    assert_all_there(&running.listeners, patches(&rendered, "LISTENER"));

    let client = proxy.client("127.0.0.1", "/mcp");
    fails_over_and_returns(&world, &proxy, &client).await;
    runtime_keys_work(&proxy, &client).await;
    let apply = async |registry: &Builder| istiod.apply("dualpath.yaml", &render(registry).kind("EnvoyFilter").0);
    a_change_loses_nothing(&mut world, &proxy, &client, apply).await;

    // The way back.
    istiod.delete("dualpath.yaml");
    proxy.until_running("no listener", |running| !running.has_listener("mcp")).await;
}

/// A gateway that serves two hosts from `own`.
fn own(port: u16, own: u16) -> String {
    let hosts = ["mcp.example.com", "other.example.com"];
    let metadata = |name: &str| json!({"name": name, "namespace": "agents"});
    let gateway = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": metadata("gateway"),
        "spec": {
            "selector": {"app": "gateway"},
            "servers": [{"port": {"number": port, "name": "http", "protocol": "HTTP"}, "hosts": hosts}],
        },
    });
    let entry = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": metadata("own"),
        "spec": {
            "hosts": ["own.example.com"], "location": "MESH_EXTERNAL", "resolution": "STATIC",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "endpoints": [{"address": "127.0.0.1", "ports": {"http": own}}],
        },
    });
    let service = |host: &str| {
        let destination = json!({"host": "own.example.com", "port": {"number": 80}});
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": metadata(host.split('.').next().unwrap_or_default()),
            "spec": {
                "hosts": [host], "gateways": ["agents/gateway"], "http": [{"route": [{"destination": destination}]}],
            },
        })
    };
    [gateway, entry, service(hosts[0]), service(hosts[1])].map(|resource| resource.to_string()).join("\n---\n")
}

#[tokio::test]
async fn a_gateway_gets_gate_and_routes_for_one_host_from_istiod() {
    const HOST: &str = "mcp.example.com";
    let ports = free_ports().expect("ports");
    let (mut world, proxy) = (World::start(ports.0).await, Proxy::new(ports));
    let (scratch, istiod) = (world.scratch.path().to_owned(), Istiod::start(world.scratch.path()).await);
    let own = own(ports.0, world.own.addr.port());
    let admin = proxy.admin.to_string();
    let arguments = [
        ["--target", "istio"],
        ["--workload", "gateway"],
        ["--namespace", "agents"],
        ["--selector", "app=gateway"],
        ["--host", HOST],
        ["--proxy-admin", &admin],
    ];
    let render = |registry: &Builder| Rendered::of(registry, &scratch, arguments.as_flattened());
    let rendered = render(&world.registry);
    validated(&world, &rendered, &[&own]);
    istiod.apply("own.yaml", &own);
    let _envoy = envoy(&world, &istiod, "router", "gateway", ports, &rendered).await;
    let (client, other) = (proxy.client(HOST, "/mcp"), proxy.client("other.example.com", "/mcp"));
    let served_by = async |client: &dualpath_lab::client::Client| client.search("q").await.served_by();
    let is_open = |running: &Running| !running.routes_of(HOST).is_empty();
    proxy.until_running("the gateway's own routes", is_open).await;
    assert_eq!(served_by(&client).await.as_deref(), Some("own"));

    istiod.apply("dualpath.yaml", &rendered.kind("EnvoyFilter").0);
    let has_routes = |running: &Running| running.routes_of(HOST).len() > 1;
    let running =
        proxy.until_running("the routes", |running| runs(running, &world.registry) && has_routes(running)).await;
    assert_all_there(&running.clusters, patches(&rendered, "CLUSTER"));
    assert_all_there(&running.listeners, patches(&rendered, "LISTENER"));
    let filters = running.filters();
    assert!(
        filters.ends_with(&["dualpath.prober", "dualpath.gate", "envoy.filters.http.router"].map(str::to_owned)),
        "{filters:?}"
    );
    assert_first_routes(&running.routes_of(HOST), &patches(&rendered, "HTTP_ROUTE").rev().collect::<Vec<_>>());
    assert_eq!(running.routes_of("other.example.com").len(), 1, "another host has what it had");

    fails_over_and_returns(&world, &proxy, &client).await;
    runtime_keys_work(&proxy, &client).await;
    let others = dualpath_lab::traffic::Traffic::start(&other, 1, std::time::Duration::from_millis(5));
    let apply = async |registry: &Builder| istiod.apply("dualpath.yaml", &render(registry).kind("EnvoyFilter").0);
    a_change_loses_nothing(&mut world, &proxy, &client, apply).await;
    let others = others.outcomes();
    assert!(
        others.iter().all(|call| call.answered_by.as_deref() == Ok("own")),
        "the same path of another host: {others:#?}"
    );

    // The way back.
    istiod.delete("dualpath.yaml");
    until("the gateway's own routes", async || served_by(&client).await.as_deref() == Some("own")).await;
    proxy.until_running("no gate", |running| running.filters().is_empty()).await;
}
