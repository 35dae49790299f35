//! Inputs that are nearly right: seeds, changed a little, again and again. A seed number repeats a run.

/// Evenly spread numbers: SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`; 0 for 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.bits() % end as u64) as usize }
    }

    pub fn of<'t, T>(&mut self, choices: &'t [T]) -> &'t T {
        &choices[self.below(choices.len())]
    }
}

/// Longer inputs find nothing that shorter ones don't.
const LONGEST: usize = 8 << 10;

/// One input from the corpus: a seed, or two of them joined, with one to eight changes. `words` are what the format is made of.
pub fn input(random: &mut Random, corpus: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut bytes = random.of(corpus).clone();
    if random.below(8) == 0 {
        let other = random.of(corpus);
        let (head, tail) = (random.below(bytes.len() + 1), random.below(other.len() + 1));
        bytes.truncate(head);
        bytes.extend_from_slice(&other[tail..]);
    }
    for _ in 0..=random.below(8) {
        change(random, &mut bytes, words);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, words: &[&str]) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(24)).min(bytes.len());
    match random.below(8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let copy = bytes[at..end].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, copy);
        }
        3 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        4 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = *random.of(&[0, 1, 0x7F, 0x80, 0xFF, b'"', b'\\', b'{', b'[', b'\n', b'\r', b'$']);
            }
        }
        5 => bytes.insert(at, random.bits() as u8),
        6 => {
            bytes.splice(at..end, random.of(words).bytes());
        }
        _ => {
            bytes.splice(at..at, random.of(words).bytes());
        }
    }
}
