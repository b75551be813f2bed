//! Whose turn it is, where two operators work at once.

/// One operator alone is never held up.
#[derive(Default)]
pub struct Turns;

impl Turns {
    /// Returns when this operator may make its next call.
    pub async fn next(&self, _operator: usize) {}
}
