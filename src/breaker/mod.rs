//! To be written.
use crate::registry::reader::Node;

/// Placeholder.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {}

impl Policy {
    /// Placeholder.
    pub fn read(node: &Node) -> Option<Self> {
        node.table().map(|_| Policy {})
    }
}
