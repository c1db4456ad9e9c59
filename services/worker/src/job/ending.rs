//! How an attempt ends, and the event that says so.

use lowland_events::{
    job::{AttemptFailed, Cancelled, Completed, Event, Expired, Finish, Output, Problem, ProblemCode},
    meter::Usage,
};

use super::Assignment;
use crate::engine::Failure;

/// The reason of a cancel request that the job's deadline made.
pub const DEADLINE: &str = "deadline";

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
            Self::Unwanted { reason, usage } if reason == DEADLINE => {
                Event::Expired(Expired { deadline: of.assigned.job.deadline, usage })
            }
            Self::Unwanted { reason, usage } => Event::Cancelled(Cancelled { reason, usage }),
            Self::Failed(Failure { problem, retry }) => {
                Event::AttemptFailed(AttemptFailed { instance, attempt, problem, retry })
            }
        }
    }
}
