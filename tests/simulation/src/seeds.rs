//! Many seeds, on as many threads as there are cores; which ones, the environment says.

use std::{
    collections::BTreeMap,
    env,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use tempfile::TempDir;

use crate::{Bug, Outcome, run};

/// Names the one seed that is to be replayed, with everything told.
pub const SEED_VARIABLE: &str = "LOWLAND_SIM_SEED";
/// Names the seeds to run: how many, or `FIRST..END`.
pub const SEEDS_VARIABLE: &str = "LOWLAND_SIM_SEEDS";

/// Seeds from the first to before the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub first: u64,
    /// The one after the last.
    pub end: u64,
}

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Summary {
    /// The seeds of which something did not hold.
    pub failed: Vec<Outcome>,
    /// Seeds that were run.
    pub seeds: u64,
    /// Messages that were stored.
    pub stored: u64,
    /// Things that were made to go wrong.
    pub faults: u64,
    /// Jobs that had an event.
    pub jobs: u64,
    /// Jobs that completed.
    pub completed: u64,
    /// Attempts that came to nothing.
    pub attempts_lost: u64,
    /// Simulated time, in milliseconds.
    pub simulated_ms: u64,
    /// Real time, in milliseconds.
    pub real_ms: u64,
}

impl Range {
    /// What the environment asks for, or `default` seeds from 0 on.
    pub fn from_env(default: u64) -> Result<Self, String> {
        let Ok(text) = env::var(SEEDS_VARIABLE) else { return Ok(Self { first: 0, end: default }) };
        Self::parse(&text).ok_or_else(|| {
            format!("{SEEDS_VARIABLE}={text:?}: a number of seeds is wanted, or a range such as 1000..2000")
        })
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split_once("..") {
            Some((first, end)) => Some(Self { first: first.parse().ok()?, end: end.parse().ok()? }),
            None => Some(Self { first: 0, end: text.parse().ok()? }),
        }
    }
}

/// The one seed that the environment asks for, if it does.
pub fn one_from_env() -> Result<Option<u64>, String> {
    let Ok(text) = env::var(SEED_VARIABLE) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{SEED_VARIABLE}={text:?}: a seed is a number, such as 42"))
}

/// Runs them, until there is one of which `enough` is true.
#[must_use]
pub fn run_all(range: Range, bug: Option<Bug>, enough: impl Fn(&Outcome) -> bool + Send + Sync) -> Summary {
    let began = Instant::now();
    let mut summary = Summary::default();
    each(range, bug, |outcome| {
        let go_on = !enough(&outcome);
        summary.add(outcome);
        go_on
    });
    summary.failed.sort_by_key(|outcome| outcome.seed);
    summary.real_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    summary
}

/// Runs them; gives the hash of everything that each stored.
#[must_use]
pub fn hashes(range: Range) -> BTreeMap<u64, String> {
    let mut hashes = BTreeMap::new();
    each(range, None, |outcome| {
        hashes.insert(outcome.seed, outcome.hash);
        true
    });
    hashes
}

/// Runs one seed and tells everything that happens.
#[must_use]
pub fn replay(seed: u64, bug: Option<Bug>) -> Outcome {
    let book = Book::write();
    run(seed, bug, &book.path(), true)
}

/// Runs seeds on every core and takes what comes of each, until `take` has had enough.
fn each(range: Range, bug: Option<Bug>, take: impl FnMut(Outcome) -> bool + Send) {
    let book = Book::write();
    let (next, take, enough) = (AtomicU64::new(range.first), Mutex::new(take), AtomicBool::new(false));
    let work = || {
        while !enough.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= range.end {
                return;
            }
            let outcome = run(seed, bug, &book.path(), false);
            if !(take.lock().expect("no run panics"))(outcome) {
                enough.store(true, Ordering::Relaxed);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
}

/// The price book, as a file.
struct Book(TempDir);

impl Book {
    fn write() -> Self {
        let book = Self(tempfile::tempdir().expect("a temporary folder can be made"));
        std::fs::write(book.path(), include_str!("prices.toml")).expect("the price book can be written");
        book
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("prices.toml")
    }
}

impl Summary {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.stored += outcome.stored;
        self.faults += outcome.faults;
        self.jobs += outcome.jobs;
        self.completed += outcome.completed;
        self.attempts_lost += outcome.attempts_lost;
        self.simulated_ms += outcome.simulated_ms;
        if !outcome.violations.is_empty() {
            self.failed.push(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(Range::parse("7"), Some(Range { first: 0, end: 7 }));
        assert_eq!(Range::parse("3..9"), Some(Range { first: 3, end: 9 }));
        assert_eq!((Range::parse("x"), Range::parse("3..")), (None, None));
    }
}
