//! Reading JSON objects strictly: an array never passes for an object, a repeated key never passes at all.

use crate::json::{Malformed, Raw, Reader};

/// Why members can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// The text is not JSON.
    NotJson,
    /// It is JSON, but not what it should be.
    Unfit,
}

impl From<Malformed> for Unreadable {
    fn from(_: Malformed) -> Self {
        Unreadable::NotJson
    }
}

/// The members of these names of the one JSON object that `text` consists of; `null` counts as absent. `None` if it is no
/// object, or has one of them twice.
pub(crate) fn members_once<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Option<[Option<Raw<'a>>; N]> {
    let mut found = [None; N];
    let mut reader = Reader::new(text);
    let told = reader.object(|name, reader| {
        let name = name.ok_or(Unreadable::NotJson)?;
        let value = reader.value()?;
        if let Some(place) = names.iter().position(|known| **known == *name).and_then(|at| found.get_mut(at))
            && place.replace(value).is_some()
        {
            return Err(Unreadable::Unfit);
        }
        Ok(())
    });
    told.ok()?;
    reader.end().ok()?;
    Some(found.map(|member| member.filter(|raw| !raw.is_null())))
}

/// Reads the members of these names from the one JSON object that `text` consists of, each as it stands, `null` too. Others
/// are passed over. `found` has a place for each name.
///
/// # Errors
/// If it is no object, or if two readers could take a different member for one of these: it stands there twice, or there is
/// one whose name differs from it in case only.
pub(crate) fn members<'a>(text: &'a str, names: &[&str], found: &mut [Option<Raw<'a>>]) -> Result<(), Unreadable> {
    let mut reader = Reader::new(text);
    reader.object(|name, reader| {
        let name = name.ok_or(Unreadable::NotJson)?;
        let mut passed = None;
        let place = match names.iter().position(|known| **known == *name) {
            Some(at) => found.get_mut(at).filter(|place| place.is_none()).ok_or(Unreadable::Unfit)?,
            None if names.iter().any(|known| is_alike(&name, known)) => return Err(Unreadable::Unfit),
            None => &mut passed,
        };
        *place = Some(reader.value()?);
        Ok(())
    })?;
    Ok(reader.end()?)
}

/// Whether a reader that ignores case takes one name for the other. Go's does, by Unicode's folding, in which two letters
/// beyond ASCII are `k` and `s`.
fn is_alike(name: &str, known: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        _ => letter.to_ascii_lowercase(),
    };
    name.chars().map(fold).eq(known.chars().map(fold))
}
