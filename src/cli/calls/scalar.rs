//! A value of a line, whatever a log format makes of it: a number may be text, and what is not known a dash, null or nothing.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Text, a number, or nothing that can be used.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Scalar<'a> {
    /// Not there, or a list, an object, true or false.
    #[default]
    Absent,
    /// Text, which may be that of a number.
    Text(Cow<'a, str>),
    /// A number.
    Number(f64),
}

impl Scalar<'_> {
    /// As text; none for what log formats write for "not known".
    pub fn text(&self) -> Option<&str> {
        match self {
            Scalar::Text(text) if !matches!(&**text, "" | "-") => Some(text),
            _ => None,
        }
    }

    /// As a number that is not below zero.
    pub fn number(&self) -> Option<f64> {
        let number = match self {
            Scalar::Number(number) => *number,
            Scalar::Text(text) => text.parse().ok()?,
            Scalar::Absent => return None,
        };
        (number.is_finite() && number >= 0.0).then_some(number)
    }

    /// As a whole number; what is behind the point is cut off.
    pub fn whole(&self) -> Option<u64> {
        self.number().map(|number| number as u64)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Scalar<'de>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("any value")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Absent)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Absent)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Absent)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Absent)
    }
}
