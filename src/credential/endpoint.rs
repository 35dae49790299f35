//! Reading the answer of a token endpoint.

use super::{Defect, Handed, Secret};
use crate::json::Value;

/// What an answer holds for a slot, as [`Handed::read`] reads it: its member `field`, or all of it.
///
/// # Errors
/// Why there is none, without a word of the answer: it may hold one all the same.
pub fn secret_in(field: Option<&str>, status: Option<u16>, body: &[u8]) -> Result<Vec<u8>, &'static str> {
    if status != Some(200) {
        return Err("its answer is not 200");
    }
    let found = match field {
        None => Secret::new(body),
        Some(field) => {
            let answer = Value::parse_bytes(body).map_err(|_| "its answer is not JSON")?;
            answer.get(field).and_then(Value::as_str).and_then(|text| Secret::new(text.as_bytes()))
        }
    };
    let secret = found.ok_or("its answer has no token")?;
    match Handed::read(secret.reveal()) {
        None => Err("its answer has no token"),
        Some(Handed { defect: Some(Defect::NotReadable), .. }) => Err("its answer is JSON without a token"),
        Some(handed) if !handed.secret.fits_a_header() => {
            Err("its answer's token has characters that no header can carry")
        }
        Some(_) => Ok(secret.header_value("")),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_token_is_the_body_or_a_member_of_it() {
        assert_eq!(secret_in(None, Some(200), b" token\n"), Ok(b"token".to_vec()));
        assert_eq!(secret_in(Some("t"), Some(200), br#"{"t": "token"}"#), Ok(b"token".to_vec()));
        let dated = br#"{"token": "token", "expires": "2026-12-24"}"#;
        assert_eq!(secret_in(None, Some(200), dated), Ok(dated.to_vec()), "with its dates");
    }

    #[test]
    fn an_answer_without_a_usable_token_is_refused_and_not_quoted() {
        for (field, status, body) in [
            (None, Some(404), &b"token"[..]),
            (None, None, b""),
            (None, Some(200), b" \n"),
            (None, Some(200), b"two tokens"),
            (None, Some(200), b"<html>\xff"),
            (None, Some(200), br#"{"access_token": "token"}"#),
            (None, Some(200), br#"{"token": ""}"#),
            (None, Some(200), br#"{"token": "two tokens"}"#),
            (Some("t"), Some(200), b"token"),
            (Some("t"), Some(200), br#"{"u": "token"}"#),
            (Some("t"), Some(200), br#"{"t": 5}"#),
            (Some("t"), Some(200), br#"{"t": "a\r\nb: c"}"#),
        ] {
            let why = secret_in(field, status, body).expect_err("no token");
            assert!(!why.contains("token\n") && why.starts_with("its answer"), "{why}");
        }
    }
}
