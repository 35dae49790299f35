//! The manifests of `envoy/kubernetes` fit each other, the registry beside them and what Envoy asks for. Kubernetes' own
//! schemas are checked by `make test`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dualpath::cli::load;
use dualpath::registry::{Registry, Source};
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

#[test]
fn the_sidecar_finds_every_file_where_the_registry_says() {
    let pod = manifest("sidecar.yaml")["Deployment"]["spec"]["template"]["spec"].clone();
    let envoy = &pod["initContainers"][0];
    let secrets = mount(envoy, "pat");
    assert!(secrets.get("subPath").is_none(), "kubelet does not update a single mounted file");
    for (file, _) in secret_files() {
        assert_eq!(file.parent().and_then(Path::to_str), secrets["mountPath"].as_str());
    }
    let config = Path::new(mount(envoy, "envoy")["mountPath"].as_str().unwrap());
    assert_eq!(Path::new(&registry().envoy.wasm_file), config.join("dualpath.wasm"));
    assert_eq!(envoy["args"][1], json!(config.join("bootstrap.yaml")));
    let kustomization = &manifest("kustomization.yaml")["Kustomization"];
    assert_eq!(kustomization["configMapGenerator"][0]["files"], json!(["bootstrap.yaml", "dualpath.wasm"]));
    let volumes = pod["volumes"].as_array().unwrap();
    assert_eq!(volumes[0]["configMap"]["name"], kustomization["configMapGenerator"][0]["name"]);
    let names = ["secret.yaml", "external-secrets.yaml"].map(|file| {
        let documents = manifest(file);
        let of = documents.get("Secret").map(|secret| secret["metadata"]["name"].clone());
        of.unwrap_or_else(|| documents["ExternalSecret"]["spec"]["target"]["name"].clone())
    });
    assert!(names.iter().all(|name| *name == volumes[1]["secret"]["secretName"]), "{names:?}");
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
