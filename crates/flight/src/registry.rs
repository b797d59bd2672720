//! A bounded map of what clients hold by an opaque handle: tickets, prepared statements, transactions, tokens.
//!
//! Every entry has a life time, an entry that is used up goes first when room is needed, and a registry that is full of
//! live entries refuses the next one: no client can grow the server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tonic::Status;
use uuid::Uuid;

/// How long entries live and how many there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// What an entry is called in messages: "ticket", "prepared statement".
    pub(crate) noun: &'static str,
    /// Life time of an entry.
    pub(crate) lifetime: Duration,
    /// Whether each use begins the life time anew.
    pub(crate) renewed_by_use: bool,
    /// Most entries at a time.
    pub(crate) entries: usize,
    /// Most bytes at a time, counted by the weight that `insert` is given.
    pub(crate) bytes: usize,
}

/// Entries by random 128-bit handle.
#[derive(Debug)]
pub(crate) struct Registry<T> {
    bounds: Bounds,
    shelf: Mutex<Shelf<T>>,
}

#[derive(Debug)]
struct Shelf<T> {
    entries: HashMap<Uuid, Entry<T>>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<T> {
    value: Arc<T>,
    deadline: Instant,
    bytes: usize,
    used_up: bool,
}

impl<T> Registry<T> {
    /// An empty registry.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, shelf: Mutex::new(Shelf { entries: HashMap::new(), bytes: 0 }) }
    }

    /// Keeps `value`, which weighs `bytes`, and returns its handle.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when the registry is full of live entries.
    pub(crate) fn insert(&self, value: Arc<T>, bytes: usize) -> Result<Uuid, Status> {
        let now = Instant::now();
        let mut shelf = self.shelf();
        shelf.drop_expired(now);
        while shelf.entries.len() >= self.bounds.entries || shelf.bytes + bytes > self.bounds.bytes {
            if !shelf.drop_oldest_used_up() {
                return Err(self.full(&shelf));
            }
        }
        let handle = Uuid::new_v4();
        shelf.bytes += bytes;
        let deadline = now + self.bounds.lifetime;
        shelf.entries.insert(handle, Entry { value, deadline, bytes, used_up: false });
        Ok(handle)
    }

    /// Gives an entry a new weight.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when all entries together would weigh too much; NOT_FOUND when there is no such entry.
    pub(crate) fn reweigh(&self, id: Uuid, bytes: usize) -> Result<(), Status> {
        let mut shelf = self.shelf();
        let before = shelf.entries.get(&id).ok_or_else(|| self.gone())?.bytes;
        if shelf.bytes - before + bytes > self.bounds.bytes {
            return Err(self.full(&shelf));
        }
        shelf.bytes = shelf.bytes - before + bytes;
        if let Some(entry) = shelf.entries.get_mut(&id) {
            entry.bytes = bytes;
        }
        Ok(())
    }

    /// The entry of a handle.
    ///
    /// # Errors
    /// NOT_FOUND for a handle that was never given out, was closed, or has expired.
    pub(crate) fn get(&self, handle: &Bytes) -> Result<(Uuid, Arc<T>), Status> {
        let Ok(id) = Uuid::from_slice(handle) else {
            return Err(Status::not_found(format!("this is no {} handle of this server", self.bounds.noun)));
        };
        self.find(id).map(|value| (id, value)).ok_or_else(|| self.gone())
    }

    /// The live entry of an id.
    pub(crate) fn find(&self, id: Uuid) -> Option<Arc<T>> {
        let now = Instant::now();
        let mut shelf = self.shelf();
        let entry = shelf.entries.get_mut(&id)?;
        if entry.deadline <= now {
            shelf.remove(id);
            return None;
        }
        if self.bounds.renewed_by_use {
            entry.deadline = now + self.bounds.lifetime;
        }
        Some(Arc::clone(&entry.value))
    }

    /// Says that the entry has served its purpose: it stays until it expires or its room is needed.
    pub(crate) fn use_up(&self, id: Uuid) {
        if let Some(entry) = self.shelf().entries.get_mut(&id) {
            entry.used_up = true;
        }
    }

    /// Drops an entry; says whether there was one.
    pub(crate) fn remove(&self, id: Uuid) -> Option<Arc<T>> {
        self.shelf().remove(id)
    }

    fn full(&self, shelf: &Shelf<T>) -> Status {
        let Bounds { noun, entries, bytes, .. } = self.bounds;
        Status::resource_exhausted(format!(
            "too many outstanding {noun}s: the server holds {} of at most {entries} ({} of {bytes} bytes); close \
             some, or read what was planned, and try again",
            shelf.entries.len(),
            shelf.bytes
        ))
    }

    fn gone(&self) -> Status {
        let Bounds { noun, lifetime, renewed_by_use, .. } = self.bounds;
        let (lived, redo) = (words(lifetime), if renewed_by_use { " without use" } else { "" });
        Status::not_found(format!(
            "no such {noun}: it was closed, or it expired ({noun}s live for {lived}{redo}); ask for a new one"
        ))
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf<T>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Shelf<T> {
    fn remove(&mut self, id: Uuid) -> Option<Arc<T>> {
        let entry = self.entries.remove(&id)?;
        self.bytes -= entry.bytes;
        Some(entry.value)
    }

    fn drop_expired(&mut self, now: Instant) {
        let mut freed = 0;
        self.entries.retain(|_, entry| {
            let alive = entry.deadline > now;
            if !alive {
                freed += entry.bytes;
            }
            alive
        });
        self.bytes -= freed;
    }

    fn drop_oldest_used_up(&mut self) -> bool {
        let used_up = self.entries.iter().filter(|(_, entry)| entry.used_up);
        let oldest = used_up.min_by_key(|(_, entry)| entry.deadline).map(|(id, _)| *id);
        oldest.and_then(|id| self.remove(id)).is_some()
    }
}

/// A duration as a reader says it: "10 minutes".
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} milliseconds", duration.as_millis()),
        s if s % 3600 == 0 => format!("{} hours", s / 3600),
        s if s % 60 == 0 => format!("{} minutes", s / 60),
        s => format!("{s} seconds"),
    }
}

/// A handle as it goes over the wire.
pub(crate) fn handle_bytes(id: Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn registry(
        entries: usize,
        bytes: usize,
        lifetime: Duration,
        renewed_by_use: bool,
    ) -> Registry<&'static str> {
        Registry::new(Bounds { noun: "ticket", lifetime, renewed_by_use, entries, bytes })
    }

    #[test]
    fn a_full_registry_refuses_and_says_why() {
        let registry = registry(2, 100, Duration::from_secs(60), false);
        registry.insert(Arc::new("a"), 1).unwrap();
        registry.insert(Arc::new("b"), 1).unwrap();
        let refused = registry.insert(Arc::new("c"), 1).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(
            refused.message().starts_with("too many outstanding tickets: the server holds 2 of at most 2")
        );
    }

    #[test]
    fn weight_counts_and_is_given_back() {
        let registry = registry(10, 100, Duration::from_secs(60), false);
        let first = registry.insert(Arc::new("a"), 80).unwrap();
        assert!(registry.insert(Arc::new("b"), 30).is_err());
        assert!(registry.remove(first).is_some());
        assert!(registry.remove(first).is_none());
        registry.insert(Arc::new("b"), 100).unwrap();
    }

    #[test]
    fn a_new_weight_is_bounded_too() {
        let registry = registry(10, 100, Duration::from_secs(60), true);
        let first = registry.insert(Arc::new("a"), 10).unwrap();
        registry.insert(Arc::new("b"), 50).unwrap();
        registry.reweigh(first, 50).unwrap();
        assert_eq!(registry.reweigh(first, 51).unwrap_err().code(), Code::ResourceExhausted);
        registry.reweigh(first, 1).unwrap();
        assert_eq!(registry.reweigh(Uuid::new_v4(), 1).unwrap_err().code(), Code::NotFound);
    }

    #[test]
    fn what_is_used_up_makes_room_oldest_first() {
        let registry = registry(2, 100, Duration::from_secs(60), false);
        let first = registry.insert(Arc::new("a"), 1).unwrap();
        let second = registry.insert(Arc::new("b"), 1).unwrap();
        registry.use_up(first);
        registry.use_up(second);
        assert!(registry.find(first).is_some());
        registry.insert(Arc::new("c"), 1).unwrap();
        assert!(registry.find(first).is_none());
        assert!(registry.find(second).is_some());
    }

    #[test]
    fn entries_expire_and_use_renews_where_it_should() {
        let fixed = registry(1, 100, Duration::from_millis(40), false);
        let id = fixed.insert(Arc::new("a"), 1).unwrap();
        std::thread::sleep(Duration::from_millis(60));
        let error = fixed.get(&handle_bytes(id)).unwrap_err();
        assert_eq!(error.code(), Code::NotFound);
        assert!(error.message().contains("live for 40 milliseconds"), "{}", error.message());
        fixed.insert(Arc::new("b"), 1).unwrap();

        let renewed = registry(1, 100, Duration::from_millis(400), true);
        let id = renewed.insert(Arc::new("a"), 1).unwrap();
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(200));
            assert!(renewed.find(id).is_some());
        }
    }

    #[test]
    fn a_handle_of_the_wrong_form_is_not_found() {
        let registry = registry(1, 100, Duration::from_secs(60), false);
        let error = registry.get(&Bytes::from_static(b"forged")).unwrap_err();
        assert_eq!(error.code(), Code::NotFound);
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(words(Duration::from_secs(600)), "10 minutes");
        assert_eq!(words(Duration::from_secs(7200)), "2 hours");
        assert_eq!(words(Duration::from_secs(61)), "61 seconds");
    }
}
