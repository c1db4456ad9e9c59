//! Top-ups: each id counts once. What cannot count is answered, never dropped and never retried for ever.

use std::collections::BTreeSet;

use lowland_events::{
    Draft, Event, EventId, Money, Stored, Subject,
    account::ToppedUp,
    codec::BodyError,
    envelope::Undecodable,
    id::{AccountId, JobId},
    job::{Problem, ProblemCode},
    log::Record,
    request::{self, Rejected, TopupPosted},
};
use lowland_host::Decision;

use super::{Facts, batch::Batch};
use crate::{
    ledger,
    state::{Cause, State},
};

/// Largest top-up, in micro-units: a million million units, so that no number of them leaves `i128`.
pub const AMOUNT_MAX: Money = Money(1_000_000_000_000_000_000);

/// A top-up that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Whose money it becomes.
    pub account: AccountId,
    /// The top-up's id, which counts once.
    pub topup: JobId,
    /// Its place among the requests.
    pub sequence: u64,
    /// The request as a cause.
    pub cause: Cause,
    /// What it says, or what is wrong with that.
    pub body: Result<TopupPosted, BodyError>,
}

/// What is to become of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It counted: nothing is left to do.
    Counted,
    /// It is to be entered.
    Enter,
    /// It is to be answered with what is wrong.
    Reject(Problem),
}

impl Request {
    /// Reads a request; nothing, if the record is none.
    #[must_use]
    pub fn read(record: &Record) -> Option<Self> {
        let (subject, cause, body) = match Stored::try_from(record) {
            Ok(stored) => (stored.subject.clone(), Cause::of(&stored), body(&stored)?),
            Err(Undecodable::Body { subject, error }) => {
                let id = EventId::of_record(&record.stream, record.sequence).to_string();
                (*subject, Cause { id, traceparent: None }, Err(error))
            }
            Err(Undecodable::Subject(_)) => return None,
        };
        Some(Self {
            account: subject.account_id()?,
            topup: subject.job_id()?,
            sequence: record.sequence,
            cause,
            body,
        })
    }

    /// The answer that says what is wrong with it.
    #[must_use]
    pub fn rejection(&self, problem: Problem, facts: &Facts<'_>) -> Decision {
        let subject = Subject::request(&self.account, &self.topup, "rejected");
        let rejected = Rejected { problem, request_sequence: self.sequence };
        let draft = Draft::new(subject, rejected, &self.cause.id, facts.source, facts.now);
        Decision::default().then(draft.traced(self.cause.traceparent.clone()))
    }

    fn amount(&self) -> Result<Money, Problem> {
        let body = self.body.as_ref().map_err(|error| invalid(&error.field, error.problem.clone()))?;
        if body.amount > Money::ZERO && body.amount <= AMOUNT_MAX {
            return Ok(body.amount);
        }
        let message =
            format!("{} is not an amount that can be added: from 1 to {AMOUNT_MAX} micro-units", body.amount);
        Err(invalid("amount", message))
    }
}

fn body(stored: &Stored) -> Option<Result<TopupPosted, BodyError>> {
    match &stored.event {
        Event::Request(request::Event::TopupPosted(body)) => Some(Ok(body.clone())),
        Event::Unknown(unknown) => {
            let problem = format!("version {} is newer than this service; write version 1", unknown.version);
            Some(Err(BodyError::new("", problem)))
        }
        _ => None,
    }
}

fn invalid(field: &str, message: String) -> Problem {
    let field = Some(field).filter(|field| !field.is_empty()).map(str::to_owned);
    Problem { code: ProblemCode::InvalidRequest, message, field }
}

/// What is to become of `request`, given what has counted already.
#[must_use]
pub fn fate(state: &State, request: &Request) -> Fate {
    let counted = state.account(&request.account).and_then(|account| account.topups.get(&request.topup));
    match (counted, request.amount()) {
        (Some(Some(cause)), _) if cause.id == request.cause.id => Fate::Counted,
        (Some(_), _) => Fate::Reject(Problem {
            code: ProblemCode::IdUsed,
            message: format!(
                "top-up {} has been entered already; a further one needs an id of its own",
                request.topup
            ),
            field: None,
        }),
        (None, Ok(_)) => Fate::Enter,
        (None, Err(problem)) => Fate::Reject(problem),
    }
}

/// Enters what `requests` ask for the batch's account; of several with one id, the first.
pub(super) fn enter(batch: &mut Batch<'_>, state: &State, requests: &[Request]) {
    let mut ids = BTreeSet::new();
    for request in requests.iter().filter(|request| request.account == *batch.account) {
        let first = fate(state, request) == Fate::Enter && batch.has_room() && ids.insert(&request.topup);
        if let (true, Ok(body)) = (first, &request.body) {
            let postings = ledger::topup(batch.account, body.amount);
            let topped_up = ToppedUp {
                topup: request.topup.clone(),
                amount: body.amount,
                reference: body.reference.clone(),
                postings,
            };
            batch.push("topped_up", topped_up, &request.cause);
            batch.free += body.amount;
        }
    }
}
