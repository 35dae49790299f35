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
    let sidecar = sidecar(&pod);
    if let Some(folder) = job.output {
        let there = fs::read_to_string(folder.join("sidecar.yaml")).ok();
        notes.extend(there.filter(|there| *there != sidecar).into_iter().flat_map(|there| lacks(&pod, &there)));
    }
    let yours = |path: &str, text: String| File { path: path.to_owned(), text, is_yours: true };
    let mut files = vec![
        File { path: "bootstrap.yaml".to_owned(), text: bootstrap, is_yours: false },
        yours("kustomization.yaml", kustomization(&pod)),
        yours("sidecar.yaml", sidecar),
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
    SIDECAR
        .replace(example::URL, &pod.url())
        .replace(example::PORT, &pod.metrics_port.to_string())
        .replace(example::ARGUMENTS, &arguments)
        .replace(example::MOUNT, &mounts)
        .replace(example::VOLUME, &volumes)
}

fn kustomization(pod: &Pod) -> String {
    if pod.has_secrets() {
        return KUSTOMIZATION.to_owned();
    }
    KUSTOMIZATION.replace(example::SECRETS, "")
}

/// What an operator's own sidecar does not have, and needs for this registry.
fn lacks(pod: &Pod, sidecar: &str) -> Vec<String> {
    let mut needed: Vec<String> = pod.mounted.iter().map(|one| format!("mountPath: {}", one.path)).collect();
    needed.extend(pod.variables.iter().map(|name| format!("name: {name}")));
    needed.push(format!("containerPort: {}", pod.metrics_port));
    let missing = needed.into_iter().filter(|needed| !sidecar.contains(needed.as_str()));
    missing
        .map(|needed| format!("sidecar.yaml is yours and has no `{needed}`, which this registry needs: render into an empty folder to see where"))
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
        assert!(DOCKERFILE.contains("dualpath.wasm") && POD_MONITOR.contains("port: metrics"));
    }
}
