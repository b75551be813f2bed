//! One candidate alone, by hand; then several on random schedules.

mod sim;

use super::*;

const ZERO: Duration = Duration::ZERO;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn date() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn candidate(identity: &str) -> Candidate {
    Candidate::new("operator", identity, Times::default())
}

/// The record as the API server gives it back.
fn stored(next: Next, version: &str) -> Lease {
    let (Next::Create(mut lease) | Next::Update(mut lease)) = next else { panic!("{next:?}") };
    lease.metadata.resource_version = Some(version.to_owned());
    lease
}

fn spec(lease: &Lease) -> &LeaseSpec {
    lease.spec.as_ref().unwrap()
}

/// A leader since second 0, and the record that says so.
fn leader(identity: &str) -> (Candidate, Lease) {
    let mut leader = candidate(identity);
    let record = stored(leader.next(None, ZERO, date()), "1");
    leader.wrote(Answer::Written, ZERO, ZERO);
    (leader, record)
}

#[test]
fn the_record_reads_as_usual() {
    let (mut a, record) = leader("a");
    assert_eq!(record.metadata.name.as_deref(), Some("operator"));
    assert_eq!(spec(&record).holder_identity.as_deref(), Some("a"));
    assert_eq!((spec(&record).lease_duration_seconds, spec(&record).lease_transitions), (Some(30), Some(0)));
    let later = Timestamp::from_second(1_800_000_009).unwrap();
    let renewed = stored(a.next(Some(record.clone()), seconds(9), later), "2");
    assert_eq!(spec(&renewed).acquire_time, Some(MicroTime(date())));
    assert_eq!(spec(&renewed).renew_time, Some(MicroTime(later)));
    assert_eq!(spec(&renewed).lease_transitions, Some(0));
    let mut b = candidate("b");
    b.next(Some(renewed.clone()), ZERO, date());
    let taken = stored(b.next(Some(renewed), LEASE, later), "3");
    assert_eq!(spec(&taken).holder_identity.as_deref(), Some("b"));
    assert_eq!(spec(&taken).acquire_time, Some(MicroTime(later)));
    assert_eq!(spec(&taken).lease_transitions, Some(1));
}

#[test]
fn what_others_put_on_the_object_stays_and_the_version_goes_along() {
    let (mut a, mut record) = leader("a");
    record.metadata.labels = Some([("team".to_owned(), "mail".to_owned())].into());
    let next = a.next(Some(record.clone()), seconds(2), date());
    let Next::Update(sent) = next else { panic!("{next:?}") };
    assert_eq!(sent.metadata.labels, record.metadata.labels);
    assert_eq!(sent.metadata.resource_version.as_deref(), Some("1"));
}

#[test]
fn another_holder_is_followed_until_its_record_stood_still_for_a_lease() {
    let (_, mut record) = leader("a");
    let mut b = candidate("b");
    let follow = Next::Follow { holder: "a".to_owned() };
    assert_eq!(b.next(Some(record.clone()), seconds(100), date()), follow);
    assert_eq!(b.next(Some(record.clone()), seconds(129), date()), follow);
    record.metadata.resource_version = Some("2".to_owned());
    assert_eq!(b.next(Some(record.clone()), seconds(129), date()), follow);
    assert_eq!(b.next(Some(record.clone()), seconds(158), date()), follow);
    assert!(matches!(b.next(Some(record), seconds(159), date()), Next::Update(_)));
    assert!(!b.held(seconds(159)), "the takeover is not written yet");
}

#[test]
fn the_deadline_counts_from_before_the_try() {
    let (mut a, record) = leader("a");
    a.next(Some(record), seconds(12), date());
    a.wrote(Answer::Written, seconds(10), seconds(14));
    assert!(a.held(seconds(29)) && !a.held(seconds(30)) && a.is_over(seconds(30)));
    assert_eq!(a.patience(seconds(14)), TRY);
    assert_eq!(a.patience(seconds(27)), seconds(3), "a try may not outlast the deadline");
}

#[test]
fn silence_neither_prolongs_nor_ends_a_tenure() {
    let (mut a, record) = leader("a");
    a.next(Some(record), seconds(5), date());
    a.wrote(Answer::Unclear, seconds(4), seconds(5));
    assert_eq!(a.held_until(), Some(RENEW_DEADLINE));
    let mut b = candidate("b");
    b.wrote(Answer::Unclear, ZERO, ZERO);
    assert!(!b.held(ZERO) && !b.is_over(ZERO));
}

#[test]
fn a_conflict_or_another_holder_ends_it_at_once_and_for_good() {
    let (mut a, record) = leader("a");
    a.wrote(Answer::Conflict, seconds(2), seconds(2));
    assert!(!a.held(seconds(2)) && a.is_over(seconds(2)));
    a.wrote(Answer::Written, seconds(3), seconds(3));
    assert!(!a.held(seconds(3)));

    let (mut a, _) = leader("a");
    let mut taken = record;
    taken.spec.as_mut().unwrap().holder_identity = Some("b".to_owned());
    taken.metadata.resource_version = Some("2".to_owned());
    assert_eq!(a.next(Some(taken), seconds(2), date()), Next::Follow { holder: "b".to_owned() });
    assert!(a.is_over(seconds(2)));
}

#[test]
fn a_conflict_of_a_standby_is_no_end() {
    let mut b = candidate("b");
    b.next(None, ZERO, date());
    b.wrote(Answer::Conflict, ZERO, ZERO);
    assert!(!b.held(ZERO) && !b.is_over(ZERO));
}

#[test]
fn an_answer_after_the_end_does_not_bring_it_back() {
    let (mut a, record) = leader("a");
    a.next(Some(record), seconds(19), date());
    a.wrote(Answer::Written, seconds(19), RENEW_DEADLINE);
    assert!(!a.held(RENEW_DEADLINE) && a.is_over(seconds(21)));
}

#[test]
fn a_takeover_whose_answer_was_lost_is_found_out_by_the_next_look() {
    let mut a = candidate("a");
    let record = stored(a.next(None, ZERO, date()), "1");
    a.wrote(Answer::Unclear, ZERO, seconds(8));
    assert!(matches!(a.next(Some(record), seconds(10), date()), Next::Update(_)));
    a.wrote(Answer::Written, seconds(10), seconds(10));
    assert!(a.held(seconds(29)));
}

#[test]
fn a_clean_release_hands_over_at_once() {
    let (mut a, record) = leader("a");
    let released = a.release(record.clone(), date()).unwrap();
    assert!(!a.held(ZERO) && a.is_over(ZERO));
    assert_eq!(spec(&released).holder_identity.as_deref(), Some(""));
    assert_eq!(released.metadata.resource_version.as_deref(), Some("1"));
    let mut b = candidate("b");
    assert!(matches!(b.next(Some(released), ZERO, date()), Next::Update(_)));
    let (mut c, _) = leader("c");
    assert_eq!(c.release(record, date()), None, "somebody else's record is left alone");
}

#[test]
fn a_scale_shortens_fourfold_at_most() {
    let fast = Times::default().scaled(6000.0);
    assert_eq!((fast.lease, fast.renew_deadline), (Duration::from_millis(7_500), seconds(5)));
    assert_eq!(Times::default().scaled(1.0), Times::default());
    let Times { lease, renew_deadline, retry, longest_try } = Times::default();
    assert!(renew_deadline + longest_try < lease && retry + longest_try < renew_deadline);
}
