//! How fast the fold is, and what a decision costs beside a large state: `cargo run --release --example scale -p
//! lowland-scheduler -- [JOBS]`.

use std::{hint::black_box, time::Instant};

use lowland_events::{
    Draft, Event, Money, Stored, Subject, Time,
    account::HoldPlaced,
    id::{AccountId, InstanceId, JobId, ModelId, RegionId, WorkerId},
    instance::{self, Ability},
    job::{self, Finish},
    log::Record,
    meter::{Meter, Rates, Usage},
};
use lowland_host::State as _;
use lowland_scheduler::{
    Config,
    decide::decide,
    facts::{Facts, View},
    key::JobKey,
    state::State,
};

const ACCOUNTS: usize = 100;
const INSTANCES: usize = 50;
const RUNS: usize = 20;

fn main() {
    let jobs: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let mut log = Log::default();
    log.instances();
    (0..jobs).for_each(|n| log.ended_job(n));
    fold(&log.records, "jobs that have ended");
    let waiting = jobs / 4;
    (0..waiting).for_each(|n| drop(log.waiting_job(jobs + n)));
    let state = fold(&log.records, "the same and a quarter as many that wait");
    deciding(state, waiting);
}

fn hold(key: &JobKey) -> HoldPlaced {
    HoldPlaced {
        job: key.job.clone(),
        model: ModelId::new("m").unwrap(),
        amount: Money(1),
        price_version: "p".into(),
        rates: Rates::default(),
        bounds: Usage::default(),
        postings: Vec::new(),
    }
}

fn fold(records: &[Record], what: &str) -> State {
    let began = Instant::now();
    let events: Vec<Stored> = records.iter().map(|record| Stored::try_from(record).unwrap()).collect();
    let decoded = began.elapsed();
    let began = Instant::now();
    let mut state = State::default();
    events.iter().for_each(|event| state.evolve(event));
    let folded = began.elapsed();
    println!("{} events of {what}: decoded in {decoded:?}, folded in {folded:?}", events.len());
    state
}

fn deciding(state: State, waiting: usize) {
    let config = Config::default();
    let mut facts = Facts::default();
    let now = Time(1_000_000);
    let cost = |facts: &Facts, what: &str| {
        let view = View { state: &state, facts, config: &config, source: "scheduler/scale", now };
        let run = || {
            let began = Instant::now();
            let decided = decide(&view, &[]).decided.len();
            (began.elapsed(), decided)
        };
        // The first runs pay for what the allocator put off.
        let (fastest, decided) = (0..RUNS).map(|_| run()).min().expect("there are runs");
        println!("{what}, beside {waiting} waiting jobs: {decided} decided in {fastest:?}");
    };
    cost(&facts, "nobody is alive");
    (0..INSTANCES).for_each(|n| facts.liveness.heard(&process(n), now));
    cost(&facts, "every instance has free slots");
    black_box(&state);
}

fn process(n: usize) -> InstanceId {
    InstanceId::new(format!("w{n}-p")).unwrap()
}

#[derive(Default)]
struct Log {
    records: Vec<Record>,
}

impl Log {
    fn append(&mut self, subject: Subject, event: impl Into<Event>) {
        let sequence = self.records.len() as u64 + 1;
        let entry = Draft::new(subject, event, &sequence.to_string(), "scale", Time(0)).entry();
        self.records.push(Record {
            stream: "LOG".into(),
            sequence,
            subject: entry.subject,
            headers: entry.headers,
            payload: entry.payload,
            stored_at: Time(0),
        });
    }

    fn instances(&mut self) {
        for n in 0..INSTANCES {
            let ready = instance::Ready {
                worker: WorkerId::new(format!("w{n}")).unwrap(),
                process: process(n),
                region: RegionId::new("local").unwrap(),
                ability: Ability::Generate,
                slots: 8,
                context_tokens: 2048,
                ask: Money(n as i128),
                provider: "cpu".into(),
            };
            let id = InstanceId::new(format!("w{n}-m")).unwrap();
            self.append(Subject::instance(&ModelId::new("m").unwrap(), &id, "ready"), ready);
        }
    }

    fn waiting_job(&mut self, n: usize) -> JobKey {
        let key = JobKey {
            account: AccountId::new(format!("account-{}", n % ACCOUNTS)).unwrap(),
            job: JobId::new(format!("job-{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).unwrap(),
        };
        self.append(key.subject("submitted"), submitted());
        self.append(Subject::account(&key.account, "hold_placed"), hold(&key));
        key
    }

    fn ended_job(&mut self, n: usize) {
        let key = self.waiting_job(n);
        let instance = InstanceId::new(format!("w{}-m", n % INSTANCES)).unwrap();
        let worker = WorkerId::new(format!("w{}", n % INSTANCES)).unwrap();
        let assigned = job::Assigned {
            worker: worker.clone(),
            instance: instance.clone(),
            attempt: 1,
            lease_ms: 2000,
            job: submitted(),
            price_version: "p".into(),
            considered: Vec::new(),
            considered_more: 0,
            decided_on: Vec::new(),
        };
        self.append(key.subject("assigned").to_worker(&worker), assigned);
        self.append(
            key.subject("started"),
            job::Started { instance: instance.clone(), attempt: 1, resumed_tokens: 0 },
        );
        let output = job::Output { text: "some text ".repeat(20), ..job::Output::default() };
        let usage = Usage::of([(Meter::InputTokens, 20), (Meter::OutputTokens, 60)]);
        let completed = job::Completed { instance, attempt: 1, finish: Finish::Stop, output, usage };
        self.append(key.subject("completed"), completed);
    }
}

fn submitted() -> job::Submitted {
    job::Submitted {
        model: ModelId::new("m").unwrap(),
        task: job::Task::Completion { prompt: "A question of some length. ".repeat(8) },
        sampling: None,
        regions: Vec::new(),
        deadline: Time(60_000_000),
        bounds: Usage::of([(Meter::InputTokens, 300), (Meter::OutputTokens, 500)]),
        request_sequence: 1,
    }
}
