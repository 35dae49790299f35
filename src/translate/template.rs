//! Templates once they are parsed.

/// A JSON value with placeholders.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Template {
    /// JSON text without placeholders.
    Literal(String),
    /// A whole value.
    Value(Reference),
    /// A string with placeholders in it; the pieces are escaped for JSON.
    Text(Vec<Piece>),
    /// A list.
    List(Vec<Template>),
    /// An object; the keys are JSON strings already.
    Object(Vec<(String, Template)>),
    /// The first that is present.
    First(Vec<Template>),
    /// An optional constant that the registry does not set.
    Absent,
}

/// Part of a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Text as it goes out, encoded for its place.
    Literal(String),
    /// A placeholder.
    Reference(Reference),
    /// An optional constant that the registry does not set; the text around it is left out.
    Absent,
}

/// A placeholder: where its value comes from and what to do without one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reference {
    pub(super) root: Root,
    pub(super) path: Vec<Box<str>>,
    pub(super) when_absent: WhenAbsent,
}

/// What a placeholder's path starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// The call's arguments in a request, the API's answer in an answer.
    Document,
    /// The call's UUID.
    CallUuid,
}

/// What becomes of a placeholder without a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum WhenAbsent {
    /// The template cannot be rendered.
    Refuse,
    /// What the placeholder stands in is left out.
    LeaveOut,
    /// The same, and an empty string, list or object counts as absent too.
    LeaveOutEmpty,
    /// This JSON text takes its place.
    Default(String),
}
