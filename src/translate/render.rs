//! Templates and texts filled in.

use super::place::Destination;
use super::scope::{Scope, is_structure, plain_text};
use super::template::{Piece, Reference, Template};

/// A placeholder that could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfilled {
    /// The placeholder's path below its root, e.g. `filter.name`; empty for the root itself.
    pub(super) name: String,
    /// The rule that its value breaks.
    pub(super) rule: &'static str,
}

impl Unfilled {
    fn new(reference: &Reference, rule: &'static str) -> Self {
        Unfilled { name: reference.path.join("."), rule }
    }
}

impl Template {
    /// The template as JSON text; `None` if it is to be left out.
    pub(super) fn render(&self, scope: &Scope<'_>) -> Result<Option<String>, Unfilled> {
        let mut out = String::new();
        Ok(self.write(scope, &mut out)?.then_some(out))
    }

    /// Appends the template to `out` and answers true, or leaves `out` as it is if the template is to be left out.
    fn write(&self, scope: &Scope<'_>, out: &mut String) -> Result<bool, Unfilled> {
        let start = out.len();
        match self {
            Template::Literal(json) => out.push_str(json),
            Template::Value(reference) => match scope.value(reference) {
                Ok(Some(json)) => out.push_str(json),
                Ok(None) => return Ok(false),
                Err(rule) => return Err(Unfilled::new(reference, rule)),
            },
            Template::Text(pieces) => {
                out.push('"');
                if !write_text(pieces, Destination::Json, scope, out)? {
                    out.truncate(start);
                    return Ok(false);
                }
                out.push('"');
            }
            Template::List(elements) => {
                out.push('[');
                write_separated(elements, out, |element, out| element.write(scope, out))?;
                out.push(']');
            }
            Template::Object(members) => {
                out.push('{');
                write_separated(members, out, |(key, value), out| {
                    out.push_str(key);
                    out.push(':');
                    value.write(scope, out)
                })?;
                out.push('}');
            }
            Template::First(choices) => {
                for choice in choices {
                    if choice.write(scope, out)? {
                        return Ok(true);
                    }
                }
                return Ok(false);
            }
            Template::Absent => return Ok(false),
        }
        Ok(true)
    }
}

/// Appends the items that are present, with commas between them.
fn write_separated<T>(
    items: &[T],
    out: &mut String,
    mut write: impl FnMut(&T, &mut String) -> Result<bool, Unfilled>,
) -> Result<(), Unfilled> {
    let mut separate = false;
    for item in items {
        let start = out.len();
        if separate {
            out.push(',');
        }
        if write(item, out)? {
            separate = true;
        } else {
            out.truncate(start);
        }
    }
    Ok(())
}

/// Appends `pieces`, written for `place`, to `out`; answers false if the text is to be left out, and `out` may then end
/// in a part of it.
pub(super) fn write_text(
    pieces: &[Piece],
    place: Destination,
    scope: &Scope<'_>,
    out: &mut String,
) -> Result<bool, Unfilled> {
    for piece in pieces {
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Absent => return Ok(false),
            Piece::Reference(reference) => {
                let refuse = |rule| Unfilled::new(reference, rule);
                let Some(json) = scope.value(reference).map_err(refuse)? else { return Ok(false) };
                if is_structure(json) && !place.takes_structures() {
                    return Err(refuse("must be a string, a number or true/false"));
                }
                let text = plain_text(json).map_err(refuse)?;
                place.write(&text, out).map_err(refuse)?;
            }
        }
    }
    Ok(true)
}
