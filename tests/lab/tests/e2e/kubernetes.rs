//! A Kubernetes secret as kubelet mounts it, with the files that the manifests in `envoy/kubernetes` make of it, in front of
//! the real Envoy; and what `dualpath pat status` says of that Envoy.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dualpath_lab::stub::Config;
use dualpath_lab::traffic::Traffic;
use serde_json::{Value, json};

use crate::world::{World, dualpath};

const EXTERNAL_SECRET: &str = include_str!("../../../../envoy/kubernetes/external-secrets.yaml");

const DAY: u64 = 86_400;

/// A directory as kubelet keeps it: the files are links through `..data`, which is exchanged for another directory in one
/// rename.
struct Volume {
    path: PathBuf,
    version: u32,
}

impl Volume {
    /// With the secret that External Secrets makes of these values for slot a and slot b.
    fn new(path: PathBuf, values: [&str; 2]) -> Self {
        fs::create_dir(&path).unwrap();
        let mut volume = Volume { path, version: 0 };
        volume.swap(values);
        for file in ["pat-a.yaml", "pat-b.yaml"] {
            symlink(Path::new("..data").join(file), volume.path.join(file)).unwrap();
        }
        volume
    }

    fn swap(&mut self, values: [&str; 2]) {
        let directory = |version: u32| format!("..2026_11_26_08_30_00.{version}");
        let (old, new) = (directory(self.version), directory(self.version + 1));
        self.version += 1;
        fs::create_dir(self.path.join(&new)).unwrap();
        for (slot, value) in ["a", "b"].into_iter().zip(values) {
            fs::write(self.path.join(&new).join(format!("pat-{slot}.yaml")), rendered(slot, value)).unwrap();
        }
        symlink(&new, self.path.join("..data_tmp")).unwrap();
        fs::rename(self.path.join("..data_tmp"), self.path.join("..data")).unwrap();
        let _ = fs::remove_dir_all(self.path.join(old));
    }

    fn file(&self, slot: &str) -> PathBuf {
        self.path.join(format!("pat-{slot}.yaml"))
    }
}

/// The SDS file of the manifest's template for a value of the store, with the name of the credential of these tests.
fn rendered(slot: &str, value: &str) -> String {
    let manifest = EXTERNAL_SECRET.split("\n---\n").nth(1).expect("the second document");
    let manifest: Value = serde_saphyr::from_str(manifest).expect("YAML");
    let template =
        manifest["spec"]["target"]["template"]["data"][format!("pat-{slot}.yaml")].as_str().expect("a template");
    let expression = format!("{{{{ .pat_{slot} | trim | toJson }}}}");
    assert!(template.contains(&expression), "{template}");
    template.replace(&expression, &json!(value.trim()).to_string()).replace("snowflake-pat-", "pat-primary-")
}

/// A token that tells when it was issued and when it ends, in days from now.
fn token(name: &str, issued: i64, expires: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let at = |days: i64| now.saturating_add_signed(days * DAY as i64 + 60);
    let payload = json!({"iat": at(issued) - 120, "exp": at(expires)}).to_string();
    format!("eyJhbGciOiJSUzI1NiJ9.{}.{name}", URL_SAFE_NO_PAD.encode(payload))
}

/// `dualpath pat status` about the world's Envoy: exit status and text, which shows none of these tokens.
fn status(world: &World, tokens: &[&str]) -> (i32, String) {
    let registry = world.envoy.scratch().path().join("registry.json");
    fs::write(&registry, world.registry.tree().to_string()).unwrap();
    let admin = format!("http://{}", world.envoy.admin_addr());
    let run = Command::new(dualpath())
        .args(["pat", "status"])
        .arg(registry)
        .args(["--admin", &admin])
        .output()
        .expect("the binary runs");
    let text = String::from_utf8(run.stdout).unwrap() + &String::from_utf8_lossy(&run.stderr);
    assert!(tokens.iter().all(|token| !text.contains(token)), "{text}");
    (run.status.code().expect("no signal"), text)
}

/// The status once it holds `lines`.
async fn status_until(world: &World, tokens: &[&str], lines: &[&str]) -> i32 {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let (code, text) = status(world, tokens);
        if lines.iter().all(|line| text.contains(line)) {
            return code;
        }
        assert!(Instant::now() < deadline, "{lines:?} are not in\n{text}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn until_shown(world: &World, token: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let value = format!("Bearer {token}");
    while world.primary.received().last().and_then(|request| request.header("authorization").map(str::to_owned))
        != Some(value.clone())
    {
        assert!(Instant::now() < deadline, "the token of the swapped secret is not used");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_kubernetes_secret_is_rotated_under_load_and_pat_status_follows() {
    let (old, new) = (token("old-7b1f", -80, 2), token("new-c90e", 0, 80));
    let tokens = [old.as_str(), new.as_str()];
    let mut mounted = None;
    let world = World::start_with(|options| {
        let volume = Volume::new(options.scratch.path().join("dualpath-pat"), [&old, ""]);
        let slots = json!({"a": {"sds_file": volume.file("a")}, "b": {"sds_file": volume.file("b")}});
        options.set("/credentials/0/slots", slots);
        options.primary = Config { tokens: vec![old.clone(), new.clone()], ..Config::mcp("primary") };
        mounted = Some(volume);
    })
    .await;
    let mut volume = mounted.expect("made above");
    let traffic = Traffic::start(&world.client, 2, Duration::from_millis(10));
    traffic.next(50).await;
    let lines = ["pat-primary: ALERT, a new token is needed soon", "present, 2 days left"];
    assert_eq!(status_until(&world, &tokens, &lines).await, 1, "two days are less than seven");

    // The editor of the store left a line break.
    volume.swap([&old, &format!("{new}\n")]);
    until_shown(&world, &new).await;
    let lines = ["pat-primary: no token ends soon", "present, 80 days left", "times: a to b, newer"];
    status_until(&world, &tokens, &lines).await;
    world.primary.accept(&[&new]);
    volume.swap(["", &new]);
    traffic.next(100).await;
    let outcomes = traffic.outcomes();
    drop(traffic);
    let elsewhere: Vec<_> = outcomes.iter().filter(|o| o.answered_by.as_deref() != Ok("primary")).collect();
    assert!(elsewhere.is_empty(), "of {} calls: {elsewhere:?}", outcomes.len());
}
