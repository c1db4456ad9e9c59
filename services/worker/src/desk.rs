//! The worker's desk: takes what comes, gives each job a task, announces instances, and clears up at the end.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lowland_events::{
    Draft, Event, Subject, TraceContext,
    id::InstanceId,
    instance::{Ready, Stopped},
    log::{AppendError, Entry},
};
use lowland_host::{Error, Host};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tracing::Instrument as _;

use crate::{
    Config,
    attempt::Attempt,
    bus::{Bus, wait_after},
    engine::{Engine, Model},
    figures::ModelFigures,
    job::{Assignment, Key},
    mail::Mail,
    roster::{Command, Order, Roster},
};

/// Time that jobs have to say how they stand when the worker stops.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Time that saying good-bye may take.
const GOODBYE_WAIT: Duration = Duration::from_secs(1);
/// Bytes of a worker's name in the names of its instances: leaves room for the rest in an id.
const NAME_BYTES: usize = 40;

/// An engine that was loaded, or why one was not; nothing more comes after all are.
pub(crate) type Loaded = Result<Arc<dyn Engine>, String>;

/// An engine that takes jobs, and what is counted of its model.
#[derive(Clone)]
struct Running {
    engine: Arc<dyn Engine>,
    figures: ModelFigures,
}

/// All that a worker has to hand.
pub(crate) struct Desk {
    host: Host,
    config: Config,
    bus: Bus,
    roster: Roster,
    engines: BTreeMap<InstanceId, Running>,
    orders: BTreeMap<Key, (u32, watch::Sender<Order>)>,
    jobs: JoinSet<(Key, u32)>,
    instances: u32,
    stopping: bool,
}

impl Desk {
    pub(crate) fn new(host: Host, config: Config) -> Self {
        Self {
            bus: Bus::of(&host),
            host,
            config,
            roster: Roster::default(),
            engines: BTreeMap::new(),
            orders: BTreeMap::new(),
            jobs: JoinSet::new(),
            instances: 0,
            stopping: false,
        }
    }

    /// Works until the host stops, then brings everything to an end.
    pub(crate) async fn serve(
        &mut self,
        mut mail: Mail,
        mut loaded: mpsc::Receiver<Loaded>,
    ) -> Result<(), Error> {
        let outcome = self.work(&mut mail, &mut loaded).await;
        self.stop(&mut mail).await;
        outcome
    }

    async fn work(&mut self, mail: &mut Mail, loaded: &mut mpsc::Receiver<Loaded>) -> Result<(), Error> {
        let stop = self.host.stop.clone();
        let mut problems = Vec::new();
        let mut loading = true;
        loop {
            tokio::select! {
                // In this order, so that every run is the same: engines are few and jobs bounded by their slots, so neither
                // keeps the mail waiting for long.
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(ended) = self.jobs.join_next() => self.ended(ended)?,
                engine = loaded.recv(), if loading => match engine {
                    Some(Ok(engine)) => self.announce(engine).await,
                    Some(Err(problem)) => problems.push(problem),
                    None if problems.is_empty() => {
                        loading = false;
                        self.host.health.ready();
                    }
                    None => return Err(Error::Other(problems.join("\n"))),
                },
                event = mail.next() => {
                    let commands = self.roster.take(&event);
                    self.obey_all(commands).await?;
                }
            }
        }
    }

    async fn obey_all(&mut self, commands: Vec<Command>) -> Result<(), Error> {
        for command in commands {
            self.obey(command).await?;
        }
        Ok(())
    }

    async fn obey(&mut self, command: Command) -> Result<(), Error> {
        match command {
            Command::Begin(of) => self.begin(*of),
            Command::Tell(key, order) => self.tell(&key, &order),
            Command::Announce(lost) => {
                tracing::warn!(instance = %lost, "taken for lost; going on under another name");
                if let Some(Running { engine, .. }) = self.engines.remove(&lost).filter(|_| !self.stopping) {
                    self.announce(engine).await;
                }
            }
            Command::Yield(_) => {
                let worker = &self.config.worker;
                return Err(Error::Other(format!(
                    "another process runs as worker {worker}: every process needs a LOWLAND_WORKER_ID of its own"
                )));
            }
        }
        Ok(())
    }

    fn begin(&mut self, of: Assignment) {
        let running = self.engines.get(&of.assigned.instance).cloned();
        let Some(Running { engine, figures }) = running else { return };
        let about = about(&of);
        about.in_scope(|| tracing::debug!("assigned"));
        let (key, attempt) = (of.key.clone(), of.attempt());
        let first = if self.stopping { Order::Stop } else { Order::Proceed };
        let (order, orders) = watch::channel(first);
        self.orders.insert(key.clone(), (attempt, order));
        let tracer = self.host.tracer.clone();
        let attempt_at_job = Attempt::new(self.bus.clone(), of, engine, orders, figures, tracer);
        let work = async move {
            attempt_at_job.run().await;
            (key, attempt)
        };
        self.jobs.spawn(work.instrument(about));
    }

    fn tell(&self, key: &Key, order: &Order) {
        if let Some((_, orders)) = self.orders.get(key) {
            orders.send_if_modified(|now| {
                let overrules = order.overrules(now);
                if overrules {
                    *now = order.clone();
                }
                overrules
            });
        }
    }

    /// Clears up after a job. An engine that has died under it ends the worker: it would fail every further job, and a
    /// process that is started anew would not.
    fn ended(&mut self, ended: Result<(Key, u32), tokio::task::JoinError>) -> Result<(), Error> {
        match ended {
            Ok((key, attempt)) => {
                self.roster.ended(&key, attempt);
                if self.orders.get(&key).is_some_and(|(of, _)| *of == attempt) {
                    self.orders.remove(&key);
                }
            }
            Err(fault) => tracing::error!(%fault, "a job's task failed"),
        }
        match self.engines.values().map(|running| &running.engine).find(|engine| !engine.is_alive()) {
            Some(dead) => Err(Error::Other(format!("the engine of model {} has died", dead.model().id))),
            None => Ok(()),
        }
    }

    /// Says that the engine takes jobs, under a name that was never used before.
    async fn announce(&mut self, engine: Arc<dyn Engine>) {
        let stop = self.host.stop.clone();
        let figures = ModelFigures::of(&self.host.figures, engine.model().id.as_str());
        loop {
            self.instances += 1;
            let instance = name(self.config.worker.as_str(), self.host.instance.as_str(), self.instances);
            // Before it is announced, so that the first assignment finds it.
            self.roster.add(instance.clone());
            let running = Running { engine: Arc::clone(&engine), figures: figures.clone() };
            self.engines.insert(instance.clone(), running);
            let ready = self.draft(&engine, &instance, "ready", self.ready(engine.model()));
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                said = self.say(&ready, ready.entry_after(0)) => {
                    if said {
                        figures.slots.set(engine.model().slots.into());
                        return tracing::info!(%instance, model = %engine.model().id, "ready");
                    }
                }
            }
            // Two processes whose names begin alike: take another number.
            self.engines.remove(&instance);
        }
    }

    fn ready(&self, model: &Model) -> Ready {
        Ready {
            worker: self.config.worker.clone(),
            process: self.host.instance.clone(),
            region: self.config.region.clone(),
            ability: model.ability,
            slots: model.slots,
            context_tokens: model.context_tokens,
            ask: self.config.ask,
            provider: model.provider.clone(),
        }
    }

    fn draft(&self, engine: &Arc<dyn Engine>, of: &InstanceId, name: &str, what: impl Into<Event>) -> Draft {
        let subject = Subject::instance(&engine.model().id, of, name);
        Draft::new(subject, what, of.as_str(), &self.bus.source, self.bus.clock.now())
    }

    /// Appends until there is an answer; says whether it is stored.
    async fn say(&self, draft: &Draft, entry: Entry) -> bool {
        loop {
            match self.bus.log.append(entry.clone()).await {
                Ok(_) => return true,
                Err(AppendError::Conflict { .. }) => return false,
                Err(error) => wait_after(&error, &draft.subject.to_string()).await,
            }
        }
    }

    /// Ends every job, then says that no more are taken.
    async fn stop(&mut self, mail: &mut Mail) {
        self.stopping = true;
        self.host.health.not_ready("stopping");
        for key in self.orders.keys() {
            self.tell(key, &Order::Stop);
        }
        let until = Instant::now() + STOP_GRACE;
        if timeout_at(until, self.end_jobs(mail)).await.is_err() {
            tracing::warn!(jobs = self.jobs.len(), "stopping with jobs that could not say how they stand");
        }
        let stopped = Stopped { reason: "the worker was stopped".into() };
        for (instance, Running { engine, .. }) in &self.engines {
            // Unguarded: whatever the scheduler said of the instance meanwhile, it has ended.
            let draft = self.draft(engine, instance, "stopped", stopped.clone());
            if timeout(GOODBYE_WAIT, self.say(&draft, draft.entry())).await.is_err() {
                return tracing::warn!("the log does not answer; the scheduler will notice the silence");
            }
        }
    }

    async fn end_jobs(&mut self, mail: &mut Mail) {
        while !self.jobs.is_empty() {
            let outcome = tokio::select! {
                biased;
                Some(ended) = self.jobs.join_next() => self.ended(ended),
                event = mail.next() => {
                    let commands = self.roster.take(&event);
                    self.obey_all(commands).await
                }
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, "while stopping");
            }
        }
    }
}

/// What every log line about an attempt says, whatever the level.
fn about(of: &Assignment) -> tracing::Span {
    let trace_id = of.trace().map(TraceContext::trace_id);
    tracing::error_span!("attempt", account = %of.key.0, job = %of.key.1, attempt = of.attempt(), trace_id)
}

/// `<worker>-<8 hex of the process>-<number>`: the process is never used twice, so neither is this.
fn name(worker: &str, process: &str, number: u32) -> InstanceId {
    let worker = &worker[..worker.len().min(NAME_BYTES)];
    let process = process.rsplit('-').next().unwrap_or(process);
    let process = &process[..process.len().min(8)];
    InstanceId::new(format!("{worker}-{process}-{number}"))
        .expect("parts of ids, joined by dashes, are an id")
}
