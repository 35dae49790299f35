//! The names of one kind of entity: each given once, and found again where another entity refers to it.

use hashbrown::HashMap;

use crate::wire::{Id, Node, Violation, suggest};

/// The names of all entities of one kind, by position. An illegal name is kept as well, and a missing one keeps its
/// position, so that one mistake does not make every reference look dangling.
pub(super) struct Names<'v> {
    /// What they name, e.g. `server`.
    kind: &'static str,
    names: Vec<Option<&'v str>>,
    positions: HashMap<&'v str, usize>,
    /// A problem that is noted elsewhere hides names, so that one which is not found may be there.
    incomplete: bool,
}

impl<'v> Names<'v> {
    /// No names yet of this `kind` (a singular noun).
    pub fn of(kind: &'static str) -> Self {
        Names { kind, names: Vec::new(), positions: HashMap::new(), incomplete: false }
    }

    /// Takes it that there are more names, which a problem that is noted elsewhere hides.
    pub fn hide_some(&mut self) {
        self.incomplete = true;
    }

    /// Adds the name that stands at `node`, or none; a second use of the same name is noted there.
    pub fn add(&mut self, node: Option<&Node<'v>>) {
        let name = node.and_then(|node| node.value().as_str());
        let at = self.names.len();
        self.names.push(name);
        let (Some(name), Some(node)) = (name, node) else { return };
        let first = *self.positions.entry(name).or_insert(at);
        if first != at {
            node.refuse(format!("must be unique, and {}s[{first}] has this name already", self.kind));
        }
    }

    /// The position of the entity with this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }

    /// The position of the entity that `node` names; a name that nothing has is noted, unless names are hidden.
    pub fn resolve(&self, node: &Node) -> Option<usize> {
        self.find(node.string()?, node, "must be")
    }

    /// The position of the entity under whose name `node` stands, likewise.
    pub fn under(&self, name: &str, node: &Node) -> Option<usize> {
        self.find(name, node, "must be under")
    }

    fn find(&self, name: &str, node: &Node, must_be: &str) -> Option<usize> {
        let found = self.position(name);
        if found.is_none() && !self.incomplete {
            let legal = self.names.iter().flatten().copied().filter(|name| Id::new(name).is_some());
            let rule = format!("{must_be} the id of a {} in this registry", self.kind);
            node.violates(Violation::of(rule).hint(suggest(name, legal)));
        }
        found
    }
}
