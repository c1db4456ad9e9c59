//! A log of as many events as wanted, made by the services' own decisions: jobs are posted, admitted, held, assigned, run
//! and charged by the very functions that decide in the processes, over a clock that only counts.

use std::collections::VecDeque;

use anyhow::{Result, anyhow};
use lowland_billing::{
    decide::{self as billing, Request},
    prices::Book,
};
use lowland_events::{
    Draft, Event, Money, Stored, Subject, Time,
    id::{AccountId, InstanceId, JobId, ModelId, RegionId, WorkerId},
    instance::{Ability, Ready},
    job::{Completed, Event as JobEvent, Finish, Output, Started},
    log::{Entry, Record},
    meter::{Meter, Usage},
    request::Posted,
    stream,
};
use lowland_host::{Decision, State as _};
use lowland_scheduler::{
    Config,
    decide::decide,
    facts::{Facts, View},
    incoming::Incoming,
};
use lowland_worker::job::Assignment;

use super::{
    load::prompt,
    system::{MODEL, PRICES},
};

/// Jobs that are posted together.
const JOBS_A_ROUND: usize = 64;
/// Characters of a prompt, and tokens of an answer.
const PROMPT_CHARS: usize = 64;
/// Time from one round to the next, in milliseconds.
const ROUND_MS: u64 = 100;
/// When it began: 2027, in microseconds.
const BEGAN: Time = Time(1_800_000_000_000_000);
/// What every account begins with, in micro-units.
const MONEY: Money = Money(1_000_000_000_000);

/// What is made, as it grows.
struct Making {
    entries: Vec<Entry>,
    scheduler: lowland_scheduler::state::State,
    billing: lowland_billing::State,
    facts: Facts,
    book: Book,
    accounts: Vec<AccountId>,
    requests: u64,
    now: Time,
    /// Assignments that no worker has taken yet.
    assigned: VecDeque<Assignment>,
}

/// At least `events` events of LOG, in their order, about jobs of `accounts` accounts.
pub fn log(events: usize, accounts: usize, mut tell: impl FnMut(usize)) -> Result<Vec<Entry>> {
    let mut making = Making::new(accounts)?;
    making.begin()?;
    while making.entries.len() < events {
        making.round()?;
        tell(making.entries.len());
    }
    Ok(making.entries)
}

impl Making {
    fn new(accounts: usize) -> Result<Self> {
        let accounts =
            (1..=accounts).map(|n| AccountId::new(format!("made{n}"))).collect::<Result<_, _>>()?;
        Ok(Self {
            entries: Vec::new(),
            scheduler: Default::default(),
            billing: Default::default(),
            facts: Facts::default(),
            book: Book::parse(PRICES).map_err(|problems| anyhow!("{problems:?}"))?,
            accounts,
            requests: 0,
            now: BEGAN,
            assigned: VecDeque::new(),
        })
    }

    /// A worker is there, and everybody has money.
    fn begin(&mut self) -> Result<()> {
        let ready = Ready {
            worker: WorkerId::new("w1")?,
            process: InstanceId::new("w1-p1")?,
            region: RegionId::new("local")?,
            ability: Ability::Generate,
            slots: u32::try_from(JOBS_A_ROUND)?,
            context_tokens: 4096,
            ask: Money(50_000),
            provider: "cpu".into(),
        };
        let subject = Subject::instance(&ModelId::new(MODEL)?, &InstanceId::new("w1-p1-1")?, "ready");
        self.store(&Draft::new(subject, ready, "made", "worker/made", self.now));
        let mut asked = Vec::new();
        for account in self.accounts.clone() {
            let id = JobId::new("made")?;
            let draft = lowland_billing::topup_request(&account, &id, MONEY, None, "made", self.now)?;
            let record = self.request(&draft);
            asked.push(Request::read(&record).ok_or_else(|| anyhow!("a top-up that cannot be read"))?);
        }
        self.bill(&asked);
        Ok(())
    }

    /// So many jobs, from post to charge.
    fn round(&mut self) -> Result<()> {
        self.now = self.now.plus_ms(ROUND_MS);
        self.facts.liveness.heard(&InstanceId::new("w1-p1")?, self.now);
        self.facts.liveness.echoed(self.now);
        let posted = (0..JOBS_A_ROUND).map(|_| self.post()).collect::<Result<Vec<_>>>()?;
        self.schedule(&posted);
        self.bill(&[]);
        self.schedule(&[]);
        while let Some(assignment) = self.assigned.pop_front() {
            self.work(&assignment)?;
        }
        self.bill(&[]);
        Ok(())
    }

    fn post(&mut self) -> Result<Incoming> {
        let number = self.requests + 1;
        let account = self.accounts[number as usize % self.accounts.len()].clone();
        let posted = Posted {
            model: MODEL.into(),
            prompt: Some(prompt(PROMPT_CHARS)),
            max_tokens: Some(PROMPT_CHARS as u32),
            ..Posted::default()
        };
        let job = JobId::new(format!("job{number}"))?;
        let cause = format!("made/{number}");
        let draft = Draft::new(Subject::request(&account, &job, "posted"), posted, &cause, "made", self.now);
        Incoming::read(&self.request(&draft), 1).ok_or_else(|| anyhow!("a post that cannot be read"))
    }

    /// A request as its stream would give it out.
    fn request(&mut self, draft: &Draft) -> Record {
        self.requests += 1;
        record(stream::REQUESTS, self.requests, draft.entry(), self.now)
    }

    fn schedule(&mut self, requests: &[Incoming]) {
        let requests: Vec<&Incoming> = requests.iter().collect();
        let config = Config::default();
        loop {
            let view = View {
                state: &self.scheduler,
                facts: &self.facts,
                config: &config,
                source: "scheduler/made",
                now: self.now,
            };
            let decided = decide(&view, &requests).decided;
            if decided.is_empty() {
                return;
            }
            decided.iter().for_each(|decided| self.take(&decided.decision));
        }
    }

    fn bill(&mut self, topups: &[Request]) {
        loop {
            let facts = billing::Facts { book: &self.book, topups, source: "billing/made", now: self.now };
            let decisions = billing::decide(&self.billing, &facts);
            if decisions.is_empty() {
                return;
            }
            decisions.iter().for_each(|decision| self.take(decision));
        }
    }

    /// What a worker writes of a job that goes well.
    fn work(&mut self, of: &Assignment) -> Result<()> {
        let (instance, attempt) = (of.assigned.instance.clone(), of.attempt());
        let started = Started { instance: instance.clone(), attempt, resumed_tokens: 0 };
        self.store(&of.event(JobEvent::Started(started), "worker/made", self.now));
        let text = prompt(PROMPT_CHARS);
        let tokens: Vec<u32> = text.chars().map(u32::from).collect();
        let count = tokens.len() as u64;
        let usage = Usage::of([(Meter::InputTokens, count), (Meter::OutputTokens, count)]);
        let output = Output { text, tokens, ..Output::default() };
        let completed = Completed { instance, attempt, finish: Finish::Length, output, usage };
        self.store(&of.event(JobEvent::Completed(completed), "worker/made", self.now));
        Ok(())
    }

    fn take(&mut self, decision: &Decision) {
        decision.drafts().for_each(|draft| self.store(draft));
    }

    fn store(&mut self, draft: &Draft) {
        let sequence = self.entries.len() as u64 + 1;
        let stored = Stored {
            stream: stream::LOG.into(),
            sequence,
            stored_at: self.now,
            subject: draft.subject.clone(),
            meta: draft.meta.clone(),
            event: draft.event.clone(),
        };
        self.scheduler.evolve(&stored);
        self.billing.evolve(&stored);
        if let Event::Job(JobEvent::Assigned(_)) = &stored.event {
            self.assigned.extend(Assignment::of(&stored));
        }
        self.entries.push(draft.entry());
    }
}

fn record(stream: &str, sequence: u64, entry: Entry, stored_at: Time) -> Record {
    Record {
        stream: stream.to_owned(),
        sequence,
        subject: entry.subject,
        headers: entry.headers,
        payload: entry.payload,
        stored_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_charged_once() {
        let entries = log(2000, 5, |_| {}).unwrap();
        assert!(entries.len() >= 2000);
        let count = |event: &str| entries.iter().filter(|entry| entry.subject.contains(event)).count();
        let jobs = count(".submitted");
        assert!(jobs >= JOBS_A_ROUND);
        for event in [".assigned", ".started", ".completed", ".charged", ".hold_placed"] {
            assert_eq!(count(event), jobs, "{event}");
        }
        let ids: std::collections::BTreeSet<_> = entries.iter().map(|entry| entry.id).collect();
        assert_eq!(ids.len(), entries.len());
    }
}
