//! Faults injected at run time: which call, and what happens to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The request has arrived and has had no effect.
    Before,
    /// The effect has happened, nothing was answered.
    After,
}

/// What happens to the call.
#[derive(Clone, Deserialize)]
#[serde(tag = "type")]
pub enum FaultKind {
    /// This error, without effect. At SMTP: the status and the code's text are the reply.
    ErrorBefore {
        /// HTTP or SMTP status.
        status: u16,
        /// Error code.
        code: String,
    },
    /// This error although the effect happened.
    ErrorAfter {
        /// HTTP or SMTP status.
        status: u16,
        /// Error code.
        code: String,
    },
    /// The connection closes without effect.
    LostRequest,
    /// The effect happens, the connection closes without a reply.
    LostReply,
    /// No effect and no reply: the connection hangs.
    Timeout,
    /// No reply: the connection hangs, and the effect comes later.
    DelayedEffect {
        /// How much later, in AWS-side milliseconds: divided by the time scale.
        after_ms: u64,
    },
    /// HTTP 500 with an HTML page.
    Malformed {
        /// Whether the effect happened.
        #[serde(default)]
        executed: bool,
    },
    /// `AccessDenied` that names action and resource.
    Deny,
    /// A list that misses the last change.
    StaleList,
    /// SMTP: this reply line, such as `454 Temporary authentication failure`.
    Smtp {
        /// The reply.
        reply: String,
    },
    /// Calls back at this very moment, then closes the connection without a reply.
    #[serde(skip)]
    Hook {
        /// Before or after the effect.
        when: When,
        /// What to do; may block for a short while.
        callback: Arc<dyn Fn() + Send + Sync>,
    },
    /// Calls back once the effect has happened, then answers as if nothing were.
    #[serde(skip)]
    Observe {
        /// What to do; may block for a short while.
        callback: Arc<dyn Fn() + Send + Sync>,
    },
}

impl fmt::Debug for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ErrorBefore { status, code } => write!(f, "ErrorBefore({status} {code})"),
            Self::ErrorAfter { status, code } => write!(f, "ErrorAfter({status} {code})"),
            Self::LostRequest => f.write_str("LostRequest"),
            Self::LostReply => f.write_str("LostReply"),
            Self::Timeout => f.write_str("Timeout"),
            Self::DelayedEffect { after_ms } => write!(f, "DelayedEffect({after_ms} ms)"),
            Self::Malformed { executed } => write!(f, "Malformed(executed: {executed})"),
            Self::Deny => f.write_str("Deny"),
            Self::StaleList => f.write_str("StaleList"),
            Self::Smtp { reply } => write!(f, "Smtp({reply})"),
            Self::Hook { when, .. } => write!(f, "Hook({when:?})"),
            Self::Observe { .. } => f.write_str("Observe"),
        }
    }
}

impl FaultKind {
    /// A hook.
    pub fn hook(when: When, callback: impl Fn() + Send + Sync + 'static) -> Self {
        Self::Hook { when, callback: Arc::new(callback) }
    }

    /// A call that is only observed.
    pub fn observe(callback: impl Fn() + Send + Sync + 'static) -> Self {
        Self::Observe { callback: Arc::new(callback) }
    }

    /// A hang with a late effect.
    pub fn delayed(after: Duration) -> Self {
        Self::DelayedEffect { after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// A fault: which calls it meets and what it does to them.
#[derive(Debug, Clone, Deserialize)]
pub struct Fault {
    /// IAM or STS action, or `CONNECT`, `AUTH`, `MAIL`, `RCPT`, `DATA` of SMTP; `*` is any.
    pub action: String,
    /// IAM user: exact, or a prefix when it ends with `*`. Absent: any.
    #[serde(default)]
    pub user: Option<String>,
    /// The first matching call that is met, counted from 1 from the injection on.
    #[serde(default = "one")]
    pub nth: u64,
    /// How many matching calls in a row are met.
    #[serde(default = "one")]
    pub times: u64,
    /// What happens.
    pub kind: FaultKind,
}

fn one() -> u64 {
    1
}

impl Fault {
    /// A fault for the next call of an action.
    pub fn on(action: &str, kind: FaultKind) -> Self {
        Self { action: action.to_owned(), user: None, nth: 1, times: 1, kind }
    }

    /// Only for this user; a trailing `*` makes it a prefix.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..self }
    }

    /// Only from the nth matching call on.
    #[must_use]
    pub fn nth(self, nth: u64) -> Self {
        Self { nth, ..self }
    }

    /// For so many matching calls.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }

    fn matches(&self, action: &str, user: Option<&str>) -> bool {
        let user_fits = match self.user.as_deref() {
            None => true,
            Some(wanted) => user.is_some_and(|user| match wanted.strip_suffix('*') {
                Some(prefix) => user.starts_with(prefix),
                None => user.eq_ignore_ascii_case(wanted),
            }),
        };
        user_fits && (self.action == "*" || self.action == action)
    }
}

/// The faults still to come.
#[derive(Debug, Default)]
pub(crate) struct FaultBook(Vec<(Fault, u64)>);

impl FaultBook {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push((fault, 0));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The faults that have not met all their calls yet.
    pub(crate) fn pending(&self) -> Vec<String> {
        self.0.iter().map(|(fault, seen)| format!("{fault:?}, {seen} seen")).collect()
    }

    /// Counts a call against every fault that matches it; the oldest that is due meets it.
    pub(crate) fn strike(&mut self, action: &str, user: Option<&str>) -> Option<FaultKind> {
        let mut struck = None;
        for (fault, seen) in self.0.iter_mut().filter(|(fault, _)| fault.matches(action, user)) {
            *seen = seen.saturating_add(1);
            if *seen >= fault.nth && struck.is_none() {
                struck = Some(fault.kind.clone());
            }
        }
        self.0.retain(|(fault, seen)| *seen < fault.nth.saturating_add(fault.times).saturating_sub(1));
        struck
    }
}
