//! To be written.
use crate::registry::reader::Table;

/// Placeholder.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping;

impl Mapping {
    /// Placeholder: takes every key.
    pub fn read(table: &Table) -> Option<Self> {
        for (key, _) in table.entries() {
            table.optional(key);
        }
        Some(Mapping)
    }

    /// Placeholder.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
}
