//! A tree of values, for what is looked at from all sides: registries, lists of tools.

use std::fmt;

use super::{Malformed, Reader, write_quoted};

/// So deep may a tree be, as `serde_json` has it.
const DEEPEST: usize = 127;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it stands in the text.
    Number(Box<str>),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Map),
}

/// The members of an object, in the order of the text. Of a name that stands there twice the last one counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map(Vec<(String, Value)>);

impl Map {
    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Whether there is a member of this name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets a member.
    pub fn insert(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, place)) => *place = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// The members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl FromIterator<(String, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(members: I) -> Self {
        Map(members.into_iter().collect())
    }
}

impl Value {
    /// The one value that `text` is.
    ///
    /// # Errors
    /// If it is not JSON, or nests too deep.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut reader = Reader::new(text);
        let value = Value::read(&mut reader, DEEPEST)?;
        reader.end()?;
        Ok(value)
    }

    /// The same of bytes.
    ///
    /// # Errors
    /// If they are not UTF-8, not JSON, or nest too deep.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        std::str::from_utf8(bytes).map_err(|_| Malformed).and_then(Value::parse)
    }

    fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Self, Malformed> {
        match reader.peek() {
            Some(b'{') => {
                let depth = depth.checked_sub(1).ok_or(Malformed)?;
                let mut map = Map::default();
                reader.object(|name, reader| {
                    let name = name.ok_or(Malformed)?;
                    map.0.push((name.into_owned(), Value::read(reader, depth)?));
                    Ok::<(), Malformed>(())
                })?;
                Ok(Value::Object(map))
            }
            Some(b'[') => {
                let depth = depth.checked_sub(1).ok_or(Malformed)?;
                let mut elements = Vec::new();
                reader.array(|reader| {
                    elements.push(Value::read(reader, depth)?);
                    Ok::<(), Malformed>(())
                })?;
                Ok(Value::Array(elements))
            }
            Some(b'"') => Ok(Value::String(reader.quoted()?.text().ok_or(Malformed)?.into_owned())),
            _ => Ok(match reader.value()?.get() {
                "null" => Value::Null,
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                number => Value::Number(number.into()),
            }),
        }
    }

    /// The member of this name, if it is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.get(name)
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&Map> {
        if let Value::Object(map) = self { Some(map) } else { None }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Value::Array(elements) = self { Some(elements) } else { None }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = self { Some(text) } else { None }
    }

    /// Whether it is `true`, if it is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(is_true) = self { Some(*is_true) } else { None }
    }

    /// A number that is whole, written so, and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        if let Value::Number(number) = self { number.parse().ok() } else { None }
    }

    /// A number that is whole, and written so.
    pub fn as_i64(&self) -> Option<i64> {
        if let Value::Number(number) = self { number.parse().ok() } else { None }
    }

    /// A number. Of up to 15 digits and a power of ten of up to 22 the nearest that there is; else nearly that.
    pub fn as_f64(&self) -> Option<f64> {
        if let Value::Number(number) = self { float(number) } else { None }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        *self == Value::Null
    }

    /// Appends its text, without space.
    pub fn write(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(is_true) => out.push_str(if *is_true { "true" } else { "false" }),
            Value::Number(number) => out.push_str(number),
            Value::String(text) => write_quoted(text, out),
            Value::Array(elements) => {
                let mut before = '[';
                for element in elements {
                    out.push(before);
                    before = ',';
                    element.write(out);
                }
                out.push_str(if before == '[' { "[]" } else { "]" });
            }
            Value::Object(map) => {
                let mut before = '{';
                for (name, value) in map.iter() {
                    out.push(before);
                    before = ',';
                    write_quoted(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push_str(if before == '{' { "{}" } else { "}" });
            }
        }
    }

    /// Its text, without space.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

/// Digits, a point, an exponent: each digit counts up to the nineteenth.
#[allow(clippy::cast_precision_loss)]
pub(super) fn float(number: &str) -> Option<f64> {
    let (number, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (sign, number) = number.strip_prefix('-').map_or((1.0, number), |number| (-1.0, number));
    // What is too long for it makes anything nothing, or more than any number.
    let beyond = if exponent.starts_with('-') { i32::MIN } else { i32::MAX };
    let (mut mantissa, mut power) = (0_u64, exponent.trim_start_matches('+').parse::<i32>().unwrap_or(beyond));
    let mut is_whole = true;
    for byte in number.bytes() {
        let digit = match byte {
            b'.' => {
                is_whole = false;
                continue;
            }
            digit => u64::from(digit.wrapping_sub(b'0')),
        };
        match mantissa.checked_mul(10).and_then(|mantissa| mantissa.checked_add(digit)) {
            Some(longer) => {
                mantissa = longer;
                power = if is_whole { power } else { power.saturating_sub(1) };
            }
            // Too many digits: of those before the point the size counts.
            None => power = if is_whole { power.saturating_add(1) } else { power },
        }
    }
    let mut size = mantissa as f64;
    // In two steps, since a power of ten that the smallest numbers are divided by is larger than any number.
    let steps = power.unsigned_abs().min(700);
    for steps in [steps.min(300), steps.saturating_sub(300)] {
        let scale = (0..steps).fold(1.0_f64, |scale, _| scale * 10.0);
        if mantissa != 0 {
            size = if power < 0 { size / scale } else { size * scale };
        }
    }
    size.is_finite().then_some(sign * size)
}

#[cfg(any(test, feature = "cli"))]
impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(is_true) => Value::Bool(*is_true),
            serde_json::Value::Number(number) => Value::Number(number.to_string().into()),
            serde_json::Value::String(text) => Value::String(text.clone()),
            serde_json::Value::Array(elements) => Value::Array(elements.iter().map(Value::from).collect()),
            serde_json::Value::Object(map) => {
                Value::Object(map.iter().map(|(name, value)| (name.clone(), Value::from(value))).collect())
            }
        }
    }
}
