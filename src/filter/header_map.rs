//! A header map as the host serialises it, read where it lies.

/// The pairs of a header map, in one buffer of the host's: the number of pairs, the sizes of each pair's name and value,
/// then names and values, each with a zero behind it. Numbers are 32 bits, little end first.
///
/// Values are bytes: nothing obliges a peer to send UTF-8. A name that is not UTF-8, which Envoy lets nobody send, is
/// passed over. A buffer that breaks off has the pairs that are whole.
#[derive(Debug)]
pub struct HeaderMap(Vec<u8>);

/// How many bytes the sizes of one pair take.
const SIZES: usize = 8;

impl HeaderMap {
    /// The map that is serialised in `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        HeaderMap(bytes)
    }

    /// How many bytes it takes.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// All pairs, in order.
    pub fn iter(&self) -> Pairs<'_> {
        let (count, rest) = number(&self.0).unwrap_or_default();
        // A count beyond what the buffer can hold finds no sizes, and so no pairs.
        let (sizes, data) = count.checked_mul(SIZES).and_then(|len| rest.split_at_checked(len)).unwrap_or_default();
        Pairs { sizes, data }
    }

    /// All pairs, in order, for one who looks for many of them.
    pub fn pairs(&self) -> Vec<(&str, &[u8])> {
        let all = self.iter();
        let mut pairs = Vec::with_capacity(all.sizes.len() / SIZES);
        pairs.extend(all);
        pairs
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Every value of `name`.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        // By bytes: of names that are not asked for it doesn't matter what they are made of.
        let mut pairs = self.iter();
        std::iter::from_fn(move || pairs.next_bytes())
            .filter(move |(known, _)| *known == name.as_bytes())
            .map(|(_, value)| value)
    }
}

impl<'m> IntoIterator for &'m HeaderMap {
    type Item = (&'m str, &'m [u8]);
    type IntoIter = Pairs<'m>;

    fn into_iter(self) -> Pairs<'m> {
        self.iter()
    }
}

/// The pairs of a [`HeaderMap`].
#[derive(Debug, Clone)]
pub struct Pairs<'m> {
    sizes: &'m [u8],
    data: &'m [u8],
}

impl<'m> Pairs<'m> {
    /// The next pair, whatever its name is made of.
    fn next_bytes(&mut self) -> Option<(&'m [u8], &'m [u8])> {
        let (name, rest) = number(self.sizes)?;
        let (value, rest) = number(rest)?;
        self.sizes = rest;
        Some((self.take(name)?, self.take(value)?))
    }

    /// So many bytes of the data, and the zero behind them.
    fn take(&mut self, size: usize) -> Option<&'m [u8]> {
        let (taken, rest) = self.data.split_at_checked(size)?;
        (_, self.data) = rest.split_first()?;
        Some(taken)
    }
}

impl<'m> Iterator for Pairs<'m> {
    type Item = (&'m str, &'m [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (name, value) = self.next_bytes()?;
            if let Ok(name) = std::str::from_utf8(name) {
                return Some((name, value));
            }
        }
    }
}

/// The number at the start of `bytes`, and what follows it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn serialised(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a short text").to_le_bytes();
        let mut bytes = u32::try_from(pairs.len()).expect("few pairs").to_le_bytes().to_vec();
        bytes.extend(pairs.iter().flat_map(|(name, value)| [size(name), size(value)]).flatten());
        for (name, value) in pairs {
            bytes.extend([name, b"\0".as_slice(), value, b"\0"].concat());
        }
        bytes
    }

    #[test]
    fn pairs_come_in_order_with_values_of_any_bytes() {
        let map =
            HeaderMap::new(serialised(&[(b":path", b"/mcp"), (b"x-a", b""), (b"cookie", b"\xff\0="), (b"x-a", b"2")]));
        let pairs: Vec<_> = map.iter().collect();
        assert_eq!(
            pairs,
            [
                (":path", b"/mcp".as_slice()),
                ("x-a", b"".as_slice()),
                ("cookie", b"\xff\0=".as_slice()),
                ("x-a", b"2".as_slice())
            ]
        );
        assert_eq!(map.get("x-a"), Some(b"".as_slice()), "the first");
        assert_eq!(map.all("x-a").count(), 2);
        assert_eq!(map.get("x-b"), None);
    }

    #[test]
    fn a_name_that_is_no_text_is_passed_over_and_the_next_pair_found() {
        let map = HeaderMap::new(serialised(&[(b"x-\xff", b"1"), (b"x-b", b"2")]));
        assert_eq!(map.iter().collect::<Vec<_>>(), [("x-b", b"2".as_slice())]);
    }

    #[test]
    fn a_buffer_that_breaks_off_has_no_more_than_the_pairs_that_are_whole() {
        let whole = serialised(&[(b"a", b"1"), (b"b", b"22"), (b"c", b"333")]);
        for length in 0..whole.len() {
            let map = HeaderMap::new(whole[..length].to_vec());
            let expected = [("a", b"1".as_slice()), ("b", b"22".as_slice()), ("c", b"333".as_slice())];
            let found: Vec<_> = map.iter().collect();
            assert!(found.len() < 3 && expected.starts_with(&found), "{length}: {found:?}");
        }
        assert_eq!(HeaderMap::new(Vec::new()).iter().count(), 0, "no map at all");
        assert_eq!(HeaderMap::new(vec![0xff; 64]).iter().count(), 0, "sizes beyond all memory");
    }

    proptest! {
        #[test]
        fn what_is_serialised_is_read_back(
            pairs in proptest::collection::vec(("[a-z:-]{0,9}", proptest::collection::vec(any::<u8>(), 0..20)), 0..9)
        ) {
            let borrowed: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
            let map = HeaderMap::new(serialised(&borrowed));
            let expected: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
            prop_assert_eq!(map.iter().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = HeaderMap::new(bytes).iter().count();
        }
    }
}
