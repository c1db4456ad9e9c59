//! Seed after seed: whatever a path does and two applications ask, what was written is read, whole and in order, and the end comes.
//!
//!     LOWLAND_ACNP_SEEDS=20000 cargo test -p lowland-acnp --test seeds -- --nocapture      # or 5000..6000
//!     LOWLAND_ACNP_SEED=42 cargo test -p lowland-acnp --test seeds -- --nocapture          # one seed, and what it came to

mod sim;

use std::{
    ops::Range,
    panic::catch_unwind,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use sim::seed::{Outcome, Plan};

#[global_allocator]
static MEMORY: sim::memory::Counted = sim::memory::Counted;

/// Which seeds are run, and the one that is run alone.
const SEEDS_VARIABLE: &str = "LOWLAND_ACNP_SEEDS";
const SEED_VARIABLE: &str = "LOWLAND_ACNP_SEED";
/// Seeds, unless the environment says which.
const SEEDS: u64 = 3000;

fn range() -> Range<u64> {
    let Ok(text) = std::env::var(SEEDS_VARIABLE) else { return 0..SEEDS };
    let number =
        |text: &str| text.parse().unwrap_or_else(|_| panic!("{SEEDS_VARIABLE}: {text} is no number"));
    match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => 0..number(&text),
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

/// Runs all on as many threads as there are cores; gives each seed's outcome, or why it failed.
fn run_all(seeds: &Range<u64>) -> Vec<(u64, Result<Outcome, String>)> {
    let next = AtomicU64::new(seeds.start);
    let worker = || {
        let mut outcomes = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return outcomes;
            }
            let outcome = catch_unwind(|| Plan::new(seed).run()).map_err(|panic| message(&*panic));
            outcomes.push((seed, outcome));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("failures are caught")).collect()
    })
}

#[test]
fn whatever_a_path_does_all_arrives_and_all_ends() {
    if let Ok(seed) = std::env::var(SEED_VARIABLE) {
        eprintln!("{:#?}", Plan::new(seed.parse().expect("a seed is a number")).run());
        return;
    }
    let (began, seeds) = (Instant::now(), range());
    let outcomes = run_all(&seeds);
    let seconds = began.elapsed().as_secs_f64();
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().flat_map(|(_, outcome)| outcome).map(of).sum::<u64>();
    let count = outcomes.len();
    eprintln!(
        "{count} seeds in {seconds:.1} s ({:.0} a second): {:.1} MB read, {} datagrams, {} packets lost, {:.1} simulated hours, {:.1} MB at most",
        count as f64 / seconds,
        sum(|outcome| outcome.bytes) as f64 / 1e6,
        sum(|outcome| outcome.datagrams),
        sum(|outcome| outcome.client.packets_lost + outcome.server.packets_lost),
        sum(|outcome| outcome.simulated.as_millis() as u64) as f64 / 3.6e6,
        outcomes.iter().flat_map(|(_, outcome)| outcome).map(|outcome| outcome.memory).max().unwrap_or(0)
            as f64
            / 1e6,
    );
    let failed: Vec<_> =
        outcomes.iter().filter_map(|(seed, outcome)| Some((seed, outcome.as_ref().err()?))).collect();
    for (seed, why) in &failed {
        eprintln!("seed {seed} fails: {why}");
        eprintln!(
            "  replay it with: {SEED_VARIABLE}={seed} cargo test -p lowland-acnp --test seeds -- --nocapture"
        );
    }
    assert!(failed.is_empty(), "{} of {count} seeds fail", failed.len());
}

#[test]
fn the_same_seed_comes_to_the_same() {
    let run = |seed| format!("{:?}", Outcome { memory: 0, ..Plan::new(seed).run() });
    (0..10).for_each(|seed| assert_eq!(run(seed), run(seed), "seed {seed}"));
}
