//! Secrets that Envoy fetches, from SDS files and servers: one native injector per slot puts the secret into a private
//! request header, where the attempt filter finds it. The module itself cannot read files, and this way a replaced file
//! takes effect at once. Also the clusters of the places that secrets come from.

use serde_json::{Value, json};

use super::extension::extension;
use super::upstream;
use super::wasm_plugin::{self, Placement};
use crate::credential::Slot;
use crate::registry::{Credential, Registry, Source};
use crate::wiring::{cluster, header};

/// The injectors of `credential`, in the order of its slots. Slots from the environment need none.
pub(super) fn injectors(credential: &Credential) -> Vec<Value> {
    let slots = Slot::BOTH.into_iter().zip(header::SLOTS).zip(&credential.slots);
    slots
        .filter_map(|((slot, header), source)| {
            let config = match &source.as_ref()?.source {
                Source::SdsFile(file) => upstream::sds_file(file),
                Source::SdsGrpc(_) => sds_grpc(&cluster::secret(credential.id.as_str(), slot)),
                Source::Environment(_) | Source::Endpoint(_) | Source::Inline(_) => return None,
            };
            Some(injector(credential, slot, header, &config))
        })
        .collect()
}

/// The clusters that the prober asks about the credentials. No request leaves Envoy there: the keeper answers each.
pub(super) fn keepers(registry: &Registry, wire: &Value) -> Vec<Value> {
    let keeper = |credential: &Credential| {
        let mut filters = injectors(credential);
        filters.push(wasm_plugin::filter(registry, wire, Placement::Keeper(&credential.id)));
        upstream::nowhere(&cluster::credential(credential.id.as_str()), filters)
    };
    registry.credentials.iter().map(keeper).collect()
}

/// The clusters of secret servers and token endpoints.
pub(super) fn clusters(registry: &Registry) -> Vec<Value> {
    let slots = registry.credentials.iter().flat_map(|credential| {
        Slot::BOTH.into_iter().zip(&credential.slots).filter_map(move |(slot, source)| {
            let (url, http2) = match &source.as_ref()?.source {
                Source::SdsGrpc(url) => (url, true),
                Source::Endpoint(endpoint) => (&endpoint.url, false),
                Source::SdsFile(_) | Source::Environment(_) | Source::Inline(_) => return None,
            };
            Some(upstream::plain(&cluster::secret(credential.id.as_str(), slot), url, http2))
        })
    });
    slots.collect()
}

fn injector(credential: &Credential, slot: Slot, header: &str, config: &Value) -> Value {
    let slot = slot.as_str();
    // A slot may be empty while the other one is in use; the attempt filter refuses calls that have neither.
    inject(&format!("dualpath.slot_{slot}"), &format!("{}-{slot}", credential.id), header, config, true)
}

/// What hands the module the token of the page for operators. While there is none Envoy answers 401 itself, so nobody can bring
/// one of their own.
pub(super) fn status_token(file: &str) -> Value {
    let [slot, _] = header::SLOTS;
    inject("dualpath.status_token", "status-token", slot, &upstream::sds_file(file), false)
}

fn inject(filter: &str, secret: &str, header: &str, config: &Value, may_be_missing: bool) -> Value {
    extension(
        filter,
        "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
        json!({
            // Headers outlive an attempt: without overwriting, the secret of the server before would stay. And a client may
            // have sent one of that name.
            "overwrite": true,
            "allow_request_without_credential": may_be_missing,
            "credential": extension(
                "envoy.http.injected_credentials.generic",
                "envoy.extensions.http.injected_credentials.generic.v3.Generic",
                json!({"credential": {"name": secret, "sds_config": config}, "header": header}),
            ),
        }),
    )
}

/// The secret server behind the cluster of this name.
fn sds_grpc(cluster: &str) -> Value {
    json!({
        "api_config_source": {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {"cluster_name": cluster}}],
        },
        "resource_api_version": "V3",
        // Envoy waits so long for the secret before it begins to serve; without it the slot is empty.
        "initial_fetch_timeout": "5s",
    })
}
