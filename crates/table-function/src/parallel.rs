//! How an algorithm asks its caller to run jobs side by side.
//!
//! Algorithms own no threads. They cut their work into jobs whose number depends on the data alone and put the results
//! together in the order of the jobs, so that one thread or many give the same bits.

use std::sync::{Mutex, PoisonError};

/// Runs `job(0)` to `job(count - 1)`, each exactly once, in any order and on any threads, and returns when all are
/// done. [`in_order`] is the simplest one; [`Workers::run`](crate::Workers::run) uses threads.
pub type Run<'a> = &'a (dyn Fn(usize, &(dyn Fn(usize) + Sync)) + Sync);

/// Runs the jobs one after the other on the calling thread.
pub fn in_order(count: usize, job: &(dyn Fn(usize) + Sync)) {
    for index in 0..count {
        job(index);
    }
}

/// Runs `job` on every item. An item is locked once by the one job that has its index, so nobody ever waits.
pub fn for_each<T: Send>(run: Run<'_>, items: &mut [T], job: impl Fn(usize, &mut T) + Sync) {
    let slots: Vec<Mutex<&mut T>> = items.iter_mut().map(Mutex::new).collect();
    run(slots.len(), &|index| {
        let mut item = slots[index].lock().unwrap_or_else(PoisonError::into_inner);
        job(index, &mut item);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_done_once() {
        let mut items = vec![0usize; 10];
        for_each(&in_order, &mut items, |index, item| *item += index);
        assert_eq!(items, (0..10).collect::<Vec<_>>());
    }
}
