//! A seed is a run: run twice, everything that was stored is the same, with headers and times.

use lowland_simulation::seeds::{self, Range};

/// Seeds that are run twice.
const TWICE: u64 = 40;

#[test]
fn the_same_seed_is_the_same_run() {
    let range = Range { first: 0, end: TWICE };
    let (one, two) = (seeds::hashes(range), seeds::hashes(range));
    assert_eq!(one, two, "the same seed gave another run");
    let different: std::collections::BTreeSet<_> = one.values().collect();
    assert_eq!(different.len(), one.len(), "another seed is another run");
}
