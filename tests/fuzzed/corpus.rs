//! Runs every committed input through its target, and changes of those inputs.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use super::targets;

/// Changes of inputs that are tried: `FUZZ_CASES`, which `make fuzz` sets, or so many.
const CASES: u32 = 300;

/// The committed inputs of a target.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzzed/inputs").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn every_committed_input_passes() {
    for (name, target) in targets::ALL {
        let inputs = inputs(name);
        assert!(inputs.len() >= 3, "{name} has {} inputs", inputs.len());
        for input in &inputs {
            target(input);
        }
    }
}

/// So that a target isn't fed with what it refuses at its door.
#[test]
fn seeds_get_through_the_door() {
    let served = |input: &Vec<u8>| targets::reach(&serde_json::from_slice(input).unwrap_or_default());
    assert!(inputs("spec").iter().filter(|input| served(input)).count() >= 5);
}

fn cases() -> u32 {
    std::env::var("FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES)
}

/// A piece of an input, or the place where one may be put in.
fn piece(input: &[u8], from: Index, to: Index) -> std::ops::Range<usize> {
    let (from, to) = (from.index(input.len() + 1), to.index(input.len() + 1));
    from.min(to)..from.max(to)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// A piece of an input gives way to random bytes or to a piece of another input.
    #[test]
    fn inputs_cut_and_bent_pass(at: [Index; 2], ends: [Index; 4], put: Vec<u8>, random: bool) {
        for (name, target) in targets::ALL {
            let inputs = inputs(name);
            let mut input = inputs[at[0].index(inputs.len())].clone();
            let other = &inputs[at[1].index(inputs.len())];
            let taken = &other[piece(other, ends[0], ends[1])];
            let put = if random { &put[..] } else { taken };
            input.splice(piece(&input, ends[2], ends[3]), put.iter().copied());
            target(&input);
        }
    }
}
