//! Slots of several credentials that read one SDS file. Envoy asks each for a name of its own and takes one secret from a file,
//! so all but one of them would stay empty, and Envoy's log alone would say so.

use crate::cli::credentials::named_slots;
use crate::registry::{Problem, Registry, Source};
use crate::wire::VEIL;

/// A problem for each such slot behind the first. A path that is not absolute may be a token, so it is not shown.
pub(super) fn problems(registry: &Registry) -> Vec<Problem> {
    let mut seen: Vec<(&str, String)> = Vec::new();
    let mut found = Vec::new();
    for (at, credential) in registry.credentials.iter().enumerate() {
        for (slot, source) in named_slots(credential) {
            let Source::SdsFile(file) = &source.source else { continue };
            if let Some((_, first)) = seen.iter().find(|(other, _)| other == file) {
                found.push(Problem {
                    path: format!("credentials[{at}].slots.{slot}.sds_file"),
                    value: if file.starts_with('/') { format!("{file:?}") } else { VEIL.to_owned() },
                    rule: format!(
                        "must be a file of its own: Envoy takes one secret from a file, and {first} has this one"
                    ),
                    hint: Some(format!(
                        "one token for both is one credential: name {} in both servers",
                        credential_of(first)
                    )),
                });
            }
            seen.push((file, format!("credential {} slot {slot}", credential.id)));
        }
    }
    found
}

/// The id in the name of a slot.
fn credential_of(place: &str) -> &str {
    place.split(' ').nth(1).unwrap_or_default()
}
