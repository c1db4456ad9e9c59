//! What names a job: its account and its id within it.

use std::fmt;

use lowland_events::{
    Domain, Filter, Subject,
    id::{AccountId, JobId},
};
use serde::{Deserialize, Serialize};

/// A job's name: ids are unique within their account only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobKey {
    /// Whose it is.
    pub account: AccountId,
    /// Which one.
    pub job: JobId,
}

impl JobKey {
    /// The job that a request, job or token subject is about.
    #[must_use]
    pub fn of(subject: &Subject) -> Option<Self> {
        Some(Self { account: subject.account_id()?, job: subject.job_id()? })
    }

    /// Subject of one of the job's events.
    #[must_use]
    pub fn subject(&self, event: &str) -> Subject {
        Subject::job(&self.account, &self.job, event)
    }

    /// The job's tokens, whatever the attempt.
    #[must_use]
    pub fn tokens(&self) -> Filter {
        Filter::aggregate(Domain::Token, self.account.as_str(), self.job.as_str())
    }
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.job)
    }
}
