//! The headers of a request as the door reads them, wherever they lie.

/// The headers of a request: a name and a value each, in order.
pub trait RequestHeaders {
    /// All pairs.
    fn pairs(&self) -> impl Iterator<Item = (&str, &[u8])>;

    /// The first value of `name`.
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.pairs().find(|(found, _)| *found == name).map(|(_, value)| value)
    }
}
