//! The lock of what passes share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a map. A panic elsewhere leaves it whole, for every change to it is a single call.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
