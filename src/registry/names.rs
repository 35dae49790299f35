//! The names of one kind of entity: each given once, and found again where another entity refers to it.

use crate::wire::{Node, Violation, suggest};

/// The names of all entities of one kind, by position. An illegal name is kept as well, and a missing one keeps its
/// position, so that one mistake does not make every reference look dangling.
pub(super) struct Names {
    /// What they name, e.g. `server`.
    kind: &'static str,
    names: Vec<Option<String>>,
}

impl Names {
    /// No names yet of this `kind` (a singular noun).
    pub fn of(kind: &'static str) -> Self {
        Names { kind, names: Vec::new() }
    }

    /// Adds the name that stands at `node`, or none; a second use of the same name is noted there.
    pub fn add(&mut self, node: Option<&Node>) {
        let name = node.and_then(|node| node.value().as_str());
        if let (Some(name), Some(node)) = (name, node)
            && let Some(first) = self.position(name)
        {
            node.refuse(format!("must be unique, and {}s[{first}] has this name already", self.kind));
        }
        self.names.push(name.map(str::to_owned));
    }

    /// The position of the entity with this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known.as_deref() == Some(name))
    }

    /// The position of the entity that `node` names; a name that nothing has is noted.
    pub fn resolve(&self, node: &Node) -> Option<usize> {
        let name = node.string()?;
        let found = self.position(name);
        if found.is_none() {
            let known: Vec<&str> = self.names.iter().flatten().map(String::as_str).collect();
            let rule = format!("must be the id of a {} in this registry", self.kind);
            node.violates(Violation::of(rule).hint(suggest(name, known.into_iter())));
        }
        found
    }
}
