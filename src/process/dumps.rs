//! No memory of this process gets into a file: it holds credentials.
//!
//! Owns what the kernel is asked for at start. It must not keep the program from starting: where the
//! kernel refuses, the program says so and goes on.

use rustix::io;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Forbids core dumps, and other processes of the same user to look into this one.
///
/// Both are needed: a handler of core dumps that is a program gets them whatever the limit says, and
/// a child begins dumpable again (core(5), `PR_SET_DUMPABLE(2const)`).
pub(super) fn forbid() -> io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

#[cfg(test)]
mod tests {
    use rustix::process::{dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn forbids_dumps_and_looks() {
        forbid().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
    }
}
