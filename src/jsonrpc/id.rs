//! Request ids, byte for byte.

use crate::json::Raw;

/// Up to here every integer has a `f64` of its own, so comparing numbers as `f64` is exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The most bytes that an id may have. It is kept for as long as its call lasts; no client needs more than a few dozen.
const LONGEST: usize = 4096;

/// The `id` of a request: a JSON string or number, kept as the client wrote it.
///
/// JSON-RPC only advises against fractions, so they pass. `null` is what an answer says when it does not know the id,
/// and is not a `RequestId`.
#[derive(Debug, Clone, Copy)]
pub struct RequestId<'a>(Raw<'a>);

impl<'a> RequestId<'a> {
    /// The id written as `json`. `None` if that is not one JSON string or number.
    pub fn from_json(json: &'a str) -> Option<Self> {
        Raw::of(json).and_then(Self::from_raw)
    }

    /// Whether it is longer than an id may be.
    pub(super) fn is_too_long(&self) -> bool {
        self.as_json().len() > LONGEST
    }

    /// As [`RequestId::from_json`], of a value already known to be JSON.
    pub(super) fn from_raw(raw: Raw<'a>) -> Option<Self> {
        let legal = raw.get().starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit());
        legal.then_some(RequestId(raw))
    }

    /// The id with memory of its own.
    pub fn to_owned(self) -> OwnedId {
        OwnedId(self.as_json().into())
    }

    /// The id as JSON, byte for byte.
    pub fn as_json(self) -> &'a str {
        self.0.get()
    }

    /// Whether `other`, which an answer bears, means the same id, perhaps written differently (`"\u0061"` and `"a"`, `1.0`
    /// and `1`), as servers do that parse an id and write it anew. Some make a string of a number, and clients take `"7"` for
    /// 7. Numbers too large to be compared exactly must be the same bytes.
    pub fn matches(self, other: RequestId<'_>) -> bool {
        if self.as_json() == other.as_json() {
            return true;
        }
        match (self.0.text(), other.0.text()) {
            (Some(mine), Some(theirs)) => mine == theirs,
            (None, None) => matches!((self.exact(), other.exact()), (Some(mine), Some(theirs)) if mine == theirs),
            (None, Some(theirs)) if !theirs.trim_ascii_start().starts_with('"') => {
                RequestId::from_json(&theirs).is_some_and(|number| self.matches(number))
            }
            _ => false,
        }
    }

    fn exact(self) -> Option<f64> {
        self.0.number().filter(|number| number.abs() <= EXACT)
    }
}

/// A [`RequestId`] with memory of its own.
#[derive(Debug, Clone)]
pub struct OwnedId(Box<str>);

impl OwnedId {
    /// As [`RequestId::from_json`].
    pub fn from_json(json: &str) -> Option<Self> {
        RequestId::from_json(json).map(RequestId::to_owned)
    }

    /// The id.
    pub fn borrow(&self) -> RequestId<'_> {
        RequestId(Raw::known(&self.0))
    }

    /// As [`RequestId::as_json`].
    pub fn as_json(&self) -> &str {
        &self.0
    }
}
