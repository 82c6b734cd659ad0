//! How far a search has come with what it knows.

use std::collections::HashMap;
use std::hash::Hash;

/// How far the search has come with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It was not looked at yet.
    New,
    /// It is on the path.
    Path,
    /// Nothing leads from there to the goal.
    Done,
}

/// The marks of all that is known so far, each of which has a number: 0, 1, and so on.
#[derive(Debug)]
pub struct Marks<K> {
    numbers: HashMap<K, usize>,
    marks: Vec<Mark>,
}

impl<K> Default for Marks<K> {
    fn default() -> Marks<K> {
        Marks {
            numbers: HashMap::new(),
            marks: Vec::new(),
        }
    }
}

impl<K: Eq + Hash + Clone> Marks<K> {
    /// The number of something known.
    pub fn find(&self, key: &K) -> Option<usize> {
        self.numbers.get(key).copied()
    }

    /// The number of something, which is known from now on.
    pub fn find_or_add(&mut self, key: &K) -> usize {
        let next = self.marks.len();
        let number = *self.numbers.entry(key.clone()).or_insert(next);
        if number == next {
            self.marks.push(Mark::New);
        }
        number
    }

    /// Its mark.
    pub fn mark(&self, number: usize) -> Mark {
        self.marks[number]
    }

    /// Sets its mark.
    pub fn set(&mut self, number: usize, mark: Mark) {
        self.marks[number] = mark;
    }

    /// Nothing was looked at yet.
    pub fn clear(&mut self) {
        self.marks.fill(Mark::New);
    }
}
