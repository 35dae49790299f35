//! To be written.
/// Placeholder.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy;
