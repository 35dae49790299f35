//! Goes through JSON text from its beginning to its end, once.

use std::borrow::Cow;

use super::Raw;

/// The text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// A place in JSON text. However deep the text nests, reading on needs no stack.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// A string as it stands: what is between its quotation marks, and whether that has escapes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quoted<'a> {
    pub(super) inner: &'a str,
    pub(super) has_escapes: bool,
}

impl<'a> Quoted<'a> {
    /// What it says; `None` if it holds half of a surrogate pair.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        if self.has_escapes { unescaped(self.inner).map(Cow::Owned) } else { Some(Cow::Borrowed(self.inner)) }
    }
}

impl<'a> Reader<'a> {
    /// The beginning of `text`.
    pub fn new(text: &'a str) -> Self {
        Reader { text, at: 0 }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    /// Takes the next byte if it is this one.
    fn take(&mut self, wanted: u8) -> bool {
        let is_it = self.byte() == Some(wanted);
        if is_it {
            self.step();
        }
        is_it
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The byte that the next value begins with, or whatever follows next; the space before it is passed.
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.byte() {
            self.step();
        }
        self.byte()
    }

    /// Passes `mark` and the space before it, if it is what follows.
    fn mark(&mut self, mark: u8) -> bool {
        self.peek();
        self.take(mark)
    }

    /// The end of the text: nothing but space may follow.
    pub fn end(&mut self) -> Result<(), Malformed> {
        if self.peek().is_none() { Ok(()) } else { Err(Malformed) }
    }

    /// Tells each member of the object that follows: its name, and the place where its value begins, which must be read.
    /// `None` for a name that holds half of a surrogate pair.
    pub fn object<E: From<Malformed>>(
        &mut self,
        mut tell: impl FnMut(Option<Cow<'a, str>>, &mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut is_first = true;
        if !self.mark(b'{') {
            return Err(Malformed.into());
        }
        while self.goes_on(b'}', &mut is_first)? {
            let name = self.name()?;
            tell(name.text(), self)?;
        }
        Ok(())
    }

    /// Tells the place where each element of the array that follows begins, which must be read.
    pub fn array<E: From<Malformed>>(&mut self, mut tell: impl FnMut(&mut Self) -> Result<(), E>) -> Result<(), E> {
        let mut is_first = true;
        if !self.mark(b'[') {
            return Err(Malformed.into());
        }
        while self.goes_on(b']', &mut is_first)? {
            tell(self)?;
        }
        Ok(())
    }

    /// Whether another element or member follows before `close`, which is passed else.
    fn goes_on(&mut self, close: u8, is_first: &mut bool) -> Result<bool, Malformed> {
        if self.mark(close) {
            return Ok(false);
        }
        if !std::mem::take(is_first) && !self.take(b',') {
            return Err(Malformed);
        }
        Ok(true)
    }

    /// A member's name and the colon behind it.
    fn name(&mut self) -> Result<Quoted<'a>, Malformed> {
        self.peek();
        let name = self.quoted()?;
        if self.mark(b':') { Ok(name) } else { Err(Malformed) }
    }

    fn pass_name(&mut self) -> Result<(), Malformed> {
        self.peek();
        self.string()?;
        if self.mark(b':') { Ok(()) } else { Err(Malformed) }
    }

    /// The value that follows, as it stands.
    pub fn value(&mut self) -> Result<Raw<'a>, Malformed> {
        self.peek();
        let start = self.at;
        // What is open: a bit for each array or object, the innermost last; of more than 64 the outer ones are kept in words.
        let (mut open, mut depth, mut outer) = (0_u64, 0_u32, Vec::new());
        loop {
            // A value begins here.
            match self.peek().ok_or(Malformed)? {
                bracket @ (b'{' | b'[') => {
                    self.step();
                    let is_object = bracket == b'{';
                    if depth == u64::BITS {
                        outer.push(open);
                        (open, depth) = (0, 0);
                    }
                    open = open << 1 | u64::from(is_object);
                    depth = depth.saturating_add(1);
                    if !self.mark(if is_object { b'}' } else { b']' }) {
                        if is_object {
                            self.pass_name()?;
                        }
                        continue;
                    }
                    (open, depth) = (open >> 1, depth.saturating_sub(1));
                }
                b'"' => {
                    self.string()?;
                }
                _ => self.scalar()?,
            }
            // A value has ended here, and perhaps what it is in.
            loop {
                if depth == 0 {
                    match outer.pop() {
                        Some(word) => (open, depth) = (word, u64::BITS),
                        None => return Ok(Raw::known(self.since(start))),
                    }
                }
                let is_object = open & 1 == 1;
                if self.mark(b',') {
                    if is_object {
                        self.pass_name()?;
                    }
                    break;
                }
                if !self.take(if is_object { b'}' } else { b']' }) {
                    return Err(Malformed);
                }
                (open, depth) = (open >> 1, depth.saturating_sub(1));
            }
        }
    }

    /// A number, or one of the three words.
    fn scalar(&mut self) -> Result<(), Malformed> {
        for word in ["null", "true", "false"] {
            if self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
                self.at = self.at.saturating_add(word.len());
                return Ok(());
            }
        }
        self.take(b'-');
        // No zero stands before other digits.
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.step();
        }
        if self.at > start { Ok(()) } else { Err(Malformed) }
    }

    /// The string that follows.
    pub(super) fn quoted(&mut self) -> Result<Quoted<'a>, Malformed> {
        let start = self.at.saturating_add(1);
        let has_escapes = self.string()?;
        let inner = self.text.get(start..self.at.saturating_sub(1)).unwrap_or_default();
        Ok(Quoted { inner, has_escapes })
    }

    /// Passes the string that follows, eight bytes at a time; whether it has escapes. Half of what an MCP server answers is
    /// often JSON within a string, with an escape every ten bytes.
    fn string(&mut self) -> Result<bool, Malformed> {
        if !self.take(b'"') {
            return Err(Malformed);
        }
        let mut has_escapes = false;
        'words: loop {
            let word = self.word();
            let mut marks = marks(word);
            while marks != 0 {
                let bit = marks.trailing_zeros();
                let before = usize::try_from(bit >> 3).unwrap_or_default();
                match byte_at(word, bit) {
                    b'"' => {
                        self.at = self.at.saturating_add(before).saturating_add(1);
                        return Ok(has_escapes);
                    }
                    b'\\' => has_escapes = true,
                    // A control character, or the end.
                    _ => return Err(Malformed),
                }
                let behind = bit.saturating_add(8);
                if behind > 63 || !is_escape(byte_at(word, behind)) {
                    // What follows the backslash is in the next word, longer than a byte, or wrong.
                    self.at = self.at.saturating_add(before).saturating_add(1);
                    self.escape()?;
                    continue 'words;
                }
                marks &= u64::MAX.checked_shl(behind.saturating_add(1)).unwrap_or_default();
            }
            self.at = self.at.saturating_add(8);
        }
    }

    /// The next eight bytes, the first lowest; zeros behind the end.
    fn word(&self) -> u64 {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        u64::from_le_bytes(rest.first_chunk().copied().unwrap_or_else(|| {
            let mut last = [0; 8];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            last
        }))
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<(), Malformed> {
        let kind = self.byte().ok_or(Malformed)?;
        self.step();
        match kind {
            _ if is_escape(kind) => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    if !self.byte().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(Malformed);
                    }
                    self.step();
                }
                Ok(())
            }
            _ => Err(Malformed),
        }
    }
}

/// The high bit of each byte of `word` that does not stand for itself in a string: quotation marks, backslashes and control
/// characters. No carry goes from one byte to the next.
fn marks(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const LOW: u64 = ONES * 0x7f;
    const HIGH: u64 = ONES << 7;
    let differs = |from: u8| {
        let word = word ^ ONES.wrapping_mul(u64::from(from));
        (word & LOW).wrapping_add(LOW) | word
    };
    let visible = (word & LOW).wrapping_add(ONES.wrapping_mul(0x60)) | word;
    !(differs(b'"') & differs(b'\\') & visible) & HIGH
}

/// The byte of `word` that this bit is in.
fn byte_at(word: u64, bit: u32) -> u8 {
    let [byte, ..] = (word >> (bit & 56)).to_le_bytes();
    byte
}

/// Whether this, behind a backslash, is an escape.
fn is_escape(kind: u8) -> bool {
    matches!(kind, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')
}

/// What stands between quotation marks, without its escapes, which are right; `None` if it holds half of a surrogate pair.
fn unescaped(inner: &str) -> Option<String> {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let (kind, tail) = escape.split_at_checked(1)?;
        rest = tail;
        text.push(match kind {
            "b" => '\u{8}',
            "f" => '\u{c}',
            "n" => '\n',
            "r" => '\r',
            "t" => '\t',
            "u" => {
                let (unit, tail) = unit(tail)?;
                rest = tail;
                match unit {
                    0xd800..0xdc00 => {
                        let (low, tail) = self::unit(tail.strip_prefix("\\u")?)?;
                        rest = tail;
                        let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                        char::from_u32((unit.checked_sub(0xd800)? << 10 | low).checked_add(0x1_0000)?)?
                    }
                    unit => char::from_u32(unit)?,
                }
            }
            // A quotation mark, a slash or a backslash.
            _ => kind.chars().next()?,
        });
    }
    text.push_str(rest);
    Some(text)
}

/// Four hexadecimal digits.
fn unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}
