//! What can go wrong with a call, which faults fit which call, and the names of cases.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Mutex;

use crate::codes;
use crate::smtp::LOGIN;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    CrashBefore,
    CrashAfter,
    RequestLost,
    ReplyLost,
    Throttled,
    /// A server error without effect.
    Error,
    /// A server error although the effect happened.
    ErrorAfter,
    /// No answer, and no effect yet: a changing call has it later, a reading one never.
    Timeout,
    Denied,
    /// Half an answer; the effect happened.
    Malformed,
    /// The answer of a moment ago.
    Stale,
    /// IAM refuses with this error code.
    Code(&'static str),
}

use Fault::{
    Code, CrashAfter, CrashBefore, Denied, Error, ErrorAfter, Malformed, ReplyLost, RequestLost, Stale,
    Throttled, Timeout,
};

const CHANGING: [Fault; 10] = [
    CrashBefore,
    CrashAfter,
    RequestLost,
    ReplyLost,
    Throttled,
    Error,
    ErrorAfter,
    Timeout,
    Denied,
    Malformed,
];
const READING: [Fault; 7] = [CrashBefore, CrashAfter, Throttled, Error, Timeout, Denied, Malformed];
const READING_IAM: [Fault; 8] =
    [CrashBefore, CrashAfter, Throttled, Error, Timeout, Denied, Malformed, Stale];
/// What can go wrong with a login; `Denied` is a refusal (535), `Error` one for now (454).
const LOGGING_IN: [Fault; 5] = [CrashBefore, CrashAfter, Error, Timeout, Denied];
/// Calls to IAM that change nothing.
const IAM_READS: [&str; 4] = ["GetUser", "ListUsers", "ListAccessKeys", "GetAccessKeyLastUsed"];
/// Calls of the sweeps alone, who expect old answers.
const SWEEP_READS: [&str; 3] =
    ["GetAccountAuthorizationDetails", "GenerateCredentialReport", "GetCredentialReport"];

impl Fault {
    /// The faults that fit a call.
    pub fn fitting(call: &str) -> Vec<Self> {
        let is_iam = call != LOGIN && call.starts_with(|first: char| first.is_ascii_uppercase());
        let codes = codes::of(call).filter(|_| is_iam).map(Self::Code);
        Self::common(call).iter().copied().chain(codes).collect()
    }

    /// The faults that fit a call whatever the service.
    ///
    /// The API server answers a live read from a quorum, so it can't be stale there: what is stale
    /// is the cache of the watch, which the cases of hidden changes are about.
    fn common(call: &str) -> &'static [Self] {
        if IAM_READS.contains(&call) {
            &READING_IAM
        } else if call == LOGIN {
            &LOGGING_IN
        } else if SWEEP_READS.contains(&call) || call.starts_with("get-") || call.starts_with("list-") {
            &READING
        } else {
            &CHANGING
        }
    }

    /// True if the operator's process ends.
    pub fn is_crash(self) -> bool {
        matches!(self, CrashBefore | CrashAfter)
    }

    fn name(self) -> &'static str {
        match self {
            CrashBefore => "crash-before",
            CrashAfter => "crash-after",
            RequestLost => "request-lost",
            ReplyLost => "reply-lost",
            Throttled => "throttled",
            Error => "error",
            ErrorAfter => "error-after",
            Timeout => "timeout",
            Denied => "denied",
            Malformed => "malformed",
            Stale => "stale",
            Code(code) => code,
        }
    }

    fn named(name: &str) -> Option<Self> {
        let code = codes::named(name).map(Self::Code);
        code.or_else(|| CHANGING.into_iter().chain([Stale]).find(|fault| fault.name() == name))
    }
}

/// One call that fails: the nth of its kind since the case began or since the fault before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    pub call: String,
    pub nth: usize,
    pub fault: Fault,
}

/// A workload with its faults, in order: `region/update-secret#1/reply-lost+GetUser#1/denied`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub workload: String,
    pub strikes: Vec<Strike>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strike = |at: &Strike| format!("{}#{}/{}", at.call, at.nth, at.fault.name());
        let strikes: Vec<String> = self.strikes.iter().map(strike).collect();
        write!(f, "{}/{}", self.workload, strikes.join("+"))
    }
}

impl Case {
    /// The same with one fault more.
    pub fn and(&self, strike: Strike) -> Self {
        let strikes = self.strikes.iter().cloned().chain([strike]).collect();
        Self { workload: self.workload.clone(), strikes }
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (workload, strikes) = text.split_once('/')?;
        let strike = |text: &str| {
            let (call, fault) = text.split_once('/')?;
            let (call, nth) = call.split_once('#')?;
            Some(Strike { call: call.into(), nth: nth.parse().ok()?, fault: Fault::named(fault)? })
        };
        let strikes = strikes.split('+').map(strike).collect::<Option<_>>()?;
        Some(Self { workload: workload.into(), strikes })
    }
}

/// The calls of a case so far, and the faults that are still to come.
#[derive(Default)]
pub struct Script(Mutex<Page>);

#[derive(Default)]
struct Page {
    recording: bool,
    counts: BTreeMap<String, usize>,
    calls: Vec<(String, usize)>,
    strikes: VecDeque<Strike>,
    void: bool,
}

impl Script {
    /// From here on calls are recorded and faults strike.
    pub fn begin(&self, strikes: Vec<Strike>) {
        *self.0.lock().unwrap() = Page { recording: true, strikes: strikes.into(), ..Page::default() };
    }

    /// Counts a call, and gives the fault that meets it. What comes after a fault is counted anew.
    pub fn meet(&self, call: &str) -> Option<Fault> {
        let page = &mut *self.0.lock().unwrap();
        if !page.recording {
            return None;
        }
        let nth = page.counts.entry(call.to_owned()).or_default();
        *nth += 1;
        let nth = *nth;
        page.calls.push((call.to_owned(), nth));
        let strike = page.strikes.pop_front_if(|next| next.call == call && next.nth == nth)?;
        page.counts.clear();
        page.calls.clear();
        Some(strike.fault)
    }

    /// The fault could not happen where it should have, such as a stale answer long after a change.
    pub fn void(&self) {
        self.0.lock().unwrap().void = true;
    }

    pub fn is_void(&self) -> bool {
        self.0.lock().unwrap().void
    }

    /// The calls since the last fault, or all if there was none.
    pub fn calls(&self) -> Vec<(String, usize)> {
        self.0.lock().unwrap().calls.clone()
    }

    /// The faults that never struck.
    pub fn pending(&self) -> usize {
        self.0.lock().unwrap().strikes.len()
    }
}
