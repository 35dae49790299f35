//! What all VMs of the process hold together, or another sum over them, for a gauge: each writes its own number into one
//! table of the shared data.

use std::borrow::Cow;

use crate::shared_data::{CREATE, SharedData};

/// Where the bytes that are held stand.
const HELD: &str = "hb1";
/// A row: who, how much, when (monotonic ms). Each eight bytes, little end first.
const ROW: usize = 24;
/// A row that nobody has renewed for so long is of a VM that is no more.
const STALE_MS: u64 = 10_000;
/// So often a VM looks at the others while anything is held at all.
const LOOK_MS: u64 = 1_000;
/// No process has more worker threads. It bounds the table.
const MOST_ROWS: usize = 256;

/// One VM's share in a total.
#[derive(Debug)]
pub struct Total {
    key: Cow<'static, str>,
    me: u64,
    told: u64,
    sum: u64,
    looked_ms: Option<u64>,
}

impl Total {
    /// For the VM that is told from others by `me`.
    pub fn new(me: u64) -> Self {
        Total::of(HELD, me)
    }

    /// The same of another number, whose table has this key in the shared data.
    pub fn of(key: impl Into<Cow<'static, str>>, me: u64) -> Self {
        Total { key: key.into(), me, told: 0, sum: 0, looked_ms: None }
    }

    /// Tells the others that this VM holds so many bytes. Answers how many all VMs hold, if that was looked at: not more
    /// often than things change, nor while nothing is held anywhere.
    pub fn tell(&mut self, shared: &impl SharedData, held: u64, now_ms: u64) -> Option<u64> {
        let is_due = match self.looked_ms {
            None => true,
            Some(looked) => self.sum > 0 && now_ms.saturating_sub(looked) >= LOOK_MS,
        };
        if held == self.told && !is_due {
            return None;
        }
        // Somebody else may write between; the next tick tries again.
        let (rows, token) = shared.get(&self.key).ok()?.unwrap_or((Vec::new(), CREATE));
        let row = |bytes: &[u8]| -> Option<[u64; 3]> {
            let mut numbers = bytes.chunks_exact(8).filter_map(|number| number.try_into().ok().map(u64::from_le_bytes));
            Some([numbers.next()?, numbers.next()?, numbers.next()?])
        };
        let is_others = |[who, _, when]: &[u64; 3]| *who != self.me && now_ms.saturating_sub(*when) < STALE_MS;
        let mut rows: Vec<[u64; 3]> = rows.chunks_exact(ROW).filter_map(row).filter(is_others).collect();
        rows.truncate(MOST_ROWS.saturating_sub(1));
        rows.push([self.me, held, now_ms]);
        let bytes: Vec<u8> = rows.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
        shared.set(&self.key, &bytes, token).ok()?;
        (self.told, self.looked_ms) = (held, Some(now_ms));
        self.sum = rows.iter().fold(0, |sum, [_, bytes, _]| sum.saturating_add(*bytes));
        Some(self.sum)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::shared_data::{HostError, SetError};
    use std::cell::RefCell;

    #[derive(Default)]
    struct Store(RefCell<Option<Vec<u8>>>);

    impl SharedData for Store {
        fn get(&self, _key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
            Ok(self.0.borrow().clone().map(|bytes| (bytes, 1)))
        }

        fn set(&self, _key: &str, value: &[u8], _token: u32) -> Result<(), SetError> {
            *self.0.borrow_mut() = Some(value.to_vec());
            Ok(())
        }
    }

    #[test]
    fn the_total_is_the_sum_of_all_workers() {
        let (store, mut a, mut b) = (Store::default(), Total::new(1), Total::new(2));
        assert_eq!(a.tell(&store, 10, 0), Some(10));
        assert_eq!(b.tell(&store, 5, 1), Some(15));
        assert_eq!(a.tell(&store, 0, 2), Some(5));
    }

    #[test]
    fn a_worker_that_trapped_is_forgotten_after_ten_seconds() {
        let (store, mut reloaded) = (Store::default(), Total::new(2));
        Total::new(1).tell(&store, 1000, 0);
        assert_eq!(reloaded.tell(&store, 0, 1), Some(1000));
        assert_eq!(reloaded.tell(&store, 0, 9_999), Some(1000));
        assert_eq!(reloaded.tell(&store, 0, 11_000), Some(0));
        assert_eq!(reloaded.tell(&store, 0, 100_000), None, "nothing is looked at while nothing is held");
    }

    #[test]
    fn bytes_that_are_no_table_are_an_empty_one() {
        let (store, mut total) = (Store(RefCell::new(Some(vec![7; 23]))), Total::new(1));
        assert_eq!(total.tell(&store, 3, 0), Some(3));
    }
}
