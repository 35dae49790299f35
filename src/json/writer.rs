//! Writes JSON text.

/// Appends `text` as a string.
pub fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let Some((byte, tail)) = special.split_at_checked(1) else { break };
        match byte {
            "\"" => out.push_str("\\\""),
            "\\" => out.push_str("\\\\"),
            "\n" => out.push_str("\\n"),
            "\r" => out.push_str("\\r"),
            "\t" => out.push_str("\\t"),
            "\u{8}" => out.push_str("\\b"),
            "\u{c}" => out.push_str("\\f"),
            _ => {
                out.push_str(if byte < "\u{10}" { "\\u000" } else { "\\u001" });
                let digit = byte.bytes().next().and_then(|byte| char::from_digit(u32::from(byte) & 15, 16));
                out.push(digit.unwrap_or('0'));
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out.push('"');
}

/// `text` as a string.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    write_quoted(text, &mut out);
    out
}

/// An array of these texts.
pub fn array<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let mut out = String::from("[");
    for text in texts {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(text);
    }
    out.push(']');
    out
}

/// An object that is being written, member by member. The names are written as they are, so they must need no escapes.
#[derive(Debug, Clone, Default)]
pub struct Object(String);

impl Object {
    /// Adds a member whose value is this JSON text.
    pub fn json(mut self, name: &str, value: &str) -> Self {
        self.0.push_str(if self.0.is_empty() { "{\"" } else { ",\"" });
        self.0.push_str(name);
        self.0.push_str("\":");
        self.0.push_str(value);
        self
    }

    /// Adds a member that is a string, if there is one.
    pub fn text<'t>(self, name: &str, value: impl Into<Option<&'t str>>) -> Self {
        match value.into() {
            Some(text) => self.json(name, &quoted(text)),
            None => self,
        }
    }

    /// Adds a member that is a whole number, if there is one.
    pub fn number(self, name: &str, value: impl Into<Option<u64>>) -> Self {
        match value.into() {
            Some(number) => self.json(name, &number.to_string()),
            None => self,
        }
    }

    /// Its text.
    pub fn done(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0
    }
}
