//! A job's attempts: which places were considered for each, why one was chosen, and what became of it. Pure.

use lowland_events::{
    Event, Money, Stored, Time,
    job::{Assigned, Candidate, Event as Job, Position, Verdict},
};
use serde::Serialize;

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attempt {
    /// The fence.
    pub attempt: u32,
    /// The worker that was chosen.
    pub worker: String,
    /// Its instance.
    pub instance: String,
    /// Sequence of the assignment in the log.
    pub sequence: u64,
    /// When it was assigned.
    pub assigned_at: String,
    /// The streams' positions that the choice was made on.
    pub decided_on: Vec<Position>,
    /// Silence of the worker that ends the lease, in milliseconds.
    pub lease_ms: u64,
    /// Who was considered, the chosen one first.
    pub considered: Vec<Considered>,
    /// Considered beyond those listed.
    pub considered_more: u32,
    /// Milliseconds from the assignment to the worker's beginning, if it began.
    pub began_after_ms: Option<u64>,
    /// Tokens of earlier attempts that it went on from.
    pub resumed_tokens: Option<u32>,
    /// What became of it (`completed`, `attempt_failed`, ...); none while it is under way.
    pub outcome: Option<String>,
    /// Why it came to nothing, if it did.
    pub problem: Option<String>,
    /// The problem's code.
    pub code: Option<String>,
    /// Whether another attempt could succeed, if it came to nothing.
    pub retry: Option<bool>,
    #[serde(skip)]
    began: Time,
}

/// A candidate, and the reason in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Considered {
    /// What the scheduler noted.
    #[serde(flatten)]
    pub candidate: Candidate,
    /// Why it was chosen or not.
    pub why: String,
}

/// The attempts in `events`, in order.
pub fn attempts<'a>(events: impl Iterator<Item = &'a Stored>) -> Vec<Attempt> {
    let mut attempts: Vec<Attempt> = Vec::new();
    for stored in events {
        let Event::Job(event) = &stored.event else { continue };
        match event {
            Job::Assigned(body) => attempts.push(Attempt::of(stored, body)),
            Job::Started(body) => {
                if let Some(attempt) = numbered(&mut attempts, body.attempt) {
                    attempt.began_after_ms = Some(stored.meta.time.ms_since(attempt.began));
                    attempt.resumed_tokens = Some(body.resumed_tokens);
                }
            }
            Job::AttemptFailed(body) => {
                if let Some(attempt) = numbered(&mut attempts, body.attempt) {
                    attempt.outcome = Some(stored.event.name().to_owned());
                    attempt.problem = Some(body.problem.message.clone());
                    attempt.code = Some(super::code(body.problem.code));
                    attempt.retry = Some(body.retry);
                }
            }
            Job::Completed(body) => end(numbered(&mut attempts, body.attempt), stored),
            Job::Failed(_) | Job::Cancelled(_) | Job::Expired(_) => end(attempts.last_mut(), stored),
            Job::Submitted(_) | Job::Rejected(_) | Job::Held(_) | Job::CancelRequested(_) => {}
        }
    }
    attempts
}

fn numbered(attempts: &mut [Attempt], number: u32) -> Option<&mut Attempt> {
    attempts.iter_mut().rev().find(|attempt| attempt.attempt == number)
}

/// The job's end is the end of an attempt that had none.
fn end(attempt: Option<&mut Attempt>, stored: &Stored) {
    if let Some(attempt) = attempt.filter(|attempt| attempt.outcome.is_none()) {
        attempt.outcome = Some(stored.event.name().to_owned());
    }
}

impl Attempt {
    fn of(stored: &Stored, body: &Assigned) -> Self {
        let chosen = body.considered.iter().find(|candidate| candidate.verdict == Verdict::Chosen);
        let considered = |candidate: &Candidate| Considered {
            candidate: candidate.clone(),
            why: why(candidate, chosen, &body.considered),
        };
        Self {
            attempt: body.attempt,
            worker: body.worker.to_string(),
            instance: body.instance.to_string(),
            sequence: stored.sequence,
            assigned_at: stored.meta.time.to_string(),
            decided_on: body.decided_on.clone(),
            lease_ms: body.lease_ms,
            considered: body.considered.iter().map(considered).collect(),
            considered_more: body.considered_more,
            began_after_ms: None,
            resumed_tokens: None,
            outcome: None,
            problem: None,
            code: None,
            retry: None,
            began: stored.meta.time,
        }
    }
}

/// Why a candidate was taken or left, by the scheduler's order: where the job has not failed before, then the lowest ask,
/// then the most free slots, then the id.
fn why(candidate: &Candidate, chosen: Option<&Candidate>, all: &[Candidate]) -> String {
    match candidate.verdict {
        Verdict::Chosen => why_chosen(candidate, all),
        Verdict::Eligible => chosen.map_or_else(String::new, |chosen| why_second(candidate, chosen)),
        Verdict::RegionNotAllowed => format!("the job may not run in {}", candidate.region),
        Verdict::NoFreeSlot => "every slot of it was taken".to_owned(),
        Verdict::Silent => "it had not been heard of within a lease".to_owned(),
        Verdict::FailedBefore => "an earlier attempt of this job came to nothing there".to_owned(),
    }
}

fn why_chosen(chosen: &Candidate, all: &[Candidate]) -> String {
    let others = all.iter().filter(|other| other.verdict == Verdict::Eligible);
    let (cheaper_than, same): (Vec<_>, Vec<_>) = others.partition(|other| other.ask > chosen.ask);
    let had_more_free = same.iter().any(|other| other.free_slots < chosen.free_slots);
    match (cheaper_than.is_empty(), same.is_empty()) {
        (true, true) => "the only place that could take it".to_owned(),
        (false, true) => "the lowest ask of those that could take it".to_owned(),
        (_, false) if had_more_free => "no ask is lower, and it had the most free slots".to_owned(),
        (_, false) => "no ask is lower, none had more free slots, and its id comes first".to_owned(),
    }
}

fn why_second(candidate: &Candidate, chosen: &Candidate) -> String {
    let more = candidate.ask - chosen.ask;
    if more > Money::ZERO {
        format!("could take it, but asks {} more a million", more.to_units())
    } else if candidate.free_slots < chosen.free_slots {
        let fewer = chosen.free_slots - candidate.free_slots;
        format!(
            "could take it for the same, but had {fewer} fewer free slot{}",
            if fewer == 1 { "" } else { "s" }
        )
    } else if more == Money::ZERO {
        "could take it just as well; the id decided".to_owned()
    } else {
        "could take it".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lowland_events::id::{InstanceId, RegionId, WorkerId};

    fn candidate(id: &str, ask: i128, free_slots: u32, verdict: Verdict) -> Candidate {
        Candidate {
            instance: InstanceId::new(id).unwrap(),
            worker: WorkerId::new(id).unwrap(),
            region: RegionId::new("eu").unwrap(),
            free_slots,
            ask: Money(ask),
            verdict,
        }
    }

    fn reasons(candidates: &[Candidate]) -> Vec<String> {
        candidates.iter().map(|candidate| why(candidate, candidates.first(), candidates)).collect()
    }

    #[test]
    fn each_candidate_is_told_apart_from_the_chosen_one() {
        let reasons = reasons(&[
            candidate("a", 10, 4, Verdict::Chosen),
            candidate("b", 10, 3, Verdict::Eligible),
            candidate("c", 10, 4, Verdict::Eligible),
            candidate("d", 1_000_010, 9, Verdict::Eligible),
            candidate("e", 1, 9, Verdict::Silent),
            candidate("f", 1, 9, Verdict::RegionNotAllowed),
        ]);
        assert_eq!(reasons[0], "no ask is lower, and it had the most free slots");
        assert_eq!(reasons[1], "could take it for the same, but had 1 fewer free slot");
        assert_eq!(reasons[2], "could take it just as well; the id decided");
        assert_eq!(reasons[3], "could take it, but asks 1.000000 more a million");
        assert!(reasons[4].contains("heard of") && reasons[5].contains("not run in eu"), "{reasons:?}");
    }

    #[test]
    fn the_chosen_one_says_what_it_was_best_in() {
        let first = |rest: &[Candidate]| {
            reasons(&[&[candidate("a", 10, 4, Verdict::Chosen)], rest].concat()).remove(0)
        };
        assert_eq!(first(&[candidate("b", 1, 0, Verdict::NoFreeSlot)]), "the only place that could take it");
        assert_eq!(
            first(&[candidate("b", 11, 9, Verdict::Eligible)]),
            "the lowest ask of those that could take it"
        );
        assert!(first(&[candidate("b", 10, 4, Verdict::Eligible)]).ends_with("its id comes first"));
    }
}
