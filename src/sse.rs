//! Reads Server-Sent Events as they arrive.
//!
//! Bytes are pushed in pieces of any size, events come out. Every byte is looked at once, however small the pieces, and
//! what is kept in memory is the unfinished line and the data of the unfinished event.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its `data` lines, joined by LF.
    pub data: Vec<u8>,
    /// Its type, where that is another than `message`; empty else.
    pub kind: Vec<u8>,
    /// Whether its type is `message`, as it is where none is named. Every client of MCP passes over the others, which
    /// servers send to show that they are alive.
    pub is_message: bool,
}

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
    /// Whether a line of an event has been read whose end has not come.
    in_event: bool,
    /// Data of the unfinished event; `None` while it has no data line.
    data: Option<Vec<u8>>,
    /// The type that the unfinished event names, where it is another than `message`.
    kind: Vec<u8>,
    /// Whether the unfinished event has an id.
    has_id: bool,
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

    /// The next complete event that has data, if it has arrived. The data is empty for an event that only carries an id, as
    /// MCP servers open a stream with. Ask until there is none.
    ///
    /// What is left when the stream ends is an incomplete event, which the specification drops.
    pub fn next_event(&mut self) -> Option<Event> {
        while let Some((start, end)) = self.next_line() {
            let mut line = self.pending.get(start..end)?;
            if !self.begun {
                self.begun = true;
                line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
            }
            if line.is_empty() {
                self.in_event = false;
                self.resumable |= std::mem::take(&mut self.has_id);
                let kind = std::mem::take(&mut self.kind);
                if let Some(data) = self.data.take() {
                    return Some(Event { data, is_message: kind.is_empty(), kind });
                }
                continue;
            }
            let colon = line.iter().position(|byte| *byte == b':');
            let (name, value) = colon.and_then(|at| line.split_at_checked(at)).unwrap_or((line, b""));
            let value = value.strip_prefix(b":").unwrap_or(value);
            let value = value.strip_prefix(b" ").unwrap_or(value);
            // Without a name it is a comment, which belongs to no event.
            self.in_event |= !name.is_empty();
            match (name, &mut self.data) {
                (b"data", Some(data)) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                (b"data", data) => *data = Some(value.to_vec()),
                (b"event", _) if value == b"message" => self.kind.clear(),
                (b"event", _) => self.kind = value.to_vec(),
                (b"id", _) => self.has_id = !value.is_empty(),
                _ => {}
            }
        }
        None
    }

    /// Whether an event had an id, with which a client can come back for what follows it.
    pub fn is_resumable(&self) -> bool {
        self.resumable
    }

    /// Whether no event has begun that is not complete.
    pub fn is_between_events(&self) -> bool {
        !self.in_event && self.pending.len() <= self.line_start
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
            while let Some(event) = scanner.next_event() {
                found.push(String::from_utf8(event.data).unwrap());
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
    fn only_an_event_of_no_type_or_of_the_type_message_is_a_message() {
        let is_message = |event: &str| {
            let mut scanner = Scanner::default();
            scanner.push(format!("{event}data: a\n\ndata: b\n\n").as_bytes());
            let first = scanner.next_event().unwrap();
            assert!(scanner.next_event().unwrap().is_message, "the next event has a type of its own");
            first.is_message
        };
        for event in ["", "event: message\n", "event:message\n", "event\n", "event:\n", "event: x\nevent: message\n"] {
            assert!(is_message(event), "{event:?}");
        }
        assert!(is_message("event: x\n\n"), "an event without data ends its type");
        for event in ["event: ping\n", "event: Message\n", "event:  message\n", "event: error\n", "event: message \n"] {
            assert!(!is_message(event), "{event:?}");
        }
    }

    #[test]
    fn a_stream_is_between_events_only_where_none_has_begun() {
        for (stream, between) in [
            ("", true),
            (": keep-alive\n", true),
            ("data: a\n\n", true),
            ("data: a\n\n\n: b\r\n", true),
            (": keep-al", false),
            ("id: 1\n", false),
            ("event: message\n", false),
            ("data: a\n", false),
            ("event: message\n: between its lines\n", false),
        ] {
            let mut scanner = Scanner::default();
            scanner.push(stream.as_bytes());
            while scanner.next_event().is_some() {}
            assert_eq!(scanner.is_between_events(), between, "{stream:?}");
        }
    }

    #[test]
    fn a_client_can_come_back_with_the_id_of_a_complete_event() {
        for (stream, resumable) in
            [("id: 1\ndata:\n\n", true), ("id: 1\n\n", true), ("id: 1\ndata:\n", false), ("id:\ndata:\n\n", false)]
        {
            let mut scanner = Scanner::default();
            scanner.push(stream.as_bytes());
            while scanner.next_event().is_some() {}
            assert_eq!(scanner.is_resumable(), resumable, "{stream:?}");
        }
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
        fn model(stream: &str) -> Vec<Event> {
            let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream);
            let unified = stream.replace("\r\n", "\n").replace('\r', "\n");
            let mut lines: Vec<&str> = unified.split('\n').collect();
            lines.pop();
            let (mut found, mut data, mut kind) = (Vec::new(), Vec::new(), "");
            for line in lines {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                if line.is_empty() {
                    if !data.is_empty() {
                        let data = std::mem::take(&mut data).join("\n").into_bytes();
                        let is_message = matches!(kind, "" | "message");
                        let kind = if is_message { Vec::new() } else { kind.as_bytes().to_vec() };
                        found.push(Event { data, kind, is_message });
                    }
                    kind = "";
                } else if name == "data" {
                    data.push(value);
                } else if name == "event" {
                    kind = value;
                }
            }
            found
        }

        proptest! {
            #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

            #[test]
            fn pieces_of_any_size_give_the_events_of_the_specification(
                words in proptest::collection::vec(
                    prop::sample::select(vec!["data", ":", " ", "\r", "\n", "\r\n", "\n\n", "x", "data: y\n", "\u{feff}", "id", "event", "event: message\n", "event: x\n"]), 0..60),
                size in 1usize..9,
            ) {
                let stream = words.concat();
                let (mut scanner, mut found) = (Scanner::default(), Vec::new());
                for piece in stream.as_bytes().chunks(size) {
                    scanner.push(piece);
                    found.extend(std::iter::from_fn(|| scanner.next_event()));
                }
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
