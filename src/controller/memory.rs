//! What the process remembers of objects between passes. Lost on a crash, by design.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ses_smtp_core::world::Memo;

/// Per object: the memo, and how many passes in a row did not end well.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// For the next World.
    pub memo: Memo,
    /// For the backoff.
    pub failures: u32,
}

/// By UID.
#[derive(Default)]
pub struct Memory(Mutex<HashMap<String, Entry>>);

impl Memory {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // A panic elsewhere leaves the map whole: every change to it is a single call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered of an object.
    pub fn get(&self, uid: &str) -> Entry {
        self.lock().get(uid).cloned().unwrap_or_default()
    }

    /// Remembers.
    pub fn put(&self, uid: &str, entry: Entry) {
        self.lock().insert(uid.to_owned(), entry);
    }

    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }
}
