//! The log as a worker uses it: who writes, how long to wait before asking again, and a job's guarded appends.

use std::{sync::Arc, time::Duration};

use lowland_events::{
    Stored,
    job::Event as JobEvent,
    log::{AppendError, SharedLog},
    stream,
};
use lowland_host::{Clock, Host};

use crate::job::{Assignment, Standing, standing};

/// Wait before a question without an answer is asked again.
pub(crate) const RETRY_WAIT: Duration = Duration::from_millis(100);
/// Wait before an append that was refused is tried again: somebody has to mend that first.
const REFUSED_WAIT: Duration = Duration::from_secs(1);
/// What the headers of a message take of its largest size, in bytes: generous.
const HEADERS_BYTES: usize = 4096;

/// The log, and the name that this process writes under. Clones share it.
#[derive(Clone)]
pub(crate) struct Bus {
    pub(crate) log: SharedLog,
    pub(crate) source: Arc<str>,
    pub(crate) clock: Clock,
}

/// What became of a guarded append to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is stored.
    Stored,
    /// The job is no longer wanted, and this attempt's to end; this event says so.
    Unwanted { sequence: u64, reason: String },
    /// The job is somebody else's, or has ended.
    Gone,
}

impl Bus {
    pub(crate) fn of(host: &Host) -> Self {
        Self { log: host.log.clone(), source: host.source().into(), clock: host.clock.clone() }
    }

    /// Largest body of an event, in bytes.
    pub(crate) fn body_bytes_max(&self) -> usize {
        self.log.payload_bytes_max().saturating_sub(HEADERS_BYTES)
    }

    /// Appends an event of the job while it is this attempt's, and moves `tip`, the sequence of the job's last event. Asks
    /// again until there is an answer.
    pub(crate) async fn append(&self, of: &Assignment, event: JobEvent, tip: &mut u64) -> Verdict {
        let draft = of.event(event, &self.source, self.clock.now());
        loop {
            match self.log.append(draft.entry_after(*tip)).await {
                Ok(appended) => {
                    *tip = appended.sequence;
                    return Verdict::Stored;
                }
                Err(AppendError::Conflict { .. }) => match self.standing(of).await {
                    Some(Standing::Gone | Standing::Completed) => return Verdict::Gone,
                    Some(Standing::Unwanted { sequence, reason }) if sequence != *tip => {
                        *tip = sequence;
                        return Verdict::Unwanted { sequence, reason };
                    }
                    Some(Standing::Held(sequence)) if sequence != *tip => *tip = sequence,
                    Some(_) | None => tokio::time::sleep(RETRY_WAIT).await,
                },
                Err(error) => wait_after(&error, &draft.subject.to_string()).await,
            }
        }
    }

    /// How the attempt stands; nothing, if the log does not say.
    pub(crate) async fn standing(&self, of: &Assignment) -> Option<Standing> {
        match self.log.last(stream::LOG, &of.events_filter()).await {
            Ok(last) => {
                let last = last.as_ref().and_then(|record| Stored::try_from(record).ok());
                Some(standing(last.as_ref(), of.attempt()))
            }
            Err(error) => {
                tracing::warn!(%error, "reading a job's last event");
                None
            }
        }
    }
}

/// Says why an append did not succeed, and waits as long as that is worth.
pub(crate) async fn wait_after(error: &AppendError, subject: &str) {
    if let AppendError::Refused(_) = error {
        tracing::error!(%error, subject, "an append is refused");
        tokio::time::sleep(REFUSED_WAIT).await;
    } else {
        tracing::warn!(%error, subject, "an append is to be repeated");
        tokio::time::sleep(RETRY_WAIT).await;
    }
}
