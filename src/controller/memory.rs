//! What the process remembers of objects between passes. Lost on a crash, by design.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use ses_smtp_core::api::SesSmtpCredentialStatus;
use ses_smtp_core::fleet::Shown;
use ses_smtp_core::world::{Memo, Suspicion};

use super::cache::is_newer;
use super::lock::lock;

/// Per object: the memo, and how many passes in a row did not end well.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// For the next World.
    pub memo: Memo,
    /// For the backoff.
    pub failures: u32,
}

/// A status that was written, and the version of the object that carries it.
type Reported = (String, SesSmtpCredentialStatus);

/// By UID.
#[derive(Default)]
pub struct Memory {
    entries: Mutex<HashMap<String, Entry>>,
    reported: Mutex<HashMap<String, Reported>>,
    shown: Mutex<HashMap<String, Shown>>,
    suspicions: Mutex<HashMap<String, Suspicion>>,
}

impl Memory {
    /// What is remembered of an object, with what the sweep has raised since the last look.
    pub fn get(&self, uid: &str) -> Entry {
        let mut entry = lock(&self.entries).get(uid).cloned().unwrap_or_default();
        if let Some(raised) = lock(&self.suspicions).remove(uid) {
            entry.memo.suspect(raised);
        }
        entry
    }

    /// Remembers what the sweep found amiss until the next pass.
    pub fn suspect(&self, uid: &str, suspicion: Suspicion) {
        lock(&self.suspicions).entry(uid.to_owned()).or_default().add(suspicion);
    }

    /// Remembers.
    pub fn put(&self, uid: &str, entry: Entry) {
        lock(&self.entries).insert(uid.to_owned(), entry);
    }

    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        lock(&self.entries).remove(uid);
        lock(&self.reported).remove(uid);
        lock(&self.shown).remove(uid);
        lock(&self.suspicions).remove(uid);
    }

    /// Forgets all but these objects: some go without a pass.
    pub fn retain(&self, living: &HashSet<String>) {
        lock(&self.entries).retain(|uid, _| living.contains(uid));
        lock(&self.reported).retain(|uid, _| living.contains(uid));
        lock(&self.shown).retain(|uid, _| living.contains(uid));
        lock(&self.suspicions).retain(|uid, _| living.contains(uid));
    }

    /// What the last pass reported of an object; `None` before the first one.
    pub fn shown(&self, uid: &str) -> Option<Shown> {
        lock(&self.shown).get(uid).copied()
    }

    /// Remembers what a pass reports.
    pub fn show(&self, uid: &str, shown: Shown) {
        lock(&self.shown).insert(uid.to_owned(), shown);
    }

    /// Remembers a status that was written.
    pub fn reported(&self, uid: &str, version: String, status: SesSmtpCredentialStatus) {
        lock(&self.reported).insert(uid.to_owned(), (version, status));
    }

    /// The status that was written last, if the object as seen at `version` is older than that:
    /// the watch tells of our own write a little later.
    pub fn newer_report(&self, uid: &str, version: &str) -> Option<SesSmtpCredentialStatus> {
        let mut reported = lock(&self.reported);
        let (written, status) = reported.get(uid)?;
        if is_newer(written, version) {
            return Some(status.clone());
        }
        reported.remove(uid);
        None
    }
}
