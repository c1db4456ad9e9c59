//! Seed after seed: whatever goes wrong, everything that was asked for comes to one end, and is paid for once.
//!
//!     LOWLAND_SIM_SEEDS=20000 cargo test -p lowland-simulation --test seeds -- --nocapture
//!     LOWLAND_SIM_SEED=42 cargo test -p lowland-simulation --test seeds -- --nocapture    # one seed, everything told

use lowland_simulation::seeds::{self, Range};

/// Seeds, unless the environment says which.
const SEEDS: u64 = 2000;
/// Of the seeds that fail, so many are told.
const TOLD: usize = 10;

#[test]
fn whatever_goes_wrong_everything_ends_once_and_is_paid_for_once() {
    if let Some(seed) = seeds::one_from_env().unwrap() {
        let outcome = seeds::replay(seed, None);
        eprintln!("{outcome:#?}");
        assert_eq!(outcome.violations, Vec::<String>::new(), "seed {seed}");
        return;
    }
    let summary = seeds::run_all(Range::from_env(SEEDS).unwrap(), None, |_| false);
    eprintln!(
        "{} seeds in {:.1} s ({:.1} a second): {} jobs, {} completed, {} attempts lost, {} messages, {} faults, {:.1} simulated hours",
        summary.seeds,
        summary.real_ms as f64 / 1e3,
        summary.seeds as f64 * 1e3 / summary.real_ms as f64,
        summary.jobs,
        summary.completed,
        summary.attempts_lost,
        summary.stored,
        summary.faults,
        summary.simulated_ms as f64 / 3.6e6,
    );
    for outcome in summary.failed.iter().take(TOLD) {
        eprintln!("seed {} fails:", outcome.seed);
        outcome.violations.iter().for_each(|violation| eprintln!("    {violation}"));
        eprintln!(
            "  replay it with: {}={} cargo test -p lowland-simulation --test seeds -- --nocapture",
            seeds::SEED_VARIABLE,
            outcome.seed
        );
    }
    assert!(summary.failed.is_empty(), "{} of {} seeds fail", summary.failed.len(), summary.seeds);
    assert!(summary.seeds == 0 || summary.completed > 0, "nothing was ever completed: {summary:?}");
}
