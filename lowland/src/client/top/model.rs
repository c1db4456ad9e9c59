//! Events in, a view out. Pure: the present is given.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hdrhistogram::Histogram;
use lowland_events::{
    Domain, Event, Money, Stored, Time,
    account::Event as Account,
    instance::{Event as Instance, Ready},
    job::Event as Job,
    metric::{Event as Metric, Sampled},
};

use super::{
    figures::{self, ByModel, Figures},
    pace::Pace,
    view::{AccountRow, EventRow, Health, Latency, ModelRow, Percentiles, ProcessRow, Totals, View},
};
use crate::client::chain;

/// Silence after which a process counts as silent, in milliseconds: three samples of figures.
const SILENT_MS: u64 = 6_000;
/// Silence after which a process is no longer shown, in milliseconds.
const GONE_MS: u64 = 60_000;
/// Events that are kept to be shown.
const EVENTS_MAX: usize = 200;

/// What is known.
#[derive(Debug, Default)]
pub struct Model {
    processes: BTreeMap<(String, String), Process>,
    instances: BTreeMap<String, (String, Ready)>,
    open: BTreeMap<(String, String), (String, bool)>,
    accounts: BTreeMap<String, Purse>,
    events: VecDeque<EventRow>,
    jobs: Pace,
    tokens: Pace,
    prompt: Pace,
}

/// A process's latest sign of life, and its latest figures.
#[derive(Debug, Default)]
struct Process {
    uptime_ms: u64,
    heard: Time,
    figures: Figures,
    /// When the figures were told, and at which age.
    told: Option<(Time, u64)>,
    tokens: Pace,
}

/// An account's money.
#[derive(Debug, Default)]
struct Purse {
    topped_up: Money,
    held: Money,
    charged: Money,
    charges: u64,
}

impl Model {
    /// Takes an event in.
    pub fn take(&mut self, stored: &Stored) {
        match &stored.event {
            Event::Metric(Metric::Sampled(sampled)) => self.sample(stored, sampled),
            Event::Instance(event) => self.instance(stored, event),
            Event::Job(event) => self.job(stored, event),
            Event::Account(event) => self.account(stored.subject.scope(), event),
            Event::Request(_) | Event::Token(_) | Event::Unknown(_) => {}
        }
        if stored.subject.domain() != Domain::Metric {
            self.note(stored);
        }
    }

    fn sample(&mut self, stored: &Stored, sampled: &Sampled) {
        let key = (stored.subject.scope().to_owned(), stored.subject.aggregate().to_owned());
        let process = self.processes.entry(key).or_default();
        // The latest is the one of the highest age; one that comes late tells nothing new.
        if sampled.uptime_ms < process.uptime_ms {
            return;
        }
        (process.uptime_ms, process.heard) = (sampled.uptime_ms, stored.stored_at);
        if sampled.counters.is_empty() && sampled.gauges.is_empty() && sampled.histograms.is_empty() {
            return;
        }
        let figures = Figures::of(sampled);
        if let Some((told, age)) = process.told
            && sampled.uptime_ms > age
        {
            let more = |name| figures.counter(name).saturating_sub(process.figures.counter(name)) as f64;
            let (tokens, prompt) = (more(figures::GENERATED), more(figures::PROMPT));
            self.tokens.over(told, stored.stored_at, tokens);
            self.prompt.over(told, stored.stored_at, prompt);
            process.tokens.over(told, stored.stored_at, tokens);
        }
        process.figures = figures;
        process.told = Some((stored.stored_at, sampled.uptime_ms));
    }

    fn instance(&mut self, stored: &Stored, event: &Instance) {
        let id = stored.subject.aggregate().to_owned();
        match event {
            Instance::Ready(ready) => {
                self.instances.insert(id, (stored.subject.scope().to_owned(), ready.clone()));
            }
            Instance::Stopped(_) | Instance::Lost(_) => {
                self.instances.remove(&id);
            }
        }
    }

    /// Open jobs: what is shown where no process tells how many it has in hand.
    fn job(&mut self, stored: &Stored, event: &Job) {
        let key = (stored.subject.scope().to_owned(), stored.subject.aggregate().to_owned());
        match event {
            Job::Submitted(body) => {
                self.open.insert(key, (body.model.to_string(), false));
            }
            Job::Assigned(body) => {
                self.open.insert(key, (body.job.model.to_string(), true));
            }
            Job::AttemptFailed(_) => {
                if let Some((_, runs)) = self.open.get_mut(&key) {
                    *runs = false;
                }
            }
            Job::Held(_) | Job::Started(_) | Job::CancelRequested(_) => {}
            Job::Completed(_) | Job::Failed(_) | Job::Cancelled(_) | Job::Expired(_) | Job::Rejected(_) => {
                self.open.remove(&key);
                self.jobs.at(stored.stored_at, 1.0);
            }
        }
    }

    fn account(&mut self, id: &str, event: &Account) {
        let account = self.accounts.entry(id.to_owned()).or_default();
        match event {
            Account::ToppedUp(body) => account.topped_up += body.amount,
            Account::HoldPlaced(body) => account.held += body.amount,
            Account::HoldReleased(body) => account.held -= body.amount,
            Account::Charged(body) => {
                account.held -= body.amount + body.released.unwrap_or_default();
                account.charged += body.amount;
                account.charges += 1;
            }
        }
    }

    fn note(&mut self, stored: &Stored) {
        let subject = &stored.subject;
        self.events.push_back(EventRow {
            at: stored.stored_at.to_string(),
            event: format!("{} {}", subject.domain(), stored.event.name()),
            about: match subject.domain() {
                Domain::Account => subject.scope().to_owned(),
                _ => format!("{}/{}", subject.scope(), subject.aggregate()),
            },
            what: chain::what(&stored.event).replace(['\n', '\r'], " "),
        });
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
    }

    /// What there is to show at `now`.
    pub fn view(&self, now: Time) -> View {
        let heard: Vec<_> =
            self.processes.iter().filter(|(_, process)| now.ms_since(process.heard) < GONE_MS).collect();
        let alive = || heard.iter().map(|(_, process)| *process).filter(|process| !process.is_silent(now));
        let models = self.models(alive);
        View {
            at: now.to_string(),
            totals: self.totals(now, &models, alive),
            models,
            processes: heard.iter().map(|((service, id), process)| process.row(service, id, now)).collect(),
            accounts: self.accounts.iter().map(|(id, money)| money.row(id)).collect(),
            events: self.events.iter().cloned().collect(),
        }
    }

    fn totals<'a, I: Iterator<Item = &'a Process>>(
        &self,
        now: Time,
        models: &[ModelRow],
        alive: impl Fn() -> I + Copy,
    ) -> Totals {
        let all = |name| {
            let whole = merged(alive(), name);
            Percentiles::of(whole.values().fold(None, added).as_ref()?)
        };
        Totals {
            jobs_a_second: self.jobs.rate(now),
            tokens_a_second: self.tokens.rate(now),
            prompt_tokens_a_second: self.prompt.rate(now),
            running: models.iter().map(|model| model.running).sum(),
            waiting: models.iter().map(|model| model.waiting).sum(),
            jobs: self.jobs.history(now),
            tokens: self.tokens.history(now),
            latency: Latency {
                first_token: all(figures::FIRST_TOKEN),
                inter_token: all(figures::INTER_TOKEN),
                end_to_end: all(figures::END_TO_END),
            },
        }
    }

    fn models<'a, I: Iterator<Item = &'a Process>>(&self, alive: impl Fn() -> I + Copy) -> Vec<ModelRow> {
        let gauges = |name| {
            let mut sums = ByModel::new();
            alive().for_each(|process| process.figures.add_gauge(name, &mut sums));
            sums
        };
        let mut tokens = ByModel::new();
        alive().for_each(|process| process.figures.add_counter(figures::GENERATED, &mut tokens));
        let (running, waiting) = (gauges(figures::RUNNING), gauges(figures::WAITING));
        let times = [figures::FIRST_TOKEN, figures::INTER_TOKEN, figures::END_TO_END]
            .map(|name| merged(alive(), name));
        let time = |index: usize, model: &str| times[index].get(model).and_then(Percentiles::of);
        let names: BTreeSet<&String> = self
            .instances
            .values()
            .map(|(model, _)| model)
            .chain(self.open.values().map(|(model, _)| model))
            .chain(running.keys().chain(tokens.keys()))
            .collect();
        names
            .into_iter()
            .map(|model| ModelRow {
                instances: self.instances_of(model).count(),
                slots: self.instances_of(model).map(|ready| ready.slots).sum(),
                running: running.get(model).copied().unwrap_or_else(|| self.open_of(model, true)),
                waiting: waiting.get(model).copied().unwrap_or_else(|| self.open_of(model, false)),
                tokens: tokens.get(model).copied().unwrap_or_default(),
                latency: Latency {
                    first_token: time(0, model),
                    inter_token: time(1, model),
                    end_to_end: time(2, model),
                },
                model: model.clone(),
            })
            .collect()
    }

    fn instances_of<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a Ready> {
        self.instances.values().filter(move |(of, _)| of == model).map(|(_, ready)| ready)
    }

    fn open_of(&self, model: &str, running: bool) -> i64 {
        let open = self.open.values().filter(|(of, runs)| of == model && *runs == running);
        i64::try_from(open.count()).unwrap_or(i64::MAX)
    }
}

fn merged<'a>(processes: impl Iterator<Item = &'a Process>, name: &str) -> ByModel<Histogram<u64>> {
    let mut sums = ByModel::new();
    processes.for_each(|process| process.figures.add_histogram(name, &mut sums));
    sums
}

fn added(sum: Option<Histogram<u64>>, one: &Histogram<u64>) -> Option<Histogram<u64>> {
    match sum {
        None => Some(one.clone()),
        Some(mut sum) => {
            // Every sum grows where it must.
            let _ = sum.add(one);
            Some(sum)
        }
    }
}

impl Process {
    fn is_silent(&self, now: Time) -> bool {
        now.ms_since(self.heard) > SILENT_MS
    }

    fn row(&self, service: &str, instance: &str, now: Time) -> ProcessRow {
        let mut running = ByModel::new();
        self.figures.add_gauge(figures::RUNNING, &mut running);
        ProcessRow {
            service: service.to_owned(),
            instance: instance.to_owned(),
            health: match self.figures.gauge(figures::READY) {
                _ if self.is_silent(now) => Health::Silent,
                Some(0) => Health::NotReady,
                Some(_) => Health::Ready,
                None => Health::Heard,
            },
            uptime_ms: self.uptime_ms + now.ms_since(self.heard),
            heard_ms_ago: now.ms_since(self.heard),
            running: running.values().sum(),
            tokens_a_second: self.tokens.rate(now),
        }
    }
}

impl Purse {
    fn row(&self, id: &str) -> AccountRow {
        AccountRow {
            account: id.to_owned(),
            spent: self.charged,
            set_aside: self.held,
            available: self.topped_up - self.charged - self.held,
            charges: self.charges,
        }
    }
}
