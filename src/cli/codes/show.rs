//! What the table says, for people, programs and the guide.

use std::fmt::Write;

use serde_json::{Value, json as object};

use super::{Code, all};

/// One code, explained.
pub(in crate::cli) fn text(code: &Code) -> String {
    let mut text = format!("{} ({}): {}\n\n{}\n", code.name, code.level().as_str(), code.title, code.means);
    for (what, example) in [("Wrong", &code.wrong), ("Right", &code.right)] {
        if let Some(example) = example {
            let _ = write!(text, "\n{what}:\n{}", indented(example));
        }
    }
    let _ = writeln!(text, "\n{}", code.mend);
    text
}

/// The same, for programs.
pub(in crate::cli) fn json(code: &Code) -> Value {
    object!({"code": code.name, "level": code.level().as_str(), "title": code.title, "means": code.means,
        "remedy": code.mend, "wrong": code.wrong, "right": code.right})
}

/// All codes, one a line.
pub(in crate::cli) fn list() -> String {
    let line = |code: &Code| format!("{}  {:<7}  {}\n", code.name, code.level().as_str(), code.title);
    all().iter().map(line).collect()
}

/// All codes as the guide has them.
pub(in crate::cli) fn markdown() -> String {
    let (mut text, mut about) = (String::new(), "");
    for code in all() {
        if code.about != about {
            about = code.about;
            let _ = write!(text, "## {about}\n\n");
        }
        let _ =
            write!(text, "### {}: {}\n\n{}. {}\n\n", code.name, code.title, capital(code.level().as_str()), code.means);
        for (what, example) in [("Wrong", &code.wrong), ("Right", &code.right)] {
            if let Some(example) = example {
                let _ = write!(text, "{what}:\n\n{}\n", indented(example));
            }
        }
        let _ = write!(text, "{}\n\n", code.mend);
    }
    text.trim_end().to_owned() + "\n"
}

fn indented(example: &str) -> String {
    example.lines().map(|line| format!("    {line}\n")).collect()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}
