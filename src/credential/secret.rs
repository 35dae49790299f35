//! A secret in memory. Nothing in here can print one.

use std::fmt;
use std::rc::Rc;

/// A token, key or password. A clone is the same one in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Rc<[u8]>);

/// A shorter secret is not looked for: it may be a word that anything contains.
const SHORTEST_HIDDEN: usize = 8;

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// A secret, unless `bytes` are empty once white space at both ends is taken off, as files and shells leave some.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let trimmed = bytes.trim_ascii();
        (!trimmed.is_empty()).then(|| Secret(trimmed.into()))
    }

    /// The header value that carries the secret.
    pub fn header_value(&self, prefix: &str) -> Vec<u8> {
        [prefix.as_bytes(), &self.0].concat()
    }

    /// Whether a header can carry it: visible ASCII characters only.
    pub fn fits_a_header(&self) -> bool {
        self.0.iter().all(u8::is_ascii_graphic)
    }

    /// Makes the secret unreadable wherever it stands in `text`, which keeps its length. Answers whether it stood there.
    pub fn hide_in(&self, text: &mut [u8]) -> bool {
        let mut found = false;
        while let Some(at) = self.find(text)
            && let Some(place) = text.get_mut(at..at.saturating_add(self.0.len()))
        {
            place.fill(b'*');
            found = true;
        }
        found
    }

    /// Where the secret stands in `text` first.
    pub fn find(&self, text: &[u8]) -> Option<usize> {
        let length = self.0.len();
        if length < SHORTEST_HIDDEN || length > text.len() {
            return None;
        }
        let (skips, mut from) = (self.skips(), 0usize);
        loop {
            let window = text.get(from..from.checked_add(length)?)?;
            let last = window.last().copied().unwrap_or_default();
            if self.0.last() == Some(&last) && *window == *self.0 {
                return Some(from);
            }
            from = from.checked_add(usize::from(skips.get(usize::from(last)).copied().unwrap_or(1)))?;
        }
    }

    /// By the last byte of a window without the secret: how far it may be moved, by Horspool. Almost every byte of an answer
    /// is passed over so, as secrets are long.
    fn skips(&self) -> [u8; 256] {
        let most = |distance: usize| u8::try_from(distance).unwrap_or(u8::MAX);
        let mut skips = [most(self.0.len()); 256];
        let last = self.0.len().saturating_sub(1);
        for (at, byte) in self.0.iter().enumerate().take(last) {
            if let Some(skip) = skips.get_mut(usize::from(*byte)) {
                *skip = most(last.saturating_sub(at));
            }
        }
        skips
    }

    /// Whether it is JSON that a token stands in.
    pub(super) fn is_json(&self) -> bool {
        self.0.starts_with(b"{")
    }

    /// Whether these bytes are this secret, once white space is taken off.
    pub fn is(&self, bytes: &[u8]) -> bool {
        *self.0 == *bytes.trim_ascii()
    }

    /// The secret itself, for those who read its claims or hash it.
    pub(super) fn reveal(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn hidden(secret: &str, text: &str) -> (bool, String) {
        let mut bytes = text.as_bytes().to_vec();
        let found = Secret::new(secret.as_bytes()).unwrap().hide_in(&mut bytes);
        (found, String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_secret_is_hidden_wherever_it_stands_and_the_text_keeps_its_length() {
        let text = |secret: &str| format!("{secret}, {secret}{secret} and {secret}");
        assert_eq!(hidden("hunter2-hunter2", &text("hunter2-hunter2")), (true, text("***************")));
        assert_eq!(hidden("hunter2-hunter2", "hunter2-hunter3"), (false, "hunter2-hunter3".to_owned()));
        assert_eq!(hidden("hunter2-hunter2", "hunter2-"), (false, "hunter2-".to_owned()));
        assert_eq!(
            hidden("and", "a short secret may be a word, and is let be"),
            (false, "a short secret may be a word, and is let be".to_owned())
        );
        let long = "x1".repeat(300);
        assert_eq!(hidden(&long, &format!("x{long}1")), (true, format!("x{}1", "*".repeat(600))));
    }

    #[cfg(not(target_family = "wasm"))]
    proptest::proptest! {
        #[test]
        fn a_secret_is_found_exactly_where_it_stands(secret in "[ab]{8,12}", text in "[ab]{0,60}") {
            let (found, after) = hidden(&secret, &text);
            proptest::prop_assert_eq!(found, text.contains(&secret));
            proptest::prop_assert_eq!(after, text.replace(&secret, &"*".repeat(secret.len())));
        }
    }
}
