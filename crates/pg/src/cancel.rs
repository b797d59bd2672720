//! Cancel requests: which connection a process id and its secret belong to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use smartsneaks_engine::Session;
use uuid::Uuid;

/// The sessions of all connections, by their number.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: Mutex<HashMap<i32, Entry>>,
}

#[derive(Debug)]
struct Entry {
    secret: Bytes,
    session: Arc<Session>,
    busy: Arc<AtomicBool>,
}

/// Keeps a connection known; dropping it forgets the connection.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: Arc<Registry>,
    id: i32,
    secret: Bytes,
    busy: Arc<AtomicBool>,
}

impl Registry {
    /// Makes a session known. Protocol 3.2 has room for a secret of 32 bytes, 3.0 for 4.
    pub(crate) fn register(self: &Arc<Self>, session: &Arc<Session>, long: bool) -> Registration {
        // The system's random numbers; the first four bytes of a v4 UUID are free of its fixed bits.
        let (first, second) = (Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes());
        let secret =
            if long { Bytes::from([first, second].concat()) } else { Bytes::copy_from_slice(&first[..4]) };
        let busy = Arc::new(AtomicBool::new(false));
        let entry = Entry { secret: secret.clone(), session: Arc::clone(session), busy: Arc::clone(&busy) };
        self.lock().insert(session.id(), entry);
        Registration { registry: Arc::clone(self), id: session.id(), secret, busy }
    }

    /// Stops the statement that the connection runs, if the secret is right. Silent either way, as PostgreSQL is.
    pub(crate) fn cancel(&self, id: i32, secret: &[u8]) {
        let session = {
            let entries = self.lock();
            match entries.get(&id) {
                // Between statements there is nothing to cancel: a suspended portal goes on living.
                Some(entry) if same(&entry.secret, secret) && entry.busy.load(Ordering::Acquire) => {
                    Arc::clone(&entry.session)
                }
                _ => return,
            }
        };
        tracing::debug!(connection = id, "cancel request");
        session.cancel();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registration {
    /// What the client must show to cancel.
    pub(crate) fn secret(&self) -> &Bytes {
        &self.secret
    }

    /// Tells whether a statement is under way.
    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Release);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.id);
    }
}

/// Compares in a time that does not tell how many bytes were right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn secrets() {
        assert!(same(b"abcd", b"abcd"));
        assert!(!same(b"abcd", b"abce"));
        assert!(!same(b"abcd", b"abc"));
    }
}
