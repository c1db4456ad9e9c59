//! The simulator finds what it is there to find: each bug that is planted between a real service and the log is caught
//! within so many seeds.

use lowland_simulation::{
    Bug,
    seeds::{self, Range},
};

/// Seeds within which each bug is to be found.
const FOUND_WITHIN: u64 = 1000;

/// Holds that `bug` is found, by a check that says one of `words`.
fn found(bug: Bug, words: &[&str]) {
    let says = |violation: &String| words.iter().any(|word| violation.contains(word));
    if let Some(seed) = seeds::one_from_env().unwrap() {
        let violations = seeds::replay(seed, Some(bug)).violations;
        return assert!(violations.iter().any(says), "{violations:#?}");
    }
    let range = Range { first: 0, end: FOUND_WITHIN };
    let summary = seeds::run_all(range, Some(bug), |outcome| outcome.violations.iter().any(says));
    let told = summary
        .failed
        .iter()
        .find_map(|failed| Some((failed.seed, failed.violations.iter().find(|v| says(v))?)));
    let Some((seed, fired)) = told else {
        let others: Vec<_> = summary.failed.iter().flat_map(|failed| &failed.violations).take(5).collect();
        panic!("no check that says {words:?} finds {bug} within {} seeds; others: {others:#?}", summary.seeds)
    };
    eprintln!("{bug}: found by seed {seed}, {} seeds run:\n    {fired}", summary.seeds);
}

#[test]
fn a_request_that_is_acknowledged_before_its_outcome_is_stored() {
    found(Bug::AckBeforeAppend, &["nothing came of it", "was not entered"]);
}

#[test]
fn a_worker_that_ignores_its_fence() {
    found(Bug::IgnoredFence, &["speaks", "goes on after its end", "a reader had"]);
}

#[test]
fn a_charge_without_a_key() {
    found(Bug::ChargeWithoutKey, &["charged after its hold was closed", "is charged twice", "is below zero"]);
}

#[test]
fn a_topup_without_a_key() {
    found(Bug::TopupWithoutKey, &["is entered twice"]);
}

#[test]
fn a_hold_without_a_key() {
    found(Bug::HoldWithoutKey, &["is held twice", "\"held\", \"held\""]);
}

#[test]
fn a_takeover_that_does_not_read_what_was_published() {
    found(Bug::TakeoverFromNothing, &["a reader had", "a caller put together"]);
}

#[test]
fn a_text_that_is_not_told_anew_when_the_bus_has_lost_it() {
    found(Bug::TokensNotToldAnew, &["its tokens tell", "a reader had"]);
}

#[test]
fn a_snapshot_that_claims_more_than_it_holds() {
    found(Bug::SnapshotAhead, &["a replay gives", "speaks"]);
}
