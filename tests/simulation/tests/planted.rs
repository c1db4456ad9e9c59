//! The simulator finds what it is there to find: each bug that is planted between a real service and the log is caught
//! within so many seeds.

use lowland_simulation::{
    Bug,
    seeds::{self, Range},
};

/// Seeds within which each bug is to be found.
const FOUND_WITHIN: u64 = 400;

/// Gives what the first seed that fails says.
fn found(bug: Bug) -> Vec<String> {
    if let Some(seed) = seeds::one_from_env().unwrap() {
        return seeds::replay(seed, Some(bug)).violations;
    }
    let summary = seeds::run_all(Range { first: 0, end: FOUND_WITHIN }, Some(bug), true);
    let failed = summary.failed.first();
    let failed = failed.unwrap_or_else(|| panic!("{bug} is not found within {} seeds", summary.seeds));
    let fired = &failed.violations[0];
    eprintln!("{bug}: found by seed {}, {} seeds run:\n    {fired}", failed.seed, summary.seeds);
    failed.violations.clone()
}

/// One of what was said says one of `words`.
fn says(violations: &[String], words: &[&str]) {
    let said = violations.iter().any(|violation| words.iter().any(|word| violation.contains(word)));
    assert!(said, "none of {words:?} is in {violations:#?}");
}

#[test]
fn a_request_that_is_acknowledged_before_its_outcome_is_stored() {
    says(&found(Bug::AckBeforeAppend), &["nothing came of it", "was not entered"]);
}

#[test]
fn a_worker_that_ignores_its_fence() {
    says(&found(Bug::IgnoredFence), &["speaks", "goes on after its end", "a reader had"]);
}

#[test]
fn a_charge_without_a_key() {
    says(&found(Bug::ChargeWithoutKey), &["charged after its hold was closed", "is charged twice"]);
}

#[test]
fn a_topup_without_a_key() {
    says(&found(Bug::TopupWithoutKey), &["is entered twice"]);
}

#[test]
fn a_hold_without_a_key() {
    says(&found(Bug::HoldWithoutKey), &["is held twice", "\"held\", \"held\""]);
}

#[test]
fn a_takeover_that_does_not_read_what_was_published() {
    says(&found(Bug::TakeoverFromNothing), &["a reader had", "a caller put together"]);
}

#[test]
fn a_text_that_is_not_told_anew_when_the_bus_has_lost_it() {
    says(&found(Bug::TokensNotToldAnew), &["its tokens tell"]);
}

#[test]
fn a_snapshot_that_claims_more_than_it_holds() {
    says(&found(Bug::SnapshotAhead), &["a replay gives", "not done after", "position", "attempt"]);
}
