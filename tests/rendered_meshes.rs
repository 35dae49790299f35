//! What `dualpath render --target` writes for meshes: it has what the bootstrap has, and Envoy accepts it once it is where a control
//! plane puts it. That the control planes themselves take it is tested by `make targets`.

#[path = "rendered_bootstrap/stand_ins.rs"]
mod stand_ins;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use stand_ins::{EMPTY_MODULE, SECRET_FILE};

const HOST: &str = "mcp.example.com";

const SIDECAR: &[&str] = &["--target", "istio"];
const GATEWAY: &[&str] = &["--target", "istio", "--workload", "gateway", "--namespace", "agents", "--host", HOST];
const ENVOY_GATEWAY: &[&str] = &["--target", "envoy-gateway", "--host", HOST];

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn dualpath(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dualpath"));
    command
        .current_dir(project("."))
        .args(["render", "tests/rendered_meshes/registry.yaml"])
        .args(arguments)
        .output()
        .unwrap()
}

fn rendered(arguments: &[&str]) -> String {
    let run = dualpath(arguments);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

fn resources(text: &str) -> Vec<Value> {
    text.split("\n---\n").map(|resource| serde_saphyr::from_str(resource).unwrap()).collect()
}

fn kind<'r>(resources: &'r [Value], kind: &str) -> &'r Value {
    resources.iter().find(|resource| resource["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

fn list<'v>(tree: &'v Value, at: &str) -> &'v Vec<Value> {
    tree.pointer(at).and_then(Value::as_array).unwrap_or_else(|| panic!("no list at {at}"))
}

fn list_mut<'v>(tree: &'v mut Value, at: &str) -> &'v mut Vec<Value> {
    tree.pointer_mut(at).and_then(Value::as_array_mut).unwrap_or_else(|| panic!("no list at {at}"))
}

#[test]
fn a_rendered_file_says_how_to_apply_it_and_how_to_go_back() {
    for arguments in [SIDECAR, GATEWAY, ENVOY_GATEWAY] {
        let text = rendered(arguments);
        let heading: String = text.lines().take_while(|line| line.starts_with('#')).collect();
        let needs = ["/opt/dualpath/dualpath.wasm", "/var/run/dualpath-pat/pat-a.yaml"];
        for word in ["Apply:", "kubectl apply", "Go back:", "kubectl delete"].into_iter().chain(needs) {
            assert!(heading.contains(word), "{arguments:?}: {word}");
        }
    }
}

/// The values that a target patches in, wherever, by their names.
fn patched_in(resources: &[Value]) -> Vec<Value> {
    let filters = resources.iter().filter_map(|resource| resource.pointer("/spec/configPatches"));
    let policies = resources.iter().filter(|resource| resource["kind"] == "EnvoyPatchPolicy");
    let policies = policies.filter_map(|resource| resource.pointer("/spec/jsonPatches"));
    let patches = filters.chain(policies).flat_map(|patches| patches.as_array().unwrap());
    let value = |patch: &Value| patch.pointer("/patch/value").or(patch.pointer("/operation/value")).unwrap().clone();
    patches.map(value).collect()
}

#[test]
fn what_is_patched_in_is_what_the_bootstrap_has() {
    let bootstrap: Value = serde_saphyr::from_str(&rendered(&[])).unwrap();
    let mut wanted = list(&bootstrap, "/static_resources/clusters").clone();
    wanted.extend(list(&bootstrap, "/static_resources/listeners").iter().skip(1).cloned());
    wanted.extend(list(&bootstrap, &format!("{MANAGER}/route_config/virtual_hosts/0/routes")).iter().cloned());
    let gate =
        list(&bootstrap, &format!("{MANAGER}/http_filters")).iter().find(|filter| filter["name"] == "dualpath.gate");
    wanted.extend(gate.cloned());
    // The admin interface is the mesh's.
    wanted.retain(|value| value["name"] != "dualpath-admin");
    assert!(wanted.len() > 12);
    for arguments in [GATEWAY, ENVOY_GATEWAY] {
        let patched_in = patched_in(&resources(&rendered(arguments)));
        for value in &wanted {
            assert!(patched_in.contains(value), "{arguments:?}: {}", value["name"]);
        }
        // The cluster of the admin interface, the prober, the access logs.
        let logs = if arguments == GATEWAY { 1 } else { 2 };
        assert_eq!(patched_in.len(), wanted.len() + 2 + logs, "{arguments:?}: and nothing else");
    }
    let sidecar = patched_in(&resources(&rendered(SIDECAR)));
    let mut listener = sidecar.iter().find(|value| value["name"] == "mcp").unwrap().clone();
    let filters = "/filter_chains/0/filters/0/typed_config/http_filters";
    list_mut(&mut listener, filters).retain(|filter| filter["name"] != "dualpath.prober");
    assert_eq!(&listener, &list(&bootstrap, "/static_resources/listeners")[0], "the listener, whole");
}

/// What a control plane may have made: a listener with a connection manager, a filter, and a virtual host for each of two hosts.
fn own() -> Value {
    let typed = |name: &str, kind: &str, mut fields: Value| {
        fields["@type"] = json!(format!("type.googleapis.com/{kind}"));
        json!({"name": name, "typed_config": fields})
    };
    let host = |host: &str| {
        let route = json!({"name": "own", "match": {"prefix": "/"}, "direct_response": {"status": 200}});
        json!({"name": host, "domains": [host], "routes": [route]})
    };
    let manager = typed(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "own",
            "access_log": [],
            "route_config": {"name": "own", "virtual_hosts": [host("other.example.com"), host(HOST)]},
            "http_filters": [
                typed("envoy.filters.http.cors", "envoy.extensions.filters.http.cors.v3.Cors", json!({})),
                typed("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", json!({})),
            ],
        }),
    );
    json!({
        "node": {"id": "n", "cluster": "c"},
        "layered_runtime": {"layers": [{"name": "of the mesh", "static_layer": {}}]},
        "stats_config": {"stats_tags": [{"tag_name": "own", "regex": "^own(\\.(.+))"}]},
        "static_resources": {
            "listeners": [{
                "name": "default/eg/http",
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": 10080}},
                "filter_chains": [{"filters": [manager]}],
            }],
            "clusters": [],
        },
    })
}

/// Puts filters ahead of the router, and routes ahead of the host's own, in this order.
fn put_in(own: &mut Value, filters: Vec<Value>, routes: Vec<Value>, logs: Vec<Value>) {
    let there = list_mut(own, &format!("{MANAGER}/http_filters"));
    let router = there.len() - 1;
    there.splice(router..router, filters);
    list_mut(own, &format!("{MANAGER}/route_config/virtual_hosts/1/routes")).splice(0..0, routes);
    list_mut(own, &format!("{MANAGER}/access_log")).extend(logs);
}

/// Has the Envoy that `ENVOY` names check a configuration, whose files are here under other names.
fn validate(name: &str, configuration: &Value) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("targets-{name}"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("dualpath.wasm"), EMPTY_MODULE).unwrap();
    fs::write(folder.join("pat-a.yaml"), SECRET_FILE).unwrap();
    let here = folder.to_str().unwrap();
    let text = configuration.to_string().replace("/opt/dualpath", here).replace("/var/run/dualpath-pat", here);
    let file = folder.join("bootstrap.json");
    fs::write(&file, text).unwrap();
    let envoy = std::env::var_os("ENVOY").expect("ENVOY must name an Envoy binary, 1.40.0 or later");
    let run = Command::new(envoy).args(["--mode", "validate", "-l", "warning", "-c"]).arg(&file).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{}: {said}", file.display());
    assert!(!said.to_lowercase().contains("deprecated"), "{}: {said}", file.display());
}

/// The values of an EnvoyFilter's patches of one kind, in their order.
fn istio_patches(filter: &Value, apply_to: &str) -> Vec<Value> {
    let of_kind = list(filter, "/spec/configPatches").iter().filter(|patch| patch["applyTo"] == apply_to);
    of_kind.map(|patch| patch["patch"]["value"].clone()).collect()
}

#[test]
fn envoy_accepts_what_istio_is_to_add() {
    for (name, arguments) in [("sidecar", SIDECAR), ("gateway", GATEWAY)] {
        let resources = resources(&rendered(arguments));
        let filter = kind(&resources, "EnvoyFilter");
        let mut own = own();
        own["bootstrap_extensions"] = json!([{
            "name": "envoy.bootstrap.internal_listener",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener"},
        }]);
        list_mut(&mut own, "/static_resources/clusters").extend(istio_patches(filter, "CLUSTER"));
        if name == "sidecar" {
            list_mut(&mut own, "/static_resources/listeners").clear();
        } else {
            let logs = istio_patches(filter, "NETWORK_FILTER").pop().expect("the access logs");
            let logs = list(&logs, "/typed_config/access_log").clone();
            let routes = istio_patches(filter, "HTTP_ROUTE").into_iter().rev().collect();
            put_in(&mut own, istio_patches(filter, "HTTP_FILTER"), routes, logs);
        }
        list_mut(&mut own, "/static_resources/listeners").extend(istio_patches(filter, "LISTENER"));
        let over = kind(&resources, "ConfigMap")["data"]["custom_bootstrap.json"].as_str().unwrap().to_owned();
        let over: Value = serde_json::from_str(&over).unwrap();
        own["stats_config"] = over["stats_config"].clone();
        validate(name, &own);
    }
}

#[test]
fn envoy_accepts_what_envoy_gateway_is_to_add() {
    let resources = resources(&rendered(ENVOY_GATEWAY));
    let (mut own, mut filters, mut routes, mut logs) = (own(), Vec::new(), Vec::new(), Vec::new());
    for patch in list(kind(&resources, "EnvoyPatchPolicy"), "/spec/jsonPatches") {
        let (operation, place) = (&patch["operation"], patch["operation"]["jsonPath"].as_str().unwrap_or_default());
        assert_eq!(operation["op"], "add");
        let value = operation["value"].clone();
        let kind = patch["type"].as_str().and_then(|kind| kind.rsplit('.').next()).unwrap();
        match (kind, operation["path"].as_str()) {
            ("Cluster", Some("")) => list_mut(&mut own, "/static_resources/clusters").push(value),
            ("Listener", Some("")) => list_mut(&mut own, "/static_resources/listeners").push(value),
            ("Listener", None) if place.ends_with(r#"http_filters[?(@.name=="envoy.filters.http.router")]"#) => {
                filters.push(value)
            }
            ("Listener", Some("access_log/0")) => logs.push(value),
            ("RouteConfiguration", Some("routes/0")) => {
                assert_eq!(place, format!(r#"$.virtual_hosts[?(@.domains[0]=="{HOST}")]"#), "one host's");
                routes.insert(0, value);
            }
            other => panic!("{other:?}: {operation}"),
        }
        let names = [patch["name"].as_str(), value_name(operation)];
        assert!(names[0] == Some("default/eg/http") || names[0] == names[1], "{names:?}");
    }
    put_in(&mut own, filters, routes, logs);
    for patch in list(kind(&resources, "EnvoyProxy"), "/spec/bootstrap/jsonPatches") {
        let (path, value) = (patch["path"].as_str().unwrap(), patch["value"].clone());
        match path.strip_suffix("/-") {
            Some(at) => list_mut(&mut own, at).push(value),
            None => {
                let (parent, key) = path.rsplit_once('/').unwrap();
                own.pointer_mut(parent).unwrap()[key] = value;
            }
        }
    }
    validate("envoy-gateway", &own);
}

fn value_name(operation: &Value) -> Option<&str> {
    operation["value"]["name"].as_str()
}

#[test]
fn no_target_puts_a_prober_into_a_bootstrap_and_istio_gets_none_of_the_runtime() {
    for arguments in [SIDECAR, GATEWAY, ENVOY_GATEWAY] {
        let text = rendered(arguments);
        assert!(!text.contains("envoy.bootstrap.wasm"), "{arguments:?}");
        assert_eq!(text.matches("name: dualpath.prober").count(), 1, "{arguments:?}: the workers elect one");
        assert!(!text.contains("BOOTSTRAP"), "{arguments:?}: Istio ignores such patches");
    }
    let resources = resources(&rendered(SIDECAR));
    let over = kind(&resources, "ConfigMap")["data"]["custom_bootstrap.json"].as_str().unwrap().to_owned();
    let over: Value = serde_json::from_str(&over).unwrap();
    assert_eq!(
        over.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["stats_config"],
        "the kill switch stays in force"
    );
    assert!(over["stats_config"].get("stats_matcher").is_none(), "Istio's list of what is counted stays");
}

#[test]
fn options_say_where_it_goes_and_nothing_else_gets_into_the_file() {
    let text = rendered(&["--target", "istio", "--namespace", "agents", "--name", "mcp", "--selector", "app=agent"]);
    let resources = resources(&text);
    assert_eq!(kind(&resources, "EnvoyFilter")["metadata"], json!({"name": "mcp", "namespace": "agents"}));
    assert_eq!(kind(&resources, "EnvoyFilter")["spec"]["workloadSelector"], json!({"labels": {"app": "agent"}}));
    assert_eq!(kind(&resources, "ConfigMap")["metadata"]["name"], "mcp-bootstrap");
    let again = "render registry.yaml --target istio --namespace agents --name mcp --selector app=agent`";
    assert!(text.starts_with("# EnvoyFilter") && text.contains(again), "the heading renders it again");

    let of_listener = ["--target", "envoy-gateway", "--xds-listener", "tcp-10080", "--xds-routes", "http-10080"];
    let text = rendered(&of_listener);
    assert!(text.contains("name: tcp-10080") && text.contains("name: http-10080") && !text.contains("default/eg/http"));

    for (option, value) in [
        ("--namespace", "a b"),
        ("--name", "A"),
        ("--host", "a\")]"),
        ("--host", ""),
        ("--selector", "app"),
        ("--selector", "app=a\nb"),
        ("--xds-listener", "a b"),
        ("--proxy-admin", "15000"),
    ] {
        let run = dualpath(&["--target", "istio", &format!("{option}={value}")]);
        assert_eq!(run.status.code(), Some(2), "{option} {value:?}");
        assert!(run.stdout.is_empty());
    }
}

#[test]
fn a_release_that_brings_no_envoy_that_can_is_refused_with_the_first_that_does() {
    let run = dualpath(&["--target", "istio", "--target-version", "1.31.2"]);
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(2));
    assert!(told.contains("The first release that can is Istio 1.32"), "{told}");
    assert!(dualpath(&["--target", "istio", "--target-version", "1.32.0"]).status.success());
    assert!(dualpath(&["--target", "envoy-gateway", "--target-version", "v1.9.1"]).status.success());
}
