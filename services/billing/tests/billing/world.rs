//! A log with everything around billing: whoever submits jobs, ends them and asks for top-ups, and billings that can be
//! stopped between any two steps.

use std::{future::Future, sync::Arc};

use futures::FutureExt;
use lowland_billing::{
    State,
    decide::{Facts, Fate, Request, decide, fate},
    prices::Book,
};
use lowland_events::{
    Domain, Draft, Event, Filter, Money, Stored, Subject, Time, account,
    id::{AccountId, InstanceId, JobId, ModelId},
    job::{self, Finish, Output, Problem, ProblemCode, Submitted, Task},
    log::{Record, SharedLog, memory::MemoryLog},
    meter::{Meter, Usage},
    request::TopupPosted,
    stream,
};
use lowland_host::{Fold, Keep as _, commit};

/// Rounds after which billing must have found its rest.
pub(crate) const ROUNDS_MAX: usize = 100;

/// One micro-unit a token, so that amounts can be read off.
pub(crate) const BOOK: &str = r#"
    currency = "EUR"
    [[version]]
    id = "v1"
    effective = "2026-01-01T00:00:00Z"
    [version.models.writer]
    input_tokens = "1"
    cached_tokens = "0.1"
    output_tokens = "1"
    [version.models.odd]
    input_tokens = "0.333333"
    output_tokens = "0.777777"
    [version.models.free]
    input_tokens = "0"
    output_tokens = "0"
"#;

pub(crate) fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

pub(crate) fn job(name: &str) -> JobId {
    JobId::new(name).unwrap()
}

pub(crate) fn tokens(input: u64, output: u64) -> Usage {
    Usage::of([(Meter::InputTokens, input), (Meter::OutputTokens, output)])
}

/// Runs a scene under a paused clock.
pub(crate) fn run<T>(scene: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(scene)
}

/// The log and what is outside of billing.
pub(crate) struct World {
    pub(crate) memory: MemoryLog,
    pub(crate) log: SharedLog,
    pub(crate) book: Book,
    pub(crate) requests: Vec<Request>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let memory = MemoryLog::starting_at("2026-11-22T00:00:00Z".parse().unwrap());
        let log: SharedLog = Arc::new(memory.clone());
        log.ensure(&stream::log()).await.unwrap();
        log.ensure(&stream::requests()).await.unwrap();
        Self { memory, log, book: Book::parse(BOOK).unwrap(), requests: Vec::new() }
    }

    /// A world where `acme` has `amount`.
    pub(crate) async fn with_money(amount: i128) -> Self {
        let mut world = Self::new().await;
        world.topup("acme", "t0", amount).await;
        world.settle().await;
        world
    }

    pub(crate) fn now(&self) -> Time {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    pub(crate) async fn submit(&self, of: &str, name: &str, model: &str, bounds: Usage) {
        let submitted = Submitted {
            model: ModelId::new(model).unwrap(),
            task: Task::Completion { prompt: "say".into() },
            sampling: None,
            regions: Vec::new(),
            deadline: self.now().plus_ms(60_000),
            bounds,
            request_sequence: 1,
        };
        self.append_job(of, name, "submitted", submitted.into(), 0).await;
    }

    /// The job's next event, whatever came last.
    pub(crate) async fn job_event(&self, of: &str, name: &str, event: impl Into<Event>) {
        let last = self.last(of, name).await.map_or(0, |record| record.sequence);
        let event = event.into();
        let kind = event.name().to_owned();
        self.append_job(of, name, &kind, event, last).await;
    }

    /// An event of `acme`, as some billing wrote it.
    pub(crate) async fn account_event(&self, kind: &str, event: impl Into<Event>) {
        let subject = Subject::account(&account("acme"), kind);
        let draft = Draft::new(subject, event, &format!("test/acme/{kind}"), "test", self.now());
        self.log.append(draft.entry()).await.unwrap();
    }

    async fn append_job(&self, of: &str, name: &str, kind: &str, event: Event, last: u64) {
        let subject = Subject::job(&account(of), &job(name), kind);
        let cause = format!("test/{of}/{name}/{kind}/{last}");
        let draft = Draft::new(subject, event, &cause, "test", self.now())
            .traced(Some("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01".into()));
        self.log.append(draft.entry_after(last)).await.unwrap();
    }

    /// The last event of a job.
    pub(crate) async fn last(&self, of: &str, name: &str) -> Option<Record> {
        let filter = Filter::aggregate(Domain::Job, of, name);
        self.log.last(stream::LOG, &filter).await.unwrap()
    }

    pub(crate) async fn complete(&self, of: &str, name: &str, usage: Usage) {
        self.job_event(of, name, completed(usage)).await;
    }

    pub(crate) async fn topup(&mut self, of: &str, id: &str, amount: i128) {
        let draft = lowland_billing::topup_request(
            &account(of),
            &job(id),
            Money(amount),
            None,
            "operator",
            self.now(),
        );
        self.post(draft.unwrap()).await;
    }

    pub(crate) async fn post(&mut self, draft: Draft) {
        let stored = self.log.append(draft.entry()).await.unwrap();
        let record = self.log.read(stream::REQUESTS, &[], stored.sequence, 1).await.unwrap().remove(0);
        self.requests.extend(Request::read(&record));
    }

    /// As [`Self::topup`], by somebody who makes a new request each time.
    pub(crate) async fn ask(&mut self, of: &str, id: &str, amount: i128) {
        let subject = Subject::request(&account(of), &job(id), "topup_posted");
        let body = TopupPosted { amount: Money(amount), reference: None };
        let cause = format!("ask/{}", self.requests.len());
        self.post(Draft::new(subject, body, &cause, "operator", self.now())).await;
    }

    /// Everything in the log, in order.
    pub(crate) async fn stored(&self) -> Vec<Stored> {
        let records = self.log.read(stream::LOG, &[], 1, usize::MAX).await.unwrap();
        records.iter().map(|record| Stored::try_from(record).unwrap()).collect()
    }

    /// What became of a job (with its hold) or an account, as `name` of its events in order.
    pub(crate) async fn chain(&self, domain: Domain, of: &str, name: &str) -> Vec<String> {
        let stored = self.stored().await.into_iter().filter(|event| event.subject.scope() == of);
        let mine = stored.filter(|e| match &e.event {
            Event::Account(account::Event::HoldPlaced(hold)) if domain == Domain::Job => {
                hold.job.as_str() == name
            }
            _ => e.subject.domain() == domain && e.subject.aggregate() == name,
        });
        mine.map(|event| event.event.name().to_owned()).collect()
    }

    /// A billing that starts afresh and works until nothing is left to do.
    pub(crate) async fn settle(&self) -> Billing {
        let mut billing = Billing::start(self).await;
        for _ in 0..ROUNDS_MAX {
            if !billing.work(self).await {
                return billing;
            }
        }
        panic!("there is always something left to decide");
    }

    /// Available to, and set aside for, an account, as of the whole log.
    pub(crate) async fn money(&self, of: &str) -> (i128, i128) {
        let billing = Billing::start(self).await;
        let ledger = &billing.state().ledger;
        (ledger.available(&account(of)).0, ledger.set_aside(&account(of)).0)
    }
}

/// One process of billing, by hand.
pub(crate) struct Billing {
    fold: Fold<State>,
}

impl Billing {
    pub(crate) async fn start(world: &World) -> Self {
        Self { fold: Fold::open(&world.log, stream::LOG, &State::filters()).await.unwrap() }
    }

    pub(crate) fn state(&self) -> &State {
        self.fold.state()
    }

    /// Takes in at most `most` events that are there.
    pub(crate) async fn read(&mut self, most: usize) {
        // The follower may have to be woken once before it gives what is there.
        tokio::task::yield_now().await;
        for _ in 0..most {
            let Some(event) = self.fold.next().now_or_never() else { return };
            event.unwrap();
        }
    }

    /// Decides on what it has read so far and on the requests `delivered` to it by their place, and commits the first
    /// `most` decisions: whether it decided anything.
    pub(crate) async fn decide(
        &mut self,
        world: &World,
        most: usize,
        delivered: impl Fn(usize) -> bool,
    ) -> bool {
        let here = |(place, request): &(usize, &Request)| {
            delivered(*place) && fate(self.state(), request) == Fate::Enter
        };
        let topups: Vec<_> =
            world.requests.iter().enumerate().filter(here).map(|(_, request)| request.clone()).collect();
        let facts = Facts { book: &world.book, topups: &topups, source: "billing/test", now: world.now() };
        let decisions = decide(self.state(), &facts);
        // An answer that is lost is no answer: what was decided is decided again.
        let _ = commit(&world.log, &decisions[..decisions.len().min(most)]).await;
        !decisions.is_empty()
    }

    /// Reads everything, then decides on everything.
    pub(crate) async fn work(&mut self, world: &World) -> bool {
        self.read(usize::MAX).await;
        self.decide(world, usize::MAX, |_| true).await
    }
}

pub(crate) fn completed(usage: Usage) -> job::Completed {
    job::Completed {
        instance: InstanceId::new("i1").unwrap(),
        attempt: 1,
        finish: Finish::Stop,
        output: Output::default(),
        usage,
    }
}

/// A terminal event by its place in the list.
pub(crate) fn ending(which: u8, usage: Usage) -> Event {
    let problem = Problem { code: ProblemCode::WorkerFailed, message: "fell over".into(), field: None };
    match which {
        0 => completed(usage).into(),
        1 => job::Failed { problem, attempts: 4, usage }.into(),
        2 => job::Cancelled { reason: "not wanted".into(), usage }.into(),
        _ => job::Expired { deadline: Time(0), usage }.into(),
    }
}
