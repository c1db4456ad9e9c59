//! What a request hears of its job.

use std::sync::Arc;

use lowland_events::{
    Time,
    id::ModelId,
    job::{Completed, Problem, Submitted, Task},
};

use crate::assemble::Delta;

/// What happened to a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// It came one step nearer to its end.
    Progress,
    /// More of its output.
    Delta(Delta),
    /// It has ended; nothing follows.
    End(End),
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// It is done.
    Completed(Arc<Completed>),
    /// It was refused, or given up.
    Problem(Problem),
    /// Somebody cancelled it.
    Cancelled(String),
    /// Its time is over.
    Expired,
}

/// What is known of a job once it was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// When.
    pub time: Time,
    /// When it is no longer wanted.
    pub deadline: Time,
    /// The model.
    pub model: ModelId,
    /// What is to be done; the texts themselves left out.
    pub kind: Kind,
}

/// A kind of job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Continues a conversation.
    Chat,
    /// Continues a text.
    Completion,
    /// Turns texts into vectors.
    Embedding,
}

impl Accepted {
    /// What `submitted`, decided at `time`, says.
    #[must_use]
    pub fn new(time: Time, submitted: &Submitted) -> Self {
        let kind = match submitted.task {
            Task::Chat { .. } => Kind::Chat,
            Task::Completion { .. } => Kind::Completion,
            Task::Embedding { .. } => Kind::Embedding,
        };
        Self { time, deadline: submitted.deadline, model: submitted.model.clone(), kind }
    }
}
