//! A list whose entries are found by their name at once, however many there are.

use std::ops::Deref;

use hashbrown::HashMap;

/// What has a name that no other entry of its list has.
pub trait HasName {
    /// The name.
    fn name(&self) -> &str;
}

/// Entries in the order of the file. They can't be changed, since each is known by its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Named<T> {
    entries: Vec<T>,
    positions: HashMap<Box<str>, usize>,
}

impl<T: HasName> From<Vec<T>> for Named<T> {
    fn from(entries: Vec<T>) -> Self {
        let positions = entries.iter().enumerate().map(|(at, entry)| (entry.name().into(), at)).collect();
        Named { entries, positions }
    }
}

impl<T> Named<T> {
    /// The entry with this name, and its position.
    pub fn find(&self, name: &str) -> Option<(usize, &T)> {
        let at = *self.positions.get(name)?;
        Some((at, self.entries.get(at)?))
    }
}

impl<T> Deref for Named<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.entries
    }
}

/// Tests change entries, but never their names.
#[cfg(test)]
impl<T> std::ops::DerefMut for Named<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.entries
    }
}

impl<'n, T> IntoIterator for &'n Named<T> {
    type Item = &'n T;
    type IntoIter = std::slice::Iter<'n, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}
