//! Counting by name in bounded memory: what a log names nobody has checked.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hashbrown::HashMap;

/// A longer name is cut.
const LONGEST: usize = 200;

fn cut(name: &str) -> &str {
    let mut end = name.len().min(LONGEST);
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    name.get(..end).unwrap_or(name)
}

/// Values by name, for the first so many names; all others share one value.
#[derive(Debug)]
pub struct Bounded<V> {
    known: HashMap<String, V>,
    most: usize,
    /// What the names that there was no room for have together.
    pub others: Option<V>,
}

impl<V: Default> Bounded<V> {
    /// With room for so many names.
    pub fn new(most: usize) -> Self {
        Bounded { known: HashMap::new(), most, others: None }
    }

    /// The value of a name.
    pub fn of(&mut self, name: &str) -> &mut V {
        let name = cut(name);
        if self.known.len() >= self.most && !self.known.contains_key(name) {
            return self.others.get_or_insert_with(V::default);
        }
        self.known.entry_ref(name).or_default()
    }

    /// Whether the name has a value of its own.
    pub fn has(&self, name: &str) -> bool {
        self.known.contains_key(cut(name))
    }

    /// How many names have one.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// All names with their values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.known.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// One of the most frequent names.
#[derive(Debug)]
pub struct Frequent<V> {
    /// The name.
    pub name: String,
    /// How often it came since it is watched. It may have come before, but not more often than `before`.
    pub seen: u64,
    /// The most that it can have come before it was watched.
    pub before: u64,
    /// What it has since it is watched.
    pub value: V,
}

/// The most frequent of any number of names, by space-saving (Metwally, Agrawal, El Abbadi 2005): with room for m names, a name that
/// makes up more than 1/m of all is never missed.
#[derive(Debug)]
pub struct TopNames<V> {
    places: HashMap<String, usize>,
    entries: Vec<Frequent<V>>,
    /// Each place once, with what it had when it was put here, which is at most what it has now.
    least: BinaryHeap<Reverse<(u64, usize)>>,
    most: usize,
}

impl<V: Default> TopNames<V> {
    /// With room for so many names.
    pub fn new(most: usize) -> Self {
        TopNames { places: HashMap::new(), entries: Vec::new(), least: BinaryHeap::new(), most }
    }

    /// Counts a name once, and gives its value to `change`.
    pub fn add(&mut self, name: &str, change: impl FnOnce(&mut V)) {
        let name = cut(name);
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => self.take_in(name),
        };
        if let Some(entry) = self.entries.get_mut(place) {
            entry.seen = entry.seen.saturating_add(1);
            change(&mut entry.value);
        }
    }

    fn take_in(&mut self, name: &str) -> usize {
        let new = |before| Frequent { name: name.to_owned(), seen: 0, before, value: V::default() };
        let free = self.entries.len();
        if free < self.most {
            self.entries.push(new(0));
            self.least.push(Reverse((1, free)));
            self.places.insert(name.to_owned(), free);
            return free;
        }
        while let Some(Reverse((count, place))) = self.least.pop() {
            let Some(entry) = self.entries.get_mut(place) else { continue };
            let now = entry.seen.saturating_add(entry.before);
            if now > count {
                self.least.push(Reverse((now, place)));
                continue;
            }
            let gone = std::mem::replace(entry, new(now));
            self.places.remove(&gone.name);
            self.places.insert(name.to_owned(), place);
            self.least.push(Reverse((now.saturating_add(1), place)));
            return place;
        }
        free
    }

    /// The most frequent, most frequent first; none that may only be here because there was no room for others.
    pub fn top(&self, most: usize) -> Vec<&Frequent<V>> {
        let mut all: Vec<_> = self.entries.iter().filter(|entry| entry.seen > entry.before).collect();
        all.sort_by(|a, b| b.seen.cmp(&a.seen).then_with(|| a.name.cmp(&b.name)));
        all.truncate(most);
        all
    }

    /// How many names are watched, and whether there were more.
    pub fn watched(&self) -> (usize, bool) {
        (self.entries.len(), self.entries.iter().any(|entry| entry.before > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_share_a_value() {
        let mut names = Bounded::<u64>::new(2);
        for name in ["a", "b", "c", "a", "d"] {
            *names.of(name) += 1;
        }
        let mut known: Vec<_> = names.iter().collect();
        known.sort();
        assert_eq!((known, names.others), (vec![("a", &2), ("b", &1)], Some(2)));
    }

    #[test]
    fn the_most_frequent_are_found_among_very_many_in_bounded_room() {
        let mut names = TopNames::<u64>::new(100);
        let mut total = 0;
        for at in 0..200_000_u32 {
            let name = match at % 10 {
                0 | 5 => "big".to_owned(),
                3 => "middle".to_owned(),
                _ => format!("once-{at}"),
            };
            names.add(&name, |value| *value += 1);
            total += 1;
        }
        let top = names.top(2);
        assert_eq!(top.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["big", "middle"]);
        for (entry, real) in top.iter().zip([40_000, 20_000]) {
            assert!(entry.seen <= real && entry.seen + entry.before >= real, "{entry:?}");
            assert_eq!(entry.value, entry.seen);
        }
        assert_eq!(names.watched(), (100, true));
        assert!(names.entries.iter().map(|it| it.seen).sum::<u64>() <= total);
    }
}
