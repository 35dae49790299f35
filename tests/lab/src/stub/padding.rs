//! Long answers on order: whoever calls a tool with the words `bytes=N` in an argument gets so many more of them.

use serde_json::Value;

/// The member of a result that makes it long.
pub const PADDING: &str = "padding";

/// Characters after which they come again. A stub that made fifty million of them one by one would keep others waiting.
const PERIOD: usize = 4093;

/// So many characters. They follow from the word, so that nobody takes another call's for their own.
pub fn padding(word: &str, bytes: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+.";
    let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    let mut state = word.bytes().fold(0xCBF2_9CE4_8422_2325, add) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    let letter = |byte: u8| char::from(LETTERS[usize::from(byte & 63)]);
    let period: String = words.flat_map(u64::to_le_bytes).map(letter).take(PERIOD).collect();
    let mut padding = period.repeat(bytes / PERIOD + 1);
    padding.truncate(bytes);
    padding
}

/// What the arguments of a call order: the word before `bytes=N`, and N.
pub(super) fn ordered(params: &Value) -> Option<(String, usize)> {
    let arguments = params.get("arguments")?.as_object()?;
    arguments.values().filter_map(Value::as_str).find_map(|text| {
        let (before, bytes) = text.split_once(" bytes=")?;
        let word = before.rsplit([' ', '\'']).next().unwrap_or_default();
        let digits = bytes.split(|c: char| !c.is_ascii_digit()).next()?;
        Some((word.to_owned(), digits.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_orders_its_own_padding_wherever_the_words_stand() {
        let ordered = |text: &str| ordered(&json!({ "arguments": { "q": text } }));
        assert_eq!(ordered("mark-call-7 bytes=9"), Some(("mark-call-7".to_owned(), 9)));
        assert_eq!(ordered("select 'mark-call-7 bytes=9'"), Some(("mark-call-7".to_owned(), 9)));
        assert_eq!((ordered("mark-call-7"), ordered("x bytes=many")), (None, None));
        for bytes in [0, 50, PERIOD, 3 * PERIOD + 1] {
            assert_eq!(padding("a", bytes).len(), bytes);
        }
        assert_ne!(padding("a", 50), padding("b", 50));
    }
}
