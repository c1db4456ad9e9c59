//! Which indexes a job stands in: a function of the job, and of whether its instance is there.

use lowland_events::{Time, id::AccountId};

use super::{CANCEL_ANSWER_MS, Job, State, Waiting};
use crate::{key::JobKey, lifecycle::Phase};

impl State {
    /// Puts a job into the indexes where it belongs.
    pub(super) fn index(&mut self, key: &JobKey, job: &Job) {
        if job.phase == Phase::CancelRequested {
            self.due.answers.insert((answer_due(job), key.clone()));
        } else {
            self.due.deadlines.insert((job.submitted.deadline, key.clone()));
        }
        if job.phase == Phase::Assigned {
            self.due.starts.insert((job.start_due(), key.clone()));
        }
        if job.wants_place() {
            self.queue(job).enter(&key.account, &job.regions, job.ticket, key.job.clone());
        } else if job.phase == Phase::AttemptFailed {
            self.due.endings.insert(key.clone());
        }
        match job.instance.as_ref().filter(|_| job.phase.is_with_worker()) {
            None => self.waiting.entry(key.account.clone()).or_default().add(job.bytes),
            Some(instance) if self.fleet.instance(instance).is_some() => self.fleet.take(instance, key),
            Some(_) => drop(self.due.orphans.insert(key.clone())),
        }
    }

    /// Takes a job out of every index.
    pub(super) fn unindex(&mut self, key: &JobKey, job: &Job) {
        if job.phase == Phase::CancelRequested {
            self.due.answers.remove(&(answer_due(job), key.clone()));
        } else {
            self.due.deadlines.remove(&(job.submitted.deadline, key.clone()));
        }
        if job.phase == Phase::Assigned {
            self.due.starts.remove(&(job.start_due(), key.clone()));
        }
        if job.wants_place() {
            self.queue(job).leave(&key.account, &job.regions, job.ticket);
        }
        self.due.endings.remove(key);
        self.due.orphans.remove(key);
        match job.instance.as_ref().filter(|_| job.phase.is_with_worker()) {
            None => self.count_down(&key.account, job.bytes),
            Some(instance) => self.fleet.give_back(instance, key),
        }
    }

    fn count_down(&mut self, account: &AccountId, bytes: u64) {
        if let Some(waiting) = self.waiting.get_mut(account) {
            waiting.jobs -= 1;
            waiting.bytes -= bytes;
            if waiting.jobs == 0 {
                self.waiting.remove(account);
            }
        }
    }
}

impl Waiting {
    /// One more, with texts of so many bytes.
    pub fn add(&mut self, bytes: u64) {
        self.jobs += 1;
        self.bytes += bytes;
    }
}

/// When the job's worker must have answered that it stopped.
fn answer_due(job: &Job) -> Time {
    job.cancel.as_ref().map_or(job.submitted.deadline, |cancel| cancel.asked_at.plus_ms(CANCEL_ANSWER_MS))
}
