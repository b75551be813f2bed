//! Lists against lists: which entry covers which, and what objects get of two lists.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{object, settings, tenancy};
use crate::desired::Goal;
use crate::policy::Address;
use crate::region::RegionName;
use crate::tenancy::{Entry as _, Tenancy, common};

/// IAM's `StringLike`, for a pattern whose only wildcard is the star.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) if matches(rest, text) => true,
        ([b'*', ..], [_, more @ ..]) => matches(pattern, more),
        ([want, rest @ ..], [have, more @ ..]) => want == have && matches(rest, more),
        _ => false,
    }
}

fn sends(patterns: &[Address], address: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern.as_str().as_bytes(), address.as_bytes()))
}

/// Few letters, so that patterns meet. Upper and lower case differ.
fn domain() -> impl Strategy<Value = String> {
    "[abA](\\.[ab]){1,3}"
}

fn sender() -> impl Strategy<Value = Address> {
    prop_oneof![
        1 => Just("*".to_owned()),
        3 => domain().prop_map(|domain| format!("*@*.{domain}")),
        3 => domain().prop_map(|domain| format!("*@{domain}")),
        3 => ("[xX]y?", domain()).prop_map(|(user, domain)| format!("{user}@{domain}")),
    ]
    .prop_map(|text| Address::parse(&text).unwrap())
}

fn senders() -> impl Strategy<Value = Vec<Address>> {
    proptest::collection::vec(sender(), 1..5)
}

/// What a text could be that IAM holds against a pattern; quoted local parts may hold an `@`.
fn address() -> impl Strategy<Value = String> {
    ("[xXy@.]{1,3}", domain()).prop_map(|(user, domain)| format!("{user}@{domain}"))
}

proptest! {
    /// Letters that no pattern has in place of the star show whether a pattern covers another one.
    #[test]
    fn covering_is_exact(wide in sender(), narrow in sender()) {
        let witness = narrow.as_str().replace('*', "q7");
        prop_assert_eq!(wide.covers(&narrow), sends(std::slice::from_ref(&wide), &witness), "{} {}", wide, narrow);
    }

    #[test]
    fn whatever_a_covered_pattern_lets_through_the_wider_one_does(
        wide in sender(), narrow in sender(), address in address()
    ) {
        if wide.covers(&narrow) && sends(&[narrow], &address) {
            prop_assert!(sends(&[wide], &address));
        }
    }

    #[test]
    fn two_lists_have_in_common_what_both_let_through(
        first in senders(), second in senders(), address in address()
    ) {
        let both = common(&first, &second);
        prop_assert_eq!(
            sends(&both, &address),
            sends(&first, &address) && sends(&second, &address),
            "{:?} {:?}: {:?}", first, second, both
        );
    }

    /// No spec gets a policy that lets through what either list doesn't.
    #[test]
    fn no_object_sends_as_more_than_is_allowed(
        asked in proptest::collection::vec(sender(), 0..5),
        operator in senders(), namespace in senders(), address in address()
    ) {
        let mut settings = settings();
        settings.allowed.senders = Some(operator.clone());
        let said: Vec<&str> = namespace.iter().map(Address::as_str).collect();
        let tenancy = tenancy(&[("allowed-from-addresses", &said.join(","))]);
        let asked: Vec<&str> = asked.iter().map(Address::as_str).collect();
        let spec = json!({"region": "eu-central-1", "policy": {"fromAddresses": asked}});
        if let Goal::Serve(desired) = Goal::of(&object(spec), &settings, &tenancy) {
            let document: Value = serde_json::from_str(&desired.policy.document).unwrap();
            let senders = &document["Statement"][0]["Condition"]["StringLike"]["ses:FromAddress"];
            let granted = senders.as_array().unwrap().iter();
            let granted: Vec<Address> = granted.map(|one| Address::parse(one.as_str().unwrap()).unwrap()).collect();
            prop_assert!(!granted.is_empty());
            prop_assert!(!sends(&granted, &address) || sends(&operator, &address) && sends(&namespace, &address));
        }
    }

    #[test]
    fn no_region_is_served_that_is_not_in_every_list(
        asked in 0..4_usize, operator in proptest::bits::u8::between(0, 4), namespace in proptest::bits::u8::between(0, 4)
    ) {
        const REGIONS: [&str; 4] = ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2"];
        let chosen = |bits: u8| (0..4).filter(move |n| bits & (1 << n) != 0).map(|n| REGIONS[n]);
        let mut settings = settings();
        settings.allowed.regions = Some(chosen(operator).map(|name| RegionName::parse(name).unwrap()).collect());
        let said: Vec<&str> = chosen(namespace).collect();
        let tenancy = if said.is_empty() { Tenancy::default() } else { tenancy(&[("allowed-regions", &said.join(","))]) };
        let goal = Goal::of(&object(json!({"region": REGIONS[asked]})), &settings, &tenancy);
        let allowed = operator & (1 << asked) != 0 && (said.is_empty() || namespace & (1 << asked) != 0);
        prop_assert_eq!(matches!(goal, Goal::Serve(_)), allowed);
    }
}
