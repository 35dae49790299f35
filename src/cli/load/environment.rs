//! One environment of the files: what holds for all with what is different there, and every variable replaced.

use serde_json::Value;

use super::files::Files;
use super::merge::Merge;
use super::own::OWN_KEYS;
use super::tree::{Place, Tree};
use super::variables::{Replaced, Variables};
use super::{LoadError, Loaded, Told, refused, shared};
use crate::registry::{Problem, Registry, mappings};
use crate::wire::suggest;

impl Files {
    /// The environments that there are.
    pub fn environments(&self) -> Vec<&str> {
        let environments = self.root.get("environments").map(Tree::keys).unwrap_or_default();
        environments.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The environment that the files name themselves.
    pub fn chosen(&self) -> Option<&Tree> {
        self.root.get("environment")
    }

    /// The registry of one environment; `wanted` is the one that the command line names.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn registry(&self, wanted: Option<&str>) -> Result<Loaded, LoadError> {
        self.tell(wanted, &of_this_process).map_err(|told| refused(&self.names, told))
    }

    /// The same, with what is wrong. `variable` is the environment of the command.
    pub fn tell(&self, wanted: Option<&str>, variable: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Vec<Told>> {
        let mut merge = Merge::default();
        let mut root = self.choose(wanted, &mut merge)?;
        let mut told = [&*self.told, &*merge.told].concat();
        if let Some(name) = wanted {
            root.set("environment", Tree::scalar(name, Place::default()));
        }
        let declared = root.take("vars");
        let variables = Variables { declared: declared.as_ref(), files: &self.names, environment: variable };
        let Replaced { told: mut refused, taken } = variables.replace(&mut root);
        refused.iter_mut().for_each(|told| told.problem.path = root.spot(&told.problem.path).path);
        // Of a text whose variables stand in it still, nothing else is told.
        let is_refused = |new: &Told| refused.iter().any(|told| told.place == new.place);

        let wire = root.value();
        let odd = root.odd_numbers();
        let read = Registry::from_wire(&wire);
        let mut problems = odd.clone();
        problems.extend(read.iter().flat_map(shared::problems));
        if let Err(found) = &read {
            let others = found.iter().filter(|problem| odd.iter().all(|odd| odd.path != problem.path));
            problems.extend(others.cloned().map(|problem| with_own_keys(problem, &wire)));
        }
        for problem in problems {
            let is_asked = wanted.is_some() && problem.path == "environment";
            told.push(if is_asked { of_the_command(problem) } else { merge.with_hint(root.told(problem)) });
        }
        told.retain(|told| !is_refused(told));
        told.extend(refused);
        let tokens = self.tokens.iter().filter(|token| told.iter().all(|told| told.place != token.place));
        let tokens: Vec<_> = tokens.cloned().collect();
        told.extend(tokens);
        match read {
            Ok(registry) if told.is_empty() => {
                let (files, levels) = (self.names.clone(), self.levels.clone());
                Ok(Loaded { registry, wire, files, variables: taken, root, levels })
            }
            _ => Err(told),
        }
    }

    /// What the files say of the environment that is wanted, or that they choose.
    fn choose(&self, wanted: Option<&str>, merge: &mut Merge) -> Result<Tree, Vec<Told>> {
        let mut root = self.root.clone();
        let Some(environments) = root.take("environments").filter(|environments| !environments.keys().is_empty())
        else {
            return Ok(root);
        };
        let names = || environments.keys().iter().map(|(name, _)| name.as_str());
        let chosen = root.get("environment");
        let Some(name) = wanted.or(chosen.and_then(Tree::text)) else {
            // The reader says what it should be.
            if chosen.is_some() {
                return Ok(root);
            }
            let first = names().next().unwrap_or_default();
            let problem = Problem {
                path: "environments".to_owned(),
                value: format!("{{{}}}", names().collect::<Vec<_>>().join(", ")),
                rule: "needs the registry's environment, to choose one of them".to_owned(),
                hint: Some(format!(
                    "give --environment {first}, or write environment: {first} at the top of the registry"
                )),
            };
            return Err(vec![Told { place: environments.place, problem }]);
        };
        let Some(over) = environments.get(name) else {
            let problem = Problem {
                path: "environment".to_owned(),
                value: Value::from(name).to_string(),
                rule: "must be one of those under environments".to_owned(),
                hint: Some(suggest(name, names())),
            };
            return Err(vec![if wanted.is_some() { of_the_command(problem) } else { root.told(problem) }]);
        };
        Ok(merge.lay(root, over.clone()))
    }
}

/// The environment of the command. An empty variable is none, as it is for Envoy.
pub(super) fn of_this_process(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn of_the_command(problem: Problem) -> Told {
    Told { place: Place::default(), problem: Problem { path: "--environment".to_owned(), ..problem } }
}

/// The reader knows nothing of the command line's own keys, of which one may have been meant.
fn with_own_keys(problem: Problem, wire: &Value) -> Problem {
    if problem.rule != "is not a known key" || problem.path.contains(['.', '[']) {
        return problem;
    }
    let known = mappings(wire).into_iter().find(|mapping| mapping.path.is_empty()).map(|mapping| mapping.keys);
    let known = known.unwrap_or_default();
    let hint = suggest(&problem.path, known.iter().map(String::as_str).chain(OWN_KEYS));
    Problem { hint: Some(hint), ..problem }
}
