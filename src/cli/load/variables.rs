//! `${NAME}`: what stands under `vars`, or in the environment of the command.

use serde_json::{Number, Value};

use super::Told;
use super::names::{Found, is_called_like_a_secret, variable};
use super::tree::{Node, Place, Tree, Written};
use crate::registry::Problem;
use crate::wire::{VEIL, looks_like_a_token, suggest};

/// The longest text that comes out: variables that hold variables grow fast.
const LONGEST: usize = 64 << 10;

/// Where the values of variables come from.
pub(super) struct Variables<'v> {
    /// What the files declare: a mapping, or nothing.
    pub declared: Option<&'v Tree>,
    /// The files, as they are shown.
    pub files: &'v [String],
    /// The environment of the command.
    pub environment: &'v dyn Fn(&str) -> Option<String>,
}

/// What became of the variables of a registry.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    /// Variables without a value, and those that may not be used where they are.
    pub told: Vec<Told>,
    /// The names that were taken from the environment of the command.
    pub taken: Vec<String>,
}

/// Why a variable gives nothing: the rule, and how to keep it.
type Refusal = (String, Option<String>);

impl Variables<'_> {
    /// Puts values in the place of all variables below `tree`.
    pub fn replace(&self, tree: &mut Tree) -> Replaced {
        let mut replaced = Replaced::default();
        self.replace_below(tree, &mut Vec::new(), &mut replaced);
        replaced.taken.sort_unstable();
        replaced.taken.dedup();
        replaced
    }

    fn replace_below(&self, tree: &mut Tree, path: &mut Vec<String>, replaced: &mut Replaced) {
        match &mut tree.node {
            Node::Mapping(keys) => {
                for (key, tree) in keys {
                    path.push(key.clone());
                    self.replace_below(tree, path, replaced);
                    path.pop();
                }
            }
            Node::List(entries) => {
                for (at, tree) in entries.iter_mut().enumerate() {
                    path.push(format!("[{at}]"));
                    self.replace_below(tree, path, replaced);
                    path.pop();
                }
            }
            Node::Scalar(Value::String(text)) if text.contains("${") => {
                let text = std::mem::take(text);
                self.replace_in(tree, text, path, replaced);
            }
            Node::Scalar(_) => {}
        }
    }

    fn replace_in(&self, tree: &mut Tree, text: String, path: &[String], replaced: &mut Replaced) {
        let place = Position::of(path);
        let mut expansion = Expansion { variables: self, used: Vec::new(), within: Vec::new() };
        let value = match place.refusal(&text) {
            Some(refusal) => Err(refusal),
            None => expansion.value(&text, place == Position::Template),
        };
        let veiled = place == Position::Credential || place == Position::Secret || looks_like_a_token(&text);
        let told = |rule, hint| Told {
            place: tree.place,
            problem: Problem {
                path: path.join(".").replace(".[", "["),
                value: if veiled { VEIL.to_owned() } else { quoted(&text) },
                rule,
                hint,
            },
        };
        match value {
            Ok(value) => {
                let (taken, note) = self.told_of(&expansion.used);
                replaced.taken.extend(taken);
                tree.node = Node::Scalar(value);
                if !expansion.used.is_empty() {
                    tree.written = Written::Variables(text.into(), note.into());
                }
            }
            Err((rule, hint)) => {
                replaced.told.push(told(rule, hint));
                tree.node = Node::Scalar(Value::String(text));
            }
        }
    }

    /// Those of the variables that come from the environment of the command, and where each comes from, in words.
    fn told_of(&self, used: &[String]) -> (Vec<String>, String) {
        let (mut taken, mut words) = (Vec::new(), Vec::new());
        for name in used {
            match self.declared.and_then(|declared| declared.get(name)) {
                Some(tree) => words.push(format!("{name} is from vars, {}", self.shown(tree.place))),
                None => {
                    words.push(format!("{name} is from the environment of this command"));
                    taken.push(name.clone());
                }
            }
        }
        (taken, words.join(", "))
    }

    fn shown(&self, place: Place) -> String {
        let file =
            self.files.get(place.file).map(|file| crate::cli::shown::file(file).into_owned()).unwrap_or_default();
        place.at.map_or(file.clone(), |(line, column)| format!("{file}:{line}:{column}"))
    }
}

/// What kind of place a text stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// One where a secret stands, or the name of the place that Envoy itself reads it from.
    Secret,
    /// Elsewhere in a credential.
    Credential,
    /// A mapping's template, which has placeholders of its own.
    Template,
    Other,
}

impl Position {
    fn of(path: &[String]) -> Self {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["credentials", _, "prefix"] | ["credentials", _, "headers", ..] => Position::Secret,
            ["credentials", .., "inline" | "env"] => Position::Secret,
            ["credentials", ..] => Position::Credential,
            ["tools", _, "rest", "with", ..] => Position::Other,
            ["tools", _, "rest", ..] => Position::Template,
            _ => Position::Other,
        }
    }

    /// Why no variable may stand here at all.
    fn refusal(self, text: &str) -> Option<Refusal> {
        let has =
            text.split("${").skip(1).any(|inside| matches!(variable(inside), Found::Name(..) | Found::Default(_)));
        (self == Position::Secret && has).then(|| {
            let hint = "a registry never holds a secret, only the place of one: env: NAME without ${} has Envoy itself read the \
                 variable, sds_file names a file";
            ("must not have a variable, as a secret stands or is named here".to_owned(), Some(hint.to_owned()))
        })
    }
}

/// The reading of one text.
struct Expansion<'v> {
    variables: &'v Variables<'v>,
    /// The names that it used, in the order in which they came.
    used: Vec<String>,
    /// The names whose values are being read, the outermost first.
    within: Vec<String>,
}

impl Expansion<'_> {
    /// What the text says. A variable alone is what its value is, a number for instance; beside other text it is text.
    fn value(&mut self, text: &str, template: bool) -> Result<Value, Refusal> {
        if let Some(inside) = text.strip_prefix("${")
            && let Found::Name(name, "") = variable(inside)
        {
            return self.value_of(name);
        }
        let (mut done, mut rest) = (String::new(), text);
        while let Some((before, inside)) = rest.split_once("${") {
            let found = variable(inside);
            let unescaped = before.strip_suffix('$').filter(|_| !matches!(found, Found::None));
            match (unescaped, found) {
                // A template takes `$${` for `${` itself.
                (Some(before), _) => {
                    done.push_str(before);
                    done.push_str(if template { "$${" } else { "${" });
                    rest = inside;
                }
                (None, Found::Name(name, after)) => {
                    done.push_str(before);
                    match self.value_of(name)? {
                        Value::String(text) => done.push_str(&text),
                        other => done.push_str(&other.to_string()),
                    }
                    rest = after;
                }
                (None, Found::Default(name)) => {
                    let rule = format!("has ${{{name}:...}}, which no registry reads");
                    return Err((rule, Some(format!("write ${{{name}}}, and its usual value under vars"))));
                }
                (None, Found::None) => {
                    done.push_str(before);
                    done.push_str("${");
                    rest = inside;
                }
            }
            if done.len() > LONGEST {
                return Err((format!("must have at most {LONGEST} bytes, with its variables replaced"), None));
            }
        }
        done.push_str(rest);
        Ok(Value::String(done))
    }

    fn value_of(&mut self, name: &str) -> Result<Value, Refusal> {
        if is_called_like_a_secret(name) {
            let rule = format!("uses {name}, which is called like a secret");
            let hint = "a registry never holds a secret: name the place that it comes from in a slot of a credential, such as env or sds_file";
            return Err((rule, Some(hint.to_owned())));
        }
        if self.within.iter().any(|outer| outer == name) {
            let rule = format!("uses {name}, whose value has {name} in it");
            return Err((rule, Some(format!("write out what {name} is under vars"))));
        }
        if !self.used.iter().any(|used| used == name) {
            self.used.push(name.to_owned());
        }
        let variables = self.variables;
        let declared = variables.declared.and_then(|declared| declared.get(name));
        match declared.map(|tree| &tree.node) {
            Some(Node::Scalar(Value::String(text))) => {
                self.within.push(name.to_owned());
                let value = self.value(text, false);
                self.within.pop();
                value
            }
            Some(Node::Scalar(value)) => Ok(value.clone()),
            _ => (variables.environment)(name).map(|text| read(&text)).ok_or_else(|| self.unset(name)),
        }
    }

    fn unset(&self, name: &str) -> Refusal {
        let hint = "give it one under vars, or in the environment of this command";
        let declared = self.variables.declared.map(Tree::keys).unwrap_or_default();
        let hint = if declared.is_empty() {
            hint.to_owned()
        } else {
            format!("{hint}; {}", suggest(name, declared.iter().map(|(name, _)| name.as_str())))
        };
        (format!("uses {name}, which has no value"), Some(hint))
    }
}

/// A text of the environment, as it would be read in a registry.
fn read(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => serde_json::from_str::<Number>(text).map_or_else(|_| Value::from(text), Value::Number),
    }
}

/// A text as JSON, cut like those that the reader shows.
pub(super) fn quoted(text: &str) -> String {
    let text = Value::from(text).to_string();
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}...", text.get(..cut).unwrap_or_default()),
        None => text,
    }
}
