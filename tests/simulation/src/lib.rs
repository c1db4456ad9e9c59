//! Lowland under a seed: the real services, all of them, on one thread and in simulated time, over a log to which the way is
//! as bad as a network can be. The same seed gives the same run, byte for byte, so what fails can be looked at.
//!
//! What runs is what ships: scheduler, billing and workers as services ([`place`]), of the gateway everything behind HTTP.
//! Their tasks share one tokio runtime whose clock stands still while anybody has something to do and then leaps to the next
//! timer; their hosts' clocks follow it, each a little off. Made up are the engine ([`engine`]), the callers ([`caller`])
//! and the way to the log ([`link`]). The log itself is the one in memory, which passes the same suite as JetStream's.
//!
//! A run is rough for a while, as its [`plan`] says, and then calm; in the calm everything must come to its end, and the
//! [`checks`] hold the log that is left to the audit that also judges real processes. That the checks can fail is shown by
//! bugs that are planted on purpose ([`planted`]).
//!
//! Three things make runs repeatable, besides the seed: branches of `select!` are tried in a written order, nothing iterates
//! over a `HashMap`, and nothing computes on another thread. A test runs seeds twice and compares everything stored.

mod caller;
mod chance;
mod checks;
mod engine;
mod link;
mod place;
mod plan;
mod planted;
mod store;
mod texts;
mod trace;
mod wish;
mod world;

pub mod seeds;

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{Arc, Once},
};

pub use planted::Bug;

use crate::{caller::Callers, plan::Plan, store::Store, texts::Texts, trace::Trace, world::World};

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What did not hold; nothing, if all is well.
    pub violations: Vec<String>,
    /// Hash of everything that was stored, with headers and times.
    pub hash: String,
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
}

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Runs `seed`, with a bug if one is given, and tells everything that happens if `aloud`.
#[must_use]
pub fn run(seed: u64, bug: Option<Bug>, prices: &Path, aloud: bool) -> Outcome {
    note_panics();
    PANICS.take();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime can be built");
    let run = runtime.block_on(async { Run::begin(seed, bug, prices, aloud).await });
    let audit = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(run.act())));
    let outcome = runtime.block_on(async { run.outcome(seed, audit.ok()) });
    drop(runtime);
    outcome
}

/// A run that is under way.
struct Run {
    world: World,
    texts: Arc<Texts>,
    began: tokio::time::Instant,
}

impl Run {
    async fn begin(seed: u64, bug: Option<Bug>, prices: &Path, aloud: bool) -> Self {
        let plan = Arc::new(Plan::of(seed));
        let trace = Trace::new(aloud);
        trace.tell("plan", || format!("{plan:#?}"));
        let (store, calm) = (Store::new(trace.clone()).await, Arc::default());
        let world = World { seed, plan, store, calm, bug, trace, prices: prices.to_owned() };
        Self { texts: Texts::read_along(&world), world, began: tokio::time::Instant::now() }
    }

    async fn act(&self) -> lowland_tests::audit::Audit {
        let places = self.world.open_places();
        self.world.let_loose(&places);
        let callers = Callers::send(&self.world, &places);
        tokio::time::sleep(self.world.plan.rough).await;
        self.world.trace.tell("plan", || "from here on nothing goes wrong".to_owned());
        self.world.calm_down();
        let audit = checks::check(&self.world, &places, &callers).await;
        self.texts.compare(&self.world).await;
        audit
    }

    fn outcome(&self, seed: u64, audit: Option<lowland_tests::audit::Audit>) -> Outcome {
        let World { trace, store, .. } = &self.world;
        let jobs = || audit.iter().flat_map(|audit| audit.jobs.values());
        let completed =
            |job: &&lowland_tests::audit::Job| job.end.as_ref().is_some_and(|end| end.name == "completed");
        Outcome {
            seed,
            violations: [PANICS.take(), trace.violations()].concat(),
            hash: store.hash(),
            stored: store.stored(),
            faults: trace.faults(),
            jobs: jobs().count() as u64,
            completed: jobs().filter(completed).count() as u64,
            attempts_lost: jobs().map(|job| u64::from(job.lost)).sum(),
            simulated_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// From now on a panic, in whatever task, is noted for the run of its thread: services catch some of theirs.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let earlier = panic::take_hook();
        panic::set_hook(Box::new(move |fault| {
            let ours = tokio::runtime::Handle::try_current().is_ok();
            if ours {
                PANICS.with_borrow_mut(|panics| panics.push(fault.to_string()));
            } else {
                earlier(fault);
            }
        }));
    });
}
