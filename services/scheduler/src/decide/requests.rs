//! Answers to the outside: a posted job becomes `submitted` or `rejected`, a cancel request reaches the job or its
//! worker. A request is settled when its outcome stands in the state, so one that is delivered again changes nothing.

use std::collections::BTreeMap;

use lowland_events::{
    Draft, Event, EventId, Subject,
    id::AccountId,
    job::{self, DEADLINE_REASON, Problem, ProblemCode, Submitted},
    request::{self, CancelRequested},
};
use lowland_host::Decision;

use super::{
    Decided, Round,
    endings::{self, End},
};
use crate::{
    admission::{self, problem},
    config::WAITING_BYTES_MAX,
    facts::View,
    incoming::{Ask, Incoming},
    state::Waiting,
};

/// Deliveries after which a cancel request for a job that never appeared is answered instead of put off.
pub const CANCEL_DELIVERIES_MAX: u64 = 3;

/// Decides on the requests at hand, oldest first.
pub(super) fn requests(view: &View<'_>, requests: &[&Incoming], round: &mut Round) {
    let mut admitted = BTreeMap::new();
    for incoming in requests {
        if !round.is_open_to(&incoming.key) {
            continue;
        }
        match &incoming.ask {
            Ask::Post(posted) => post(view, round, incoming, posted, &mut admitted),
            Ask::Cancel(Ok(cancel)) => {
                let is_posted = requests.iter().any(|other| posts(other, incoming));
                self::cancel(view, round, incoming, cancel, is_posted);
            }
            Ask::Cancel(Err(error)) => reply(view, round, incoming, admission::unreadable(error)),
        }
    }
}

/// Whether `other` is an earlier request for the job that `incoming` is about.
fn posts(other: &Incoming, incoming: &Incoming) -> bool {
    other.key == incoming.key && other.sequence < incoming.sequence && matches!(other.ask, Ask::Post(_))
}

fn post(
    view: &View<'_>,
    round: &mut Round,
    incoming: &Incoming,
    posted: &Result<request::Posted, lowland_events::codec::BodyError>,
    admitted: &mut BTreeMap<AccountId, Waiting>,
) {
    match origin(view, incoming) {
        Some(origin) if origin == incoming.id => return round.settled.push(incoming.sequence),
        Some(_) => return reply(view, round, incoming, id_used(incoming)),
        None => {}
    }
    let more = admitted.entry(incoming.key.account.clone()).or_default();
    let admission = posted
        .as_ref()
        .map_err(admission::unreadable)
        .and_then(|posted| admission::admit(view.state.fleet(), view.config, incoming, posted))
        .and_then(|submitted| room(view, incoming, *more, submitted.task.bytes()).map(|()| submitted));
    if let Ok(submitted) = &admission {
        more.add(submitted.task.bytes());
    }
    round.push(&incoming.key, begin(view, incoming, admission));
}

/// The job's first event.
fn begin(view: &View<'_>, incoming: &Incoming, admission: Result<Submitted, Problem>) -> Decided {
    let (event, why): (Event, _) = match admission {
        Ok(submitted) => (submitted.into(), "the request is right".to_owned()),
        Err(problem) => {
            let why = brief(&problem);
            (job::Rejected { problem }.into(), why)
        }
    };
    let subject = incoming.key.subject(event.name());
    let draft = Draft::new(subject, event, &incoming.id.to_string(), view.source, view.now);
    Decided { decision: Decision::one(draft.traced(traceparent(view, incoming)), 0), why }
}

/// The context that a request's answer is written in.
fn traceparent(view: &View<'_>, incoming: &Incoming) -> Option<String> {
    Some(incoming.job_trace(view.config.sampling).to_string())
}

/// What is wrong, for our own log: the message may quote what the caller sent, which is for the caller alone.
fn brief(problem: &Problem) -> String {
    let field = problem.field.as_ref().map(|field| format!(" at {field}")).unwrap_or_default();
    format!("the request is refused: {}{field}", problem.code.as_str())
}

/// The request that the job of this id came from, if there is such a job.
fn origin(view: &View<'_>, incoming: &Incoming) -> Option<EventId> {
    let key = &incoming.key;
    let open = view.state.job(key).map(|job| job.origin);
    open.or_else(|| view.state.ended().origin(key)).or_else(|| view.facts.used.get(key).copied())
}

/// Whether a job of `bytes` may wait beside those of the account that do, and the `more` that were admitted just now.
fn room(view: &View<'_>, incoming: &Incoming, more: Waiting, bytes: u64) -> Result<(), Problem> {
    let most = view.config.waiting_jobs_max;
    let waiting = view.state.waiting(&incoming.key.account);
    let (jobs, waiting_bytes) = (waiting.jobs + more.jobs, waiting.bytes + more.bytes);
    let (what, most) = if jobs >= most {
        (format!("{jobs} jobs"), most.to_string())
    } else if jobs > 0 && waiting_bytes + bytes > WAITING_BYTES_MAX {
        (format!("{jobs} jobs with {waiting_bytes} bytes of text"), format!("{WAITING_BYTES_MAX} bytes"))
    } else {
        return Ok(());
    };
    let message = format!(
        "{what} of the account wait already; at most {most} may, so post it again later, under a new id"
    );
    Err(problem(ProblemCode::TooManyJobs, None, message))
}

fn id_used(incoming: &Incoming) -> Problem {
    let message =
        format!("id {} names an earlier job of the account; use a new id for each job", incoming.key.job);
    problem(ProblemCode::IdUsed, None, message)
}

fn cancel(
    view: &View<'_>,
    round: &mut Round,
    incoming: &Incoming,
    cancel: &CancelRequested,
    is_posted: bool,
) {
    let Some(job) = view.state.job(&incoming.key) else {
        return cancel_of_nothing(view, round, incoming, is_posted);
    };
    let reason = reason(cancel);
    let cause = incoming.id.to_string();
    if job.cancel.is_some() {
        round.settled.push(incoming.sequence);
    } else if job.phase.is_with_worker() {
        endings::tell_worker(view, round, &incoming.key, job, &reason, &cause);
    } else {
        let how = End::Cancelled { reason: &reason, cause: Some(cause) };
        endings::end(view, round, &incoming.key, job, how, "the caller cancelled it and no worker had it");
    }
}

fn cancel_of_nothing(view: &View<'_>, round: &mut Round, incoming: &Incoming, is_posted: bool) {
    if origin(view, incoming).is_some() {
        round.settled.push(incoming.sequence);
    } else if is_posted {
        // Its job is among the requests at hand; the next round knows it.
    } else if incoming.delivered < CANCEL_DELIVERIES_MAX {
        round.later.push(incoming.sequence);
    } else {
        let message = format!(
            "no job of id {} is known; it has to be posted before it can be cancelled",
            incoming.key.job
        );
        reply(view, round, incoming, problem(ProblemCode::InvalidRequest, None, message));
    }
}

/// The caller's reason, which is never mistaken for the deadline's.
fn reason(cancel: &CancelRequested) -> String {
    match cancel.reason.as_deref() {
        None | Some("") => "cancelled by the caller".to_owned(),
        Some(DEADLINE_REASON) => format!("the caller says: {DEADLINE_REASON}"),
        Some(reason) => problem(ProblemCode::InvalidRequest, None, reason).message,
    }
}

/// Says on the request stream what the job's own subject cannot say.
fn reply(view: &View<'_>, round: &mut Round, incoming: &Incoming, problem: Problem) {
    let subject = Subject::request(&incoming.key.account, &incoming.key.job, "rejected");
    let why = brief(&problem);
    let event = request::Rejected { problem, request_sequence: incoming.sequence };
    let draft = Draft::new(subject, event, &incoming.id.to_string(), view.source, view.now);
    let decision = Decision::default().then(draft.traced(traceparent(view, incoming)));
    round.replies.push((incoming.sequence, Decided { decision, why }));
}
