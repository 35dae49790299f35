//! The names of variables: how `${NAME}` is told from everything else in braces, and which names are never one.

/// What stands behind `${`.
pub(super) enum Found<'t> {
    /// The name of a variable, and what comes behind the brace.
    Name(&'t str, &'t str),
    /// A name with a colon, by which shells give a default.
    Default(&'t str),
    /// Something else, such as a placeholder of a mapping, which are written in lower case.
    None,
}

/// What the text behind `${` begins with.
pub(super) fn variable(inside: &str) -> Found<'_> {
    let end =
        inside.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')).unwrap_or(inside.len());
    let (name, behind) = inside.split_at(end);
    match behind.chars().next() {
        _ if name.is_empty() => Found::None,
        Some('}') => Found::Name(name, behind.strip_prefix('}').unwrap_or_default()),
        Some(':') => Found::Default(name),
        _ => Found::None,
    }
}

/// Whether it may be the name of a variable.
pub(super) fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    !name.is_empty() && name.len() <= 63 && name.bytes().all(legal)
}

/// Whether somebody may have put a secret under this name.
pub(super) fn is_called_like_a_secret(name: &str) -> bool {
    const SECRETS: [&str; 11] = [
        "PAT",
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "KEY",
        "APIKEY",
        "CREDENTIAL",
        "CREDENTIALS",
        "JWT",
    ];
    name.rsplit('_').find(|word| !word.bytes().all(|b| b.is_ascii_digit())).is_some_and(|last| SECRETS.contains(&last))
}

/// Whether a key is written as those of registries are. What is not may be anything, a secret too.
pub(super) fn is_plain_name(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=64).contains(&key.len()) && key.bytes().all(is_plain)
}
