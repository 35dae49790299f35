//! What a worker knows of what operators have set by runtime keys.

use std::cell::{Cell, RefCell};

use crate::runtime::Hand;

/// Of the servers, and then of the tools by their tasks.
#[derive(Default)]
pub struct Hands {
    /// The token of the record that was read last.
    seen: Cell<u32>,
    /// Empty where nothing was ever set.
    hands: RefCell<Vec<Hand>>,
}

impl Hands {
    /// What is set at this position.
    pub fn at(&self, at: usize) -> Hand {
        self.hands.borrow().get(at).copied().unwrap_or_default()
    }

    /// Whether the record with this token is another than the one that was last asked about.
    pub fn is_news(&self, token: u32) -> bool {
        self.seen.replace(token) != token
    }

    /// Takes what is set now.
    pub fn take(&self, hands: Vec<Hand>) {
        self.hands.replace(hands);
    }
}
