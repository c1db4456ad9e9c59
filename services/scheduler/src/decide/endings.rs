//! Jobs that come to an end, or to the end of an attempt, without anybody's answer: the worker is gone, the attempts
//! are spent, the deadline has passed.

use lowland_events::{
    Event,
    job::{
        AttemptFailed, CancelRequested, Cancelled, DEADLINE_REASON, Expired, Failed, Problem, ProblemCode,
    },
    meter::Usage,
};

use super::Round;
use crate::{
    admission::problem,
    facts::View,
    key::JobKey,
    state::{ATTEMPTS_MAX, CANCEL_ANSWER_MS, Cancel, Job},
};

/// How a job ends.
pub(super) enum End<'a> {
    /// At the caller's wish.
    Cancelled {
        /// Why, for people.
        reason: &'a str,
        /// The request that asked for it, where that is what leads to the event.
        cause: Option<String>,
    },
    /// By its deadline.
    Expired,
    /// By its last attempt.
    Failed(Problem),
}

impl<'a> End<'a> {
    fn wished(cancel: &'a Cancel) -> Self {
        if cancel.is_deadline() {
            Self::Expired
        } else {
            Self::Cancelled { reason: &cancel.reason, cause: None }
        }
    }
}

/// Jobs whose instance is gone: the attempt has failed, or, if the job was to end anyway, the job has ended.
pub(super) fn orphans(view: &View<'_>, round: &mut Round) {
    for (key, job) in open(view, &view.state.due().orphans) {
        if !round.is_open_to(key) {
            continue;
        }
        match (&job.cancel, &job.instance) {
            (Some(cancel), _) => end(view, round, key, job, End::wished(cancel), "its worker is gone"),
            (None, Some(instance)) => {
                let message = "the worker that had the job fell silent, stopped or was started anew";
                let event = AttemptFailed {
                    instance: instance.clone(),
                    attempt: job.attempt,
                    problem: problem(ProblemCode::WorkerLost, None, message),
                    retry: true,
                };
                round.push(key, view.on_job(job, key.subject("attempt_failed"), event, message));
            }
            (None, None) => {}
        }
    }
}

/// Jobs whose last attempt failed and that get no other.
pub(super) fn endings(view: &View<'_>, round: &mut Round) {
    for (key, job) in open(view, &view.state.due().endings) {
        let Some(failure) = &job.failure else { continue };
        let (how, why) = match &job.cancel {
            Some(cancel) => (End::wished(cancel), "it was to end when its attempt failed"),
            None if failure.retry => (End::Failed(exhausted(&failure.problem)), "its attempts are spent"),
            None => (End::Failed(failure.problem.clone()), "no other attempt could succeed"),
        };
        end(view, round, key, job, how, why);
    }
}

/// Jobs whose worker was told to stop, is there, and does not answer.
pub(super) fn answers(view: &View<'_>, round: &mut Round) {
    let due = view.state.due().answers.iter().take_while(|(due, _)| *due <= view.now);
    for (key, job) in open(view, due.map(|(_, key)| key)) {
        if let Some(cancel) = &job.cancel {
            let why = format!("its worker did not answer within {CANCEL_ANSWER_MS} ms");
            end(view, round, key, job, End::wished(cancel), &why);
        }
    }
}

/// Jobs whose deadline has passed: ended, or, if a worker has them, to be stopped by it.
pub(super) fn deadlines(view: &View<'_>, round: &mut Round) {
    let due = view.state.due().deadlines.iter().take_while(|(deadline, _)| *deadline <= view.now);
    for (key, job) in open(view, due.map(|(_, key)| key)) {
        if round.is_full() {
            return;
        }
        if job.phase.is_with_worker() {
            tell_worker(view, round, key, job, DEADLINE_REASON, &job.last_id.to_string());
        } else {
            end(view, round, key, job, End::Expired, "its deadline has passed");
        }
    }
}

/// Tells the worker that has the job to stop.
pub(super) fn tell_worker(
    view: &View<'_>,
    round: &mut Round,
    key: &JobKey,
    job: &Job,
    reason: &str,
    cause: &str,
) {
    let instance = job.instance.as_ref();
    let worker =
        instance.and_then(|id| view.state.fleet().instance(id)).map(|instance| &instance.ready.worker);
    // A job whose worker is gone has a row of its own: first the attempt fails, then the job can end.
    let (Some(instance), Some(worker), true) = (instance, worker, round.is_open_to(key)) else { return };
    let event =
        CancelRequested { instance: instance.clone(), attempt: job.attempt, reason: reason.to_owned() };
    let subject = key.subject("cancel_requested").to_worker(worker);
    round.push(key, view.on_job_because(cause, job, subject, event, reason));
}

/// Ends the job, once it is known what was delivered of it.
pub(super) fn end(view: &View<'_>, round: &mut Round, key: &JobKey, job: &Job, how: End<'_>, why: &str) {
    if !round.is_open_to(key) {
        return;
    }
    let usage = match view.facts.delivered.get(key) {
        Some(usage) => usage.clone(),
        None if !job.has_started => Usage::default(),
        None => {
            round.wanted.insert(key.clone());
            return;
        }
    };
    let mut because = job.last_id.to_string();
    let event: Event = match how {
        End::Cancelled { reason, cause } => {
            because = cause.unwrap_or(because);
            Cancelled { reason: reason.to_owned(), usage }.into()
        }
        End::Expired => Expired { deadline: job.submitted.deadline, usage }.into(),
        End::Failed(problem) => Failed { problem, attempts: job.attempt, usage }.into(),
    };
    let subject = key.subject(event.name());
    round.push(key, view.on_job_because(&because, job, subject, event, why));
}

fn exhausted(last: &Problem) -> Problem {
    let message = format!("{ATTEMPTS_MAX} attempts came to nothing; the last one: {}", last.message);
    problem(ProblemCode::RetriesExhausted, None, message)
}

fn open<'a>(
    view: &View<'a>,
    keys: impl IntoIterator<Item = &'a JobKey>,
) -> impl Iterator<Item = (&'a JobKey, &'a Job)> {
    let state = view.state;
    keys.into_iter().filter_map(|key| state.job(key).map(|job| (key, job)))
}
