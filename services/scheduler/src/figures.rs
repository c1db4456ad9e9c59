//! What the scheduler counts.

use std::{collections::BTreeMap, time::Duration};

use lowland_events::{
    Event,
    id::ModelId,
    instance,
    job::{self, Problem},
    request,
};
use lowland_host::figures::{Counter, Description, Figures, Gauge, Histogram, description::REQUEST_SECONDS};
use tokio::time::Instant;

use crate::state::State;

static WAITING: Description = Description::gauge(
    "vllm:num_requests_waiting",
    &["model_name"],
    "Jobs that are paid for and wait for a place, as of the last look (at most a second ago).",
);
static QUEUE_SECONDS: Description = Description::histogram(
    "vllm:request_queue_time_seconds",
    REQUEST_SECONDS,
    &["model_name"],
    "Time from a job's acceptance to its first assignment, its hold included; once for each job.",
);
static SLOTS: Description = Description::gauge(
    "lowland_scheduler_slots",
    &["model_name"],
    "Jobs that all instances of the model that are there take at once.",
);
static SLOTS_FREE: Description =
    Description::gauge("lowland_scheduler_slots_free", &["model_name"], "Of these, what is free.");
static DECISIONS: Description = Description::counter(
    "lowland_scheduler_decisions_total",
    &["event"],
    "Decisions that were stored, by the event that each became.",
);
static DECISIONS_LATE: Description = Description::counter(
    "lowland_scheduler_decisions_late_total",
    &[],
    "Decisions that were not stored since the job or instance had moved on: decided again on what is true by then.",
);
static REJECTIONS: Description = Description::counter(
    "lowland_scheduler_rejections_total",
    &["code"],
    "Requests that were rejected, by the problem's code.",
);
static LEASES_LOST: Description = Description::counter(
    "lowland_scheduler_leases_lost_total",
    &[],
    "Instances that were declared lost: their process fell silent, or its worker started anew.",
);
static JOBS_OPEN: Description =
    Description::gauge("lowland_scheduler_jobs_open", &[], "Jobs that have not ended.");
static PROCESSES: Description =
    Description::gauge("lowland_scheduler_processes", &[], "Processes of workers that have an instance.");
static REQUESTS_PENDING: Description = Description::gauge(
    "lowland_scheduler_requests_pending",
    &[],
    "Requests that were delivered and have no outcome yet.",
);
static EVENTS_IGNORED: Description = Description::gauge(
    "lowland_scheduler_events_ignored",
    &[],
    "Events that did not fit the state and changed nothing, since the log began: a part of the state, so every scheduler says the same.",
);

/// All of them.
pub static TABLE: [&Description; 12] = [
    &WAITING,
    &QUEUE_SECONDS,
    &DECISIONS,
    &DECISIONS_LATE,
    &REJECTIONS,
    &LEASES_LOST,
    &SLOTS,
    &SLOTS_FREE,
    &JOBS_OPEN,
    &PROCESSES,
    &REQUESTS_PENDING,
    &EVENTS_IGNORED,
];

/// Time between two looks at the whole state: they cost in proportion to models, instances and waiting accounts.
const LOOK: Duration = Duration::from_secs(1);

/// What the scheduler counts.
pub(crate) struct Counted {
    figures: Figures,
    decisions: BTreeMap<&'static str, Counter>,
    late: Counter,
    lost: Counter,
    models: BTreeMap<ModelId, OfModel>,
    jobs_open: Gauge,
    processes: Gauge,
    requests_pending: Gauge,
    ignored: Gauge,
    looked: Option<Instant>,
}

/// What is counted of one model.
struct OfModel {
    waiting: Gauge,
    slots: Gauge,
    free: Gauge,
    queued: Histogram,
}

impl OfModel {
    fn new(figures: &Figures, model: &ModelId) -> Self {
        let labels = [model.as_str()];
        Self {
            waiting: figures.gauge(&WAITING, &labels),
            slots: figures.gauge(&SLOTS, &labels),
            free: figures.gauge(&SLOTS_FREE, &labels),
            queued: figures.histogram(&QUEUE_SECONDS, &labels),
        }
    }
}

impl Counted {
    pub(crate) fn new(figures: &Figures) -> Self {
        let job_events = job::Event::TYPES.iter().map(|event| event.name);
        let counter = |event| (event, figures.counter(&DECISIONS, &[event]));
        Self {
            decisions: job_events.chain(["lost"]).map(counter).collect(),
            late: figures.counter(&DECISIONS_LATE, &[]),
            lost: figures.counter(&LEASES_LOST, &[]),
            models: BTreeMap::new(),
            jobs_open: figures.gauge(&JOBS_OPEN, &[]),
            processes: figures.gauge(&PROCESSES, &[]),
            requests_pending: figures.gauge(&REQUESTS_PENDING, &[]),
            ignored: figures.gauge(&EVENTS_IGNORED, &[]),
            looked: None,
            figures: figures.clone(),
        }
    }

    /// A decision was stored.
    pub(crate) fn decided(&self, event: &Event) {
        if let Some(counter) = self.decisions.get(event.name()) {
            counter.add(1);
        }
        match event {
            Event::Job(job::Event::Rejected(rejected)) => self.rejected(&rejected.problem),
            Event::Request(request::Event::Rejected(rejected)) => self.rejected(&rejected.problem),
            Event::Instance(instance::Event::Lost(_)) => self.lost.add(1),
            _ => {}
        }
    }

    /// A decision came too late.
    pub(crate) fn late(&self) {
        self.late.add(1);
    }

    /// A job was given out for the first time, so long after it was accepted.
    pub(crate) fn queued(&mut self, model: &ModelId, ms: u64) {
        self.of_model(model).queued.record_time(Duration::from_millis(ms));
    }

    /// Looks at the whole state, if the last look is long enough ago.
    pub(crate) fn look(&mut self, state: &State, requests_pending: usize, now: Instant) {
        if self.looked.is_some_and(|looked| now < looked + LOOK) {
            return;
        }
        self.looked = Some(now);
        self.jobs_open.set_to(state.open_jobs());
        self.processes.set_to(state.fleet().processes().count());
        self.requests_pending.set_to(requests_pending);
        self.ignored.set_to(usize::try_from(state.ignored()).unwrap_or(usize::MAX));
        self.look_at_models(state);
    }

    fn look_at_models(&mut self, state: &State) {
        self.models.values().for_each(|of| of.waiting.set(0));
        for (model, queue) in state.queues() {
            self.of_model(model).waiting.set_to(queue.waiting());
        }
        for (model, offer) in state.fleet().models() {
            let instances = || offer.instances.iter().filter_map(|id| state.fleet().instance(id));
            let of = self.of_model(model);
            of.slots.set(instances().map(|instance| i64::from(instance.ready.slots)).sum());
            of.free.set(instances().map(|instance| i64::from(instance.free_slots())).sum());
        }
    }

    fn of_model(&mut self, model: &ModelId) -> &OfModel {
        self.models.entry(model.clone()).or_insert_with(|| OfModel::new(&self.figures, model))
    }

    fn rejected(&self, problem: &Problem) {
        self.figures.counter(&REJECTIONS, &[problem.code.as_str()]).add(1);
    }
}
