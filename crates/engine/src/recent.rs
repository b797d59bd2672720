//! What was asked for last, up to a number of values.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The `most` values that were asked for last, found by their keys one after the other: for a few dozen of them.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    held: Mutex<VecDeque<(K, V)>>,
    most: usize,
}

impl<K: PartialEq, V: Clone> Recent<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { held: Mutex::new(VecDeque::with_capacity(most)), most }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let mut held = self.lock();
        let at = held.iter().position(|(other, _)| other == key)?;
        let found = held.remove(at)?;
        let value = found.1.clone();
        held.push_front(found);
        Some(value)
    }

    pub(crate) fn put(&self, key: K, value: V) {
        let mut held = self.lock();
        held.retain(|(other, _)| *other != key);
        held.push_front((key, value));
        held.truncate(self.most);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(K, V)>> {
        // Each change is whole before anything can panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_not_asked_for_goes_first() {
        let recent = Recent::new(2);
        recent.put("a", 1);
        recent.put("b", 2);
        assert_eq!(recent.get(&"a"), Some(1));
        recent.put("c", 3);
        assert_eq!([recent.get(&"a"), recent.get(&"b"), recent.get(&"c")], [Some(1), None, Some(3)]);
        recent.put("c", 4);
        assert_eq!([recent.get(&"a"), recent.get(&"c")], [Some(1), Some(4)]);
    }
}
