//! The manifests of `envoy/kubernetes` fit each other, the registry beside them and what Envoy asks for. Kubernetes' own
//! schemas are checked by `make test`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dualpath::cli::load;
use dualpath::cli::render::document;
use dualpath::registry::{Admin, Registry, ServerKind, Source};
use serde_json::{Value, json};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("envoy/kubernetes")
}

/// The documents of one manifest, by kind.
fn manifest(file: &str) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(directory().join(file)).unwrap();
    let documents = text.split("\n---\n").map(|document| serde_saphyr::from_str(document).expect(file));
    documents.map(|document: Value| (document["kind"].as_str().expect("a kind").to_owned(), document)).collect()
}

fn registry() -> Registry {
    load(directory().join("registry.yaml").to_str().unwrap()).unwrap_or_else(|error| panic!("{error}")).0
}

/// The secret files that the registry names, with the name of the secret in each.
fn secret_files() -> Vec<(PathBuf, String)> {
    let registry = registry();
    let files = registry.credentials.iter().flat_map(|credential| {
        ["a", "b"].into_iter().zip(&credential.slots).filter_map(|(slot, source)| match &source.as_ref()?.source {
            Source::SdsFile(file) => Some((file.into(), format!("{}-{slot}", credential.id))),
            _ => None,
        })
    });
    files.collect()
}

/// Where a container sees a volume.
fn mount<'m>(container: &'m Value, volume: &str) -> &'m Value {
    let mounts = container["volumeMounts"].as_array().expect("mounts");
    mounts.iter().find(|mount| mount["name"] == volume).expect(volume)
}

fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    list.as_array().expect("a list").iter().find(|entry| entry["name"] == name).expect(name)
}

fn init_container<'p>(pod: &'p Value, name: &str) -> &'p Value {
    named(&pod["initContainers"], name)
}

fn volume<'p>(pod: &'p Value, name: &str) -> &'p Value {
    named(&pod["volumes"], name)
}

fn pod() -> Value {
    manifest("sidecar.yaml")["Deployment"]["spec"]["template"].clone()
}

/// What Kubernetes lets a ConfigMap's values add up to (`MaxSecretSize` of its core API), in bytes.
const CONFIG_MAP: usize = 1 << 20;

/// What it lets all annotations of an object add up to (`TotalAnnotationSizeLimitB` of its API machinery), in bytes. `kubectl
/// apply` keeps the whole object in one.
const ANNOTATIONS: usize = 256 << 10;

/// What `kubectl apply` adds to the ConfigMap of a bootstrap, in bytes: key and value as Go writes JSON.
fn last_applied(bootstrap: &str) -> usize {
    let object = json!({
        "apiVersion": "v1",
        "data": {"bootstrap.yaml": bootstrap},
        "kind": "ConfigMap",
        "metadata": {"annotations": {}, "name": "dualpath-envoy-0123456789", "namespace": "n".repeat(63)},
    });
    let escaped = |text: String| text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    "kubectl.kubernetes.io/last-applied-configuration".len() + escaped(object.to_string()).len() + 1
}

#[test]
fn kubectl_apply_finds_room_for_the_bootstrap() {
    let (registry, wire) = load(directory().join("registry.yaml").to_str().unwrap()).unwrap();
    let bootstrap = document(&registry, &wire, "registry.yaml").unwrap();
    assert!(last_applied(&bootstrap) < ANNOTATIONS / 2, "{} bytes", last_applied(&bootstrap));
}

/// A registry of MCP servers, which all have one credential, with tools that have a schema as tools have.
fn large(servers: usize, tools: usize, description: &str) -> Value {
    let servers = (0..servers).map(|n| {
        json!({"id": format!("server-{n}"), "kind": "mcp", "url": format!("https://server-{n}.example.com/mcp"), "credential": "pat"})
    });
    let tools = (0..tools).map(|n| {
        json!({
            "name": format!("tool_{n}"), "task": "search", "replayable": true,
            "description": description,
            "input_schema": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        })
    });
    json!({
        "version": 1,
        "credentials": [{"id": "pat", "slots": {"a": {"sds_file": "/var/run/dualpath-pat/pat-a.yaml"}}}],
        "servers": servers.collect::<Vec<_>>(),
        "tools": tools.collect::<Vec<_>>(),
    })
}

#[test]
fn sixty_four_servers_with_a_thousand_tools_fit_into_a_config_map_and_what_does_not_is_told() {
    let render = |name: &str, registry: &Value| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&place, registry.to_string()).unwrap();
        let run = Command::new(env!("CARGO_BIN_EXE_dualpath")).arg("render").arg(&place).output().unwrap();
        assert!(run.status.success());
        (run.stdout.len(), String::from_utf8(run.stderr).unwrap())
    };
    let (size, said) = render(
        "large.json",
        &large(64, 1000, "Searches the documents of one of the departments for the words that it is given."),
    );
    assert!(size < CONFIG_MAP, "{size} bytes");
    assert_eq!(said, "");
    let (size, said) = render("too-large.json", &large(64, 1000, &"Searches. ".repeat(100)));
    assert!(size > CONFIG_MAP, "{size} bytes");
    assert!(said.contains(&format!("{size} bytes")) && said.contains("ConfigMap"), "{said}");
}

#[test]
fn metrics_and_health_are_asked_where_nothing_can_be_changed() {
    let (template, registry) = (pod(), registry());
    let envoy = init_container(&template["spec"], "envoy").clone();
    let (address, port) = registry.envoy.metrics.clone().expect("a port for the metrics");
    assert_eq!(address, "0.0.0.0", "kubelet and Prometheus come from outside the pod");
    assert_eq!(envoy["ports"], json!([{"name": "metrics", "containerPort": port}]));
    for probe in ["startupProbe", "readinessProbe"] {
        assert_eq!(envoy[probe]["httpGet"], json!({"path": "/ready", "port": "metrics"}), "{probe}");
    }
    assert_eq!(envoy["livenessProbe"]["tcpSocket"]["port"], "metrics");
    let annotations = &template["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/port"], json!(port.to_string()));
    assert_eq!(annotations["prometheus.io/path"], "/stats/prometheus");
    let monitor = manifest("podmonitor.yaml")["PodMonitor"].clone();
    assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(monitor["spec"]["selector"]["matchLabels"], template["metadata"]["labels"]);
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    assert_eq!((&endpoint["port"], &endpoint["path"]), (&json!("metrics"), &json!("/stats/prometheus")));
}

#[test]
fn the_admin_interface_is_in_a_volume_that_no_other_container_has() {
    let pod = pod()["spec"].clone();
    let Admin::Socket(path) = registry().envoy.admin else { panic!("a socket") };
    let envoy = init_container(&pod, "envoy");
    assert_eq!(Path::new(&path).parent().and_then(Path::to_str), mount(envoy, "admin")["mountPath"].as_str());
    let containers = ["initContainers", "containers"].map(|key| pod[key].as_array().unwrap());
    for container in containers.into_iter().flatten().filter(|container| container["name"] != "envoy") {
        let mounts = container["volumeMounts"].as_array().into_iter().flatten();
        assert!(mounts.into_iter().all(|mount| mount["name"] != "admin"), "{container}");
    }
    let stop = envoy["lifecycle"]["preStop"]["exec"]["command"].to_string();
    assert!(stop.contains(&path) && stop.contains("POST /healthcheck/fail"), "{stop}");
}

/// What a reader is told to put in the place of a line.
#[test]
fn the_volume_for_newer_clusters_is_the_image_of_the_container_that_it_replaces() {
    let text = fs::read_to_string(directory().join("sidecar.yaml")).unwrap();
    let line = text.lines().find_map(|line| line.trim().strip_prefix("# image: ")).expect("a comment");
    let image: Value = serde_saphyr::from_str(line).unwrap();
    assert_eq!(image["reference"], init_container(&pod()["spec"], "module")["image"]);
}

#[test]
fn a_call_can_go_from_mcp_server_to_mcp_server_to_the_direct_path() {
    let registry = registry();
    let kinds: Vec<_> = registry.servers.iter().map(|server| server.kind).collect();
    assert_eq!(kinds, [ServerKind::Mcp, ServerKind::Mcp, ServerKind::Rest]);
}

#[test]
fn the_sidecar_finds_every_file_where_the_registry_says() {
    let pod = manifest("sidecar.yaml")["Deployment"]["spec"]["template"]["spec"].clone();
    let [module, envoy] = ["module", "envoy"].map(|name| init_container(&pod, name).clone());
    let (module, envoy) = (&module, &envoy);
    let secrets = mount(envoy, "pat");
    assert!(secrets.get("subPath").is_none(), "kubelet does not update a single mounted file");
    for (file, _) in secret_files() {
        assert_eq!(file.parent().and_then(Path::to_str), secrets["mountPath"].as_str());
    }
    let config = Path::new(mount(envoy, "envoy")["mountPath"].as_str().unwrap());
    let wasm = registry().envoy.wasm_file;
    assert_eq!(Path::new(&wasm).parent().and_then(Path::to_str), mount(envoy, "module")["mountPath"].as_str());
    assert_eq!(module["command"], json!(["cp", "/dualpath.wasm", wasm]));
    assert_eq!(mount(module, "module")["mountPath"], mount(envoy, "module")["mountPath"]);
    let image = fs::read_to_string(directory().join("Dockerfile")).unwrap();
    assert!(image.contains("COPY dualpath.wasm /dualpath.wasm"), "{image}");
    assert_eq!(envoy["args"][1], json!(config.join("bootstrap.yaml")));
    let kustomization = &manifest("kustomization.yaml")["Kustomization"];
    assert_eq!(kustomization["configMapGenerator"][0]["files"], json!(["bootstrap.yaml"]));
    assert_eq!(volume(&pod, "envoy")["configMap"]["name"], kustomization["configMapGenerator"][0]["name"]);
    let names = ["secret.yaml", "external-secrets.yaml"].map(|file| {
        let documents = manifest(file);
        let of = documents.get("Secret").map(|secret| secret["metadata"]["name"].clone());
        of.unwrap_or_else(|| documents["ExternalSecret"]["spec"]["target"]["name"].clone())
    });
    assert!(names.iter().all(|name| *name == volume(&pod, "pat")["secret"]["secretName"]), "{names:?}");
}

#[test]
fn each_key_of_the_secret_is_an_sds_file_with_the_name_envoy_asks_for() {
    let by_hand = manifest("secret.yaml")["Secret"]["stringData"].clone();
    let filled = manifest("external-secrets.yaml")["ExternalSecret"]["spec"].clone();
    let template = &filled["target"]["template"]["data"];
    for (file, name) in secret_files() {
        let key = file.file_name().unwrap().to_str().unwrap();
        let slot = name.rsplit('-').next().unwrap();
        let value = "{{ .pat_SLOT | trim | toJson }}".replace("SLOT", slot);
        let filled_with = |text: &str| template[key].as_str().expect(key).replace(&value, &json!(text).to_string());
        let rendered =
            filled_with(r#"{"token": "opaque-but-long-enough", "issued": "2026-11-01", "expires": "2027-01-30"}"#);
        assert!(fs::read_to_string(directory().join("external-secrets.yaml")).unwrap().contains(r#"{"token": "...","#));
        for (text, status) in [(rendered.as_str(), 0), (by_hand[key].as_str().expect(key), 2)] {
            let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kubernetes-{status}-{key}"));
            fs::write(&place, text).unwrap();
            let check = ["pat", "check", "--at", "2026-12-01", "--name", &name];
            let run = Command::new(env!("CARGO_BIN_EXE_dualpath")).args(check).arg(place).output().unwrap();
            let said = String::from_utf8_lossy(&run.stdout);
            assert_eq!(run.status.code(), Some(status), "{said}");
            let expected = if status == 0 { "60 days left" } else { "is empty" };
            assert!(said.lines().count() == 2 && said.contains(expected), "{said}");
        }
        let remote = json!({"secretKey": format!("pat_{slot}"), "remoteRef": {"key": format!("snowflake.pat_{slot}")}});
        assert!(filled["data"].as_array().unwrap().contains(&remote), "{filled}");
    }
}

#[test]
fn nobody_may_do_more_than_is_needed() {
    let sidecar = manifest("sidecar.yaml");
    let pod = &sidecar["Deployment"]["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(sidecar["ServiceAccount"]["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    let containers = ["initContainers", "containers"].map(|key| pod[key].as_array().unwrap());
    for container in containers.into_iter().flatten() {
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}));
    }
    assert!(pod["containers"][0].get("volumeMounts").is_none(), "the agent sees no token");
    let rules = json!([{
        "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["dualpath-pat"], "verbs": ["get", "patch"],
    }]);
    assert_eq!(manifest("rotator.yaml")["Role"]["rules"], rules);
}
