//! Reads Server-Sent Events as they arrive.
//!
//! Bytes are pushed in pieces of any size, events come out. Every byte is looked at once, however small the pieces, and
//! what is kept in memory is the unfinished line and the data of the unfinished event.

/// Finds the events in one stream.
#[derive(Debug, Default)]
pub struct Scanner {
    /// Bytes that are not read yet, and some before them that are.
    pending: Vec<u8>,
    /// Where in `pending` the unfinished line begins.
    line_start: usize,
    /// How much of `pending` has been searched for the end of that line.
    scanned: usize,
    /// Whether the last line ended with CR, so that an LF belongs to it.
    after_cr: bool,
    /// Whether a whole line has been read, so that no byte order mark can follow.
    begun: bool,
    /// Data of the unfinished event; `None` while it has no data line.
    data: Option<Vec<u8>>,
    /// Whether an event had an id.
    resumable: bool,
}

impl Scanner {
    /// Takes the bytes that follow those pushed before.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.drain(..self.line_start.min(self.pending.len()));
        self.scanned = self.scanned.saturating_sub(self.line_start);
        self.line_start = 0;
        self.pending.extend_from_slice(bytes);
    }

    /// The data of the next complete event that has any, if it has arrived: its `data` lines, joined by LF. Empty for an
    /// event that only carries an id, as MCP servers open a stream with. Ask until there is none.
    ///
    /// What is left when the stream ends is an incomplete event, which the specification drops.
    pub fn next_event(&mut self) -> Option<Vec<u8>> {
        while let Some((start, end)) = self.next_line() {
            let mut line = self.pending.get(start..end)?;
            if !self.begun {
                self.begun = true;
                line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
            }
            if line.is_empty() {
                if let Some(data) = self.data.take() {
                    return Some(data);
                }
            } else if line.starts_with(b"id:") {
                self.resumable = true;
            } else if let Some(value) = data_of(line) {
                match &mut self.data {
                    Some(data) => {
                        data.push(b'\n');
                        data.extend_from_slice(value);
                    }
                    None => self.data = Some(value.to_vec()),
                }
            }
        }
        None
    }

    /// Whether an event had an id, with which a client can come back for what follows it.
    pub fn is_resumable(&self) -> bool {
        self.resumable
    }

    /// How many bytes of an unfinished event are held. The caller decides how many are too many.
    pub fn held(&self) -> usize {
        let line = self.pending.len().saturating_sub(self.line_start);
        line.saturating_add(self.data.as_ref().map_or(0, Vec::len))
    }

    /// Start and end in `pending` of the next complete line, without its end-of-line characters.
    fn next_line(&mut self) -> Option<(usize, usize)> {
        if self.after_cr {
            if *self.pending.get(self.scanned)? == b'\n' {
                self.scanned = self.scanned.saturating_add(1);
                self.line_start = self.scanned;
            }
            self.after_cr = false;
        }
        let rest = self.pending.get(self.scanned..)?;
        let Some((at, byte)) = rest.iter().enumerate().find(|(_, byte)| matches!(byte, b'\r' | b'\n')) else {
            self.scanned = self.pending.len();
            return None;
        };
        self.after_cr = *byte == b'\r';
        let (start, end) = (self.line_start, self.scanned.saturating_add(at));
        self.line_start = end.saturating_add(1);
        self.scanned = self.line_start;
        Some((start, end))
    }
}

/// The value of a `data` line; `None` for comments and other fields.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(b"data")? {
        b"" => Some(b""),
        rest => {
            let value = rest.strip_prefix(b":")?;
            Some(value.strip_prefix(b" ").unwrap_or(value))
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn events_of_pieces<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<String> {
        let mut scanner = Scanner::default();
        let mut found = Vec::new();
        for piece in pieces {
            scanner.push(piece);
            while let Some(data) = scanner.next_event() {
                found.push(String::from_utf8(data).unwrap());
            }
        }
        found
    }

    fn events(stream: &[u8]) -> Vec<String> {
        events_of_pieces([stream])
    }

    #[test]
    fn an_event_is_complete_with_its_blank_line_and_not_before() {
        assert_eq!(events_of_pieces([b"data: a\n".as_slice()]), Vec::<String>::new());
        assert_eq!(events_of_pieces([b"data: a\n\ndata: b".as_slice()]), ["a"]);
    }

    #[test]
    fn every_kind_of_line_end_counts() {
        for stream in ["data: a\n\ndata: b\n\n", "data: a\r\rdata: b\r\r", "data: a\r\n\r\ndata: b\r\n\r\n"] {
            assert_eq!(events(stream.as_bytes()), ["a", "b"], "{stream:?}");
        }
    }

    #[test]
    fn a_crlf_cut_in_two_is_one_line_end() {
        let pieces: [&[u8]; 4] = [b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n"];
        assert_eq!(events_of_pieces(pieces), ["a\nb"]);
    }

    #[test]
    fn lines_of_data_are_joined_by_lf() {
        assert_eq!(events(b"data: {\ndata:\"a\":\ndata:  1}\n\n"), ["{\n\"a\":\n 1}"]);
    }

    #[test]
    fn comments_and_other_fields_are_passed_over() {
        assert_eq!(events(b": keep-alive\n\nevent: message\nid: 7\nretry: 5\ndatax: no\ndata: a\n\n"), ["a"]);
    }

    #[test]
    fn an_event_without_data_is_not_dispatched_but_one_with_empty_data_is() {
        assert_eq!(events(b"id: 1\n\ndata\n\ndata:\n\ndata: \n\n"), ["", "", ""]);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_only_at_the_beginning() {
        assert_eq!(events(b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n"), ["a"]);
    }

    #[test]
    fn many_small_pieces_cost_no_more_than_one_large_one() {
        let mut stream = b"data: ".to_vec();
        stream.resize(2 << 20, b'x');
        stream.extend_from_slice(b"\n\n");
        let mut scanner = Scanner::default();
        let mut found = 0;
        for byte in stream.chunks(1) {
            scanner.push(byte);
            found += usize::from(scanner.next_event().is_some());
        }
        assert_eq!(found, 1);
        assert_eq!(scanner.held(), 0);
    }

    mod properties {
        #[cfg(all(target_family = "wasm", target_os = "unknown"))]
        use wasm_bindgen_test::wasm_bindgen_test as test;

        use proptest::prelude::*;

        use super::*;

        /// The specification's algorithm on the whole stream at once.
        fn model(stream: &str) -> Vec<String> {
            let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream);
            let unified = stream.replace("\r\n", "\n").replace('\r', "\n");
            let mut lines: Vec<&str> = unified.split('\n').collect();
            lines.pop();
            let (mut found, mut data) = (Vec::new(), Vec::new());
            for line in lines {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                if line.is_empty() && !data.is_empty() {
                    found.push(std::mem::take(&mut data).join("\n"));
                } else if name == "data" {
                    data.push(value.strip_prefix(' ').unwrap_or(value));
                }
            }
            found
        }

        proptest! {
            #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

            #[test]
            fn pieces_of_any_size_give_the_events_of_the_specification(
                words in proptest::collection::vec(
                    prop::sample::select(vec!["data", ":", " ", "\r", "\n", "\r\n", "\n\n", "x", "data: y\n", "\u{feff}", "id"]), 0..60),
                size in 1usize..9,
            ) {
                let stream = words.concat();
                let found = events_of_pieces(stream.as_bytes().chunks(size));
                prop_assert_eq!(found, model(&stream));
            }

            #[test]
            fn no_bytes_make_it_panic_or_hold_more_than_it_was_given(pieces: Vec<Vec<u8>>) {
                let mut scanner = Scanner::default();
                for piece in &pieces {
                    scanner.push(piece);
                    while scanner.next_event().is_some() {}
                }
                prop_assert!(scanner.held() <= pieces.iter().map(Vec::len).sum());
            }
        }
    }
}
