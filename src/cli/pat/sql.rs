//! Snowflake's statements about programmatic access tokens, with every name quoted so that it stays one.

use std::fmt;

/// A name in SQL: of a user, or of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier(String);

impl Identifier {
    /// Snowflake's limit, in bytes.
    const LONGEST: usize = 255;

    /// A name as an operator writes it: in any case as SQL without quotes takes it, or exact between double quotes.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let exact =
            text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(|inner| inner.replace("\"\"", "\""));
        let name = exact.as_deref().unwrap_or(text);
        if name.is_empty() || name.len() > Self::LONGEST || name.chars().any(char::is_control) {
            return Err(format!("must be a name of 1 to {} bytes without control characters", Self::LONGEST));
        }
        let plain = exact.is_none() && is_plain(name);
        Ok(Identifier(if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }))
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether SQL takes it without quotes.
fn is_plain(name: &str) -> bool {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    name.bytes().next().is_some_and(first) && name.bytes().all(|b| first(b) || b.is_ascii_digit() || b == b'$')
}

/// A string in SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Whose token it is, and what it is called. `None` is a placeholder for the operator to fill in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Token {
    /// The user.
    pub user: Option<Identifier>,
    /// The token's name.
    pub name: Option<Identifier>,
}

impl Token {
    fn statement(&self) -> (String, String) {
        let or = |name: &Option<Identifier>, placeholder: &str| {
            name.as_ref().map_or_else(|| placeholder.to_owned(), Identifier::to_string)
        };
        (format!("ALTER USER IF EXISTS {}", or(&self.user, "<USER>")), or(&self.name, "<TOKEN-NAME>"))
    }

    /// A new secret under the same name; the old one lives on for so many hours under another.
    pub fn rotate(&self, overlap_hours: u64) -> String {
        let (user, name) = self.statement();
        format!("{user} ROTATE PROGRAMMATIC ACCESS TOKEN {name}\n  EXPIRE_ROTATED_TOKEN_AFTER_HOURS = {overlap_hours};")
    }

    /// A first token.
    pub fn add(&self, role: Option<&str>, days: Option<u64>) -> String {
        let (user, name) = self.statement();
        let role = role.map_or_else(|| "'<ROLE>'".to_owned(), literal);
        let days = days.map(|days| format!("\n  DAYS_TO_EXPIRY = {days}")).unwrap_or_default();
        format!("{user} ADD PROGRAMMATIC ACCESS TOKEN {name}\n  ROLE_RESTRICTION = {role}{days};")
    }

    /// The end of the token that a rotation has renamed.
    pub fn remove_rotated(&self) -> String {
        let (user, _) = self.statement();
        format!("{user} REMOVE PROGRAMMATIC ACCESS TOKEN <rotated_token_name>;")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> String {
        Identifier::parse(text).expect(text).to_string()
    }

    #[test]
    fn a_name_is_quoted_only_where_quotes_do_not_change_its_meaning() {
        for (text, expected) in [
            ("svc_mcp", "svc_mcp"),
            ("SVC$1", "SVC$1"),
            ("\"svc_mcp\"", "\"svc_mcp\""),
            ("svc-mcp", "\"svc-mcp\""),
            ("1st", "\"1st\""),
            ("me@example.com", "\"me@example.com\""),
            ("a\"; DROP USER b; --", "\"a\"\"; DROP USER b; --\""),
            ("\"a\"\"b\"", "\"a\"\"b\""),
        ] {
            assert_eq!(named(text), expected);
        }
        for text in ["", "\"\"", "a\nb", &"x".repeat(256)] {
            assert!(Identifier::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_statements_are_those_of_the_reference() {
        let token = Token { user: Identifier::parse("SVC").ok(), name: Identifier::parse("mcp pat").ok() };
        assert_eq!(
            token.rotate(24),
            "ALTER USER IF EXISTS SVC ROTATE PROGRAMMATIC ACCESS TOKEN \"mcp pat\"\n  EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 24;"
        );
        assert_eq!(
            token.add(Some("it's \\me"), Some(90)),
            "ALTER USER IF EXISTS SVC ADD PROGRAMMATIC ACCESS TOKEN \"mcp pat\"\n  ROLE_RESTRICTION = 'it''s \\\\me'\n  DAYS_TO_EXPIRY = 90;"
        );
        assert!(Token::default().add(None, None).contains("<USER> ADD PROGRAMMATIC ACCESS TOKEN <TOKEN-NAME>"));
    }

    proptest::proptest! {
        #[test]
        fn no_name_ends_its_own_quotes(text in "\\PC{1,40}") {
            if let Ok(name) = Identifier::parse(&text) {
                let shown = name.to_string();
                let inner = shown.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                proptest::prop_assert!(is_plain(&shown) || inner.is_some_and(|inner| !inner.replace("\"\"", "").contains('"')));
            }
        }
    }
}
