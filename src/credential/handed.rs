//! What the place of a slot holds: a token, or JSON with a token and its dates, so that one write brings both.

use super::{Declared, Secret, date};
use crate::json::Value;

/// JSON longer than this is not read.
const LONGEST: usize = 64 * 1024;

/// What is wrong with what a place holds. A token with a defect is as good as none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Defect {
    /// It begins as JSON does, and is none with a token.
    NotReadable,
    /// The token has a line break or another control character inside, which no header can carry.
    FitsNoHeader,
}

impl Defect {
    /// What is wrong, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Defect::NotReadable => "holds JSON without a readable token",
            Defect::FitsNoHeader => "has a control character inside, which no header can carry",
        }
    }
}

/// A token with what its place says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// The token; of something with a defect, all of it.
    pub secret: Secret,
    /// The dates beside it.
    pub told: Declared,
    /// Whether a date stands there that is none. The token is good all the same; its life is not known.
    pub bad_date: bool,
    /// Why the token can't be sent.
    pub defect: Option<Defect>,
}

impl Handed {
    /// Reads what a place holds; `None` if that is no token at all. What begins with `{` is JSON: `token`, and `issued` and
    /// `expires` in the form of the registry's dates, or seconds since 1970. A date that is empty or null is not given.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let whole = Secret::new(bytes)?;
        if !whole.reveal().starts_with(b"{") {
            return Some(Handed::with(whole, Declared::default(), false));
        }
        let json = Some(whole.reveal()).filter(|json| json.len() <= LONGEST);
        let json = json.and_then(|json| Value::parse_bytes(json).ok());
        let Some(token) = json.as_ref().and_then(|json| json.get("token")?.as_str()) else {
            return Some(Handed {
                defect: Some(Defect::NotReadable),
                ..Handed::with(whole, Declared::default(), false)
            });
        };
        let mut bad_date = false;
        let mut date = |name: &str| match json.as_ref().and_then(|json| json.get(name)) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(found) => {
                let read = found.as_u64().or_else(|| date::parse(found.as_str()?));
                bad_date |= read.is_none();
                read
            }
        };
        let told = Declared { issued_s: date("issued"), expires_s: date("expires") };
        // A free slot may hold JSON without a token in it.
        Some(Handed::with(Secret::new(token.as_bytes())?, told, bad_date))
    }

    fn with(secret: Secret, told: Declared, bad_date: bool) -> Self {
        let defect = secret.reveal().iter().any(u8::is_ascii_control).then_some(Defect::FitsNoHeader);
        Handed { secret, told, bad_date, defect }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn read(text: &str) -> Handed {
        Handed::read(text.as_bytes()).expect("something")
    }

    #[test]
    fn a_token_stands_alone_or_with_its_dates() {
        assert_eq!(read(" tok-1\n").told, Declared::default());
        assert!(read(" tok-1\n").secret.is(b"tok-1"));
        let json = r#" {"token": "tok-1", "issued": "2026-11-26", "expires": "2026-12-26T08:30:00Z", "more": [1]}
"#;
        let handed = read(json);
        assert!(handed.secret.is(b"tok-1") && handed.defect.is_none() && !handed.bad_date);
        assert_eq!(handed.told.issued_s, date::parse("2026-11-26"));
        assert_eq!(handed.told.expires_s, date::parse("2026-12-26T08:30:00Z"));
        let seconds = read(r#"{"token": "tok-1", "expires": 1800000000, "issued": ""}"#);
        assert_eq!(
            (seconds.told.expires_s, seconds.told.issued_s, seconds.bad_date),
            (Some(1_800_000_000), None, false)
        );
    }

    #[test]
    fn a_date_that_is_none_takes_no_token_out_of_use() {
        for date in [r#""soon""#, "-5", "1.5", "[]", "true"] {
            let handed = read(&format!(r#"{{"token": "tok-1", "expires": {date}}}"#));
            assert!(handed.defect.is_none() && handed.bad_date && handed.told.expires_s.is_none(), "{date}");
        }
    }

    #[test]
    fn what_holds_no_token_is_empty_and_what_cannot_be_read_is_defective() {
        for empty in ["", " \n", r#"{"token": ""}"#, r#"{"token": " ", "expires": null}"#] {
            assert_eq!(Handed::read(empty.as_bytes()), None, "{empty:?}");
        }
        let long = format!("{{\"token\": \"{}\"}}", "x".repeat(LONGEST));
        for broken in ["{", "{}", r#"{"token": 5}"#, r#"{"tok": "tok-1"}"#, r#"{"token": "tok-1"} x"#, &long] {
            assert_eq!(read(broken).defect, Some(Defect::NotReadable), "{broken:.30}");
        }
        for token in ["tok\n1", "tok\r1", "tok\0-1", "tok\t1", "tok\x1b[0m-1", "tok\x7f-1"] {
            assert_eq!(read(token).defect, Some(Defect::FitsNoHeader), "{token:?}");
        }
        assert_eq!(read(r#"{"token": "tok\n1"}"#).defect, Some(Defect::FitsNoHeader));
    }

    #[cfg(not(target_family = "wasm"))]
    proptest::proptest! {
        #[test]
        fn whatever_a_place_holds_nothing_without_defect_breaks_a_header(bytes: Vec<u8>, json: bool) {
            let bytes = if json { [b"{\"token\": \"", &bytes[..], b"\"}"].concat() } else { bytes };
            if let Some(Handed { secret, defect: None, .. }) = Handed::read(&bytes) {
                proptest::prop_assert!(!secret.header_value("").iter().any(u8::is_ascii_control));
            }
        }
    }
}
