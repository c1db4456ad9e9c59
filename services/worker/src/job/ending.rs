//! How an attempt ends, and the event that says so.

use lowland_events::{
    job::{
        AttemptFailed, Cancelled, Completed, DEADLINE_REASON, Event, Expired, Finish, Output, Problem,
        ProblemCode,
    },
    meter::Usage,
};

use super::Assignment;
use crate::engine::Failure;

/// How an attempt ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// The output is whole.
    Completed {
        /// Why it ended.
        finish: Finish,
        /// All of it.
        output: Box<Output>,
        /// What the job used.
        usage: Usage,
    },
    /// The job is no longer wanted.
    Unwanted {
        /// Why.
        reason: String,
        /// What was delivered.
        usage: Usage,
    },
    /// It came to nothing here.
    Failed(Failure),
}

impl Ending {
    /// The worker stops: others may go on.
    #[must_use]
    pub fn stopped() -> Self {
        Self::failed(ProblemCode::WorkerStopped, "the worker was stopped", true)
    }

    /// A failure of the worker's own.
    #[must_use]
    pub fn broken(message: impl Into<String>) -> Self {
        Self::failed(ProblemCode::WorkerFailed, message, true)
    }

    /// An output that no message can hold.
    #[must_use]
    pub fn too_large(bytes: usize, most: usize) -> Self {
        let message = format!(
            "the output takes {bytes} bytes, and the bus carries at most {most} in one event; ask for fewer inputs at a time, fewer tokens or fewer log probabilities"
        );
        Self::failed(ProblemCode::TooLong, message, false)
    }

    fn failed(code: ProblemCode, message: impl Into<String>, retry: bool) -> Self {
        Self::Failed(Failure { problem: Problem { code, message: message.into(), field: None }, retry })
    }

    /// The event.
    #[must_use]
    pub fn event(&self, of: &Assignment) -> Event {
        let (instance, attempt) = (of.assigned.instance.clone(), of.attempt());
        match self.clone() {
            Self::Completed { finish, output, usage } => {
                Event::Completed(Completed { instance, attempt, finish, output: *output, usage })
            }
            Self::Unwanted { reason, usage } if reason == DEADLINE_REASON => {
                Event::Expired(Expired { deadline: of.assigned.job.deadline, usage })
            }
            Self::Unwanted { reason, usage } => Event::Cancelled(Cancelled { reason, usage }),
            Self::Failed(Failure { problem, retry }) => {
                Event::AttemptFailed(AttemptFailed { instance, attempt, problem, retry })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lowland_events::{
        EventId, Time,
        id::{AccountId, InstanceId, JobId, ModelId, WorkerId},
        job::{Assigned, Submitted, Task},
        meter::Meter,
    };

    use super::*;

    fn assignment() -> Assignment {
        let job = Submitted {
            model: ModelId::new("m").unwrap(),
            task: Task::Completion { prompt: "a".into() },
            sampling: None,
            regions: Vec::new(),
            deadline: Time(42),
            bounds: Usage::default(),
            request_sequence: 1,
        };
        let assigned = Assigned {
            worker: WorkerId::new("w1").unwrap(),
            instance: InstanceId::new("i1").unwrap(),
            attempt: 3,
            lease_ms: 1,
            job,
            price_version: String::new(),
            considered: Vec::new(),
            considered_more: 0,
            decided_on: Vec::new(),
        };
        Assignment {
            key: (AccountId::new("acme").unwrap(), JobId::new("j1").unwrap()),
            assigned,
            id: EventId::derived("cause", "kind", 0),
            sequence: 1,
            assigned_at: Time(1),
            traceparent: None,
        }
    }

    #[test]
    fn the_deadline_expires_a_job_and_any_other_reason_cancels_it() {
        let usage = Usage::of([(Meter::OutputTokens, 5)]);
        let unwanted = |reason: &str| Ending::Unwanted { reason: reason.into(), usage: usage.clone() };
        let expired = Expired { deadline: Time(42), usage: usage.clone() };
        assert_eq!(unwanted(DEADLINE_REASON).event(&assignment()), Event::Expired(expired));
        let cancelled = Cancelled { reason: "no more".into(), usage: usage.clone() };
        assert_eq!(unwanted("no more").event(&assignment()), Event::Cancelled(cancelled));
    }

    #[test]
    fn failures_carry_the_fence_and_say_whether_to_try_again() {
        for (ending, code, retry) in [
            (Ending::stopped(), ProblemCode::WorkerStopped, true),
            (Ending::broken("x"), ProblemCode::WorkerFailed, true),
            (Ending::too_large(9, 5), ProblemCode::TooLong, false),
        ] {
            let Event::AttemptFailed(failed) = ending.event(&assignment()) else { panic!("{ending:?}") };
            assert_eq!((failed.attempt, failed.problem.code, failed.retry), (3, code, retry));
            assert_eq!(failed.instance.as_str(), "i1");
        }
    }

    #[test]
    fn an_event_that_is_made_twice_has_one_id() {
        let of = assignment();
        let event = Ending::stopped().event(&of);
        let (one, two) = (of.event(event.clone(), "a", Time(1)), of.event(event, "b", Time(2)));
        assert_eq!(one.meta.id, two.meta.id);
        assert_eq!(one.meta.causation, Some(of.id));
    }
}
