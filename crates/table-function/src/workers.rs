//! Work over many items on several threads, in whatever order, with results in order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::ArrayRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::function::Sink;

/// The threads that a function over a whole panel or relation may use, and the flag that stops them.
///
/// Results never depend on the number of threads: [`Workers::map`] returns them in the order of the items, whoever made
/// them. Threads are taken with the first work that is worth them and given back with the statement.
#[derive(Debug, Clone)]
pub struct Workers {
    threads: usize,
    stop: Arc<AtomicBool>,
    pool: Arc<OnceLock<Option<Lent>>>,
    /// What the statement's work takes; None where nobody counts.
    memory: Option<Arc<MemoryReservation>>,
}

/// Pools that no statement has at the moment. A thread that is new starts with no memory of its own, and to get the pages
/// for a panel anew took each statement some 3% of its time.
static IDLE: Mutex<Vec<rayon::ThreadPool>> = Mutex::new(Vec::new());
/// Pools that are kept for statements to come.
const KEPT: usize = 2;

/// Series whose rows are made before any is handed on.
const ROWS_OF: usize = 256;

/// Threads that a statement has, until it ends.
#[derive(Debug)]
struct Lent(Option<rayon::ThreadPool>);

impl Lent {
    /// A pool that is idle, or a new one; none where the system gives no more threads.
    fn take(threads: usize) -> Option<Self> {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.iter().position(|pool| pool.current_num_threads() == threads);
        if let Some(kept) = kept {
            return Some(Self(Some(idle.swap_remove(kept))));
        }
        drop(idle);
        let named = |number| format!("mining-{number}");
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(named);
        Some(Self(Some(builder.build().ok()?)))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.extend(self.0.take());
        }
    }
}

/// Raises the stop flag of some [`Workers`] when it is dropped, as the statement's stream is when it is cancelled.
#[derive(Debug)]
pub(crate) struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Workers {
    /// Workers on at most `threads` threads.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self { threads: threads.max(1), stop: Arc::default(), pool: Arc::default(), memory: None }
    }

    /// The same, whose work takes its memory from a reservation.
    pub(crate) fn holding(self, memory: MemoryReservation) -> Self {
        Self { memory: Some(Arc::new(memory)), ..self }
    }

    /// Stops the work when what is returned is dropped.
    pub(crate) fn stop_on_drop(&self) -> StopOnDrop {
        StopOnDrop(Arc::clone(&self.stop))
    }

    /// The most threads that work at once.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// An error once the statement was stopped: what long loops call.
    ///
    /// # Errors
    /// When nobody waits for the result any more.
    pub fn check(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(DataFusionError::Execution("the statement was stopped".to_owned()));
        }
        Ok(())
    }

    /// `work` on each of `0..count`; the results in order.
    ///
    /// # Errors
    /// The error of the first item, in order, that has one; or that of [`Workers::check`].
    pub fn map<T: Send>(&self, count: usize, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
        let one = |item| self.check().and_then(|()| work(item));
        let pool = if count > 1 { self.pool() } else { None };
        let Some(pool) = pool else { return (0..count).map(one).collect() };
        // Collected before errors are looked at: the first in order wins, not the first in time.
        let done: Vec<Result<T>> =
            pool.install(|| (0..count).into_par_iter().with_max_len(1).map(one).collect());
        done.into_iter().collect()
    }

    /// [`map`](Self::map) of what becomes rows, some at a time: a million series of three points would otherwise be
    /// millions of arrays.
    ///
    /// # Errors
    /// Those of [`map`](Self::map), of `out`, and when the statement's pool has no memory for them.
    pub fn rows(
        &self,
        count: usize,
        work: impl Fn(usize) -> Result<Vec<ArrayRef>> + Sync,
        out: &mut Sink<'_>,
    ) -> Result<()> {
        for first in (0..count).step_by(ROWS_OF) {
            let made = self.map(ROWS_OF.min(count - first), |item| {
                let columns = work(first + item)?;
                let bytes = columns.iter().map(|column| column.get_array_memory_size()).sum();
                self.hold(bytes)?;
                Ok((columns, bytes))
            })?;
            for (columns, bytes) in made {
                out(columns)?;
                if let Some(memory) = &self.memory {
                    memory.shrink(bytes);
                }
            }
        }
        Ok(())
    }

    /// Takes bytes from the statement's memory until it ends: what grows with a call's arguments.
    ///
    /// # Errors
    /// When the pool has no more.
    pub fn hold(&self, bytes: usize) -> Result<()> {
        self.memory.as_ref().map_or(Ok(()), |memory| memory.try_grow(bytes))
    }

    /// Does all of a statement's work on the threads: what it then maps is handed over without waking any of them.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match self.pool() {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// The threads; none where one is enough, or the system gives no more.
    fn pool(&self) -> Option<&rayon::ThreadPool> {
        if self.threads == 1 {
            return None;
        }
        self.pool.get_or_init(|| Lent::take(self.threads)).as_ref()?.0.as_ref()
    }

    /// `work` on each of `0..count`, which keeps its own results. Items are left out once the statement was stopped.
    pub fn run(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        let _ = self.map(count, |item| {
            work(item);
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool};

    use super::*;

    #[test]
    fn results_keep_their_order_on_any_number_of_threads() {
        let square = |item: usize| Ok(item * item);
        let alone = Workers::new(1).map(1000, square).unwrap();
        assert_eq!(Workers::new(4).map(1000, square).unwrap(), alone);
        assert!(Workers::new(4).map(0, square).unwrap().is_empty());
    }

    #[test]
    fn the_first_error_in_order_wins() {
        let odd = |item: usize| match item % 2 {
            0 => Ok(item),
            _ => Err(DataFusionError::Execution(format!("item {item}"))),
        };
        for threads in [1, 3] {
            let error = Workers::new(threads).map(50, odd).unwrap_err();
            assert!(error.to_string().contains("item 1"), "{error}");
        }
    }

    #[test]
    fn rows_take_memory_until_there_is_none() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100_000));
        let workers = Workers::new(2).holding(MemoryConsumer::new("test").register(&pool));
        let row = |item| Ok(vec![Arc::new(Int64Array::from(vec![item as i64; 10])) as ArrayRef]);
        let mut seen = Vec::new();
        let mut sink = |columns: Vec<ArrayRef>| {
            seen.push(columns[0].as_primitive::<Int64Type>().value(0));
            Ok(())
        };
        // In all they take more than there is.
        workers.rows(1_000, row, &mut sink).unwrap();
        assert_eq!(seen, (0..1_000).collect::<Vec<i64>>());
        assert_eq!(pool.reserved(), 0);
        workers.hold(90_000).unwrap();
        let error = workers.rows(1_000, row, &mut |_| Ok(())).unwrap_err();
        assert!(matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)), "{error}");
        drop(workers);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn threads_outlive_their_statement() {
        let names = |workers: &Workers| {
            let name = |_| Ok(std::thread::current().id());
            workers.map(200, name).unwrap().into_iter().collect::<std::collections::HashSet<_>>()
        };
        // No other test asks for so many.
        let (first, second) = (Workers::new(7), Workers::new(7));
        let (one, other) = (names(&first), names(&second));
        assert!(one.is_disjoint(&other), "two statements at once have threads of their own");
        drop((first, second));
        assert!(IDLE.lock().unwrap().len() <= KEPT);
    }

    #[test]
    fn stopped_workers_do_nothing_more() {
        let workers = Workers::new(2);
        let seen = std::sync::atomic::AtomicUsize::new(0);
        drop(workers.stop_on_drop());
        let result = workers.map(100, |_| {
            seen.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        assert!(result.is_err());
        assert_eq!(seen.load(Ordering::Relaxed), 0);
    }
}
