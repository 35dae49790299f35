//! The constants of a mapping: what the registry says under `with:`.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::wire::{Node, Table};

/// The constants, and which of them the templates asked for.
pub(super) struct With<'v> {
    state: State<'v>,
    /// Required keys that were asked for: each missing one is noted once, not once per placeholder.
    required: RefCell<BTreeSet<String>>,
}

enum State<'v> {
    Given(Table<'v>),
    Missing,
    /// Something stands there that is no mapping; that has been noted.
    Noted,
}

/// Outcome of asking for a constant.
pub(super) enum Constant<'v> {
    /// Its value.
    Given(Node<'v>),
    /// Not set, and need not be.
    Absent,
    /// Not set though it must be; noted now, or by [`With::done`].
    Noted,
}

impl<'v> With<'v> {
    /// The key `with` of a mapping.
    pub(super) fn read(table: &Table<'v>) -> Self {
        let state = match table.optional("with") {
            None => State::Missing,
            Some(node) => node.table().map_or(State::Noted, State::Given),
        };
        With { state, required: RefCell::default() }
    }

    /// The constant `key`. Null counts as not set.
    pub(super) fn get(&self, key: &str, required: bool) -> Constant<'v> {
        let first = required && self.required.borrow_mut().insert(key.to_owned());
        let found = match &self.state {
            State::Noted => return Constant::Noted,
            State::Missing => None,
            State::Given(table) if first => table.required_named(key),
            State::Given(table) => table.optional_named(key),
        };
        match found {
            Some(node) if !node.value().is_null() => Constant::Given(node),
            Some(node) if first => {
                node.refuse("must not be null");
                Constant::Noted
            }
            _ if required => Constant::Noted,
            _ => Constant::Absent,
        }
    }

    /// Notes keys that no template asked for, or that there is no `with` though the templates of `mapping` need one.
    pub(super) fn done(self, mapping: &Table<'v>) {
        let required: Vec<String> = self.required.into_inner().into_iter().collect();
        match self.state {
            State::Given(table) => table.done(),
            State::Missing if !required.is_empty() => {
                mapping.node().refuse_with("must have the key with", format!("it needs {}", required.join(", ")));
            }
            State::Missing | State::Noted => {}
        }
    }
}
