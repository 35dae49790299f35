//! The layout: blobs by digest, and the index that names the images among them.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::layer::{Entry, Layer, tar};
use super::{About, CONFIG, LAYER};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The blobs so far, by digest, and what the layout's index lists.
#[derive(Debug, Default)]
pub(super) struct Layout {
    blobs: BTreeMap<String, Vec<u8>>,
    listed: Vec<Value>,
}

/// What names a blob: media type, digest, size and the like.
#[derive(Debug, Clone)]
pub(super) struct Descriptor(Value);

impl Descriptor {
    /// With the name of the file that it is.
    pub(super) fn titled(mut self, name: &str) -> Descriptor {
        self.0["annotations"] = json!({"org.opencontainers.image.title": name});
        self
    }

    /// With the machine that it is for.
    pub(super) fn of_platform(mut self, architecture: &str, os: &str) -> Descriptor {
        self.0["platform"] = json!({"architecture": architecture, "os": os});
        self
    }
}

impl Layout {
    /// Takes a blob in.
    pub(super) fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Descriptor {
        let (digest, size) = (digest(&bytes), bytes.len());
        self.blobs.insert(digest.clone(), bytes);
        Descriptor(json!({"mediaType": media_type, "digest": digest, "size": size}))
    }

    /// Takes an image's manifest in.
    pub(super) fn image(&mut self, config: &Descriptor, layers: &[Descriptor], about: &About) -> Descriptor {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.0,
            "layers": layers.iter().map(|layer| &layer.0).collect::<Vec<_>>(),
            "annotations": about.annotations(),
        });
        self.add(MANIFEST, manifest.to_string().into_bytes())
    }

    /// Takes in an image that a container can be made of.
    pub(super) fn ordinary(&mut self, config: &Value, layers: &[Layer], about: &About) -> Descriptor {
        let config = self.add(CONFIG, config.to_string().into_bytes());
        let layers: Vec<_> = layers.iter().map(|layer| self.add(LAYER, layer.bytes.clone())).collect();
        self.image(&config, &layers, about)
    }

    /// Takes in an image for several kinds of machine.
    pub(super) fn index(&mut self, images: &[Descriptor], about: &About) -> Descriptor {
        let images: Vec<_> = images.iter().map(|image| &image.0).collect();
        let index =
            json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": images, "annotations": about.annotations()});
        self.add(INDEX, index.to_string().into_bytes())
    }

    /// Lists an image, by its version.
    pub(super) fn list(&mut self, mut image: Descriptor, about: &About) {
        image.0["annotations"] = json!({"org.opencontainers.image.ref.name": about.version});
        self.listed.push(image.0);
    }

    /// The layout as tar.
    pub(super) fn into_tar(self) -> io::Result<Vec<u8>> {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.listed});
        let mut entries = vec![
            Entry::file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
            Entry::file("index.json", index.to_string().into_bytes()),
            Entry::folder("blobs"),
            Entry::folder("blobs/sha256"),
        ];
        let name = |digest: &str| format!("blobs/{}", digest.replace(':', "/"));
        entries.extend(self.blobs.into_iter().map(|(digest, bytes)| Entry::file(&name(&digest), bytes)));
        tar(&entries)
    }
}

/// A blob's name.
pub(super) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex = hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{hex}")
}
