//! Answers that quote the token which the request carried: what is held of them reaches no client before the token is
//! unreadable. What streams through unheld is not looked into.

use std::cell::Cell;

use super::super::host::Body;
use super::super::metrics::Metric;
use super::Attempt;
use crate::call::attempt::{Flow, Reaction};
use crate::call::cached::ToKeep;
use crate::credential::Secret;
use crate::credential::audit::Event;

/// Reads from the answer's body, without the token in it. Sets `is_quoted` if it is there.
pub(super) fn clean<'s>(sent: Option<&'s Secret>, is_quoted: &'s Cell<bool>) -> impl Fn(usize, usize) -> Vec<u8> + 's {
    move |start, len| {
        let mut bytes = Body::Response.read(start, len);
        if sent.is_some_and(|sent| sent.hide_in(&mut bytes)) {
            is_quoted.set(true);
        }
        bytes
    }
}

impl Attempt {
    /// Before `reaction` is done with the answer, of which `size` bytes are held: puts the clean text in the place of what
    /// passes as it is, and tells of the quotation.
    pub(super) fn clear_quotes(&mut self, reaction: &Reaction, size: usize) {
        if !self.is_quoted || reaction.flow == Flow::Hold {
            return;
        }
        self.is_quoted = false;
        if let Some((flown, _)) = &self.flown {
            // Nor is it kept.
            flown.call.borrow_mut().to_keep = ToKeep::default();
        }
        if reaction.flow == Flow::Pass && size > 0 {
            let clean = clean(self.sent.as_ref(), &Cell::default())(0, size);
            Body::Response.replace(size, &clean);
        }
        self.tell_of_quote();
    }

    /// Whether a text has the token in it that the attempt was sent with.
    pub(super) fn quotes_token(&self, text: &[u8]) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.find(text).is_some())
    }

    /// Sees to it that no token is kept with an answer that was read in pieces.
    pub(super) fn keep_no_token(&self) {
        let Some((flown, _)) = &self.flown else { return };
        let mut call = flown.call.borrow_mut();
        if let ToKeep::Here(answer) = &call.to_keep
            && self.quotes_token(answer)
        {
            call.to_keep = ToKeep::default();
        }
    }

    /// Counts an answer that quotes the token, once.
    pub(super) fn tell_of_quote(&mut self) {
        if std::mem::replace(&mut self.has_told_quote, true) {
            return;
        }
        let (Some(selection), Some((flown, _))) = (self.selection, &self.flown) else { return };
        flown.vm.metrics.count(Metric::PatQuoted(flown.vm.names.server(flown.at)));
        self.record(Event::Quoted, selection);
    }
}
