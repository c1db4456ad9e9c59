//! Everything that one seed sets up: the log, the places where services run, what goes wrong, and the callers.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use lowland_events::{
    Money,
    id::{ModelId, RegionId, WorkerId},
    instance::Ability,
};
use tokio::time::{Instant, sleep};

use crate::{
    chance::Chance,
    place::{Blow, Place, Role},
    plan::Plan,
    planted::Bug,
    store::Store,
    trace::Trace,
};

/// A model that writes.
pub(crate) const WRITER: &str = "writer";
/// Another model that writes, which not every worker has.
pub(crate) const POET: &str = "poet";
/// A model that makes vectors.
pub(crate) const VECTORS: &str = "vectors";
/// Where workers are.
pub(crate) const REGIONS: [&str; 2] = ["here", "there"];
/// Longest time for which a process stands still or is cut off, in milliseconds: beyond a lease and a start.
pub(crate) const AWAY_MS_MAX: u64 = 6000;

/// What everybody shares. Clones share it.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) plan: Arc<Plan>,
    pub(crate) store: Arc<Store>,
    pub(crate) calm: Arc<AtomicBool>,
    pub(crate) bug: Option<Bug>,
    pub(crate) trace: Trace,
    pub(crate) prices: PathBuf,
}

/// The places, by what runs there.
pub(crate) struct Places(pub(crate) Vec<Arc<Place>>);

impl World {
    /// Numbers for the use that `label` names.
    pub(crate) fn chance(&self, label: &str) -> Chance {
        Chance::of(self.seed, label)
    }

    /// Starts every service.
    pub(crate) fn open_places(&self) -> Arc<Places> {
        let cast = &self.plan.cast;
        let several = |name: &str, role: Role, many: u64| {
            (1..=many).map(|n| Place::open(self, &format!("{name}{n}"), role.clone())).collect::<Vec<_>>()
        };
        let mut places = several("scheduler", Role::Scheduler, cast.schedulers);
        places.extend(several("billing", Role::Billing, cast.billings));
        places.extend(several("gateway", Role::Gateway, cast.gateways));
        places.extend((1..=cast.workers).map(|n| Place::open(self, &format!("worker{n}"), self.worker(n))));
        Arc::new(Places(places))
    }

    fn worker(&self, number: u64) -> Role {
        let chance = self.chance(&format!("role of worker{number}"));
        let slots = || u32::try_from(chance.number(1..=3)).expect("a few");
        let model = |name: &str, ability| (ModelId::new(name).expect("letters are an id"), ability, slots());
        let mut models = vec![model(WRITER, Ability::Generate)];
        if number == 1 || chance.hits(0.4) {
            models.push(model(VECTORS, Ability::Embed));
        }
        if chance.hits(0.4) {
            models.push(model(POET, Ability::Generate));
        }
        Role::Worker {
            id: WorkerId::new(format!("w{number}")).expect("a letter and a number are an id"),
            region: RegionId::new(chance.one_of(&REGIONS)).expect("letters are an id"),
            ask: Money(i128::from(chance.number(1..=3)) * 10_000),
            models,
        }
    }

    /// Starts everything that goes wrong by itself, until it is calm.
    pub(crate) fn let_loose(&self, places: &Arc<Places>) {
        let processes = self.plan.processes.clone();
        let away = |chance: &Chance| chance.ms(100..=AWAY_MS_MAX);
        let skew = i64::try_from(processes.skew_ms.max(500)).expect("a few seconds");
        self.strike_at_times(places, "crash", processes.crash_ms, |_| Blow::Crash);
        self.strike_at_times(places, "stop", processes.stop_ms, |_| Blow::Stop);
        self.strike_at_times(places, "freeze", processes.freeze_ms, move |chance| Blow::Freeze(away(chance)));
        self.strike_at_times(places, "cut", processes.cut_ms, move |chance| Blow::Cut(away(chance)));
        self.strike_at_times(places, "jump", processes.jump_ms, move |chance| {
            let ms = i64::try_from(chance.number(0..=2 * skew.unsigned_abs())).expect("a few seconds");
            Blow::Clock(ms - skew)
        });
        let world = self.clone();
        self.at_times("bus", processes.bus_ms, move |_| {
            world.trace.fault("bus", || "the server restarts: memory streams are gone".to_owned());
            world.store.memory.restart();
        });
    }

    fn strike_at_times(
        &self,
        places: &Arc<Places>,
        label: &str,
        every_ms: u64,
        blow: impl Fn(&Chance) -> Blow + Send + 'static,
    ) {
        let places = places.clone();
        self.at_times(label, every_ms, move |chance| chance.one_of(&places.0).strike(blow(chance)));
    }

    /// Acts once in `every_ms` on average, until it is calm; never, if that is 0.
    fn at_times(&self, label: &str, every_ms: u64, act: impl Fn(&Chance) + Send + 'static) {
        if every_ms == 0 {
            return;
        }
        let (world, chance) = (self.clone(), self.chance(label));
        tokio::spawn(async move {
            let until = Instant::now() + world.plan.rough;
            loop {
                sleep(chance.ms(1..=2 * every_ms)).await;
                if Instant::now() >= until {
                    return;
                }
                act(&chance);
            }
        });
    }
}

/// Waits until `look` gives true, at most so long; says whether it did.
pub(crate) async fn within(time: Duration, look: impl Fn() -> bool) -> bool {
    let until = Instant::now() + time;
    while !look() {
        if Instant::now() >= until {
            return false;
        }
        sleep(Duration::from_millis(50)).await;
    }
    true
}
