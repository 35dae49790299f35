//! What `dualpath render --target` and `dualpath attach` write, file by file: the explained example and the smallest registry.
//!
//! `tests/rendered_targets` has a folder for each target and registry; `make guide` writes them anew, and a change there is to
//! be looked at like one of the source. What is written the same for every registry is not kept a second time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const TARGETS: [&str; 7] = ["envoy", "envoy-dynamic", "fragment", "kubernetes", "helm", "istio", "envoy-gateway"];

const SMALLEST: &str = "version: 1\nservers: [{id: s, kind: mcp, url: 'https://mcp.example.com/mcp'}]\n";

/// An Envoy that serves something already.
const OWN: &str = include_str!("../../envoy/your-envoy.yaml");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of this test's own, empty but for both registries and the bootstrap to attach to.
fn place(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rendered-targets").join(name);
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(place.join("envoy")).unwrap();
    fs::copy(root().join("envoy/registry.yaml"), place.join("envoy/registry.yaml")).unwrap();
    fs::write(place.join("smallest.yaml"), SMALLEST).unwrap();
    fs::write(place.join("your-envoy.yaml"), OWN).unwrap();
    place
}

/// Runs the tool in `place`; what it wrote to its outputs, if it was content.
fn dualpath(place: &Path, arguments: &[&str]) -> (String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_dualpath")).args(arguments).current_dir(place).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, said) = (text(run.stdout), text(run.stderr));
    assert!(run.status.success(), "{arguments:?}: {out}{said}");
    (out, said)
}

/// Every file below a folder, by its path there.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for path in fs::read_dir(&next).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// The files of one target, without those that are the same whatever the registry says.
fn rendered(place: &Path, target: &str, registry: &str) -> BTreeMap<String, String> {
    let several = matches!(target, "envoy-dynamic" | "kubernetes" | "helm");
    if !several {
        let (text, _) = dualpath(place, &["render", registry, "--target", target]);
        return BTreeMap::from([(format!("{target}.yaml"), text)]);
    }
    let output = format!("out-{target}");
    let _ = fs::remove_dir_all(place.join(&output));
    dualpath(place, &["render", registry, "--target", target, "-o", &output]);
    let mut found = files(&place.join(output));
    for source in ["envoy/kubernetes", "src/cli/render/target/helm/chart"] {
        let source = files(&root().join(source));
        found.retain(|name, text| source.get(name) != Some(text));
    }
    found
}

fn assert_golden(name: &str, found: &BTreeMap<String, String>) {
    let folder = root().join("tests/rendered_targets").join(name);
    if std::env::var_os("DUALPATH_WRITE_GUIDE").is_some() {
        let _ = fs::remove_dir_all(&folder);
        for (name, text) in found {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
    }
    let kept = files(&folder);
    assert_eq!(kept.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "{name}: run `make guide`");
    for (file, text) in found {
        assert!(kept[file] == *text, "{}: run `make guide`, and look at what changes", folder.join(file).display());
    }
}

#[test]
fn made_files_of_each_target_are_up_to_date() {
    let place = place("golden");
    for target in TARGETS {
        // The example's bootstrap is kept in envoy/, where people find it.
        if target != "envoy" {
            assert_golden(&format!("{target}/example"), &rendered(&place, target, "envoy/registry.yaml"));
        }
        assert_golden(&format!("{target}/smallest"), &rendered(&place, target, "smallest.yaml"));
    }
    for (name, registry) in [("example", "envoy/registry.yaml"), ("smallest", "smallest.yaml")] {
        let (text, _) = dualpath(&place, &["attach", registry, "your-envoy.yaml", "-o", "-"]);
        assert_golden(&format!("attach/{name}"), &BTreeMap::from([("attached.yaml".to_owned(), text)]));
    }
}

/// `envoy/kubernetes` is what people copy, and what the target makes others from.
#[test]
fn the_manifests_of_the_example_are_what_the_target_makes_of_its_registry() {
    let place = place("kubernetes");
    let own = root().join("envoy/kubernetes");
    fs::copy(own.join("registry.yaml"), place.join("registry.yaml")).unwrap();
    dualpath(&place, &["render", "registry.yaml", "--target", "kubernetes", "-o", "out"]);
    let (mut made, mut kept) = (files(&place.join("out")), files(&own));
    assert!(made.remove("bootstrap.yaml").is_some() && kept.remove("registry.yaml").is_some());
    assert_eq!(made, kept);
}

#[test]
fn rendering_again_touches_nothing_and_what_is_the_operators_is_never_touched() {
    let place = place("again");
    for target in ["envoy-dynamic", "kubernetes", "helm"] {
        let render = ["render", "envoy/registry.yaml", "--target", target, "-o", target];
        dualpath(&place, &render);
        let before = files(&place.join(target));
        assert_eq!(dualpath(&place, &render).0, "nothing has changed\n", "{target}");
        assert_eq!(files(&place.join(target)), before);
    }
    for file in ["kubernetes/sidecar.yaml", "envoy-dynamic/runtime.yaml"] {
        fs::write(place.join(file), "# mine\n").unwrap();
    }
    let (_, said) = dualpath(&place, &["render", "envoy/registry.yaml", "--target", "kubernetes", "-o", "kubernetes"]);
    assert!(said.contains("sidecar.yaml is yours and has no `name: SNOWFLAKE_PAT`"), "{said}");
    assert!(said.contains("sidecar.yaml is yours and has no `\"http://127.0.0.1:10000/mcp\"`"), "{said}");
    dualpath(&place, &["render", "envoy/registry.yaml", "--target", "envoy-dynamic", "-o", "envoy-dynamic"]);
    for file in ["kubernetes/sidecar.yaml", "envoy-dynamic/runtime.yaml"] {
        assert_eq!(fs::read_to_string(place.join(file)).unwrap(), "# mine\n", "{file}");
    }
}

/// A folder that was begun without secrets, rendered again for a registry that has one.
#[test]
fn every_file_that_lacks_something_for_another_registry_is_told() {
    let place = place("lacks");
    let render = |registry: &str| dualpath(&place, &["render", registry, "--target", "kubernetes", "-o", "pod"]);
    let (_, said) = render("smallest.yaml");
    assert_eq!(said, "");
    let text = |file: &str| fs::read_to_string(place.join("pod").join(file)).unwrap();
    for (file, untrue) in [
        ("kustomization.yaml", "xternal"),
        ("kustomization.yaml", "secret"),
        ("sidecar.yaml", "secret"),
        ("bootstrap.yaml", "dualpath-pat"),
    ] {
        assert!(!text(file).contains(untrue), "{file} speaks of what this registry does not have: {untrue}");
    }
    let with = |slots: &str| {
        let credentials = format!("credentials: [{{id: p, slots: {{{slots}}}}}]\n");
        fs::write(place.join("more.yaml"), SMALLEST.replace("}]", ", credential: p}]") + &credentials).unwrap();
        render("more.yaml").1
    };
    let said = with("a: {sds_file: /var/run/dualpath-pat/a.yaml}");
    for lacks in [
        "sidecar.yaml is yours and has no `mountPath: /var/run/dualpath-pat`",
        "kustomization.yaml is yours and has no `- external-secrets.yaml`",
    ] {
        assert!(said.contains(lacks), "{lacks}: {said}");
    }
    let said = with("a: {sds_file: /var/run/dualpath-pat/a.yaml}, b: {sds_file: /var/run/other/b.yaml}");
    for lacks in [
        "secret.yaml is yours and has no `name: other`",
        "external-secrets.yaml is yours and has no `b.yaml:`",
        "rotator.yaml is yours and has no `other`",
    ] {
        assert!(said.contains(lacks), "{lacks}: {said}");
    }
}

/// A change of one number is a change of few lines, wherever it is rendered.
#[test]
fn a_small_change_of_the_registry_is_a_small_change_of_what_is_rendered() {
    let place = place("small");
    let text = fs::read_to_string(place.join("envoy/registry.yaml")).unwrap();
    let changed = text.replacen("port: 10000", "port: 10001", 1);
    assert_ne!(text, changed);
    fs::write(place.join("changed.yaml"), changed).unwrap();
    for target in TARGETS {
        let lines = |registry: &str| -> Vec<String> {
            let found = rendered(&place, target, registry);
            let all = found.values().flat_map(|text| text.lines()).filter(|line| !line.starts_with("# "));
            all.map(str::to_owned).collect()
        };
        let (before, after) = (lines("envoy/registry.yaml"), lines("changed.yaml"));
        assert_eq!(before.len(), after.len(), "{target}");
        let differ: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
        // Each place of the module has the registry's identity, beside the number itself.
        assert!(
            differ.iter().all(|(_, line)| line.contains("1000") || line.contains("identity")),
            "{target}: {differ:#?}"
        );
    }
}

/// A server that is gone stays in the clusters until the next render: connections to the listener before still lead there.
#[test]
fn a_server_that_is_taken_out_keeps_its_cluster_for_one_render() {
    let place = place("taken-out");
    let two = SMALLEST.replace("}]", "}, {id: t, kind: mcp, tier: secondary, url: 'https://other.example.com/mcp'}]");
    fs::write(place.join("two.yaml"), two).unwrap();
    let render = |registry: &str| dualpath(&place, &["render", registry, "--target", "envoy-dynamic", "-o", "d"]).1;
    let clusters = || -> Vec<String> {
        let text = fs::read_to_string(place.join("d/clusters.yaml")).unwrap();
        let tree: Value = serde_saphyr::from_str(&text).unwrap();
        tree["resources"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    render("two.yaml");
    let said = render("smallest.yaml");
    assert!(said.contains("clusters.yaml keeps t for calls under way"), "{said}");
    assert!(clusters().contains(&"t".to_owned()));
    render("smallest.yaml");
    assert!(!clusters().contains(&"t".to_owned()));
}

/// Kubernetes refuses a pod with two volumes of one name, or two mounts at one place.
#[test]
fn every_mount_and_every_volume_of_a_pod_is_the_only_one_of_its_place_and_name() {
    let place = place("mounts");
    fs::copy(root().join("envoy/two-regions.yaml"), place.join("two-regions.yaml")).unwrap();
    fs::copy(root().join("envoy/kubernetes/registry.yaml"), place.join("kubernetes.yaml")).unwrap();
    let credentials = ["envoy", "module", "admin", "pat", "dualpath-pat", "dualpath-envoy"]
        .map(|name| format!("{{id: of-{name}, slots: {{a: {{sds_file: /secrets/{name}/a.yaml}}}}}}"));
    fs::write(place.join("named.yaml"), format!("{SMALLEST}credentials: [{}]\n", credentials.join(", "))).unwrap();
    for registry in ["envoy/registry.yaml", "smallest.yaml", "two-regions.yaml", "kubernetes.yaml", "named.yaml"] {
        let folder = format!("of-{}", registry.replace('/', "-"));
        dualpath(&place, &["render", registry, "--target", "kubernetes", "-o", &folder]);
        let text = fs::read_to_string(place.join(folder).join("sidecar.yaml")).unwrap();
        let deployment = text.split("\n---\n").find(|text| text.contains("kind: Deployment")).unwrap();
        let tree: Value = serde_saphyr::from_str(deployment).unwrap();
        let pod = &tree["spec"]["template"]["spec"];
        let containers = pod["initContainers"].as_array().unwrap();
        let envoy = containers.iter().find(|container| container["name"] == "envoy").unwrap();
        for (list, key) in
            [(&envoy["volumeMounts"], "mountPath"), (&envoy["volumeMounts"], "name"), (&pod["volumes"], "name")]
        {
            let mut all: Vec<_> = list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap()).collect();
            let number = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), number, "{registry}: {key}: {list}");
        }
    }
    // The chart mounts the same folders, and calls no secret's volume as one of its own.
    let chart = fs::read_to_string(root().join("src/cli/render/target/helm/chart/templates/deployment.yaml")).unwrap();
    assert!(chart.contains("{name: envoy, mountPath: /etc/envoy-dualpath, readOnly: true}"));
    assert_eq!(chart.matches("name: secret-{{ .name }}").count(), 2);
    for folder in ["/etc/envoy-dualpath", "/opt/dualpath", "/var/run/dualpath"] {
        let own = format!("{SMALLEST}credentials: [{{id: p, slots: {{a: {{sds_file: {folder}/a.yaml}}}}}}]\n");
        fs::write(place.join("own.yaml"), own).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dualpath"));
        let run = command.args(["render", "own.yaml", "-t", "helm", "-o", "own"]).current_dir(&place).output().unwrap();
        assert!(String::from_utf8_lossy(&run.stderr).contains("the pod has a folder of its own there"), "{folder}");
    }
}

/// A secret has one name: where it is written, filled, mounted, rotated and allowed.
#[test]
fn the_command_that_rotates_a_token_names_the_secret_that_the_manifests_name() {
    let place = place("secret-names");
    fs::copy(root().join("envoy/two-regions.yaml"), place.join("two-regions.yaml")).unwrap();
    fs::copy(root().join("envoy/kubernetes/registry.yaml"), place.join("kubernetes.yaml")).unwrap();
    for (registry, credential, name) in
        [("two-regions.yaml", "us-pat", "dualpath"), ("kubernetes.yaml", "snowflake-pat", "dualpath-pat")]
    {
        let (plan, _) = dualpath(&place, &["pat", "rotate-plan", registry, credential]);
        assert!(plan.contains(&format!("kubectl patch secret {name} --type merge")), "{plan}");
        assert!(
            plan.contains(&format!("   {name}, as its folder and as `dualpath render --target kubernetes` does:")),
            "{plan}"
        );
        dualpath(&place, &["render", registry, "--target", "kubernetes", "-o", credential]);
        let file = |file: &str| fs::read_to_string(place.join(credential).join(file)).unwrap();
        assert!(file("secret.yaml").contains(&format!("\n  name: {name}\n")), "{registry}");
        assert!(file("external-secrets.yaml").starts_with(&format!("# Fills the secret {name} from")), "{registry}");
        assert!(file("sidecar.yaml").contains(&format!("secretName: {name}\n")), "{registry}");
        assert!(file("rotator.yaml").contains(&format!("resourceNames: [{name}]")), "{registry}");
    }
}

#[test]
fn a_registry_is_the_same_bytes_from_wherever_it_is_rendered() {
    let place = place("bytes");
    let absolute = place.join("smallest.yaml");
    let ways = ["smallest.yaml", "./smallest.yaml", "envoy/../smallest.yaml", absolute.to_str().unwrap()];
    for target in TARGETS {
        let [first, rest @ ..] = ways.map(|registry| rendered(&place, target, registry));
        assert!(rest.iter().all(|other| *other == first), "{target}");
    }
    fs::copy(&absolute, place.join("renamed.yaml")).unwrap();
    dualpath(&place, &["render", "smallest.yaml", "-t", "envoy-dynamic", "-o", "d"]);
    let (_, said) = dualpath(&place, &["render", "renamed.yaml", "-t", "envoy-dynamic", "-o", "d"]);
    assert!(!said.contains("is another than before"), "{said}");
}

#[test]
fn an_option_that_the_target_would_ignore_is_refused_with_what_it_belongs_to() {
    let place = place("options");
    for (arguments, said) in [
        (
            &["-t", "envoy", "--namespace", "x"][..],
            "--namespace: has no effect here: it belongs to --target istio or envoy-gateway",
        ),
        (
            &["-t", "istio", "--host", "x"],
            "--host: has no effect here: it belongs to --target envoy-gateway, or istio with --workload gateway",
        ),
        (&["-t", "istio", "--gateway", "foo"], "--gateway: has no effect here: it belongs to --target envoy-gateway"),
        (&["-t", "envoy-gateway", "--selector", "a=b"], "--selector: has no effect here: it belongs to --target istio"),
        (&["-t", "istio", "--selector", "a=b", "--selector", "a=c"], "--selector: a is given twice"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dualpath"));
        let run = command.args(["render", "smallest.yaml"]).args(arguments).current_dir(&place).output().unwrap();
        assert!(!run.status.success() && run.stdout.is_empty(), "{arguments:?}");
        assert!(String::from_utf8_lossy(&run.stderr).contains(said), "{}", String::from_utf8_lossy(&run.stderr));
    }
}

#[test]
fn what_fits_into_a_pod_as_it_is_rendered_is_not_complained_of() {
    let place = place("held");
    let (_, said) = dualpath(&place, &["render", "smallest.yaml", "-t", "helm", "-o", "default"]);
    assert!(!said.contains("limits.held"), "{said}");
    fs::write(place.join("more.yaml"), format!("{SMALLEST}limits: {{held: 128MiB}}\n")).unwrap();
    let (_, said) = dualpath(&place, &["render", "more.yaml", "-t", "helm", "-o", "more"]);
    assert!(said.contains("limits.held is 128 MiB") && said.contains("512Mi"), "{said}");
}

#[test]
fn a_mesh_is_told_its_secrets_by_name_and_of_a_module_without_a_place() {
    let place = place("mesh-told");
    let (text, said) = dualpath(&place, &["render", "envoy/registry.yaml", "-t", "envoy-gateway"]);
    assert!(
        text.contains("the secret dualpath, with the keys SNOWFLAKE_PAT") && text.contains("envoy-gateway-system"),
        "{text}"
    );
    assert!(said.contains("envoy.wasm_file is no absolute path"), "{said}");
    let (_, said) = dualpath(&place, &["render", "envoy/registry.yaml", "-t", "istio"]);
    assert!(said.contains("envoy.wasm_file is no absolute path"), "{said}");
    let at = format!("{SMALLEST}envoy: {{wasm_file: /opt/dualpath/dualpath.wasm}}\n");
    fs::write(place.join("at.yaml"), at).unwrap();
    assert_eq!(dualpath(&place, &["render", "at.yaml", "-t", "istio"]).1, "");
}

#[test]
fn links_to_runbooks_lead_to_a_web_page() {
    let place = place("runbooks");
    let rules = |address: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dualpath"));
        command.args(["rules", "smallest.yaml", "--runbooks", address]).current_dir(&place).output().unwrap()
    };
    for address in
        ["javascript:alert(1)", "https://", "https://wiki\n/x", "https://wiki/\u{1b}[2J", "wiki/runbooks", ""]
    {
        let run = rules(address);
        assert!(!run.status.success() && run.stdout.is_empty(), "{address:?}");
        assert!(String::from_utf8_lossy(&run.stderr).contains("must be a URL of http or https"), "{address:?}");
    }
    assert!(rules("https://wiki.example.com/dualpath/runbooks").status.success());
}

/// Istio's proxies have no metrics of a cluster that is not among these.
#[test]
fn the_guide_lets_istio_count_every_server_that_the_rules_look_at() {
    let guide = fs::read_to_string(root().join("envoy/guide/meshes.md")).unwrap();
    let line = guide.lines().find(|line| line.contains("statsInclusionPrefixes")).unwrap();
    let let_through: Vec<_> = line.split_once(": ").unwrap().1.split(',').collect();
    let registry = fs::read_to_string(root().join("envoy/registry.yaml")).unwrap();
    let registry: Value = serde_saphyr::from_str(&registry).unwrap();
    for server in registry["servers"].as_array().unwrap() {
        let cluster = format!("cluster.{}", server["id"].as_str().unwrap());
        assert!(let_through.contains(&cluster.as_str()), "{cluster}: {line}");
    }
}

/// Envoy asks each slot's file for a name of its own, and takes one secret from a file.
#[test]
fn slots_that_share_a_file_are_refused_though_the_file_is_missing_here() {
    let place = place("shared-file");
    let check = |second: &str| {
        let credentials = format!(
            "credentials: [{{id: p, slots: {{a: {{sds_file: /nowhere/one.yaml}}}}}}, {{id: q, slots: {{a: {{sds_file: {second}}}}}}}]\n"
        );
        fs::write(place.join("shared.yaml"), format!("{SMALLEST}{credentials}")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dualpath"));
        let run = command.args(["check", "shared.yaml"]).current_dir(&place).output().unwrap();
        (
            run.status.success(),
            format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr)),
        )
    };
    let (passes, said) = check("/nowhere/one.yaml");
    assert!(
        !passes
            && said.contains(r#"credentials[1] "q".slots.a.sds_file: "/nowhere/one.yaml": must be a file of its own"#)
            && said.contains("credential p slot a has this one")
            && said.contains("hint: one token for both is one credential: name p in both servers"),
        "{said}"
    );
    assert!(check("/nowhere/other.yaml").0);
}
