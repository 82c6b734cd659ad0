//! A table whose keys are numbers that no client can choose: of waiters, clients, addresses. Unlike
//! a tree it does not allocate and free memory for each entry.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// The table.
pub type ByNumber<K, V> = HashMap<K, V, BuildHasherDefault<Spread>>;

/// An empty one.
pub const fn by_number<K, V>() -> ByNumber<K, V> {
    HashMap::with_hasher(BuildHasherDefault::new())
}

/// Spreads consecutive numbers over the table (Knuth's multiplicative hashing).
#[derive(Default)]
pub struct Spread(u64);

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_i64(&mut self, number: i64) {
        self.write_u64(number as u64);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_u64(&mut self, number: u64) {
        let product = (self.0 ^ number).wrapping_mul(GOLDEN);
        // The table uses both the high and the low bits.
        self.0 = product ^ (product >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The capacity that is kept for later entries when the last one is removed.
const KEPT: usize = 64;

/// Removes a value. A large table is freed with its last entry.
pub fn take<K: Eq + Hash, V>(table: &mut ByNumber<K, V>, key: &K) -> Option<V> {
    let value = table.remove(key);
    if table.is_empty() && table.capacity() > 2 * KEPT {
        table.shrink_to(KEPT);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_was_large_is_small_when_it_is_empty() {
        let mut table = by_number();
        for key in 0..10_000u64 {
            table.insert(key, key);
        }
        for key in 0..10_000 {
            assert!(table.capacity() >= 10_000);
            assert_eq!(take(&mut table, &key), Some(key));
        }
        assert_eq!(take(&mut table, &0), None);
        assert!(table.capacity() <= 2 * KEPT);
    }

    #[test]
    fn numbers_that_follow_one_another_or_are_far_apart_are_spread_alike() {
        for step in [1, 16, 4096, 1 << 20] {
            let mut ends = [0; 64];
            for number in 0..6400u64 {
                let mut hasher = Spread::default();
                hasher.write_u64(number * step);
                ends[hasher.finish() as usize % 64] += 1;
            }
            assert!(
                ends.iter().all(|count| (20..400).contains(count)),
                "{step}: {ends:?}"
            );
        }
    }
}
