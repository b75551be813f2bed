//! The journal: one record per call. It never holds secrets, passwords or policy texts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

/// The caller of edits that tests make behind the operator's back.
pub(crate) const OUT_OF_BAND: &str = "out-of-band";

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Position since the start, never reset.
    pub sequence: u64,
    /// When.
    pub time: Timestamp,
    /// IAM or STS action, or `CONNECT`, `AUTH`, `MAIL`, `DATA` of SMTP.
    pub action: String,
    /// Account, if the caller is known.
    pub account: Option<String>,
    /// Caller's access key id; at SMTP the user name given.
    pub caller: Option<String>,
    /// IAM user concerned; the ARN of a role that was to be assumed.
    pub user: Option<String>,
    /// Access key concerned.
    pub key: Option<String>,
    /// `ok`, or the error code or SMTP reply. With a fault after the effect: what the effect was.
    pub outcome: String,
    /// Whether the call was carried out.
    pub executed: bool,
    /// The fault that met it.
    pub fault: Option<String>,
    /// The request id of the reply, in its header and its XML. A reply that was lost had one too.
    pub request_id: Option<String>,
}

/// All records since the start or the last reset.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    records: Vec<Record>,
    sequence: u64,
    file: Option<BufWriter<File>>,
}

impl Journal {
    pub(crate) fn new(path: Option<&Path>) -> std::io::Result<Self> {
        let open = |path| File::options().create(true).append(true).open(path).map(BufWriter::new);
        Ok(Self { file: path.map(open).transpose()?, ..Self::default() })
    }

    /// Adds a record and returns its sequence number.
    pub(crate) fn add(&mut self, mut record: Record) -> u64 {
        self.sequence = self.sequence.saturating_add(1);
        record.sequence = self.sequence;
        if let (Some(file), Ok(line)) = (&mut self.file, serde_json::to_string(&record)) {
            // A full disk must not change what the double answers; the records stay in memory.
            let _ = writeln!(file, "{line}").and_then(|()| file.flush());
        }
        self.records.push(record);
        self.sequence
    }

    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(crate) fn clear(&mut self) {
        self.records.clear();
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        tally(self.wire().map(|record| record.action.clone()))
    }

    pub(crate) fn counts_by_user(&self) -> BTreeMap<(String, String), u64> {
        let named = |r: &Record| r.user.clone().map(|user| (user, r.action.clone()));
        tally(self.wire().filter_map(named))
    }

    /// The calls that came over the wire.
    fn wire(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(|record| record.caller.as_deref() != Some(OUT_OF_BAND))
    }
}

fn tally<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    for key in keys {
        let count: &mut u64 = counts.entry(key).or_default();
        *count = count.saturating_add(1);
    }
    counts
}
