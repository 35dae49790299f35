//! Sorting what is short. The standard library's sort is made for millions, and each use of it is 8 KiB of the module.

/// Sorts a short list by a key; what has the same key keeps its order.
pub fn sort_short<T, K: Ord>(list: &mut [T], key: impl Fn(&T) -> K) {
    for end in 1..list.len() {
        for at in (1..=end).rev() {
            let before = at.saturating_sub(1);
            let is_in_order = match (list.get(before), list.get(at)) {
                (Some(first), Some(second)) => key(first) <= key(second),
                _ => true,
            };
            if is_in_order {
                break;
            }
            list.swap(before, at);
        }
    }
}

/// Sorts a list of any length by a key; what has the same key does not keep its order.
pub fn sort<T, K: Ord>(list: &mut [T], key: impl Fn(&T) -> K) {
    // A heap: the largest comes first, and goes to the end of what is not yet sorted.
    let sink = |list: &mut [T], mut at: usize, end: usize| loop {
        let below = at.saturating_mul(2).saturating_add(1);
        let is_less = |list: &[T], first: usize, second: usize| match (list.get(first), list.get(second)) {
            (Some(first), Some(second)) => key(first) < key(second),
            _ => false,
        };
        let other = below.saturating_add(1);
        let larger = if other < end && is_less(list, below, other) { other } else { below };
        if larger >= end || !is_less(list, at, larger) {
            return;
        }
        list.swap(at, larger);
        at = larger;
    };
    for at in (0..list.len() / 2).rev() {
        sink(list, at, list.len());
    }
    for end in (1..list.len()).rev() {
        list.swap(0, end);
        sink(list, 0, end);
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_short_list_is_sorted_as_the_standard_library_sorts_it() {
        for seed in 0..200_u32 {
            let list: Vec<(u32, u32)> =
                (0..seed % 9).map(|n| (seed.wrapping_mul(2_654_435_761 + n) >> 29, n)).collect();
            let (mut ours, mut theirs) = (list.clone(), list);
            sort_short(&mut ours, |(key, _)| *key);
            theirs.sort_by_key(|(key, _)| *key);
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn a_list_of_any_length_is_sorted() {
        for length in (0..40).chain([1000]) {
            let mut list: Vec<u32> = (0..length).map(|n: u32| n.wrapping_mul(2_654_435_761) >> 24).collect();
            let mut sorted = list.clone();
            sort(&mut list, |number| *number);
            sorted.sort_unstable();
            assert_eq!(list, sorted);
        }
    }
}
