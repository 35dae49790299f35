//! What a pod has for a registry: where its files are, which ports it opens, and which secrets it needs.

use std::path::Path;

use crate::cli::render::target::Job;
use crate::credential::Slot;
use crate::registry::{Admin, Registry, Source};

/// Where the pod has the module.
const MODULE: &str = "/opt/dualpath/dualpath.wasm";

/// Where Envoy's own container has its admin interface, and no other.
const ADMIN: &str = "/run/dualpath/admin.sock";

/// The folders of the pod's own, and where the images have a link to the last.
const FOLDERS: [&str; 4] = ["/etc/envoy-dualpath", "/opt/dualpath", "/run/dualpath", "/var/run/dualpath"];

/// The volumes of its own.
const VOLUMES: [&str; 3] = ["envoy", "module", "admin"];

/// The most that each of two workers may hold in the 512 MiB that the container has, in bytes: Envoy needs about 115 MiB, and
/// at the worst twice as much as a worker holds.
const HELD: u32 = 96 << 20;

/// Port of the metrics, unless the registry says another.
const METRICS: u16 = 9902;

/// The secret with the environment variables.
pub(super) const VARIABLES: &str = "dualpath-env";

/// A secret of Kubernetes that is mounted as a folder.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli::render::target) struct Mounted {
    /// Its name, and that of the folder.
    pub name: String,
    /// The name of the volume, which no other of the pod has.
    pub volume: String,
    /// The folder.
    pub path: String,
    /// Its keys, which are files of it.
    pub files: Vec<SecretFile>,
}

/// A file with a secret for Envoy.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli::render::target) struct SecretFile {
    pub key: String,
    /// The credential, and its slot; none for the certificate that is shown to a server.
    pub slot: Option<(String, Slot)>,
}

/// The pod.
#[derive(Debug)]
pub(in crate::cli::render::target) struct Pod {
    /// The registry, with the places that the pod has.
    pub registry: Registry,
    pub metrics_port: u16,
    pub mounted: Vec<Mounted>,
    /// Environment variables with secrets.
    pub variables: Vec<String>,
    pub notes: Vec<String>,
}

impl Pod {
    /// # Errors
    /// What of the registry a pod cannot have, and what to write instead.
    pub fn of(job: &Job) -> Result<Self, String> {
        let mut registry = job.registry.clone();
        let mut notes = Vec::new();
        let metrics_port = registry.envoy.metrics.as_ref().map_or(METRICS, |(_, port)| *port);
        for (key, is_other) in [
            ("wasm_file", registry.envoy.wasm_file != MODULE),
            ("admin_address", registry.envoy.admin != Admin::Socket(ADMIN.to_owned())),
            ("metrics_address", registry.envoy.metrics.as_ref().is_none_or(|(address, _)| address != "0.0.0.0")),
        ] {
            if is_other && job.wire.pointer(&format!("/envoy/{key}")).is_some() {
                notes.push(format!("envoy.{key} is another in the pod, which has a place of its own for it"));
            }
        }
        registry.envoy.wasm_file = MODULE.to_owned();
        registry.envoy.admin = Admin::Socket(ADMIN.to_owned());
        registry.envoy.metrics = Some(("0.0.0.0".to_owned(), metrics_port));
        if registry.limits.held > HELD {
            notes.push(format!(
                "limits.held is {} MiB: two workers may then need more than the 512Mi of memory that Envoy's container has. Write \
                 {} MiB, or give the container more",
                registry.limits.held >> 20,
                HELD >> 20
            ));
        }
        let (mut mounted, mut variables) = (Vec::new(), Vec::new());
        for credential in &registry.credentials {
            for (slot, source) in [Slot::A, Slot::B].into_iter().zip(&credential.slots) {
                match source.as_ref().map(|slot| &slot.source) {
                    Some(Source::SdsFile(file)) => add(&mut mounted, file, Some((credential.id.to_string(), slot)))?,
                    Some(Source::Environment(name)) if !variables.contains(name) => variables.push(name.clone()),
                    _ => {}
                }
            }
        }
        for server in &registry.servers {
            if let Some(file) = &server.upstream.tls.client_certificate {
                add(&mut mounted, file, None)?;
            }
            if let Some(file) = &server.ca_file {
                notes.push(format!(
                    "servers \"{}\".ca_file: mount {file} into the container envoy yourself, from a ConfigMap",
                    server.id
                ));
            }
        }
        Ok(Pod { registry, metrics_port, mounted, variables, notes })
    }
}

fn add(mounted: &mut Vec<Mounted>, file: &str, slot: Option<(String, Slot)>) -> Result<(), String> {
    let path = Path::new(file);
    let (folder, key) =
        (path.parent().filter(|folder| folder.is_absolute()), path.file_name().and_then(|name| name.to_str()));
    let (Some(folder), Some(key), Some(name)) = (folder, key, secret(file)) else {
        return Err(format!(
            "{file}: a pod mounts a secret as a folder and calls both alike: write /var/run/NAME/{}, with NAME of a-z, 0-9 and -",
            key.unwrap_or("pat-a.yaml")
        ));
    };
    if FOLDERS.iter().any(|own| folder.starts_with(own)) {
        return Err(format!("{file}: the pod has a folder of its own there: write /var/run/dualpath-pat/{key}"));
    }
    let path = folder.to_string_lossy().into_owned();
    let file = SecretFile { key: key.to_owned(), slot };
    match mounted.iter_mut().find(|there| there.name == name) {
        Some(there) if there.path != path => Err(format!(
            "{path}: is called as {}, and so would be the secret: give one of the folders another name",
            there.path
        )),
        Some(there) => {
            there.files.push(file);
            Ok(())
        }
        None => {
            let volume = volume(mounted, name);
            mounted.push(Mounted { name: name.to_owned(), volume, path, files: vec![file] });
            Ok(())
        }
    }
}

/// The name of the secret whose key this file is, which is that of its folder; none where Kubernetes takes no such name.
pub(in crate::cli) fn secret(file: &str) -> Option<&str> {
    let folder = Path::new(file).parent().filter(|folder| folder.is_absolute())?;
    folder.file_name().and_then(|name| name.to_str()).filter(|name| is_a_name(name))
}

/// A name for the volume of this secret: a pod's volumes are its own, so they need no prefix unless another is called so.
fn volume(mounted: &[Mounted], name: &str) -> String {
    let is_free = |volume: &str| {
        !volume.is_empty() && !VOLUMES.contains(&volume) && mounted.iter().all(|there| there.volume != volume)
    };
    let short = name.strip_prefix("dualpath-").unwrap_or(name);
    [short, name].into_iter().find(|volume| is_free(volume)).map_or_else(|| format!("secret-{name}"), str::to_owned)
}

/// Whether Kubernetes takes it for the name of a secret and of a volume.
fn is_a_name(name: &str) -> bool {
    let within = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !name.is_empty() && name.len() <= 50 && name.bytes().all(within) && !name.starts_with('-') && !name.ends_with('-')
}

impl Pod {
    pub fn has_secrets(&self) -> bool {
        !(self.mounted.is_empty() && self.variables.is_empty())
    }

    /// The secrets that the pod needs, by name.
    pub fn secret_names(&self) -> Vec<&str> {
        let variables = (!self.variables.is_empty()).then_some(VARIABLES);
        self.mounted.iter().map(|one| one.name.as_str()).chain(variables).collect()
    }

    /// What the agent calls.
    pub fn url(&self) -> String {
        let listener = &self.registry.listener;
        let address = crate::cli::render::local(&listener.address);
        let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        format!("http://{host}:{}{}", listener.port, listener.path)
    }
}
