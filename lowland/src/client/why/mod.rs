//! Why a job became what it became: its events as a tree of causes, its attempts with every place that was considered, its
//! money with the arithmetic. Pure, but for [`find`].

pub mod attempts;
pub mod find;
pub mod money;
pub mod near;
pub mod text;
pub mod tree;

use lowland_events::{
    Event, Stored,
    account::Event as Account,
    id::{AccountId, JobId},
    job::{Event as Job, Problem, ProblemCode},
    request::Event as Request,
};
use serde::Serialize;

use super::{chain, document::Document};
use attempts::Attempt;
use money::Bill;

/// Where a job stands that has its hold.
const PAID: &str = "paid for in advance; waits for a free place";

/// A record of the job's, and what is wrong with it if its body cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The event.
    pub stored: Stored,
    /// Why its body cannot be read.
    pub unreadable: Option<String>,
}

/// All that is known of a job (or top-up), explained.
#[derive(Debug, Clone, Serialize)]
pub struct Story {
    /// Whose it is.
    pub account: AccountId,
    /// Which one.
    pub job: JobId,
    /// The model, once it is known.
    pub model: Option<String>,
    /// Where it stands, in a word: the last event that moved it.
    pub standing: String,
    /// Where it stands, in a sentence.
    pub summary: String,
    /// Whether the job is over.
    pub ended: bool,
    /// Whether its money is settled as well, so that nothing will follow.
    pub settled: bool,
    /// The trace that it belongs to (W3C trace id).
    pub trace: Option<String>,
    /// Tokens written so far, while the stream of tokens still has them.
    pub tokens_so_far: Option<usize>,
    /// Last sequence of the log that was looked at.
    pub as_of: u64,
    /// Its events, each after the one that led to it.
    pub events: Vec<Told>,
    /// Its attempts.
    pub attempts: Vec<Attempt>,
    /// Its money.
    pub money: Option<Bill>,
}

/// An event in its place.
#[derive(Debug, Clone, Serialize)]
pub struct Told {
    /// How far in it stands in the tree of causes.
    pub depth: usize,
    /// Milliseconds since the first of them.
    pub after_ms: u64,
    /// What it says, shortened.
    pub what: String,
    /// Why its body cannot be read, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// Stream and sequence of the event that led to it, if that is one of these.
    pub caused_by: Option<Reference>,
    /// The event.
    #[serde(flatten)]
    pub document: Document,
}

/// A place in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reference {
    /// The stream.
    pub stream: String,
    /// The sequence.
    pub sequence: u64,
}

impl Story {
    /// The story that `entries`, in time order, tell of a job, as of sequence `as_of` of the log.
    pub fn of(account: AccountId, job: JobId, entries: &[Entry], as_of: u64) -> Self {
        let events: Vec<&Stored> = entries.iter().map(|entry| &entry.stored).collect();
        let all = || events.iter().copied();
        let job_events: Vec<Stored> = all().cloned().collect();
        let ended = all().any(|stored| is_end(&stored.event));
        let unpaid = chain::was_held(&job_events)
            && !(chain::was_moved(&job_events) && chain::is_settled(&job_events));
        Self {
            model: all().find_map(model),
            standing: standing(&events),
            summary: summary(&events),
            ended,
            settled: ended && !unpaid,
            trace: all().find_map(trace),
            tokens_so_far: None,
            as_of,
            events: told(entries, &events),
            attempts: attempts::attempts(all()),
            money: money::bill(all()),
            account,
            job,
        }
    }
}

fn told(entries: &[Entry], events: &[&Stored]) -> Vec<Told> {
    let began = events.first().map(|stored| stored.meta.time).unwrap_or_default();
    let reference =
        |index: usize| Reference { stream: events[index].stream.clone(), sequence: events[index].sequence };
    tree::order(events)
        .into_iter()
        .map(|place| {
            let entry = &entries[place.event];
            Told {
                depth: place.depth,
                after_ms: entry.stored.meta.time.ms_since(began),
                what: chain::what(&entry.stored.event),
                unreadable: entry.unreadable.clone(),
                caused_by: place.cause.map(reference),
                document: Document::from(&entry.stored),
            }
        })
        .collect()
}

fn model(stored: &Stored) -> Option<String> {
    match &stored.event {
        Event::Request(Request::Posted(body)) => Some(body.model.clone()),
        Event::Job(Job::Submitted(body)) => Some(body.model.to_string()),
        _ => None,
    }
}

/// The trace id out of a W3C `traceparent`.
fn trace(stored: &Stored) -> Option<String> {
    let id = stored.meta.traceparent.as_deref()?.split('-').nth(1)?;
    (id.len() == 32).then(|| id.to_owned())
}

fn is_end(event: &Event) -> bool {
    super::watch::ends(event) || matches!(event, Event::Account(Account::ToppedUp(_)))
}

/// The last event that says where the job stands: of its own subject or its hold, else of its request.
fn last_of_job<'a>(events: &[&'a Stored]) -> Option<&'a Stored> {
    let over = events.iter().any(|stored| super::watch::ends(&stored.event));
    let moves = |event: &Event| match event {
        Event::Job(_) => true,
        Event::Account(Account::HoldPlaced(_)) => !over,
        _ => false,
    };
    let own = events.iter().rev().find(|stored| moves(&stored.event));
    let topup = || events.iter().find(|stored| matches!(stored.event, Event::Account(Account::ToppedUp(_))));
    own.or_else(topup).or_else(|| events.last()).copied()
}

fn standing(events: &[&Stored]) -> String {
    last_of_job(events).map(|stored| stored.event.name().to_owned()).unwrap_or_default()
}

fn summary(events: &[&Stored]) -> String {
    let Some(last) = last_of_job(events) else { return String::new() };
    match &last.event {
        Event::Job(event) => of_job(event),
        Event::Request(Request::Posted(_)) => {
            "posted; the scheduler has not answered yet (does it run? see `lowland status`)".into()
        }
        Event::Request(Request::TopupPosted(_)) => "asked for; billing has not answered yet".into(),
        Event::Request(Request::CancelRequested(_)) => {
            "asked to be cancelled, but no such job was posted".into()
        }
        Event::Request(Request::Rejected(body)) => refused(&body.problem),
        Event::Account(Account::HoldPlaced(_)) => PAID.into(),
        Event::Account(Account::ToppedUp(body)) => format!("booked: {} were added", body.amount.to_units()),
        _ => format!("{}: of a type or shape that this build cannot read", last.event.name()),
    }
}

fn of_job(event: &Job) -> String {
    match event {
        Job::Submitted(_) => "accepted; waits for billing to set money aside".into(),
        Job::Held(_) => PAID.into(),
        Job::Assigned(body) => format!("given to {}, which has not begun yet", body.worker),
        Job::Started(body) => format!("under way, attempt {}", body.attempt),
        Job::AttemptFailed(body) if body.retry => {
            "its last attempt came to nothing; waits for another place".into()
        }
        Job::AttemptFailed(_) => {
            "its last attempt came to nothing, and another would as well; is about to fail".into()
        }
        Job::CancelRequested(body) => format!("its worker was told to stop: {}", body.reason),
        Job::Completed(_) => "completed".into(),
        Job::Failed(body) => format!("failed after {} attempts: {}", body.attempts, body.problem.message),
        Job::Cancelled(body) => format!("cancelled: {}", body.reason),
        Job::Expired(body) => format!("expired: its deadline {} passed", body.deadline),
        Job::Rejected(body) => refused(&body.problem),
    }
}

fn refused(problem: &Problem) -> String {
    let field = problem.field.as_ref().map(|field| format!(" (field {field})")).unwrap_or_default();
    format!("rejected, {}{field}: {}", code(problem.code), problem.message)
}

/// A problem's code as programs see it.
pub(crate) fn code(code: ProblemCode) -> String {
    let name = serde_json::to_value(code).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
