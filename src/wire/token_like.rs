//! What looks like a token: somebody may have put one where only its place is named, in whatever field.

/// Fewer characters in a row are no token by their look.
const LONG: usize = 24;

/// Fewer hexadecimal digits in a row are an identifier.
const LONG_HEX: usize = 40;

/// Whether a token, or a part of one, stands in `text`: a JWT, a token of Snowflake's, what follows `Bearer`, or a long
/// random string. A name of words never does.
pub fn looks_like_a_token(text: &str) -> bool {
    if text.len() < 12 {
        return false;
    }
    let is_end = |c: char| c.is_whitespace() || "/?&=,;\"'`<>()[]{}|".contains(c);
    let mut bearer = false;
    text.split(is_end).any(|word| {
        let follows = std::mem::replace(&mut bearer, word.eq_ignore_ascii_case("bearer"));
        follows && word.len() >= 12 && word.bytes().any(|b| b.is_ascii_digit()) || is_token(word)
    })
}

fn is_token(word: &str) -> bool {
    let is_jwt = word.starts_with("eyJ") && word.len() >= 16 && word.contains('.');
    let is_snowflakes = word.starts_with("ver:") && word.contains("-hint:");
    is_jwt || is_snowflakes || word.split(|c: char| !c.is_ascii_alphanumeric()).any(is_random)
}

/// Whether a row of letters and digits has no order: kinds of characters change all the time, as in no word.
fn is_random(run: &str) -> bool {
    if run.len() < LONG {
        return false;
    }
    let kind = |b: u8| (b.is_ascii_digit(), b.is_ascii_uppercase());
    let has = |is: fn(&u8) -> bool| run.as_bytes().iter().any(is);
    let (digits, upper, lower) = (has(u8::is_ascii_digit), has(u8::is_ascii_uppercase), has(u8::is_ascii_lowercase));
    let changes = run.as_bytes().windows(2).filter(|pair| matches!(pair, [a, b] if kind(*a) != kind(*b))).count();
    let is_mixed = digits && upper && lower && changes.saturating_mul(5) >= run.len().saturating_mul(2);
    let is_hex = run.len() >= LONG_HEX && digits && (upper || lower) && run.bytes().all(|b| b.is_ascii_hexdigit());
    is_mixed || is_hex
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn tokens_are_known_by_their_look_wherever_they_stand() {
        for text in [
            "eyJhbGciOiJIUzI1NiJ9.SECRETSECRET.sig",
            "https://host.example/mcp/eyJhbGciOiJIUzI1NiJ9.SECRETSECRET.sig",
            "ver:1-hint:24680-ETMsjXdC",
            "Bearer SECRET-R-4444",
            "authorization: bearer hunter2-hunter2",
            "/etc/dualpath/aB3dE5fG7hI9jK1lM3nO5pQ7",
            "ghp_x8Kq2ZpL0vR7tYw3NcB5mJ9sHdF4gAeU6iQo",
            "0123456789abcdef0123456789abcdef01234567",
        ] {
            assert!(looks_like_a_token(text), "{text}");
        }
    }

    #[test]
    fn names_paths_and_prose_are_no_tokens() {
        for text in [
            "",
            "snowflake-primary",
            "/etc/dualpath/secrets/snowflake-pat-production-a.yaml",
            "https://my-org-my-account.snowflakecomputing.com/api/v2/databases/DEMO/schemas/PUBLIC/mcp-servers/CORTEX",
            "https://adb-1234567890123456.7.azuredatabricks.net/api/2.0/mcp/vector-search/prod/index",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "3f2504e04f8911d39a0c0305e82c3301",
            "SnowflakeCortexAnalystSemanticModelService2",
            "SNOWFLAKE_PROGRAMMATIC_ACCESS_TOKEN_2026_PRODUCTION",
            "PROGRAMMATIC_ACCESS_TOKEN",
            "a Bearer authentication header with the caller's own token, as RFC 6750 section 2.1 has it",
            "${arguments.query} ${arguments.service_2}",
            "2026-11-26T08:30:00Z",
            "x-snowflake-authorization-token-type",
        ] {
            assert!(!looks_like_a_token(text), "{text}");
        }
    }

    #[cfg(not(target_family = "wasm"))]
    proptest::proptest! {
        #[test]
        fn most_random_strings_are_known(text in "[A-Za-z0-9]{48}") {
            // One in many thousands has so much order by chance.
            let changes = text.as_bytes().windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()
                || pair[0].is_ascii_uppercase() != pair[1].is_ascii_uppercase()).count();
            proptest::prop_assume!(changes >= 20 && text.bytes().any(|b| b.is_ascii_digit()));
            proptest::prop_assert!(looks_like_a_token(&text));
        }

        #[test]
        fn no_name_is_taken_for_one(text in "[a-z]{1,12}(-[a-z0-9]{1,12}){0,4}") {
            proptest::prop_assert!(!looks_like_a_token(&text));
        }
    }
}
