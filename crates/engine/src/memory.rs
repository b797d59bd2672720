//! The memory pool that all statements share.

use std::fmt;
use std::num::NonZeroUsize;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, TrackConsumersPool,
};

/// How far above the limit repartitioning may go before its query fails, as a share of the limit.
const REPARTITION_HEADROOM: f64 = 0.25;

/// A fair pool that spilling operators share, except that repartitioning never spills.
///
/// A repartition that spills can wait for ever: its reader waits for the oldest spill file alone while the writer waits
/// for the reader (apache/datafusion issue 24883, whose fix is not in 55.2). So a repartition is given what it asks for,
/// up to a ceiling at which the query fails. To be removed with the release that has the fix.
#[derive(Debug)]
pub(crate) struct QueryMemory {
    inner: TrackConsumersPool<FairSpillPool>,
    limit: usize,
}

impl QueryMemory {
    /// A pool of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let named = NonZeroUsize::MIN.saturating_add(4);
        Self { inner: TrackConsumersPool::new(FairSpillPool::new(limit), named), limit }
    }

    fn ceiling(&self) -> usize {
        self.limit.saturating_add((self.limit as f64 * REPARTITION_HEADROOM) as usize)
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query memory of {} bytes", self.limit)
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query_memory"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.inner.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.inner.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.inner.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.inner.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if !reservation.consumer().name().starts_with("RepartitionExec[") {
            return self.inner.try_grow(reservation, additional);
        }
        let wanted = self.inner.reserved().saturating_add(additional);
        if wanted > self.ceiling() {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "repartitioning needs {additional} bytes more and {} of {} bytes of memory are taken",
                self.inner.reserved(),
                self.limit
            )));
        }
        self.inner.grow(reservation, additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.inner.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn repartitioning_never_spills_but_has_a_ceiling() {
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryMemory::new(1000));
        let sort = MemoryConsumer::new("ExternalSorter[0]").with_can_spill(true).register(&pool);
        sort.try_grow(900).unwrap();
        let repartition = MemoryConsumer::new("RepartitionExec[0]").with_can_spill(true).register(&pool);
        repartition.try_grow(300).unwrap();
        assert!(repartition.try_grow(100).is_err());
        assert!(sort.try_grow(200).is_err());
    }
}
