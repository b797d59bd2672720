//! Large types behind trait objects, which the compiler doesn't look into.
//!
//! Whether a future may move between threads is asked of every field of everything that it holds, and where a method has
//! lifetimes, as each of an async trait has, the answer is found anew each time. Of a plan or a session state of
//! DataFusion it takes four seconds: the thirty methods of the Flight service took two minutes to check.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A shared value of a large type.
pub(crate) struct Opaque<T>(Arc<dyn Holds<T>>);

trait Holds<T>: Send + Sync {
    fn held(&self) -> &T;
}

impl<T: Send + Sync> Holds<T> for T {
    fn held(&self) -> &T {
        self
    }
}

impl<T: Send + Sync + 'static> Opaque<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Clone for Opaque<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Opaque<T> {
    type Target = T;

    fn deref(&self) -> &T {
        (*self.0).held()
    }
}

impl<T: fmt::Debug> fmt::Debug for Opaque<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}
