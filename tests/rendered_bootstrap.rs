//! The rendered bootstrap against the real Envoy, and the one in `envoy/` against the registry it is rendered from.

#[path = "rendered_bootstrap/stand_ins.rs"]
mod stand_ins;
#[path = "rendered_bootstrap/targets.rs"]
mod targets;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dualpath::cli::load;
use dualpath::cli::render::document;
use serde_json::{Value, json};
use stand_ins::{EMPTY_MODULE, SECRET_FILE};

#[allow(dead_code, reason = "the tests of `dualpath init` itself use the rest of it")]
#[path = "check/stub_server.rs"]
mod stub_server;

/// Every kind of server and slot: name and address, with and without TLS, with and without a credential, and names that
/// YAML would take for something else if they were not quoted.
const EVERY_KIND: &str = r#"
version: 1
envoy: {wasm_file: DIR/dualpath.wasm, region: eu}
credentials:
  - {id: pat, slots: {a: {sds_file: DIR/pat-a.yaml}, b: {env: DUALPATH_TEST_PAT}}}
  - {id: served, slots: {a: {sds_grpc: "https://sds.example.com:8443"}, b: {sds_grpc: "http://127.0.0.1:8081"}}}
  - {id: asked, slots: {a: {http: {url: "https://vault.example.com/pat"}}, b: {http: {url: "http://[::1]:8200/pat"}}}}
servers:
  - {id: by-name, kind: mcp, url: "https://mcp.example.com/mcp", credential: pat}
  - {id: by-address, kind: mcp, tier: secondary, url: "https://192.0.2.7:8443/mcp", credential: pat, timeout: 1500ms}
  - {id: by-ipv6, kind: mcp, tier: tertiary, url: "http://[::1]:8080/mcp", credential: pat}
  - {id: served, kind: mcp, tier: tertiary, url: "https://192.0.2.8/mcp", credential: served}
  - {id: asked, kind: mcp, tier: tertiary, url: "https://192.0.2.9/mcp", credential: asked}
  - {id: plain, kind: mcp, tier: tertiary, url: "http://localhost:8081/mcp"}
  - {id: "1e3", kind: mcp, tier: tertiary, url: "http://localhost:8082/mcp"}
  - {id: "null", kind: mcp, tier: tertiary, url: "http://localhost:8083/mcp"}
  - {id: "007", kind: mcp, tier: tertiary, url: "http://localhost:8084/mcp"}
  - {id: h2c, kind: mcp, tier: tertiary, url: "http://localhost:8085/mcp", http: http2}
  - id: regions
    kind: mcp
    tier: tertiary
    url: "https://mcp.internal/mcp"
    http: http2
    endpoints:
      - {address: 192.0.2.10, weight: 3, region: eu}
      - {address: "192.0.2.11:8443", region: eu}
      - {address: "[2001:db8::12]", region: us}
      - {address: mcp.us.internal, region: us, priority: 3}
    balance: {policy: round_robin, slow_start: 30s, eject_after: 2, eject_for: 1s}
    tls:
      server_name: other.internal
      names: [other.internal, 192.0.2.10, "spiffe://internal/mcp"]
      client_certificate: {sds_file: DIR/client.yaml}
    pool: {connections: 8, pending: 9, requests: 10, retries: 11, idle: 250ms, lifetime: 0s, requests_per_connection: 12, preconnect: 1.5, keepalive: 0s}
  - {id: addresses, kind: mcp, tier: tertiary, url: "http://192.0.2.13/mcp", http: http1, endpoints: [{address: 192.0.2.13}, {address: 192.0.2.14}]}
  - {id: tunnelled, kind: mcp, tier: tertiary, url: "https://far.example.com/mcp", credential: pat, proxy: "http://proxy.internal:3128", endpoints: [{address: far.example.com}, {address: "[2001:db8::15]:8443"}]}
  - {id: tunnelled-in-tls, kind: rest, url: "https://far.example.com", proxy: "https://192.0.2.16", pool: {keepalive: 0s}}
tools: []
"#;

/// The certificate that Envoy shows to a server; the secret is named by the server.
const CLIENT_FILE: &str = r#"resources:
- "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
  name: regions-client
  tls_certificate: {certificate_chain: {filename: DIR/client.pem}, private_key: {filename: DIR/client.key}}
"#;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn render(registry: &Path, source: &str) -> String {
    let (registry, wire) = load(registry.to_str().unwrap()).unwrap_or_else(|error| panic!("{error}"));
    document(&registry, &wire, source).unwrap()
}

/// A directory of this test's own, with a module and a secret file in it.
fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("dualpath.wasm"), EMPTY_MODULE).unwrap();
    fs::write(directory.join("pat-a.yaml"), SECRET_FILE).unwrap();
    directory
}

/// Has the Envoy that `ENVOY` names check a configuration; it must accept it without a warning about deprecation.
fn validate(directory: &Path, bootstrap: &str) {
    let envoy = std::env::var_os("ENVOY").expect("ENVOY must name an Envoy binary, 1.40.0 or later");
    let file = directory.join("bootstrap.yaml");
    fs::write(&file, bootstrap).unwrap();
    let run = Command::new(envoy).args(["--mode", "validate", "-l", "warning", "-c"]).arg(&file).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{}: {said}", file.display());
    assert!(!said.to_lowercase().contains("deprecated"), "{}: {said}", file.display());
}

#[test]
fn each_environment_of_the_example_is_rendered_as_one_plain_registry() {
    for (environment, others) in [("stg", "my-org-prod"), ("prod", "my-org-stg")] {
        let run = Command::new(env!("CARGO_BIN_EXE_dualpath"))
            .args(["render", project("envoy/environments.yaml").to_str().unwrap(), "--environment", environment])
            .output()
            .unwrap();
        let text = String::from_utf8(run.stdout).unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        assert!(
            text.lines().next().unwrap().contains(&format!("--environment {environment}`")),
            "its heading says how"
        );
        for left in ["environments", "include:", "vars", "${ACCOUNT}", "${DATABASE}", others] {
            assert!(!text.replace("environments.yaml", "").contains(left), "{environment}: {left}");
        }
        // The files of its credentials are not here; all else is Envoy's to judge.
        let directory = scratch(&format!("environment-{environment}"));
        let here = directory.to_str().unwrap();
        for slot in ["a", "b"] {
            let secret = SECRET_FILE.replace("pat-a", &format!("snowflake-pat-{slot}"));
            fs::write(directory.join(format!("pat-{slot}.yaml")), secret).unwrap();
        }
        validate(
            &directory,
            &text.replace("/etc/dualpath", here).replace("build/dualpath.wasm", &format!("{here}/dualpath.wasm")),
        );
    }
}

#[test]
fn the_rendered_example_is_up_to_date() {
    let rendered = render(&project("envoy/registry.yaml"), "registry.yaml");
    let kept = fs::read_to_string(project("envoy/bootstrap.yaml")).unwrap_or_default();
    assert!(
        kept == rendered,
        "envoy/bootstrap.yaml is stale. Refresh it with\n  \
         cargo run --features cli --bin dualpath -- render envoy/registry.yaml -o envoy/bootstrap.yaml"
    );
}

#[test]
fn envoy_accepts_the_rendered_example() {
    let directory = scratch("example");
    let module = directory.join("dualpath.wasm");
    let bootstrap = render(&project("envoy/registry.yaml"), "registry.yaml");
    let path = "filename: build/dualpath.wasm";
    assert!(bootstrap.contains(path), "the example names the module where it is built");
    validate(&directory, &bootstrap.replace(path, &format!("filename: {}", module.display())));
}

/// A directory with the registry of [`EVERY_KIND`] and the files that it names.
fn every_kind(name: &str) -> (PathBuf, PathBuf) {
    let directory = scratch(name);
    for part in ["client.pem", "client.key"] {
        fs::copy(project("tests/lab/tests/e2e/certificates").join(part), directory.join(part)).unwrap();
    }
    fs::write(directory.join("client.yaml"), CLIENT_FILE.replace("DIR", directory.to_str().unwrap())).unwrap();
    let registry = directory.join("registry.yaml");
    fs::write(&registry, EVERY_KIND.replace("DIR", directory.to_str().unwrap())).unwrap();
    (directory, registry)
}

#[test]
fn envoy_accepts_every_kind_of_server_and_credential() {
    let (directory, registry) = every_kind("every-kind");
    validate(&directory, &render(&registry, "registry.yaml"));
}

/// Runs the tool; what it prints.
fn dualpath(arguments: &[&OsStr]) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_dualpath")).args(arguments).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

/// The bootstrap is checked as it is; Envoy does not look into what it watches until it runs, so that is checked as a part of
/// the bootstrap.
#[test]
fn envoy_accepts_the_folder_that_it_watches() {
    let (directory, registry) = every_kind("dynamic");
    let folder = directory.join("envoy.d");
    let render = ["render".as_ref(), registry.as_os_str(), "--target".as_ref(), "envoy-dynamic".as_ref()];
    dualpath(&[&render[..], &["-o".as_ref(), folder.as_os_str()]].concat());
    let read = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
    validate(&directory, &read("bootstrap.yaml"));
    let tree = |file: &str| serde_saphyr::from_str::<Value>(&read(file)).unwrap();
    let resources = |file: &str| {
        let mut resources = tree(file)["resources"].take();
        for resource in resources.as_array_mut().unwrap() {
            resource.as_object_mut().unwrap().remove("@type").expect("a type");
        }
        resources
    };
    let mut bootstrap = tree("bootstrap.yaml");
    bootstrap.as_object_mut().unwrap().remove("dynamic_resources").expect("what is watched");
    bootstrap["static_resources"] =
        json!({"listeners": resources("listeners.yaml"), "clusters": resources("clusters.yaml")});
    validate(&directory, &bootstrap.to_string());
}

#[test]
fn envoy_accepts_what_a_registry_is_attached_to() {
    let (directory, registry) = every_kind("attached");
    let own = project("envoy/your-envoy.yaml");
    validate(&directory, &fs::read_to_string(&own).unwrap());
    validate(
        &directory,
        &dualpath(&["attach".as_ref(), registry.as_os_str(), own.as_os_str(), "-o".as_ref(), "-".as_ref()]),
    );
}

#[test]
fn envoy_accepts_the_sidecar_of_kubernetes() {
    let directory = scratch("kubernetes");
    fs::write(directory.join("pat-b.yaml"), SECRET_FILE).unwrap();
    let place = directory.to_str().unwrap();
    let text = fs::read_to_string(project("envoy/kubernetes/registry.yaml")).unwrap();
    let text =
        text.replace("/opt/dualpath/", &format!("{place}/")).replace("/var/run/dualpath-pat/", &format!("{place}/"));
    // A socket's path may not be long, and validation doesn't open it.
    assert!(text.contains("unix:///run/dualpath/admin.sock"), "{text}");
    let registry = directory.join("registry.yaml");
    fs::write(&registry, text).unwrap();
    validate(&directory, &render(&registry, "registry.yaml"));
}

/// It is right, there is nothing to warn of, and Envoy takes it.
#[test]
fn the_example_of_two_regions_is_as_good_as_it_looks() {
    let directory = scratch("two-regions");
    let place = directory.to_str().unwrap();
    for secret in ["eu-pat-a", "eu-pat-b", "us-pat-a", "us-pat-b"] {
        fs::write(directory.join(format!("{secret}.yaml")), SECRET_FILE.replace("pat-a", secret)).unwrap();
    }
    let text = fs::read_to_string(project("envoy/two-regions.yaml")).unwrap();
    let registry = directory.join("registry.yaml");
    fs::write(&registry, text.replace("/etc/dualpath/", &format!("{place}/"))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dualpath"));
    let run = command.args(["check", "--strict"]).arg(&registry).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}");
    assert!(said.contains(", at 10.20.0.7:443 and 10.20.1.7:443 and 10.40.0.7:443, credential eu-pat"), "{said}");
    assert!(said.contains(", through proxy.example.com:3128, credential us-pat"), "{said}");
    validate(&directory, &render(&registry, "registry.yaml"));
}

/// What `dualpath init` writes is right, there is nothing to warn of, and Envoy takes it.
#[test]
fn envoy_accepts_every_first_registry() {
    let directory = scratch("first");
    let place = directory.to_str().unwrap();
    let settings = r#"{"servers": {"docs": {"url": "https://docs.example.com/mcp", "headers": {"X-Api-Key": "not-a-secret"}},
        "here": {"url": "http://127.0.0.1:9000/mcp"}, "open": {"url": "http://open.example.com/mcp"}}}"#;
    fs::write(directory.join("mcp.json"), settings).unwrap();
    let settings = directory.join("mcp.json");
    let (live, _) = stub_server::start(stub_server::Manner::Events);
    let account = ["--account", "my_org-my_account", "--database", "DB", "--schema", "S", "--server", "CORTEX"];
    let tools = ["--search-service", "DOCS", "--warehouse", "WH", "--semantic-view", "DB.S.V", "--agent", "HELPER"];
    for arguments in [
        &account[..],
        &[&account[..], &tools].concat(),
        &["--from-mcp-json", settings.to_str().unwrap()],
        &["--from-mcp", &live, "--token-env", "LIVE_PAT"],
    ] {
        let init = Command::new(env!("CARGO_BIN_EXE_dualpath"))
            .args(["init", "-o", "-"])
            .args(arguments)
            .env("LIVE_PAT", "not-a-secret")
            .output()
            .unwrap();
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        let text = String::from_utf8(init.stdout).unwrap().replace("/etc/dualpath/", &format!("{place}/"));
        let registry = directory.join("registry.yaml");
        fs::write(&registry, &text).unwrap();
        for file in text.split("sds_file: ").skip(1).filter_map(|rest| rest.split('}').next()) {
            let secret = Path::new(file).file_stem().unwrap().to_str().unwrap();
            fs::write(file, SECRET_FILE.replace("pat-a", secret)).unwrap();
        }
        let strict =
            Command::new(env!("CARGO_BIN_EXE_dualpath")).args(["check", "--strict"]).arg(&registry).output().unwrap();
        assert!(strict.status.success(), "{}\n{text}", String::from_utf8_lossy(&strict.stdout));
        validate(&directory, &render(&registry, "registry.yaml"));
    }
}

#[test]
fn the_command_lines_environment_is_rendered_and_read_by_the_module() {
    let directory = scratch("environment");
    let registry = directory.join("registry.yaml");
    let text = "version: 1\n\
        environment: stg\n\
        credentials: [{id: pat, environments: {prod: {slots: {a: {sds_file: /prod/pat-a.yaml}}}, stg: {slots: {a: {env: STG}}}}}]\n\
        servers: [{id: s, kind: mcp, url: 'https://host.example', credential: pat}]\n";
    fs::write(&registry, text).unwrap();
    let rendered = |arguments: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_dualpath")).arg("render").arg(&registry).args(arguments).output();
        let run = run.unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap()
    };
    let injected = "watched_directory:";
    let (stg, prod) = (rendered(&[]), rendered(&["--environment", "prod"]));
    assert!(stg.contains("\"environment\": \"stg\""), "{stg}");
    assert!(!stg.contains(injected), "{stg}");
    assert!(prod.contains("\"environment\": \"prod\"") && !prod.contains("\"environment\": \"stg\""), "{prod}");
    assert!(prod.contains(injected) && prod.contains("path: /prod/pat-a.yaml"), "{prod}");
}

#[test]
fn a_registry_with_problems_renders_nothing() {
    let directory = scratch("problems");
    let (registry, output) = (directory.join("registry.yaml"), directory.join("bootstrap.yaml"));
    fs::write(&registry, "version: 2\nservers: []\n").unwrap();
    fs::write(&output, "what was there").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dualpath"));
    let run = command.arg("render").arg(&registry).arg("-o").arg(&output).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&run.stderr).contains("version: 2: must be 1"));
    assert_eq!(fs::read_to_string(&output).unwrap(), "what was there");
}
