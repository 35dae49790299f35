//! Which tools clients may see and call (`listener.allowed_tools`).

/// The names and patterns that the operator allows; without any list everything is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllowedTools(Option<Vec<String>>);

impl AllowedTools {
    /// Only what one of these fits, in which `*` stands for any text.
    pub fn only(patterns: Vec<String>) -> Self {
        AllowedTools(Some(patterns))
    }

    /// Whether anything is forbidden, so that messages have to be looked into.
    pub fn restricts(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the tool of this name may be seen and called.
    pub fn allows(&self, name: &str) -> bool {
        let Some(patterns) = &self.0 else { return true };
        patterns.iter().any(|pattern| fits(pattern.as_bytes(), name.as_bytes()))
    }
}

/// Whether `pattern` stands for the whole of `name`. Never slower than their lengths multiplied, however many stars there are.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut from) = (0_usize, 0_usize);
    // Where to go on if what follows the last star does not fit: behind the star, and one byte later in the name.
    let mut again: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(from) {
        match pattern.get(at) {
            Some(b'*') => {
                at = at.saturating_add(1);
                again = Some((at, from));
            }
            Some(wanted) if wanted == byte => (at, from) = (at.saturating_add(1), from.saturating_add(1)),
            _ => {
                let Some((behind, start)) = again else { return false };
                let start = start.saturating_add(1);
                (at, from, again) = (behind, start, Some((behind, start)));
            }
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use proptest::prelude::*;

    use super::*;

    fn allowed(patterns: &[&str], name: &str) -> bool {
        AllowedTools::only(patterns.iter().map(|pattern| (*pattern).to_owned()).collect()).allows(name)
    }

    #[test]
    fn a_star_is_any_text_and_everything_else_is_itself() {
        for (pattern, name, fits) in [
            ("search", "search", true),
            ("search", "Search", false),
            ("search", "search2", false),
            ("search*", "search", true),
            ("search*", "search_docs", true),
            ("*", "", true),
            ("*_read", "a_read_read", true),
            ("*_read", "a_reads", false),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
            ("a?c", "abc", false),
            ("a.c", "abc", false),
            ("", "a", false),
        ] {
            assert_eq!(allowed(&[pattern], name), fits, "{pattern} {name}");
        }
        assert!(allowed(&["a", "b*"], "bc") && !allowed(&["a", "b*"], "c"));
        assert!(AllowedTools::default().allows("anything"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_pattern_fits_as_its_definition_says(pattern in "[ab*]{0,8}", name in "[ab]{0,8}") {
            fn model(pattern: &[u8], name: &[u8]) -> bool {
                match pattern.split_first() {
                    None => name.is_empty(),
                    Some((b'*', rest)) => (0..=name.len()).any(|skipped| model(rest, &name[skipped..])),
                    Some((byte, rest)) => name.split_first().is_some_and(|(first, tail)| first == byte && model(rest, tail)),
                }
            }
            prop_assert_eq!(allowed(&[&pattern], &name), model(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
