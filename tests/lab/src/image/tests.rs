use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::layout::digest;
use super::{About, Kind, write};
use crate::scratch::Scratch;

const MODULE: &[u8] = b"\0asm\x01\0\0\0";

type Files = BTreeMap<String, Vec<u8>>;

fn about() -> About {
    About { version: "1.2.3".into(), revision: "abc".into(), created: "2026-11-28T00:00:00Z".into() }
}

/// Every file of a tar, and the modes of those that have no bytes or may be executed.
fn untar(bytes: &[u8]) -> Files {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().expect("a tar");
    let read = entries.map(|entry| {
        let mut entry = entry.expect("an entry");
        let header = entry.header();
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (0, 0, 0));
        let mut path = entry.path().unwrap().to_string_lossy().into_owned();
        if let Some(target) = entry.link_name().unwrap() {
            path += &format!(" -> {}", target.display());
        } else if header_is_executable(entry.header()) {
            path += " *";
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (path, bytes)
    });
    read.collect()
}

fn header_is_executable(header: &tar::Header) -> bool {
    header.entry_type().is_file() && header.mode().unwrap() & 0o111 != 0
}

/// A layout as a registry's client has it.
struct Pulled {
    blobs: Files,
    index: Value,
}

impl Pulled {
    fn of(scratch: &Scratch, kind: &Kind) -> Pulled {
        let [first, second] = ["first.tar", "second.tar"].map(|name| {
            let output = scratch.path().join(name);
            write(kind, &about(), &output).expect("an image");
            fs::read(output).expect("what was written")
        });
        assert_eq!(first, second, "an image is the same each time");
        let mut files = untar(&first);
        assert_eq!(files.remove("oci-layout").unwrap(), br#"{"imageLayoutVersion":"1.0.0"}"#);
        let index = serde_json::from_slice(&files.remove("index.json").unwrap()).unwrap();
        let blobs = files.into_iter().filter(|(path, _)| !path.ends_with('/')).map(|(path, bytes)| {
            let name = path.strip_prefix("blobs/").expect("a blob").replace('/', ":");
            assert_eq!(digest(&bytes), name, "a blob's name is its digest");
            (name, bytes)
        });
        Pulled { blobs: blobs.collect(), index }
    }

    /// The blob that a descriptor names.
    fn blob(&self, descriptor: &Value) -> &[u8] {
        let blob = &self.blobs[descriptor["digest"].as_str().unwrap()];
        assert_eq!(descriptor["size"], json!(blob.len()));
        blob
    }

    fn json(&self, descriptor: &Value) -> Value {
        serde_json::from_slice(self.blob(descriptor)).unwrap()
    }

    /// What the tag names.
    fn tagged(&self) -> Value {
        assert_eq!(self.index["manifests"].as_array().unwrap().len(), 1);
        let tagged = &self.index["manifests"][0];
        assert_eq!(tagged["annotations"], json!({"org.opencontainers.image.ref.name": "1.2.3"}));
        self.json(tagged)
    }

    /// The files of an image's layer, which has to be what its config says.
    fn layer(&self, manifest: &Value, at: usize) -> Files {
        let layer = &manifest["layers"][at];
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
        let mut tar = Vec::new();
        GzDecoder::new(self.blob(layer)).read_to_end(&mut tar).unwrap();
        let config = self.json(&manifest["config"]);
        assert_eq!(config["rootfs"]["diff_ids"][at], json!(digest(&tar)));
        untar(&tar)
    }
}

fn with_module() -> (Scratch, PathBuf) {
    let scratch = Scratch::new().expect("a directory");
    let module = scratch.path().join("dualpath.wasm");
    fs::write(&module, MODULE).expect("a file");
    (scratch, module)
}

#[test]
fn the_artifact_has_two_layers_one_of_them_the_module_itself_as_meshes_want_it() {
    let (scratch, module) = with_module();
    let pulled = Pulled::of(&scratch, &Kind::Artifact { module });
    let manifest = pulled.tagged();
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.module.wasm.config.v1+json");
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    let wasm = layers.iter().find(|layer| layer["mediaType"] == "application/vnd.module.wasm.content.layer.v1+wasm");
    assert_eq!(pulled.blob(wasm.unwrap()), MODULE);
}

#[test]
fn the_compat_image_has_one_compressed_layer_with_plugin_wasm_as_meshes_want_it() {
    let (scratch, module) = with_module();
    let pulled = Pulled::of(&scratch, &Kind::Compat { module });
    let manifest = pulled.tagged();
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    let files = pulled.layer(&manifest, 0);
    assert_eq!(files["plugin.wasm"], MODULE);
    assert_eq!(files["dualpath.wasm"], MODULE, "the name that image volumes go by");
}

#[test]
fn the_image_with_envoy_has_the_module_where_the_manifests_look_for_it_on_every_machine() {
    let (scratch, module) = with_module();
    let root = |architecture: &str| {
        let root = scratch.path().join(architecture);
        fs::create_dir_all(root.join("usr/local/bin")).unwrap();
        let envoy = root.join("usr/local/bin/envoy");
        fs::write(&envoy, architecture).unwrap();
        fs::set_permissions(envoy, fs::Permissions::from_mode(0o700)).unwrap();
        symlink("usr/local", root.join("lib64")).unwrap();
        (architecture.to_owned(), root)
    };
    let pulled = Pulled::of(&scratch, &Kind::Envoy { module, roots: vec![root("amd64"), root("arm64")] });
    let index = pulled.tagged();
    let images = index["manifests"].as_array().unwrap();
    for (image, architecture) in images.iter().zip(["amd64", "arm64"]) {
        assert_eq!(image["platform"], json!({"architecture": architecture, "os": "linux"}));
        let manifest = pulled.json(image);
        let config = pulled.json(&manifest["config"]);
        assert_eq!(config["architecture"], architecture);
        assert_eq!(config["config"]["User"], "10001:10001");
        let base = pulled.layer(&manifest, 0);
        assert_eq!(base["usr/local/bin/envoy *"], architecture.as_bytes());
        assert!(base.contains_key("lib64 -> usr/local"), "{base:?}");
        assert_eq!(pulled.layer(&manifest, 1)["opt/dualpath/dualpath.wasm"], MODULE);
    }
}
