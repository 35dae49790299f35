//! The names that series carry: of servers, tasks and credentials. Each is kept once and stood for by a number, so that a
//! series can be a key without owning text or borrowing it from a registry that may be replaced.

use std::rc::Rc;

use hashbrown::HashMap;

use crate::registry::{CredentialIndex, Registry, ServerIndex};

/// A name, by its place in [`Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name(u16);

impl Name {
    /// What is counted together, as it has no name of its own.
    pub const OTHER: Name = Name(0);

    /// The task of the protocol's own methods.
    pub const PROTOCOL: Name = Name(1);
}

/// All names that a VM has counted under. None is ever dropped, as no stat is either.
#[derive(Debug)]
pub struct Names {
    texts: Vec<Rc<str>>,
    known: HashMap<Rc<str>, Name>,
}

impl Default for Names {
    fn default() -> Self {
        let mut names = Names { texts: Vec::new(), known: HashMap::new() };
        for (text, name) in [("other", Name::OTHER), ("protocol", Name::PROTOCOL)] {
            names.add(text, name);
        }
        names
    }
}

impl Names {
    /// The name with this text. Once there is no number left, as after thousands of registries, new ones are
    /// [`Name::OTHER`].
    pub fn intern(&mut self, text: &str) -> Name {
        if let Some(name) = self.known.get(text) {
            return *name;
        }
        let Ok(next) = u16::try_from(self.texts.len()) else { return Name::OTHER };
        self.add(text, Name(next));
        Name(next)
    }

    fn add(&mut self, text: &str, name: Name) {
        let text: Rc<str> = text.into();
        self.texts.push(Rc::clone(&text));
        self.known.insert(text, name);
    }

    /// The text of a name of these.
    #[must_use]
    pub fn text(&self, name: Name) -> &str {
        self.texts.get(usize::from(name.0)).map_or("other", AsRef::as_ref)
    }
}

/// The names of one registry, by position.
#[derive(Debug, Default)]
pub struct RegistryNames {
    servers: Vec<Name>,
    credentials: Vec<Name>,
    /// Of each tool, its task's.
    tasks: Vec<Name>,
    tools: Vec<Name>,
    models: Vec<Name>,
}

/// A name as a stat's name can have it: a dot would end the label's value there.
fn without_dots(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/') { c } else { '_' }).collect()
}

impl RegistryNames {
    /// Interns every name that `registry` is counted under.
    pub fn of(registry: &Registry, names: &mut Names) -> Self {
        RegistryNames {
            servers: registry.servers.iter().map(|server| names.intern(server.id.as_str())).collect(),
            credentials: registry.credentials.iter().map(|credential| names.intern(credential.id.as_str())).collect(),
            tasks: registry.tools.iter().map(|tool| names.intern(tool.task.as_str())).collect(),
            tools: registry.tools.iter().map(|tool| names.intern(&without_dots(&tool.name))).collect(),
            models: registry.prices.models.iter().map(|price| names.intern(&without_dots(&price.model))).collect(),
        }
    }

    /// A server's name.
    #[must_use]
    pub fn server(&self, index: ServerIndex) -> Name {
        self.servers.get(usize::from(index.0)).copied().unwrap_or(Name::OTHER)
    }

    /// A credential's name.
    #[must_use]
    pub fn credential(&self, index: CredentialIndex) -> Name {
        self.credentials.get(usize::from(index.0)).copied().unwrap_or(Name::OTHER)
    }

    /// The name of the tool at this position.
    #[must_use]
    pub fn tool(&self, tool: usize) -> Name {
        self.tools.get(tool).copied().unwrap_or(Name::OTHER)
    }

    /// The name of the model at this position of the prices.
    #[must_use]
    pub fn model(&self, model: usize) -> Name {
        self.models.get(model).copied().unwrap_or(Name::OTHER)
    }

    /// The name of the task of the tool at this position.
    #[must_use]
    pub fn task(&self, tool: usize) -> Name {
        self.tasks.get(tool).copied().unwrap_or(Name::OTHER)
    }
}
