//! A request's view of its job: live events, and the log itself wherever live events may have been missed.
//!
//! Level-triggered: what is stored decides, live events only make it quick. `stale` and `ending` stay set until what
//! they ask for is done, so a call that is dropped half-way is simply taken up by the next one.

use std::{collections::VecDeque, sync::Arc};

use lowland_events::{
    Domain, Event, Filter, Stored, Time,
    job::Event as Job,
    log::SharedLog,
    stream::{LOG, TOKENS},
};

use crate::{
    assemble::{Assembly, Delta, Place, Step},
    error::ApiError,
    history::{each, page},
    hub::{Hub, Interest, Key, Registration},
    mailbox::Mail,
    position::Position,
    update::{Accepted, End, Update},
};

/// A request's view of its job.
pub struct Watch {
    registration: Registration,
    interest: Interest,
    log: SharedLog,
    assembly: Assembly,
    /// Sequence of the job's last event that was taken in.
    sequence: u64,
    accepted: Option<Accepted>,
    started: bool,
    /// Whether the log is to be read before waiting on.
    stale: bool,
    /// How the job ended, while tokens published before are still to be read.
    ending: Option<End>,
    ready: VecDeque<Update>,
}

impl Watch {
    /// Watches a job that is about to be posted.
    #[must_use]
    pub fn of_new_job(hub: &Hub, log: &SharedLog, key: &Key, interest: Interest) -> Self {
        Self {
            registration: hub.register(key, interest),
            interest,
            log: log.clone(),
            assembly: Assembly::of_new_job(),
            sequence: 0,
            accepted: None,
            started: false,
            stale: false,
            ending: None,
            ready: VecDeque::new(),
        }
    }

    /// Watches a job that may be there already, of which the caller has the part before `shown`.
    #[must_use]
    pub fn resumed(hub: &Hub, log: &SharedLog, key: &Key, interest: Interest, shown: Position) -> Self {
        let assembly = Assembly::resumed(shown);
        Self { assembly, stale: true, ..Self::of_new_job(hub, log, key, interest) }
    }

    /// The job.
    #[must_use]
    pub fn key(&self) -> &Key {
        self.registration.key()
    }

    /// What is known of it, once it was accepted.
    #[must_use]
    pub fn accepted(&self) -> Option<&Accepted> {
        self.accepted.as_ref()
    }

    /// Whether a worker has begun.
    #[must_use]
    pub fn started(&self) -> bool {
        self.started
    }

    /// What the caller has of the output, everything given out so far included.
    #[must_use]
    pub fn shown(&self) -> Position {
        self.assembly.shown()
    }

    /// What happens next; waits for it. After [`Update::End`] nothing ever does. Cancel-safe.
    pub async fn next(&mut self) -> Result<Update, ApiError> {
        loop {
            if let Some(update) = self.ready.pop_front() {
                return Ok(update);
            }
            if self.stale {
                self.read_job().await?;
            }
            if self.wants_tokens() {
                self.read_tokens().await?;
            }
            self.stale = false;
            self.ready.extend(self.ending.take().map(Update::End));
            if self.ready.is_empty() {
                self.take_mail().await;
            }
        }
    }

    /// Whether tokens may have been missed that still matter: `completed` holds them all.
    fn wants_tokens(&self) -> bool {
        let complete = matches!(self.ready.back(), Some(Update::End(_)));
        self.interest == Interest::JobAndTokens && !complete && (self.stale || self.ending.is_some())
    }

    async fn take_mail(&mut self) {
        match self.registration.next().await {
            Mail::Event(event) => self.take(&event),
            Mail::Lagged => self.stale = true,
        }
    }

    async fn read_job(&mut self) -> Result<(), ApiError> {
        let (log, filter) = (self.log.clone(), self.filter(Domain::Job));
        each(&log, LOG, &filter, self.sequence + 1, |event| self.take(event)).await
    }

    /// Reads what the job has written since; from the first record on, where the last one read is gone or does not
    /// lead on: only so is it known where each piece belongs.
    async fn read_tokens(&mut self) -> Result<(), ApiError> {
        let (log, filter) = (self.log.clone(), self.filter(Domain::Token));
        if let Some(last) = self.assembly.last_read() {
            let there = page(&log, TOKENS, &filter, last.sequence, 1).await?;
            if there.first().map(|record| (record.sequence, record.stored_at))
                == Some((last.sequence, last.stored_at))
            {
                each(&log, TOKENS, &filter, last.sequence + 1, |event| self.take(event)).await?;
                if self.assembly.last_read().is_some() {
                    return Ok(());
                }
            }
        }
        self.assembly.lose_place();
        each(&log, TOKENS, &filter, 0, |event| self.take(event)).await
    }

    fn filter(&self, domain: Domain) -> Filter {
        Filter::aggregate(domain, self.key().account.as_str(), self.key().job.as_str())
    }

    fn take(&mut self, event: &Stored) {
        match &event.event {
            Event::Job(job) if event.sequence > self.sequence => {
                self.sequence = event.sequence;
                self.take_job(event.meta.time, job);
            }
            Event::Token(lowland_events::token::Event::Published(record)) => {
                match self.assembly.record(place(event), record) {
                    Step::Nothing => {}
                    Step::Delta(delta) => self.show(delta),
                    Step::Gap => self.stale = true,
                }
            }
            _ => {}
        }
    }

    fn take_job(&mut self, time: Time, job: &Job) {
        match job {
            Job::Submitted(submitted) => {
                self.accepted = Some(Accepted::new(time, submitted));
            }
            Job::Started(_) => self.started = true,
            Job::Completed(completed) => {
                if let Some(delta) = self.assembly.whole(&completed.output) {
                    self.show(delta);
                }
                self.ready.push_back(Update::End(End::Completed(Arc::new(completed.clone()))));
                return;
            }
            Job::Rejected(rejected) => self.ending = Some(End::Problem(rejected.problem.clone())),
            Job::Failed(failed) => self.ending = Some(End::Problem(failed.problem.clone())),
            Job::Cancelled(cancelled) => self.ending = Some(End::Cancelled(cancelled.reason.clone())),
            Job::Expired(_) => self.ending = Some(End::Expired),
            Job::Held(_) | Job::Assigned(_) | Job::AttemptFailed(_) | Job::CancelRequested(_) => {}
        }
        self.ready.push_back(Update::Progress);
    }

    /// Gives out a piece, together with one that still waits.
    fn show(&mut self, delta: Delta) {
        match self.ready.back_mut() {
            Some(Update::Delta(waiting)) => {
                waiting.end = delta.end;
                waiting.text.push_str(&delta.text);
                waiting.logprobs.extend(delta.logprobs);
            }
            _ => self.ready.push_back(Update::Delta(delta)),
        }
    }
}

fn place(event: &Stored) -> Place {
    Place { sequence: event.sequence, stored_at: event.stored_at }
}
