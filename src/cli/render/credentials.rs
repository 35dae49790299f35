//! Secrets from SDS files: one native injector per slot puts the secret into a private request header, where the
//! attempt filter finds it. The module itself cannot read files, and this way a replaced file takes effect at once.

use std::path::Path;

use serde_json::{Value, json};

use super::extension::extension;
use crate::registry::{Credential, Source};

/// The slots of a credential: the suffix of the secret's name and the private header.
pub(super) const SLOTS: [(&str, &str); 2] = [("a", "x-dualpath-slot-a"), ("b", "x-dualpath-slot-b")];

/// The injectors of `credential`, in the order of its slots. Slots from the environment need none.
pub(super) fn injectors(credential: &Credential) -> Vec<Value> {
    let slots = SLOTS.iter().zip(&credential.slots);
    slots
        .filter_map(|((slot, header), source)| match source {
            Some(Source::SdsFile(file)) => Some(injector(credential, slot, header, file)),
            Some(Source::Environment(_)) | None => None,
        })
        .collect()
}

fn injector(credential: &Credential, slot: &str, header: &str, file: &str) -> Value {
    extension(
        &format!("dualpath.slot_{slot}"),
        "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
        json!({
            // Headers outlive an attempt: without overwriting, the secret of the server before would stay.
            "overwrite": true,
            // A slot may be empty while the other one is in use; the attempt filter refuses calls that have neither.
            "allow_request_without_credential": true,
            "credential": extension(
                "envoy.http.injected_credentials.generic",
                "envoy.extensions.http.injected_credentials.generic.v3.Generic",
                json!({
                    "credential": {"name": format!("{}-{slot}", credential.id), "sds_config": sds(file)},
                    "header": header,
                }),
            ),
        }),
    )
}

/// The file, watched together with its directory: a mounted Kubernetes secret changes by a symbolic link beside it.
fn sds(file: &str) -> Value {
    let directory = match Path::new(file).parent().and_then(Path::to_str) {
        None | Some("") => ".",
        Some(directory) => directory,
    };
    json!({
        "path_config_source": {"path": file, "watched_directory": {"path": directory}},
        "resource_api_version": "V3",
    })
}
