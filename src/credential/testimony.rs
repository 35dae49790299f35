//! What a server has last made of its tokens, as all workers and the prober know it: kept in the shared data, so that a
//! success of anybody counts for everybody, and a token's fault is told from a request's.

use super::Fingerprint;

/// What is known of one token at one server. Monotonic ms; 0 is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// The token.
    pub fingerprint: Fingerprint,
    /// When the server last accepted it.
    pub accepted_ms: u64,
    /// When the server last refused a call with it.
    pub refused_ms: u64,
    /// When it was last certain that the token is at fault.
    pub condemned_ms: u64,
}

/// What was seen of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The server accepted it.
    Accepted,
    /// The server refused a call with it, which may be the call's fault.
    Refused,
    /// It is at fault: the prober's own request was refused, or several calls in a row.
    Condemned,
}

/// What is known of the two tokens that a server has been shown last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Testimony([Word; 2]);

/// Bytes of a word.
const SIZE: usize = 32;

impl Word {
    const NONE: Word = Word { fingerprint: Fingerprint(0), accepted_ms: 0, refused_ms: 0, condemned_ms: 0 };

    /// Whether the token is at fault, and nobody has had a success with it since.
    pub fn is_condemned(&self) -> bool {
        self.condemned_ms > self.accepted_ms
    }

    fn is_doubted(&self) -> bool {
        self.refused_ms.max(self.condemned_ms) > self.accepted_ms
    }

    fn last_ms(&self) -> u64 {
        self.accepted_ms.max(self.refused_ms).max(self.condemned_ms)
    }
}

impl Testimony {
    /// Nothing is known.
    pub const NONE: Testimony = Testimony([Word::NONE; 2]);

    /// The testimony in `bytes`; none for anything else.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut numbers = bytes.chunks_exact(8).map(|chunk| chunk.try_into().map_or(0, u64::from_le_bytes));
        let mut next = || numbers.next().unwrap_or_default();
        Testimony([(); 2].map(|()| Word {
            fingerprint: Fingerprint(next()),
            accepted_ms: next(),
            refused_ms: next(),
            condemned_ms: next(),
        }))
    }

    /// The testimony as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SIZE.saturating_mul(2));
        for word in &self.0 {
            for number in [word.fingerprint.0, word.accepted_ms, word.refused_ms, word.condemned_ms] {
                bytes.extend(number.to_le_bytes());
            }
        }
        bytes
    }

    /// What is known of a token.
    pub fn of(&self, fingerprint: Fingerprint) -> Option<Word> {
        self.0.into_iter().find(|word| word.fingerprint == fingerprint && word.last_ms() > 0)
    }

    /// Whether a token is at fault, and nobody has had a success with it since.
    pub fn condemns(&self, fingerprint: Fingerprint) -> bool {
        self.of(fingerprint).is_some_and(|word| word.is_condemned())
    }

    /// Takes note of what was seen of a token; the one that was heard of least lately is forgotten for it.
    pub fn note(&mut self, fingerprint: Fingerprint, seen: Seen, now_ms: u64) {
        let [first, second] = &mut self.0;
        let word = match () {
            () if first.fingerprint == fingerprint => first,
            () if second.fingerprint == fingerprint || second.last_ms() < first.last_ms() => second,
            () => first,
        };
        if word.fingerprint != fingerprint {
            *word = Word { fingerprint, ..Word::NONE };
        }
        let at = match seen {
            Seen::Accepted => &mut word.accepted_ms,
            Seen::Refused => &mut word.refused_ms,
            Seen::Condemned => &mut word.condemned_ms,
        };
        *at = now_ms.max(*at);
    }

    /// Whether the last that was heard of any of the tokens in use is a refusal.
    pub fn is_doubted(&self, in_use: impl Fn(Fingerprint) -> bool) -> bool {
        let last = self.0.iter().filter(|word| in_use(word.fingerprint)).max_by_key(|word| word.last_ms());
        last.is_some_and(Word::is_doubted)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const A: Fingerprint = Fingerprint(1);
    const B: Fingerprint = Fingerprint(2);
    const C: Fingerprint = Fingerprint(3);

    #[test]
    fn a_testimony_survives_its_encoding_and_anything_else_says_nothing() {
        let mut told = Testimony::NONE;
        told.note(A, Seen::Accepted, 5);
        told.note(B, Seen::Refused, 6);
        told.note(B, Seen::Condemned, 7);
        assert_eq!(Testimony::decode(&told.encode()), told);
        assert_eq!(told.of(B).map(|word| word.is_condemned()), Some(true));
        assert_eq!((told.of(A).map(|word| word.accepted_ms), told.of(C)), (Some(5), None));
        for bytes in [&b""[..], b"abc", &[0; 64]] {
            assert_eq!(Testimony::decode(bytes), Testimony::NONE);
        }
    }

    #[test]
    fn the_token_that_was_heard_of_least_lately_gives_way_to_a_new_one() {
        let mut told = Testimony::NONE;
        told.note(A, Seen::Accepted, 5);
        told.note(B, Seen::Accepted, 6);
        told.note(A, Seen::Refused, 7);
        told.note(C, Seen::Refused, 8);
        assert!(told.of(A).is_some() && told.of(B).is_none() && told.of(C).is_some());
    }

    #[test]
    fn tokens_are_doubted_from_a_refusal_to_the_next_success_of_one_in_use() {
        let mut told = Testimony::NONE;
        assert!(!told.is_doubted(|_| true));
        told.note(A, Seen::Refused, 5);
        assert!(told.is_doubted(|_| true) && !told.is_doubted(|token| token == B), "that token is gone");
        told.note(B, Seen::Accepted, 6);
        assert!(!told.is_doubted(|_| true));
        assert!(told.is_doubted(|token| token == A), "only the refused one is left");
        told.note(A, Seen::Accepted, 7);
        assert!(!told.is_doubted(|token| token == A));
    }
}
