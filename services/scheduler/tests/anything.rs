//! Whatever happens, in whatever order: random requests, bills, workers that come, work, fail, fall silent and go, lost
//! answers, crashes of the scheduler. The log itself is then read by a judge who shares no code with the scheduler.

mod rig;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::FutureExt;
use lowland_events::{
    Domain, Draft, Event, Filter, Money, Stored, Subject,
    event::EventType,
    id::{InstanceId, ModelId, RegionId, WorkerId},
    instance::{self, Ability},
    job::{self, Finish, Problem, ProblemCode},
    log::{
        Consume, ConsumeSettings, SharedLog,
        memory::{Faults, MemoryLog},
    },
    meter::Usage,
    stream,
};
use lowland_host::Host;
use lowland_scheduler::{
    Config,
    desk::{Desk, Input, Sample},
    key::JobKey,
    lifecycle::{HELD, Phase, TERMINAL},
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use rig::{BEGAN, Clock, key};
use tokio::sync::mpsc;

#[derive(Debug, Clone)]
enum Step {
    Post { account: u8, job: u8, good: bool },
    Cancel { account: u8, job: u8 },
    Bill,
    WorkerUp { worker: u8, slots: u32 },
    WorkerDown { worker: u8 },
    WorkerStops { worker: u8 },
    Work { worker: u8, how: u8 },
    Pass { halves: u8 },
    Crash,
    LoseAnswers { acks: u32, deliveries: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_u8, 0..8_u8, proptest::bool::weighted(0.9))
            .prop_map(|(account, job, good)| Step::Post { account, job, good }),
        2 => (0..3_u8, 0..8_u8).prop_map(|(account, job)| Step::Cancel { account, job }),
        6 => Just(Step::Bill),
        3 => (0..3_u8, 1..4_u32).prop_map(|(worker, slots)| Step::WorkerUp { worker, slots }),
        1 => (0..3_u8).prop_map(|worker| Step::WorkerDown { worker }),
        1 => (0..3_u8).prop_map(|worker| Step::WorkerStops { worker }),
        8 => (0..3_u8, 0..6_u8).prop_map(|(worker, how)| Step::Work { worker, how }),
        4 => (1..12_u8).prop_map(|halves| Step::Pass { halves }),
        1 => Just(Step::Crash),
        1 => (0..3_u32, 0..3_u32).prop_map(|(acks, deliveries)| Step::LoseAnswers { acks, deliveries }),
    ]
}

/// A worker's process that runs, and its one instance.
#[derive(Clone)]
struct Process {
    process: InstanceId,
    instance: InstanceId,
}

struct World {
    memory: MemoryLog,
    log: SharedLog,
    clock: Clock,
    desk: Desk,
    host: Host,
    requests: Box<dyn Consume>,
    workers: BTreeMap<u8, Process>,
    count: u64,
}

const SETTINGS: ConsumeSettings = ConsumeSettings { ack_wait_ms: 5000, unacked_max: 1024 };

impl World {
    async fn new() -> Self {
        let memory = MemoryLog::starting_at(BEGAN);
        let log: SharedLog = std::sync::Arc::new(memory.clone());
        for spec in stream::all() {
            log.ensure(&spec).await.unwrap();
        }
        let clock = Clock::start_at(BEGAN);
        let (host, desk, requests) = open(&log, clock).await;
        Self { memory, log, clock, desk, host, requests, workers: BTreeMap::new(), count: 0 }
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Post { account, job, good } => {
                let body =
                    if good { r#"{"model":"smol","prompt":"Hi","deadline_ms":60000}"# } else { "noise" };
                self.request(account, job, "posted", body).await;
            }
            Step::Cancel { account, job } => self.request(account, job, "cancel_requested", "{}").await,
            Step::Bill => self.bill().await,
            Step::WorkerUp { worker, slots } => self.worker_up(worker, slots).await,
            Step::WorkerDown { worker } => drop(self.workers.remove(&worker)),
            Step::WorkerStops { worker } => self.worker_stops(worker).await,
            Step::Work { worker, how } => self.work(worker, how).await,
            Step::Pass { halves } => self.pass(halves).await,
            Step::Crash => (self.host, self.desk, self.requests) = open(&self.log, self.clock).await,
            Step::LoseAnswers { acks, deliveries } => {
                self.memory.inject(Faults { acks_lost: acks, deliveries_lost: deliveries });
            }
        }
        self.settle().await;
    }

    /// Half seconds pass; every process that runs is heard, and the scheduler's own echo.
    async fn pass(&mut self, halves: u8) {
        for _ in 0..halves {
            tokio::time::advance(Duration::from_millis(500)).await;
            let running = self.workers.values().map(|worker| worker.process.clone());
            for process in running.chain([self.host.instance.clone()]).collect::<Vec<_>>() {
                self.desk.accept(Input::Sample(Sample { process, at: self.clock.now(), sequence: 1 }));
            }
            self.settle().await;
        }
    }

    async fn settle(&mut self) {
        let clock = self.clock;
        while let Some(delivery) = self.requests.next().now_or_never() {
            self.desk.accept(Input::Request(delivery.unwrap()));
        }
        let (_sender, mut nothing) = mpsc::channel(1);
        for _ in 0..20 {
            // Polled once, it takes in what the log has.
            let _ = self.desk.wait(&mut nothing, &|| clock.now()).now_or_never();
            if self.desk.settle(&|| clock.now()).await.is_ok() {
                return;
            }
        }
        panic!("the desk is never settled");
    }

    async fn request(&mut self, account: u8, job: u8, event: &str, body: &'static str) {
        self.count += 1;
        let JobKey { account, job } = key(&format!("a{account}/j{job}"));
        let entry = lowland_events::log::Entry {
            subject: Subject::request(&account, &job, event).to_string(),
            id: lowland_events::EventId::derived(&self.count.to_string(), "test", 0),
            headers: Default::default(),
            payload: body.into(),
            expect: None,
        };
        let _ = self.log.append(entry).await;
    }

    async fn append(&mut self, subject: Subject, event: impl Into<Event>, last: u64) {
        self.count += 1;
        let draft = Draft::new(subject, event, &format!("test/{}", self.count), "test", self.clock.now());
        let _ = self.log.append(draft.entry_after(last)).await;
    }

    async fn bill(&mut self) {
        let waits = |(_, job): &(&JobKey, &lowland_scheduler::state::Job)| job.phase == Phase::Submitted;
        let submitted: Vec<_> = self.desk.state().jobs().filter(waits).map(|(key, _)| key.clone()).collect();
        for key in submitted {
            self.count += 1;
            let (subject, cause) =
                (Subject::account(&key.account, "hold_placed"), format!("bill/{}", self.count));
            let draft = Draft::new(subject, rig::hold(&key), &cause, "test", self.clock.now());
            let _ = self.log.append(draft.entry()).await;
        }
    }

    async fn worker_up(&mut self, worker: u8, slots: u32) {
        self.count += 1;
        let process = InstanceId::new(format!("w{worker}-{}", self.count)).unwrap();
        let instance = InstanceId::new(format!("{process}-m")).unwrap();
        let ready = instance::Ready {
            worker: WorkerId::new(format!("w{worker}")).unwrap(),
            process: process.clone(),
            region: RegionId::new("local").unwrap(),
            ability: Ability::Generate,
            slots,
            context_tokens: 100,
            ask: Money(i128::from(worker)),
            provider: "cpu".into(),
        };
        let subject = Subject::instance(&ModelId::new("smol").unwrap(), &instance, "ready");
        self.append(subject, ready, 0).await;
        self.workers.insert(worker, Process { process, instance });
    }

    async fn worker_stops(&mut self, worker: u8) {
        let Some(Process { instance, .. }) = self.workers.remove(&worker) else { return };
        let last = self.desk.state().fleet().instance(&instance).map_or(0, |instance| instance.last);
        let subject = Subject::instance(&ModelId::new("smol").unwrap(), &instance, "stopped");
        self.append(subject, instance::Stopped { reason: "test".into() }, last).await;
    }

    /// The worker does something with each job that it has.
    async fn work(&mut self, worker: u8, how: u8) {
        let Some(Process { instance, .. }) = self.workers.get(&worker).cloned() else { return };
        let mine: Vec<_> = self
            .desk
            .state()
            .jobs()
            .filter(|(_, job)| job.phase.is_with_worker() && job.instance.as_ref() == Some(&instance))
            .map(|(key, job)| (key.clone(), job.phase, job.attempt, job.last))
            .collect();
        for (key, phase, attempt, last) in mine {
            let event = answer(how, phase, instance.clone(), attempt);
            self.append(key.subject(event.name()), event, last).await;
        }
    }
}

fn answer(how: u8, phase: Phase, instance: InstanceId, attempt: u32) -> Event {
    let usage = Usage::default();
    match (how, phase) {
        (0 | 1, Phase::Assigned) => job::Started { instance, attempt, resumed_tokens: 0 }.into(),
        (2, _) => {
            let problem = Problem { code: ProblemCode::WorkerFailed, message: "x".into(), field: None };
            job::AttemptFailed { instance, attempt, problem, retry: attempt % 2 == 1 }.into()
        }
        (3, Phase::CancelRequested) => job::Cancelled { reason: "x".into(), usage }.into(),
        _ => {
            let (finish, output) = (Finish::Stop, job::Output::default());
            job::Completed { instance, attempt, finish, output, usage }.into()
        }
    }
}

async fn open(log: &SharedLog, clock: Clock) -> (Host, Desk, Box<dyn Consume>) {
    let host = Host::over(log.clone(), "scheduler");
    let desk = Desk::open(host.clone(), Config::default(), clock.now()).await.unwrap();
    let filters = ["posted", "cancel_requested"].map(|event| Filter::event(Domain::Request, event));
    let requests = log.consume(stream::REQUESTS, "scheduler", &filters, SETTINGS).await.unwrap();
    (host, desk, requests)
}

/// Reads the log from the beginning and knows nothing but what is promised.
#[derive(Default)]
struct Judge {
    ended: BTreeMap<String, String>,
    slots: BTreeMap<InstanceId, u32>,
    holds: BTreeMap<String, (InstanceId, u32)>,
}

impl Judge {
    fn hear(&mut self, stored: &Stored) {
        let name = format!("{}/{}", stored.subject.scope(), stored.subject.aggregate());
        match &stored.event {
            Event::Instance(instance::Event::Ready(ready)) => {
                self.slots.insert(instance_of(stored), ready.slots);
            }
            Event::Instance(_) => {
                self.slots.remove(&instance_of(stored));
            }
            Event::Job(event) => self.hear_job(&name, event),
            _ => {}
        }
    }

    fn hear_job(&mut self, name: &str, event: &job::Event) {
        let kind = event.event_type().name;
        assert!(!self.ended.contains_key(name), "{name} is {kind} after {:?}", self.ended[name]);
        match event {
            job::Event::Assigned(assigned) => {
                let earlier =
                    self.holds.insert(name.to_owned(), (assigned.instance.clone(), assigned.attempt));
                assert_eq!(earlier, None, "{name} was assigned while a worker had it");
                let taken = self.holds.values().filter(|(id, _)| *id == assigned.instance).count();
                let slots = self.slots.get(&assigned.instance);
                let slots = slots
                    .unwrap_or_else(|| panic!("{name} was assigned to {} which is gone", assigned.instance));
                assert!(taken <= *slots as usize, "{} has {taken} jobs in {slots} slots", assigned.instance);
            }
            job::Event::AttemptFailed(_) => drop(self.holds.remove(name)),
            _ => {}
        }
        if TERMINAL.contains(&kind) {
            self.holds.remove(name);
            self.ended.insert(name.to_owned(), kind.to_owned());
        }
    }
}

fn instance_of(stored: &Stored) -> InstanceId {
    InstanceId::new(stored.subject.aggregate()).unwrap()
}

/// Walks, lets everything come to its end, and has it judged; gives the kinds of events that happened.
async fn walk(steps: Vec<Step>) -> BTreeSet<String> {
    let mut world = World::new().await;
    for step in &steps {
        world.take(step).await;
    }
    world.workers.clear();
    world.memory.inject(Faults::default());
    world.pass(250).await;
    let mut judge = Judge::default();
    let mut kinds = BTreeSet::new();
    for record in world.log.read(stream::LOG, &[], 0, usize::MAX).await.unwrap() {
        let stored = Stored::try_from(&record).unwrap();
        judge.hear(&stored);
        kinds.insert(stored.event.name().to_owned());
    }
    let posted = Filter::event(Domain::Request, "posted");
    for record in world.log.read(stream::REQUESTS, &[posted], 0, usize::MAX).await.unwrap() {
        let subject: Subject = record.subject.parse().unwrap();
        let name = format!("{}/{}", subject.scope(), subject.aggregate());
        assert!(judge.ended.contains_key(&name), "{name} was lost");
    }
    assert_eq!(judge.holds, BTreeMap::new());
    assert_eq!(world.desk.state().jobs().count(), 0);
    assert_eq!(world.desk.state().ignored(), 0, "every event fitted the table");
    kinds
}

/// Runs a walk under a clock that stands until it is moved.
fn run(steps: Vec<Step>) -> BTreeSet<String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(walk(steps))
}

/// A walk that never left the door would find nothing.
#[test]
fn walks_reach_every_event_there_is() {
    let mut runner = TestRunner::deterministic();
    let walks = proptest::collection::vec(step(), 30..60);
    let kinds: BTreeSet<String> =
        (0..40).flat_map(|_| run(walks.new_tree(&mut runner).unwrap().current())).collect();
    let of = |types: &'static [EventType]| types.iter().map(|known| known.name.to_owned());
    let written = of(job::Event::TYPES).chain(of(instance::Event::TYPES)).filter(|name| name != HELD);
    let all = written.chain(["hold_placed".to_owned()]).collect();
    assert_eq!(kinds, all, "all but what earlier builds alone wrote");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_job_ends_twice_or_never_and_no_slot_is_taken_twice(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        run(steps);
    }
}
