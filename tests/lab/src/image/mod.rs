//! Images for `make dist`: OCI image layouts as one tar file, of what is given, byte for byte the same each time.
//!
//! `skopeo copy oci-archive:FILE docker://...`, `crane push` and `oras cp --from-oci-layout` push such a file as it is.
//! Sources: OCI image specification 1.1 (image-layout.md, manifest.md, config.md, layer.md); for the module, what Istio and Envoy
//! Gateway read of a registry (`pkg/wasm/imagefetcher.go`), which is <https://github.com/solo-io/wasm/tree/master/spec>.

mod layer;
mod layout;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use layer::{Entry, Layer};
use layout::Layout;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Of the artifact layout: its config, and the layer with the settings that a module may bring (ours brings none).
const MODULE_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const MODULE_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

/// What every image says of itself.
#[derive(Debug, Clone, clap::Args)]
pub struct About {
    /// The version, and the tag
    #[arg(long)]
    pub version: String,
    /// The commit
    #[arg(long, default_value = "unknown")]
    pub revision: String,
    /// When the commit was made, as RFC 3339 has it
    #[arg(long, default_value = "1970-01-01T00:00:00Z")]
    pub created: String,
}

/// Which image.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Kind {
    /// The module in the artifact layout: a layer is the module itself
    Artifact {
        /// dualpath.wasm
        module: PathBuf,
    },
    /// The module in the compat layout: plugin.wasm in an image's only layer; also as dualpath.wasm, for image volumes
    Compat {
        /// dualpath.wasm
        module: PathBuf,
    },
    /// Envoy and the module. The same image for several kinds of machine
    Envoy {
        /// dualpath.wasm
        module: PathBuf,
        /// ARCHITECTURE=FOLDER: the root of the image's files but the module; amd64 or arm64
        #[arg(long = "root", required = true, value_parser = root)]
        roots: Vec<(String, PathBuf)>,
    },
}

fn root(text: &str) -> Result<(String, PathBuf), String> {
    let (architecture, folder) = text.split_once('=').ok_or("must be ARCHITECTURE=FOLDER")?;
    Ok((architecture.to_owned(), folder.into()))
}

/// Writes the image to `output`.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write(kind: &Kind, about: &About, output: &Path) -> io::Result<()> {
    let mut layout = Layout::default();
    match kind {
        Kind::Artifact { module } => {
            let module = layout.add(MODULE_LAYER, fs::read(module)?).titled("plugin.wasm");
            // Readers want two layers, the second one with the module's own settings. Ours come from the registry.
            let settings = layout.add(MODULE_CONFIG, b"{}".to_vec()).titled("runtime-config.json");
            let config = layout.add(MODULE_CONFIG, b"{}".to_vec());
            let image = layout.image(&config, &[settings, module], about);
            layout.list(image, about);
        }
        Kind::Compat { module } => {
            let module = fs::read(module)?;
            let files = ["dualpath.wasm", "plugin.wasm"].map(|name| Entry::file(name, module.clone()));
            let layer = Layer::of(&files)?;
            let config = config("wasm", "wasip1", about, &[&layer], json!({}));
            let image = layout.ordinary(&config, &[layer], about);
            layout.list(image, about);
        }
        Kind::Envoy { module, roots } => {
            let module = Entry::file("opt/dualpath/dualpath.wasm", fs::read(module)?);
            let top = Layer::of(&[Entry::folder("opt"), Entry::folder("opt/dualpath"), module])?;
            let images = roots.iter().map(|(architecture, folder)| {
                let layers = [Layer::of(&layer::below(folder)?)?, top.clone()];
                let config = config(architecture, "linux", about, &layers.each_ref(), run());
                let image = layout.ordinary(&config, &layers, about);
                Ok(image.of_platform(architecture, "linux"))
            });
            let images = images.collect::<io::Result<Vec<_>>>()?;
            let index = layout.index(&images, about);
            layout.list(index, about);
        }
    }
    fs::write(output, layout.into_tar()?)
}

/// How the image with Envoy is run. Nobody's user; nothing of the image need be writable.
fn run() -> Value {
    json!({
        "User": "10001:10001",
        "Env": ["PATH=/usr/local/bin"],
        "Entrypoint": ["/usr/local/bin/envoy"],
        "Cmd": ["--config-path", "/etc/dualpath/bootstrap.yaml", "--disable-hot-restart"],
        "WorkingDir": "/",
    })
}

/// An image's config.
fn config(architecture: &str, os: &str, about: &About, layers: &[&Layer], mut run: Value) -> Value {
    run["Labels"] = about.annotations();
    let history = layers.iter().map(|_| json!({"created": about.created, "created_by": "make dist"}));
    json!({
        "created": about.created,
        "architecture": architecture,
        "os": os,
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| &layer.diff_id).collect::<Vec<_>>()},
        "history": history.collect::<Vec<_>>(),
    })
}

impl About {
    fn annotations(&self) -> Value {
        json!({
            "org.opencontainers.image.created": self.created,
            "org.opencontainers.image.description": "A WebAssembly filter for Envoy that keeps MCP tool calls answered",
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.revision": self.revision,
            "org.opencontainers.image.title": "dualpath",
            "org.opencontainers.image.version": self.version,
        })
    }
}
