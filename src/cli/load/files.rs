//! Reads a file with all that it includes.
//!
//! A relative path counts from the folder of the file that names it and stays below it, by whatever links; an absolute path may
//! lead anywhere. Of several files the later lie over the earlier, and the file that includes them over all.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::merge::Merge;
use super::names::is_plain_name;
use super::own::{self, Own};
use super::tree::{Node, Place, Tree};
use super::variables::quoted;
use super::{LoadError, Told, foreign, refused, text};
use crate::cli::codes::{Setting, in_comments};
use crate::registry::Problem;
use crate::wire::VEIL;

/// Files that include each other so deep are a mistake.
const DEEPEST: usize = 8;
/// As are so many files.
const MOST: usize = 64;
/// The most that all of them may have together, in bytes.
const LARGEST: usize = 16 << 20;

/// A file and what it includes, put together.
#[derive(Debug)]
pub(super) struct Files {
    /// Their names, as they are shown; the first is the one that includes the others.
    pub names: Vec<String>,
    /// What they say together. Of the command line's own keys, `include` is gone.
    pub root: Tree,
    /// What is wrong with how they are put together.
    pub told: Vec<Told>,
    /// What looks like a token in any of them, also where nothing of it is read.
    pub tokens: Vec<Told>,
    /// The levels that comments give codes of warnings, those of the file itself last.
    pub levels: Vec<Setting>,
}

/// Reads `file`; `-` is standard input.
///
/// # Errors
/// See [`LoadError`].
pub(super) fn read(file: &str) -> Result<Files, LoadError> {
    of_text(file, &text::read(file)?)
}

/// The same with `text` in the place of what is in `file`.
pub(super) fn of_text(file: &str, text: &str) -> Result<Files, LoadError> {
    let mut reading = Reading::default();
    let root = reading.read(file, text)?;
    let told = [reading.merge.told, reading.told].concat();
    Ok(Files { names: reading.files, root, told, tokens: reading.tokens, levels: reading.levels })
}

/// The files that `text`, which is in `file`, includes.
///
/// # Errors
/// See [`LoadError`].
pub(in crate::cli) fn names_of_parts(file: &str, text: &str) -> Result<Vec<String>, LoadError> {
    Ok(of_text(file, text)?.names.into_iter().skip(1).collect())
}

/// Takes the keys out of a document that no registry could have, and tells of them without showing them: a line of a file of
/// passwords may be one.
fn take_odd_keys(tree: &mut Tree) -> Vec<Told> {
    let Node::Mapping(keys) = &mut tree.node else { return Vec::new() };
    let odd = keys.extract_if(.., |(key, _)| !is_plain_name(key));
    let told = |(_, tree): (String, Tree)| {
        let rule = "is not a known key".to_owned();
        let problem = Problem { path: VEIL.to_owned(), value: VEIL.to_owned(), rule, hint: None };
        Told { place: tree.place, problem }
    };
    odd.map(told).collect()
}

#[derive(Default)]
struct Reading {
    files: Vec<String>,
    bytes: usize,
    tokens: Vec<Told>,
    told: Vec<Told>,
    levels: Vec<Setting>,
    /// The files that are being read, each included by the one before it.
    open: Vec<PathBuf>,
    merge: Merge,
}

impl Reading {
    fn read(&mut self, file: &str, text: &str) -> Result<Tree, LoadError> {
        self.bytes = self.bytes.saturating_add(text.len());
        let at = self.files.len();
        self.files.push(file.to_owned());
        let mut tree = Tree::read(file, at, text)?;
        if let Some(problem) = foreign::refusal(&tree) {
            return Err(refused(&self.files, vec![Told { place: tree.place, problem }]));
        }
        self.told.extend(take_odd_keys(&mut tree));
        let Own { includes, problems, tokens } = own::read(&tree.value(), at > 0);
        if !problems.is_empty() {
            return Err(self.refused(&tree, problems));
        }
        self.tokens.extend(tokens.into_iter().map(|token| tree.told(token)));
        self.open.push(fs::canonicalize(file).unwrap_or_else(|_| PathBuf::from(file)));
        let mut base: Option<Tree> = None;
        for (path, place) in includes {
            let included = match self.find(file, &path) {
                Ok(file) => self.read(&file, &text::read(&file)?)?,
                Err((rule, hint)) => {
                    let problem = Problem { path: place, value: quoted(&path), rule, hint: hint.map(str::to_owned) };
                    return Err(self.refused(&tree, vec![problem]));
                }
            };
            base = Some(match base {
                Some(base) => self.merge.lay(base, included),
                None => included,
            });
        }
        self.open.pop();
        self.read_levels(at, text);
        tree.take("include");
        Ok(match base {
            Some(base) => self.merge.lay(base, tree),
            None => tree,
        })
    }

    /// Reads the levels in the comments of the file at position `file`.
    fn read_levels(&mut self, file: usize, text: &str) {
        for (line, read) in in_comments(text) {
            match read {
                Ok(setting) => self.levels.push(setting),
                Err(rule) => {
                    let (path, rule) = ("# check".to_owned(), rule.to_owned());
                    let problem = Problem { path, value: String::new(), rule, hint: None };
                    self.told.push(Told { place: Place { file, at: Some((line, 1)) }, problem });
                }
            }
        }
    }

    /// The file that `including` means by `path`, as it is opened and shown.
    fn find(&self, including: &str, path: &str) -> Result<String, (String, Option<&'static str>)> {
        const ABSOLUTE: &str = "give an absolute path for a file elsewhere";
        let path = Path::new(path);
        let file = if path.is_absolute() {
            path.to_owned()
        } else if including == "-" {
            let rule = "must be an absolute path in a registry from standard input".to_owned();
            return Err((rule, Some("relative paths count from the folder of the file that names them")));
        } else if path.components().any(|part| part == Component::ParentDir) {
            return Err(("must be below the folder of this file".to_owned(), Some(ABSOLUTE)));
        } else {
            Path::new(including).parent().unwrap_or(Path::new("")).join(path)
        };
        let cannot = |error: std::io::Error| (format!("cannot be read: {error}"), None);
        let real = fs::canonicalize(&file).map_err(cannot)?;
        if !fs::metadata(&real).map_err(cannot)?.is_file() {
            return Err(("cannot be read: it is no file".to_owned(), None));
        }
        if !path.is_absolute() {
            let folder = Path::new(including).parent().filter(|folder| !folder.as_os_str().is_empty());
            if !real.starts_with(fs::canonicalize(folder.unwrap_or(Path::new("."))).map_err(cannot)?) {
                return Err((
                    "is a link to a file that is not below the folder of this file".to_owned(),
                    Some(ABSOLUTE),
                ));
            }
        }
        if self.open.contains(&real) {
            return Err(("includes this file again".to_owned(), Some("take one of the two out")));
        }
        if self.open.len() >= DEEPEST {
            return Err((format!("is more than {DEEPEST} files deep"), None));
        }
        if self.files.len() >= MOST {
            return Err((format!("is one of more than {MOST} files"), None));
        }
        if self.bytes > LARGEST {
            return Err(("comes after 16 MiB of other files".to_owned(), None));
        }
        Ok(file.to_string_lossy().into_owned())
    }

    /// The error that tells these problems of a file.
    fn refused(&self, tree: &Tree, problems: Vec<Problem>) -> LoadError {
        refused(&self.files, problems.into_iter().map(|problem| tree.told(problem)).collect())
    }
}
