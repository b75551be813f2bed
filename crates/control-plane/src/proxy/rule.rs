//! Which calls fail, and how.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Method, StatusCode};
use hyper::body::Bytes;

use super::Call;

/// Something that a test wants done while a call is held, such as killing the client's process. It may block.
pub type Callback = Arc<dyn Fn() + Send + Sync>;

/// On which side of the call's effect a [`Callback`] runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before; the call is then never sent on.
    BeforeEffect,
    /// After the API server's whole answer has arrived.
    AfterEffect,
}

/// What happens to a call.
#[derive(Clone)]
#[non_exhaustive]
pub enum Action {
    /// Runs the callback, then closes the connection without an answer: a crash at that point.
    Hook {
        /// When it runs.
        when: When,
        /// What runs.
        callback: Callback,
    },
    /// Sent on; once the whole answer has arrived the callback runs, then the client gets the answer. Not for watches,
    /// whose answer has no end.
    Observe(Callback),
    /// The connection closes, nothing is sent on.
    LostRequest,
    /// Sent on and answered, but the connection closes in place of the answer.
    LostReply,
    /// The connection closes at once; the call is sent on this much later.
    LateEffect(Duration),
    /// No answer and no effect until the client gives up.
    Hang,
    /// Answered with this status and a Kubernetes `Status`; nothing is sent on.
    Status(u16),
    /// Sent on, but answered with this status and a Kubernetes `Status`.
    StatusAfterEffect(u16),
    /// Sent on, but the answer's body is cut short, under its status and length of the cut body.
    Malformed,
    /// Answered with this body, such as an earlier state of the object; nothing is sent on.
    Respond(StatusCode, Bytes),
    /// Sent on after this time.
    Delay(Duration),
}

impl fmt::Debug for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hook { when, .. } => write!(formatter, "Hook({when:?})"),
            Self::Observe(_) => write!(formatter, "Observe"),
            Self::LostRequest => write!(formatter, "LostRequest"),
            Self::LostReply => write!(formatter, "LostReply"),
            Self::LateEffect(time) => write!(formatter, "LateEffect({time:?})"),
            Self::Hang => write!(formatter, "Hang"),
            Self::Status(code) => write!(formatter, "Status({code})"),
            Self::StatusAfterEffect(code) => write!(formatter, "StatusAfterEffect({code})"),
            Self::Malformed => write!(formatter, "Malformed"),
            Self::Respond(code, _) => write!(formatter, "Respond({code})"),
            Self::Delay(time) => write!(formatter, "Delay({time:?})"),
        }
    }
}

type Matcher = Box<dyn Fn(&Call) -> bool + Send + Sync>;

/// An action and the calls it is for. Without further conditions: the first call of any kind, once.
pub struct Rule {
    action: Action,
    conditions: Vec<Matcher>,
    nth: usize,
    times: usize,
}

impl Rule {
    /// The first call of any kind, once.
    pub fn new(action: Action) -> Self {
        Self { action, conditions: Vec::new(), nth: 1, times: 1 }
    }

    /// Only calls for which this holds as well.
    #[must_use]
    pub fn matching(mut self, condition: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Box::new(condition));
        self
    }

    /// Only calls of this HTTP method.
    #[must_use]
    pub fn method(self, method: Method) -> Self {
        self.matching(move |call| call.method == method)
    }

    /// Only calls of this Kubernetes verb, such as `create`.
    #[must_use]
    pub fn verb(self, verb: &'static str) -> Self {
        self.matching(move |call| call.target.verb == verb)
    }

    /// Only calls for this resource, with its subresource: `secrets`, `pods/status`.
    #[must_use]
    pub fn resource(self, resource: &'static str) -> Self {
        self.matching(move |call| call.target.resource == resource)
    }

    /// Only from the `nth` matching call on, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: usize) -> Self {
        self.nth = nth;
        self
    }

    /// For so many calls in a row.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// For every call from there on.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }
}

/// A rule in use, with its counts.
pub(super) struct ActiveRule {
    rule: Rule,
    matched: AtomicUsize,
    fired: AtomicUsize,
}

impl From<Rule> for ActiveRule {
    fn from(rule: Rule) -> Self {
        Self { rule, matched: AtomicUsize::new(0), fired: AtomicUsize::new(0) }
    }
}

impl ActiveRule {
    /// Counts the call if it matches; the action if it is this one's turn.
    pub(super) fn fires(&self, call: &Call) -> Option<Action> {
        let rule = &self.rule;
        if !rule.conditions.iter().all(|condition| condition(call)) {
            return None;
        }
        let matched = self.matched.fetch_add(1, Ordering::SeqCst) + 1;
        let past = matched.checked_sub(rule.nth)?;
        (past < rule.times).then(|| {
            self.fired.fetch_add(1, Ordering::SeqCst);
            rule.action.clone()
        })
    }
}

/// Tells what became of a rule.
#[derive(Clone)]
pub struct RuleHandle(Arc<ActiveRule>);

impl RuleHandle {
    pub(super) fn new(rule: Arc<ActiveRule>) -> Self {
        Self(rule)
    }

    /// How many calls matched, whether it was their turn or not.
    pub fn matched(&self) -> usize {
        self.0.matched.load(Ordering::SeqCst)
    }

    /// How often it was the rule's turn.
    pub fn fired(&self) -> usize {
        self.0.fired.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn call(method: Method, path: &str) -> Call {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = method;
        parts.uri = path.parse().unwrap();
        Call::new(parts, Bytes::new())
    }

    #[test]
    fn only_the_calls_in_turn_fire() {
        let rule = Rule::new(Action::LostReply).verb("create").resource("secrets").nth(2).times(2);
        let rule = Arc::new(ActiveRule::from(rule));
        let create = call(Method::POST, "/api/v1/namespaces/a/secrets");
        let fired: Vec<bool> = (0..5).map(|_| rule.fires(&create).is_some()).collect();
        assert_eq!(fired, [false, true, true, false, false]);
        assert!(rule.fires(&call(Method::POST, "/api/v1/namespaces/a/configmaps")).is_none());
        let handle = RuleHandle::new(rule);
        assert_eq!((handle.matched(), handle.fired()), (5, 2));
    }
}
