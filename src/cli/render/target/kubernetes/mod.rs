//! Manifests for a sidecar beside an agent, put together by kustomize. `envoy/kubernetes` is what comes of the registry there, and
//! what others are made from.
//!
//! Everything but the bootstrap is the operator's: it is written once, to begin with.

mod pod;
mod secrets;

use std::fs;

use super::{File, Job, Output, Rendered, envoy};
pub(super) use pod::Pod;
pub(in crate::cli) use pod::secret;

const SIDECAR: &str = include_str!("../../../../../envoy/kubernetes/sidecar.yaml");
const KUSTOMIZATION: &str = include_str!("../../../../../envoy/kubernetes/kustomization.yaml");
const DOCKERFILE: &str = include_str!("../../../../../envoy/kubernetes/Dockerfile");
const POD_MONITOR: &str = include_str!("../../../../../envoy/kubernetes/podmonitor.yaml");
const ROTATOR: &str = include_str!("../../../../../envoy/kubernetes/rotator.yaml");

/// What of the manifests a registry decides, as it stands in them.
mod example {
    pub const URL: &str = "http://127.0.0.1:10000/mcp";
    pub const PORT: &str = "9902";
    pub const ARGUMENTS: &str = "          args: [--config-path, /etc/envoy-dualpath/bootstrap.yaml, --disable-hot-restart, --concurrency, \"2\"]\n";
    pub const MOUNT: &str = "            # The whole directory and no subPath: kubelet does not update a single mounted file.\n            \
                             - {name: pat, mountPath: /var/run/dualpath-pat, readOnly: true}\n";
    pub const VOLUME: &str =
        "        - name: pat\n          secret:\n            secretName: dualpath-pat\n            defaultMode: 0440\n";
    pub const SECRETS: &str = "  - external-secrets.yaml\n  # - secret.yaml\n  # - rotator.yaml\n";
    pub const SECRET: &str = "dualpath-pat";
    /// What is said of secrets, and what stands there without any.
    pub const OF_SECRETS: [(&str, &str); 5] = [
        ("# The sidecar and the secret that External Secrets fills. First,", "# The sidecar. First,"),
        ("#\n# Without External Secrets, take external-secrets.yaml out and fill secret.yaml by hand instead.\n", ""),
        (" The secret's does not: a new\n  # token reaches running pods.", ""),
        (
            ": kubelet mounts the secret, so the pod needs no role and its\n# service account no token.",
            ", so the pod needs no role and its\n# service account no token.",
        ),
        ("fsGroup: 10001      # the group that may read the mounted secret\n", "fsGroup: 10001\n"),
    ];
}

pub(super) fn render(job: &Job) -> Result<Rendered, String> {
    let pod = Pod::of(job)?;
    let mut notes = pod.notes.clone();
    let of_pod = Job { registry: &pod.registry, ..*job };
    let bootstrap = envoy::text(
        &of_pod,
        &["kubectl apply -k .   (in this folder, see kustomization.yaml)"],
        &["kubectl rollout undo deployment/agent"],
        &mut notes,
    )?;
    let yours = |path: &str, text: String| File { path: path.to_owned(), text, is_yours: true };
    let mut files = vec![
        File { path: "bootstrap.yaml".to_owned(), text: bootstrap, is_yours: false },
        yours("kustomization.yaml", kustomization(&pod)),
        yours("sidecar.yaml", sidecar(&pod)),
        yours("Dockerfile", DOCKERFILE.to_owned()),
        yours("podmonitor.yaml", POD_MONITOR.to_owned()),
    ];
    if pod.has_secrets() {
        files.push(yours("secret.yaml", secrets::by_hand(&pod)));
        files.push(yours("external-secrets.yaml", secrets::external(&pod)));
        files.push(yours(
            "rotator.yaml",
            ROTATOR.replace(&format!("[{}]", example::SECRET), &format!("[{}]", pod.secret_names().join(", "))),
        ));
    }
    if let Some(folder) = job.output {
        for file in files.iter().filter(|file| file.is_yours) {
            let there = fs::read_to_string(folder.join(&file.path)).ok().filter(|there| *there != file.text);
            notes.extend(there.into_iter().flat_map(|there| lacks(&pod, &file.path, &there)));
        }
    }
    Ok(Rendered { output: Output::Folder(files), notes })
}

/// The agent and Envoy beside it.
fn sidecar(pod: &Pod) -> String {
    let mut mounts = String::new();
    let mut volumes = String::new();
    for one in &pod.mounted {
        let (volume, name, path) = (&one.volume, &one.name, &one.path);
        if mounts.is_empty() {
            mounts.push_str(
                "            # The whole directory and no subPath: kubelet does not update a single mounted file.\n",
            );
        }
        mounts.push_str(&format!("            - {{name: {volume}, mountPath: {path}, readOnly: true}}\n"));
        volumes.push_str(&format!("        - name: {volume}\n          secret:\n            secretName: {name}\n            defaultMode: 0440\n"));
    }
    let mut arguments = example::ARGUMENTS.to_owned();
    for (number, name) in pod.variables.iter().enumerate() {
        if number == 0 {
            arguments.push_str("          env:\n");
        }
        arguments.push_str(&format!(
            "            - {{name: {name}, valueFrom: {{secretKeyRef: {{name: {}, key: {name}}}}}}}\n",
            pod::VARIABLES
        ));
    }
    let text = SIDECAR
        .replace(example::URL, &pod.url())
        .replace(example::PORT, &pod.metrics_port.to_string())
        .replace(example::ARGUMENTS, &arguments)
        .replace(example::MOUNT, &mounts)
        .replace(example::VOLUME, &volumes);
    if pod.mounted.is_empty() { without_secrets(text) } else { text }
}

fn kustomization(pod: &Pod) -> String {
    if pod.has_secrets() {
        return KUSTOMIZATION.to_owned();
    }
    without_secrets(KUSTOMIZATION.replace(example::SECRETS, ""))
}

/// The text of a pod that has none.
fn without_secrets(text: String) -> String {
    example::OF_SECRETS.iter().fold(text, |text, (said, instead)| text.replace(said, instead))
}

/// What a file that is the operator's does not have, and needs for this registry.
fn lacks(pod: &Pod, file: &str, there: &str) -> Vec<String> {
    let keys = || pod.mounted.iter().flat_map(|one| &one.files).map(|file| format!("{}:", file.key));
    let variables = || pod.variables.iter().cloned();
    let needed: Vec<String> = match file {
        "sidecar.yaml" => {
            let mounts = pod.mounted.iter().map(|one| format!("mountPath: {}", one.path));
            let variables = pod.variables.iter().map(|name| format!("name: {name}"));
            let ports = [format!("containerPort: {}", pod.metrics_port), format!("\"{}\"", pod.url())];
            mounts.chain(variables).chain(ports).collect()
        }
        "secret.yaml" | "external-secrets.yaml" => pod
            .secret_names()
            .into_iter()
            .map(|name| format!("name: {name}"))
            .chain(keys())
            .chain(variables())
            .collect(),
        "rotator.yaml" => pod.secret_names().into_iter().map(str::to_owned).collect(),
        "kustomization.yaml"
            if pod.has_secrets() && !there.contains("secret.yaml") && !there.contains("secrets.yaml") =>
        {
            vec!["- external-secrets.yaml".to_owned()]
        }
        _ => Vec::new(),
    };
    // What is said in comments is not there.
    let there: String = there.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    let missing = needed.into_iter().filter(|needed| !there.contains(needed.as_str()));
    missing
        .map(|needed| format!("{file} is yours and has no `{needed}`, which this registry needs: render into an empty folder to see where"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_a_registry_decides_is_found_in_the_manifests() {
        for part in [example::URL, example::PORT, example::ARGUMENTS, example::MOUNT, example::VOLUME] {
            assert!(SIDECAR.contains(part), "{part}");
        }
        assert!(KUSTOMIZATION.contains(example::SECRETS) && ROTATOR.contains(example::SECRET));
        for (said, _) in example::OF_SECRETS {
            assert!(KUSTOMIZATION.contains(said) || SIDECAR.contains(said), "{said}");
        }
        assert!(DOCKERFILE.contains("dualpath.wasm") && POD_MONITOR.contains("port: metrics"));
    }
}
