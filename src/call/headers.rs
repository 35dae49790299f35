//! The headers of a request as the door reads them.

/// The headers of a request: a name and a value each, in order. The door asks for a dozen of them, so they are found once and
/// looked through by name.
#[derive(Debug, Clone, Copy)]
pub struct RequestHeaders<'h>(pub &'h [(&'h str, &'h [u8])]);

impl<'h> RequestHeaders<'h> {
    /// All pairs.
    pub fn pairs(self) -> impl Iterator<Item = (&'h str, &'h [u8])> {
        self.0.iter().copied()
    }

    /// Every value of `name`.
    pub fn all(self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.pairs().filter(move |(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The first value of `name`.
    pub fn get(self, name: &str) -> Option<&'h [u8]> {
        self.all(name).next()
    }
}
