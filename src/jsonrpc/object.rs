//! Reading JSON objects strictly: an array never passes for an object, a repeated key never passes at all.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

/// Makes a derived `Deserialize` accept objects only. Left to itself it takes `["2.0", 1]` for
/// `{"jsonrpc": "2.0", "id": 1}`.
struct ObjectOnly<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for ObjectOnly<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The one JSON object that `text` consists of.
pub(crate) fn from_object<'de, T: Deserialize<'de>>(text: &'de str) -> serde_json::Result<T> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(ObjectOnly(&mut json))?;
    json.end()?;
    Ok(value)
}

/// Reads the members of these names from the one JSON object that `text` consists of, each as it stands, `null` too. Others
/// are passed over. `found` has a place for each name.
///
/// # Errors
/// If it is no object, or if two readers could take a different member for one of these: it stands there twice, or there is
/// one whose name differs from it in case only.
pub(crate) fn members<'de>(
    text: &'de str,
    names: &[&str],
    found: &mut [Option<&'de RawValue>],
) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(Members { names, found })?;
    json.end()
}

struct Members<'n, 'f, 'de> {
    names: &'n [&'n str],
    found: &'f mut [Option<&'de RawValue>],
}

impl<'de> Visitor<'de> for Members<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name(self.names))? {
            match name {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some(at) => {
                    let free = at.and_then(|at| self.found.get_mut(at)).filter(|place| place.is_none());
                    *free.ok_or_else(|| A::Error::custom("a doubtful member"))? = Some(map.next_value()?);
                }
            }
        }
        Ok(())
    }
}

/// Reads the name of a member: `Some(Some(at))` if it is the known one at this position, `Some(None)` if a reader could take
/// it for a known one, `None` if it is none of these.
struct Name<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<Option<usize>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<Option<usize>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let exactly = self.0.iter().position(|known| *known == name);
        Ok(exactly.map(Some).or_else(|| self.0.iter().any(|known| is_alike(name, known)).then_some(None)))
    }
}

/// Whether a reader that ignores case takes one name for the other. Go's does, by Unicode's folding, in which two letters
/// beyond ASCII are `k` and `s`.
fn is_alike(name: &str, known: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        _ => letter.to_ascii_lowercase(),
    };
    name.chars().map(fold).eq(known.chars().map(fold))
}

/// The string that `raw` is; `None` if it is none, or holds half of a surrogate pair.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let json = raw.get();
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(json).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}
