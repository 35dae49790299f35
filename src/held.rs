//! What one VM has Envoy and itself hold of other people's messages, and how much that may be.
//!
//! A request is held to be sent again, an answer to be judged. Each is bounded on its own, but not their number: without a
//! bound for all of them together a few hundred slow calls are gigabytes, and the VM or its container ends for everybody.
//! So whoever holds something takes [`Room`] for it first. Where there is none, a request is turned away and an answer
//! passes unjudged.

use std::cell::Cell;
use std::rc::Rc;

mod total;

pub use total::Total;

/// How many bytes are held in one VM, and how often there was no room for more.
#[derive(Debug, Default)]
pub struct Held {
    bytes: Cell<usize>,
    /// Requests turned away since they were last counted.
    requests: Cell<u32>,
    /// Answers that passed unjudged since they were last counted.
    answers: Cell<u32>,
}

/// What room is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holding {
    /// A client's request.
    Request,
    /// A server's answer.
    Answer,
}

impl Holding {
    /// Both.
    pub const ALL: [Holding; 2] = [Holding::Request, Holding::Answer];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Holding::Request => "request",
            Holding::Answer => "answer",
        }
    }
}

impl Held {
    /// How many bytes are held now.
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Room for one message, of which nothing is there yet.
    pub fn room(self: &Rc<Self>) -> Room {
        Room { held: Rc::clone(self), bytes: 0 }
    }

    /// How often there has been no room since this was last asked.
    pub fn take_refusals(&self, of: Holding) -> u32 {
        self.refusals(of).take()
    }

    fn refusals(&self, of: Holding) -> &Cell<u32> {
        match of {
            Holding::Request => &self.requests,
            Holding::Answer => &self.answers,
        }
    }
}

/// The room that one message takes. It is given back when this is dropped.
#[derive(Debug)]
pub struct Room {
    held: Rc<Held>,
    bytes: usize,
}

impl Room {
    /// Makes room for as many bytes in all as the message has now. `false` = no more than before: with them everything
    /// held would be over `limit` bytes.
    #[must_use]
    pub fn make(&mut self, of: Holding, bytes: usize, limit: usize) -> bool {
        let others = self.held.bytes().saturating_sub(self.bytes);
        let sum = others.saturating_add(bytes);
        // What shrinks, or stays as it was, never lacks room.
        let fits = bytes <= self.bytes || sum <= limit;
        if fits {
            self.held.bytes.set(sum);
            self.bytes = bytes;
        } else {
            let refusals = self.held.refusals(of);
            refusals.set(refusals.get().saturating_add(1));
        }
        fits
    }

    /// Gives the room back: the message is held no longer.
    pub fn give_back(&mut self) {
        self.held.bytes.set(self.held.bytes().saturating_sub(self.bytes));
        self.bytes = 0;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::Holding::{Answer, Request};
    use super::*;

    #[test]
    fn all_messages_together_never_take_more_than_the_limit() {
        let held = Rc::new(Held::default());
        let mut rooms: Vec<Room> = (0..5).map(|_| held.room()).collect();
        let granted = rooms.iter_mut().filter_map(|room| room.make(Request, 30, 100).then_some(())).count();
        assert_eq!((granted, held.bytes()), (3, 90));
        assert_eq!((held.take_refusals(Request), held.take_refusals(Answer)), (2, 0));
        assert_eq!(held.take_refusals(Request), 0, "each is told once");
    }

    #[test]
    fn a_message_that_grows_is_counted_once() {
        let held = Rc::new(Held::default());
        let mut room = held.room();
        assert!((1..=100).all(|bytes| room.make(Answer, bytes, 100)));
        assert!(!room.make(Answer, 101, 100));
        assert_eq!(held.bytes(), 100, "what is there stays");
    }

    #[test]
    fn what_has_ended_makes_room_for_the_next() {
        let held = Rc::new(Held::default());
        let mut room = held.room();
        assert!(room.make(Request, 100, 100));
        drop(room);
        assert!(held.room().make(Request, 100, 100));
        assert_eq!(held.bytes(), 0);
    }

    #[test]
    fn a_limit_that_has_been_lowered_lets_what_is_held_shrink() {
        let held = Rc::new(Held::default());
        let mut room = held.room();
        assert!(room.make(Request, 100, 100));
        assert!(room.make(Request, 80, 50) && !room.make(Request, 81, 50));
    }
}
