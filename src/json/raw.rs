//! A value as it stands in the text.

use std::borrow::Cow;

use super::{Malformed, Reader};

/// The text of one JSON value, without space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// `text`, if it is one JSON value.
    pub fn of(text: &'a str) -> Option<Self> {
        let mut reader = Reader::new(text);
        let value = reader.value().ok()?;
        reader.end().ok()?;
        Some(value)
    }

    /// The same of bytes.
    pub fn of_bytes(bytes: &'a [u8]) -> Option<Self> {
        Self::of(std::str::from_utf8(bytes).ok()?)
    }

    /// What is known to be one value, as it was one before.
    pub(crate) fn known(text: &'a str) -> Self {
        Raw(text)
    }

    /// Its text.
    pub fn get(self) -> &'a str {
        self.0
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// The string that it is; `None` if it is none, or holds half of a surrogate pair.
    pub fn text(self) -> Option<Cow<'a, str>> {
        Reader::new(self.0).quoted().ok()?.text()
    }

    /// The number that it is; `None` if it is none. See [`super::Value::as_f64`].
    pub fn number(self) -> Option<f64> {
        let is_one = self.0.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        if is_one { super::value::float(self.0) } else { None }
    }

    /// Its members with their names, without escapes; `None` if it is no object.
    pub fn entries(self) -> Option<Vec<(Cow<'a, str>, Raw<'a>)>> {
        let mut entries = Vec::new();
        let told = Reader::new(self.0).object(|name, reader| {
            entries.push((name.ok_or(Malformed)?, reader.value()?));
            Ok::<(), Malformed>(())
        });
        told.ok().map(|()| entries)
    }

    /// Its elements; `None` if it is no array.
    pub fn elements(self) -> Option<Vec<Raw<'a>>> {
        let mut elements = Vec::new();
        let told = Reader::new(self.0).array(|reader| {
            elements.push(reader.value()?);
            Ok::<(), Malformed>(())
        });
        told.ok().map(|()| elements)
    }

    /// Its member of this name, the last of several; `None` too if it is no object.
    pub fn member(self, name: &str) -> Option<Raw<'a>> {
        let [found] = self.members([name])?;
        found
    }

    /// Its members of these names, of several of one name the last; `None` if it is no object.
    pub fn members<const N: usize>(self, names: [&str; N]) -> Option<[Option<Raw<'a>>; N]> {
        let mut found = [None; N];
        let told = Reader::new(self.0).object(|name, reader| {
            let value = reader.value()?;
            for (known, place) in names.iter().zip(&mut found) {
                if name.as_deref() == Some(*known) {
                    *place = Some(value);
                }
            }
            Ok::<(), Malformed>(())
        });
        told.ok().map(|()| found)
    }
}
