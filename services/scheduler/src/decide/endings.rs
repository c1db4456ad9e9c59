//! Jobs that come to an end, or to the end of an attempt, without anybody's answer: the worker is gone, the attempts
//! are spent, the deadline has passed.

use lowland_events::{
    Event,
    id::InstanceId,
    job::{
        AttemptFailed, CancelRequested, Cancelled, DEADLINE_REASON, Expired, Failed, Problem, ProblemCode,
        Rejected,
    },
    meter::Usage,
};

use super::Round;
use crate::{
    admission::problem,
    facts::View,
    key::JobKey,
    state::{ATTEMPTS_BARREN_MAX, CANCEL_ANSWER_MS, Cancel, Job, START_MS},
};

/// Characters of a worker's message that are said again.
const MESSAGE_CHARS_MAX: usize = 500;

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
                give_up_attempt(view, round, key, job, instance, ProblemCode::WorkerLost, message);
            }
            (None, None) => {}
        }
    }
}

/// Jobs that were given to a worker that is there and does not begin: what is addressed to it may have passed it by. Not
/// while the bus is closed, over which it could not say so.
pub(super) fn starts(view: &View<'_>, round: &mut Round) {
    if !view.facts.liveness.is_open(view.now) {
        return;
    }
    let due = view.state.due().starts.iter().take_while(|(due, _)| *due <= view.now);
    for (key, job) in open(view, due.map(|(_, key)| key)) {
        if let Some(instance) = job.instance.as_ref().filter(|_| round.is_open_to(key)) {
            let message = format!("the worker did not begin within {START_MS} ms");
            give_up_attempt(view, round, key, job, instance, ProblemCode::WorkerFailed, &message);
        }
    }
}

fn give_up_attempt(
    view: &View<'_>,
    round: &mut Round,
    key: &JobKey,
    job: &Job,
    instance: &InstanceId,
    code: ProblemCode,
    message: &str,
) {
    let event = AttemptFailed {
        instance: instance.clone(),
        attempt: job.attempt,
        problem: problem(code, None, message),
        retry: true,
    };
    round.push(key, view.on_job(job, key.subject("attempt_failed"), event, message));
}

/// Jobs whose last attempt failed and that get no other.
pub(super) fn endings(view: &View<'_>, round: &mut Round) {
    for (key, job) in open(view, &view.state.due().endings) {
        let Some(failure) = &job.failure else { continue };
        let (how, why) = match &job.cancel {
            Some(cancel) => (End::wished(cancel), "it was to end when its attempt failed"),
            None if failure.retry => {
                (End::Failed(exhausted(job, &failure.problem)), "its attempts are spent")
            }
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
    // What the caller says is for the worker and the caller, not for our log.
    let why = if reason == DEADLINE_REASON { "its deadline has passed" } else { "the caller cancelled it" };
    round.push(key, view.on_job_because(cause, job, subject, event, why));
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
        End::Failed(problem) if is_callers(problem.code) && usage == Usage::default() => {
            Rejected { problem }.into()
        }
        End::Failed(problem) => Failed { problem, attempts: job.attempt, usage }.into(),
    };
    let subject = key.subject(event.name());
    round.push(key, view.on_job_because(&because, job, subject, event, why));
}

/// Whether what was asked is at fault: a refusal that only the worker, which has the model's tokenizer, can find out.
fn is_callers(code: ProblemCode) -> bool {
    use ProblemCode::{ContextLengthExceeded, InvalidRequest, TooLong, WrongTask};
    matches!(code, ContextLengthExceeded | InvalidRequest | TooLong | WrongTask)
}

fn exhausted(job: &Job, last: &Problem) -> Problem {
    let attempts = if job.barren < ATTEMPTS_BARREN_MAX { job.attempt } else { job.barren };
    let said: String = last.message.chars().take(MESSAGE_CHARS_MAX).collect();
    let message = format!("{attempts} attempts came to nothing; the last one: {said}");
    problem(ProblemCode::RetriesExhausted, None, message)
}

fn open<'a>(
    view: &View<'a>,
    keys: impl IntoIterator<Item = &'a JobKey>,
) -> impl Iterator<Item = (&'a JobKey, &'a Job)> {
    let state = view.state;
    keys.into_iter().filter_map(|key| state.job(key).map(|job| (key, job)))
}
