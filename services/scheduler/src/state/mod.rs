//! What the scheduler knows: open jobs, instances, who waits, and what is due. A function of the log alone.
//!
//! What is pending is kept in indexes, so that deciding looks at what is due and never at what is not. Which indexes a
//! job stands in follows from the job alone: an event takes it out of all, changes it, and puts it back.

mod ended;
mod fleet;
mod index;
mod job;

use std::collections::{BTreeMap, BTreeSet};

use lowland_events::{
    Domain, Event, Filter, Stored, Time,
    account::{Event as AccountEvent, HoldPlaced},
    id::{AccountId, InstanceId, ModelId},
    job::Event as JobEvent,
};
use serde::{Deserialize, Serialize};

pub use ended::{ENDED_JOBS_MAX, Ended};
pub use fleet::{Fitted, Fleet, Instance, Model};
pub(crate) use job::used;
pub use job::{ATTEMPTS_BARREN_MAX, ATTEMPTS_MAX, CANCEL_ANSWER_MS, Cancel, Failure, Job, START_MS};

use crate::{
    key::JobKey,
    lifecycle::{self, HELD, Next, Phase},
    queue::{self, Queue},
};

/// What the scheduler knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    jobs: BTreeMap<JobKey, Job>,
    ended: Ended,
    fleet: Fleet,
    queues: BTreeMap<ModelId, Queue>,
    due: Due,
    waiting: BTreeMap<AccountId, Waiting>,
    ignored: u64,
}

/// What of an account waits for a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Jobs.
    pub jobs: u64,
    /// Bytes of their texts.
    pub bytes: u64,
}

/// Jobs about which something is to be decided, by what it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Due {
    /// Jobs by deadline, unless their worker was told already.
    pub deadlines: BTreeSet<(Time, JobKey)>,
    /// Jobs that were given out and are not known to have begun, by when they must have.
    pub starts: BTreeSet<(Time, JobKey)>,
    /// Jobs whose worker was told to stop, by when it must have answered.
    pub answers: BTreeSet<(Time, JobKey)>,
    /// Jobs whose last attempt failed and that get no other.
    pub endings: BTreeSet<JobKey>,
    /// Jobs with an instance that is not there.
    pub orphans: BTreeSet<JobKey>,
}

impl lowland_host::Keep for State {
    const LOGIC_VERSION: u32 = 3;

    fn filters() -> Vec<Filter> {
        [Domain::Job, Domain::Instance]
            .map(Filter::domain)
            .into_iter()
            .chain([Filter::event(Domain::Account, "hold_placed")])
            .collect()
    }
}

impl lowland_host::State for State {
    fn evolve(&mut self, event: &Stored) {
        let fitted = match &event.event {
            Event::Job(job) => self.evolve_job(event, job),
            Event::Instance(instance) => self.evolve_fleet(event, instance),
            Event::Account(AccountEvent::HoldPlaced(hold)) => {
                self.hold(event, hold);
                true
            }
            _ => true,
        };
        if !fitted {
            self.ignored += 1;
        }
        self.touch(event);
    }
}

impl State {
    /// An open job.
    #[must_use]
    pub fn job(&self, key: &JobKey) -> Option<&Job> {
        self.jobs.get(key)
    }

    /// Every open job.
    pub fn jobs(&self) -> impl Iterator<Item = (&JobKey, &Job)> {
        self.jobs.iter()
    }

    /// Sequence of the first event of the oldest job that has not ended.
    #[must_use]
    pub fn oldest_open_job(&self) -> Option<u64> {
        self.jobs.values().map(|job| job.ticket).min()
    }

    /// The jobs that have ended lately.
    #[must_use]
    pub fn ended(&self) -> &Ended {
        &self.ended
    }

    /// What can run jobs.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Models with waiting jobs, and who waits.
    pub fn queues(&self) -> impl Iterator<Item = (&ModelId, &Queue)> {
        self.queues.iter().filter(|(_, queue)| !queue.is_empty())
    }

    /// What is due.
    #[must_use]
    pub fn due(&self) -> &Due {
        &self.due
    }

    /// The jobs of `account` that no worker has.
    #[must_use]
    pub fn waiting(&self, account: &AccountId) -> Waiting {
        self.waiting.get(account).copied().unwrap_or_default()
    }

    /// Jobs that have not ended.
    #[must_use]
    pub fn open_jobs(&self) -> usize {
        self.jobs.len()
    }

    /// Events that did not fit and changed nothing.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    fn evolve_fleet(&mut self, stored: &Stored, event: &lowland_events::instance::Event) -> bool {
        let subject = &stored.subject;
        let (Ok(model), Ok(id)) = (ModelId::new(subject.scope()), InstanceId::new(subject.aggregate()))
        else {
            return false;
        };
        match self.fleet.evolve(&model, &id, stored, event) {
            Fitted::Well(orphans) => self.due.orphans.extend(orphans),
            Fitted::Not => return false,
        }
        true
    }

    /// A job is paid for in advance, by an event of its account. Billing gives back what it set aside for one that has
    /// ended meanwhile.
    fn hold(&mut self, stored: &Stored, hold: &HoldPlaced) {
        let Some(account) = stored.subject.account_id() else { return };
        let key = JobKey { account, job: hold.job.clone() };
        if let Some(mut job) = self.jobs.remove(&key) {
            if lifecycle::after(Some(job.phase), HELD) == Some(Next::Open(Phase::Held)) {
                self.unindex(&key, &job);
                job.hold(stored, hold);
                self.index(&key, &job);
            }
            self.jobs.insert(key, job);
        }
    }

    fn evolve_job(&mut self, stored: &Stored, event: &JobEvent) -> bool {
        let Some(key) = JobKey::of(&stored.subject) else { return false };
        let old = self.jobs.remove(&key);
        let phase = old.as_ref().map(|job| job.phase);
        let fits = old.as_ref().is_none_or(|job| job.has_fence_of(event));
        let is_over = old.is_none() && self.ended.origin(&key).is_some();
        let next = lifecycle::after(phase, event.event_type().name).filter(|_| fits && !is_over);
        match (next, old) {
            (None, old) => {
                old.and_then(|job| self.jobs.insert(key, job));
                return false;
            }
            (Some(Next::Ended), old) => self.end(key, old, stored, event),
            (Some(Next::Open(_)), None) => self.begin(key, stored, event),
            (Some(Next::Open(phase)), Some(job)) => self.go_on(key, job, phase, stored, event),
        }
        true
    }

    fn begin(&mut self, key: JobKey, stored: &Stored, event: &JobEvent) {
        if let JobEvent::Submitted(submitted) = event {
            let job = Job::new(stored, submitted);
            self.index(&key, &job);
            self.jobs.insert(key, job);
        }
    }

    fn go_on(&mut self, key: JobKey, mut job: Job, phase: Phase, stored: &Stored, event: &JobEvent) {
        if phase == Phase::Assigned {
            self.queue(&job).begin(&key.account, job.bounds());
        }
        self.unindex(&key, &job);
        if phase == Phase::AttemptFailed {
            self.queue(&job).end(&key.account, job.bounds(), 0);
        }
        job.go_on(phase, stored, event);
        self.index(&key, &job);
        self.tidy(&key, &job.submitted.model);
        self.jobs.insert(key, job);
    }

    fn end(&mut self, key: JobKey, job: Option<Job>, stored: &Stored, event: &JobEvent) {
        let Some(job) = job else {
            return self.ended.remember(key, job::origin(stored));
        };
        self.unindex(&key, &job);
        if job.phase.is_with_worker() {
            let used = job::used(event).map_or(0, queue::service);
            self.queue(&job).end(&key.account, job.bounds(), used);
        }
        self.tidy(&key, &job.submitted.model);
        self.ended.remember(key, job.origin);
    }

    fn queue(&mut self, job: &Job) -> &mut Queue {
        self.queues.entry(job.submitted.model.clone()).or_default()
    }

    fn tidy(&mut self, key: &JobKey, model: &ModelId) {
        if let Some(queue) = self.queues.get_mut(model) {
            queue.tidy(&key.account);
            if queue.is_idle() {
                self.queues.remove(model);
            }
        }
    }

    /// Notes the sequence of an event, whether it fitted or not: it is what the next append has to expect.
    fn touch(&mut self, stored: &Stored) {
        match stored.subject.domain() {
            Domain::Job => {
                let key = JobKey::of(&stored.subject);
                if let Some(job) = key.and_then(|key| self.jobs.get_mut(&key)) {
                    (job.last, job.last_id) = (stored.sequence, stored.meta.id);
                }
            }
            Domain::Instance => {
                if let Ok(id) = InstanceId::new(stored.subject.aggregate()) {
                    self.fleet.touch(&id, stored);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
