//! A place where a service runs: one process after another, as a supervisor starts them. A crash drops the process's
//! tasks wherever they are and cuts its way to the log; what it knew is gone, and the next process begins with the log.

use std::{
    panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use lowland_billing::{Billing, prices::PriceFile};
use lowland_events::{
    Money,
    id::{InstanceId, ModelId, RegionId, WorkerId},
    instance::Ability,
    log::SharedLog,
};
use lowland_gateway::{config::POST_WITHIN_MS, desk::Desk, follow, hub::Hub};
use lowland_host::{Clock, Error, Host, Service};
use lowland_scheduler::Scheduler;
use lowland_worker::{Worker, engine::Engine};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    chance::Chance,
    engine::{self, SimulatedEngine},
    link::Link,
    world::World,
};

/// Time that an orderly stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Shortest time until a process that ended is started again, in milliseconds.
const AGAIN_MS_MIN: u64 = 50;
/// Longest time until then, in milliseconds.
const AGAIN_MS_MAX: u64 = 3000;

/// What runs at a place.
#[derive(Debug, Clone)]
pub(crate) enum Role {
    Scheduler,
    Billing,
    Gateway,
    Worker { id: WorkerId, region: RegionId, ask: Money, models: Vec<(ModelId, Ability, u32)> },
}

/// What is done to a process.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Blow {
    /// It is killed.
    Crash,
    /// It is asked to stop, and given time.
    Stop,
    /// It stands still for so long.
    Freeze(Duration),
    /// It is cut off for so long.
    Cut(Duration),
    /// Its clock is off by so many milliseconds from now on.
    Clock(i64),
}

/// A place.
pub(crate) struct Place {
    pub(crate) role: Role,
    name: String,
    chance: Chance,
    world: World,
    skew_ms: Arc<AtomicI64>,
    now: Mutex<Option<Here>>,
    blows: mpsc::UnboundedSender<Blow>,
}

/// The process that is there now.
#[derive(Clone)]
pub(crate) struct Here {
    pub(crate) host: Host,
    link: Arc<Link>,
    /// The way in, if it is a gateway that is open.
    pub(crate) door: Option<Door>,
}

/// A gateway, as callers see it.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) hub: Hub,
    pub(crate) desk: Desk,
    pub(crate) log: SharedLog,
    /// Cancelled when the process is gone.
    pub(crate) gone: CancellationToken,
}

/// How a process came to its end.
enum Ended {
    Killed,
    ByItself(Result<Result<(), Error>, tokio::task::JoinError>),
}

impl Place {
    /// A place whose first process starts at once.
    pub(crate) fn open(world: &World, name: &str, role: Role) -> Arc<Self> {
        let chance = world.chance(name);
        let most = i64::try_from(world.plan.processes.skew_ms).expect("a few seconds");
        let skew = i64::try_from(chance.number(0..=2 * most.unsigned_abs())).expect("a few seconds") - most;
        let (blows, taken) = mpsc::unbounded_channel();
        let place = Arc::new(Self {
            role,
            name: name.to_owned(),
            chance,
            world: world.clone(),
            skew_ms: Arc::new(AtomicI64::new(skew)),
            now: Mutex::default(),
            blows,
        });
        tokio::spawn(place.clone().supervise(taken));
        place
    }

    /// Does something to the process that is there.
    pub(crate) fn strike(&self, blow: Blow) {
        let _ = self.blows.send(blow);
    }

    /// The process that is there now, if one is.
    pub(crate) fn here(&self) -> Option<Here> {
        self.now.lock().expect("nobody panics here").clone()
    }

    fn set(&self, here: Option<Here>) {
        *self.now.lock().expect("nobody panics here") = here;
    }

    async fn supervise(self: Arc<Self>, mut blows: mpsc::UnboundedReceiver<Blow>) {
        for number in 1_u64.. {
            let (here, task) = self.start(number);
            let ended = self.attend(&here, task, &mut blows).await;
            here.link.kill();
            self.set(None);
            match ended {
                Ended::Killed => {}
                Ended::ByItself(Ok(result)) => {
                    self.world.trace.tell(&self.name, || format!("ends: {result:?}"));
                }
                Ended::ByItself(Err(fault)) if fault.is_panic() => panic::resume_unwind(fault.into_panic()),
                Ended::ByItself(Err(fault)) => panic!("{}: {fault}", self.name),
            }
            let most = if self.world.is_calm() { AGAIN_MS_MIN } else { AGAIN_MS_MAX };
            sleep(self.chance.ms(AGAIN_MS_MIN..=most)).await;
        }
    }

    /// Lets the process work until it ends or is ended.
    async fn attend(
        &self,
        here: &Here,
        mut task: JoinHandle<Result<(), Error>>,
        blows: &mut mpsc::UnboundedReceiver<Blow>,
    ) -> Ended {
        loop {
            tokio::select! {
                biased;
                ended = &mut task => return Ended::ByItself(ended),
                () = here.link.doomed() => {
                    task.abort();
                    return Ended::Killed;
                }
                Some(blow) = blows.recv() => {
                    self.world.trace.fault(&self.name, || format!("{blow:?}"));
                    match blow {
                        Blow::Crash => {
                            task.abort();
                            return Ended::Killed;
                        }
                        Blow::Stop => {
                            here.host.stop.cancel();
                            let ended = timeout(STOP_WITHIN, &mut task).await;
                            task.abort();
                            return ended.map_or(Ended::Killed, Ended::ByItself);
                        }
                        Blow::Freeze(time) => here.link.freeze(time),
                        Blow::Cut(time) => here.link.cut(time),
                        Blow::Clock(ms) => self.skew_ms.store(ms, Ordering::Relaxed),
                    }
                }
            }
        }
    }

    fn start(self: &Arc<Self>, number: u64) -> (Here, JoinHandle<Result<(), Error>>) {
        let World { store, plan, calm, bug, trace, .. } = &self.world;
        trace.tell(&self.name, || format!("process {number} starts"));
        let name = format!("{}.{number}", self.name);
        let link = Link::new(store, plan, calm, *bug, self.service(), name, self.chance.clone());
        let (clock, skew) = (store.clone(), self.skew_ms.clone());
        let instance = format!("{}-{:016x}", self.service(), self.chance.number(0..=u64::MAX));
        let host = Host {
            instance: InstanceId::new(instance).expect("a name and digits are an id"),
            clock: Clock::of(move || clock.later_by(skew.load(Ordering::Relaxed))),
            keep_after: plan.processes.keep_after,
            ..Host::over(link.clone(), self.service())
        };
        let here = Here { host: host.clone(), link, door: None };
        self.set(Some(here.clone()));
        (here, self.spawn(host))
    }

    fn service(&self) -> &'static str {
        match self.role {
            Role::Scheduler => Scheduler::NAME,
            Role::Billing => Billing::NAME,
            Role::Gateway => "gateway",
            Role::Worker { .. } => Worker::NAME,
        }
    }

    fn spawn(self: &Arc<Self>, host: Host) -> JoinHandle<Result<(), Error>> {
        match &self.role {
            Role::Scheduler => tokio::spawn(Scheduler::serve(host, lowland_scheduler::Config::default())),
            Role::Billing => {
                let prices = PriceFile::open(&self.world.prices).expect("the price book is valid");
                tokio::spawn(Billing::serve(host, lowland_billing::Config { prices: Some(prices) }))
            }
            Role::Gateway => tokio::spawn(self.clone().open_door(host)),
            Role::Worker { id, region, ask, models } => {
                let config = lowland_worker::Config {
                    worker: id.clone(),
                    region: region.clone(),
                    models: Vec::new(),
                    ask: *ask,
                    engine: lowland_engine::Config::default(),
                };
                let (engines, loading) = (self.engines(models), engine::loading(&self.chance));
                tokio::spawn(async move {
                    sleep(loading).await;
                    Worker::serve_engines(host, config, engines).await
                })
            }
        }
    }

    fn engines(&self, models: &[(ModelId, Ability, u32)]) -> Vec<Arc<dyn Engine>> {
        let World { plan, calm, trace, .. } = &self.world;
        let engine = |(id, ability, slots): &(ModelId, Ability, u32)| {
            let chance = self.chance.clone();
            let engine =
                SimulatedEngine::new(id.clone(), *ability, *slots, plan, calm, chance, trace.clone());
            Arc::new(engine) as Arc<dyn Engine>
        };
        models.iter().map(engine).collect()
    }

    /// What the gateway does before it listens; then callers may come.
    async fn open_door(self: Arc<Self>, host: Host) -> Result<(), Error> {
        let hub = Hub::new(&host.figures);
        let gone = CancellationToken::new();
        let _gone = gone.clone().drop_guard();
        while let Err(error) = follow::start(&host, &hub).await {
            self.world.trace.tell(&self.name, || format!("not open yet: {error}"));
            sleep(Duration::from_millis(500)).await;
        }
        host.health.ready();
        let desk = Desk::new(&host, Duration::from_millis(POST_WITHIN_MS));
        let door = Door { hub, desk, log: host.log.clone(), gone };
        if let Some(here) = self.here() {
            self.set(Some(Here { door: Some(door), ..here }));
        }
        host.stop.cancelled().await;
        Ok(())
    }
}

impl World {
    /// Whether nothing goes wrong any more.
    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// Lets nothing go wrong any more.
    pub(crate) fn calm_down(&self) {
        AtomicBool::store(&self.calm, true, Ordering::Relaxed);
    }
}
