//! An error with everything behind it, for the log: what failed is often told by the innermost alone.

use std::error::Error;

/// An error with everything behind it on one line. The SDK's own rendering adds whole replies.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let told: Vec<String> = chain(error).map(ToString::to_string).collect();
    told.join(": ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// True if the error, or one behind it, is a `T`.
pub(crate) fn is_of<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(<dyn Error + 'static>::is::<T>)
}

/// An error and everything behind it.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error: &&'a (dyn Error + 'static)| error.source())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::aws::Unidentified;

    #[test]
    fn tells_all_causes_on_one_line() {
        let error = Unidentified::Call("a\n  b".to_owned());
        let outer = io::Error::other(error);
        assert_eq!(causes(&outer), "GetCallerIdentity failed: a b");
    }
}
