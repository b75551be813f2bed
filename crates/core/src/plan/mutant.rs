//! Rules of the protocol that a test can switch off, to show that the model checker would notice.
//!
//! Each is asked for in one line at the place where its rule lives. Outside of this crate's tests
//! the answer is a constant, and nothing of it is left in the program.

/// A rule that is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Keys are listed after the fence landed.
    ListsAfterFence,
    /// Keys are listed again under a fence that stands already.
    ListsAgain,
    /// No fence where there is a Secret.
    NoFence,
    /// Writes of the Secret don't look at its version.
    #[cfg(test)]
    UnconditionalWrite,
    /// A publish that was refused as outdated is tried again without a look at the attempt's id.
    RetriesBlindly,
    /// No placeholder where there is no Secret.
    NoPlaceholder,
    /// A fence that was refused as outdated is placed again whatever changed.
    KeepsOldPlan,
    /// Step 4b only before placeholders.
    YoungKeysBesideSecret,
    /// Step 4b never.
    YoungKeys,
    /// Every key that was not found when the placeholder was placed counts as never published.
    FoundOnly,
    /// The own key is deleted after an unclear publish.
    DeletesAfterUnclear,
    /// The published key is not spared.
    DeletesPublished,
    /// The client retries a mint by itself.
    #[cfg(test)]
    ClientRetriesMint,
    /// A list is believed at once.
    UnsettledList,
    /// Step 10 without a list.
    RetiresUnlisted,
    /// Step 11 without the date of step 10.
    DeletesUndated,
    /// A teardown doesn't ask whose the user is.
    TearsDownUnproven,
}

/// True if the rule is switched off.
#[cfg(not(test))]
pub const fn is(_: Mutant) -> bool {
    false
}

#[cfg(test)]
thread_local! {
    static OFF: std::cell::RefCell<Vec<Mutant>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// True if the rule is switched off in this thread.
#[cfg(test)]
pub fn is(mutant: Mutant) -> bool {
    OFF.with_borrow(|off| off.contains(&mutant))
}

/// Switches these rules off in this thread, and all others on.
#[cfg(test)]
pub fn switch_off(mutants: &[Mutant]) {
    OFF.set(mutants.to_vec());
}
