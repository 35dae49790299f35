//! Looks for a slot's token in the place that the registry names, as an Envoy started here would.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::sds::{self, Text};
use crate::cli::load::parse;
use crate::credential::{Defect, Handed};
use crate::registry::Source;

/// The world outside, as far as tokens come from there.
#[derive(Clone, Copy)]
pub struct World<'w> {
    /// The bytes of a file.
    pub file: &'w dyn Fn(&str) -> io::Result<Vec<u8>>,
    /// The value of an environment variable.
    pub variable: &'w dyn Fn(&str) -> Option<String>,
}

/// What is found in the place of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A token.
    Token(Handed),
    /// None. Why.
    Nothing(String),
    /// The place cannot be read, or not as what it should be. Why.
    Unreadable(String),
    /// Only a running Envoy gets to see it.
    Hidden,
}

/// The token in a slot whose secret Envoy knows by `name`.
pub fn look(source: &Source, name: &str, world: World) -> Found {
    match source {
        Source::SdsGrpc(_) | Source::Endpoint(_) => Found::Hidden,
        Source::Inline(secret) => token(&secret.header_value(""), String::new),
        Source::Environment(variable) => environment(variable, world),
        Source::SdsFile(file) => sds_file(file, name, world).unwrap_or_else(Found::Unreadable),
    }
}

fn environment(variable: &str, world: World) -> Found {
    match (world.variable)(variable) {
        None => Found::Nothing(format!("{variable} is not set here")),
        Some(value) => token(value.as_bytes(), || format!("{variable} is empty here")),
    }
}

fn sds_file(file: &str, name: &str, world: World) -> Result<Found, String> {
    let bytes = (world.file)(file).map_err(|error| format!("cannot be read: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| "is no UTF-8 text".to_owned())?;
    let tree = parse(file, &text).map_err(|error| error.to_string())?;
    Ok(match sds::only(&tree, name)? {
        Text::Inline(text) => token(text.as_bytes(), || "has an empty secret".to_owned()),
        Text::Base64(text) => {
            let bytes = STANDARD.decode(text).map_err(|_| "has inline_bytes that are no base64".to_owned())?;
            token(&bytes, || "has an empty secret".to_owned())
        }
        Text::File(inner) => {
            let shown = if inner.starts_with('/') { inner } else { "another file (not shown)" };
            let bytes =
                (world.file)(inner).map_err(|error| format!("points to {shown}, which cannot be read: {error}"))?;
            token(&bytes, || format!("points to {shown}, which is empty"))
        }
        Text::Environment(variable) if is_variable(variable) => environment(variable, world),
        Text::Environment(_) => {
            return Err("points to something that is no environment variable (not shown)".to_owned());
        }
    })
}

/// Whether this is the name of a variable. Somebody may have put the secret there.
fn is_variable(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn token(bytes: &[u8], nothing: impl FnOnce() -> String) -> Found {
    match Handed::read(bytes) {
        None => Found::Nothing(nothing()),
        Some(Handed { defect: Some(Defect::NotReadable), .. }) => {
            Found::Nothing("what is there is JSON without a readable token".to_owned())
        }
        Some(handed) if handed.defect.is_some() || !handed.secret.fits_a_header() => {
            Found::Nothing("what is there fits no header: `dualpath pat check` says why".to_owned())
        }
        Some(handed) => Found::Token(handed),
    }
}
