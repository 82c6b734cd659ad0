//! A table whose keys are numbers that no client can choose: of waiters, connections, holds. Unlike a tree it
//! does not allocate and free memory for each entry.

use rustc_hash::FxBuildHasher;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

/// The table. Two tables with the same entries are equal and have the same hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<K: Eq + Hash, V>(HashMap<K, V, FxBuildHasher>);

/// The capacity that is kept for later entries when the last one is removed.
const KEPT: usize = 64;

impl<K: Eq + Hash, V> Table<K, V> {
    /// An empty one.
    pub const fn new() -> Table<K, V> {
        Table(HashMap::with_hasher(FxBuildHasher))
    }

    /// Removes a value. A large table is freed with its last entry.
    pub fn take(&mut self, key: &K) -> Option<V> {
        let value = self.0.remove(key);
        if self.0.is_empty() && self.0.capacity() > 2 * KEPT {
            self.0.shrink_to(KEPT);
        }
        value
    }
}

impl<K: Eq + Hash, V> Default for Table<K, V> {
    fn default() -> Table<K, V> {
        Table::new()
    }
}

impl<K: Eq + Hash, V> Deref for Table<K, V> {
    type Target = HashMap<K, V, FxBuildHasher>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K: Eq + Hash, V> DerefMut for Table<K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<K: Eq + Hash + Ord, V: Hash> Hash for Table<K, V> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries.hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    #[test]
    fn a_table_that_was_large_is_small_when_it_is_empty() {
        let mut table = Table::new();
        for key in 0..10_000u64 {
            table.insert(key, key);
        }
        for key in 0..10_000 {
            assert!(table.capacity() >= 10_000);
            assert_eq!(table.take(&key), Some(key));
        }
        assert_eq!(table.take(&0), None);
        assert!(table.capacity() <= 2 * KEPT);
    }

    #[test]
    fn the_order_in_which_a_table_was_filled_does_not_matter() {
        let (mut up, mut down) = (Table::new(), Table::new());
        for key in 0..100u64 {
            up.insert(key, 'x');
            down.insert(99 - key, 'x');
        }
        assert_eq!(up, down);
        assert_eq!(FxBuildHasher.hash_one(&up), FxBuildHasher.hash_one(&down));
        down.insert(7, 'y');
        assert_ne!(FxBuildHasher.hash_one(&up), FxBuildHasher.hash_one(&down));
    }
}
