//! What the log of decisions says about an attempt, read from the job's last event after an append conflicted.

use lowland_events::{Event, Stored, job::Event as JobEvent};

/// How an attempt stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The job is still this attempt's; its last event has this sequence.
    Held(u64),
    /// It is still this attempt's to end: the job is no longer wanted.
    Unwanted {
        /// Sequence of the event that says so.
        sequence: u64,
        /// Why.
        reason: String,
    },
    /// This attempt completed it; the last of its tokens may still be on their way.
    Completed,
    /// Another attempt has it, or it has ended: nothing is to be done.
    Gone,
}

/// How attempt `attempt` stands when `last` is the job's last event.
#[must_use]
pub fn standing(last: Option<&Stored>, attempt: u32) -> Standing {
    let Some(Stored { sequence, event: Event::Job(event), .. }) = last else { return Standing::Gone };
    match event {
        JobEvent::Assigned(assigned) if assigned.attempt == attempt => Standing::Held(*sequence),
        JobEvent::Started(started) if started.attempt == attempt => Standing::Held(*sequence),
        JobEvent::CancelRequested(asked) if asked.attempt == attempt => {
            Standing::Unwanted { sequence: *sequence, reason: asked.reason.clone() }
        }
        JobEvent::Completed(completed) if completed.attempt == attempt => Standing::Completed,
        _ => Standing::Gone,
    }
}

#[cfg(test)]
mod tests {
    use lowland_events::{
        EventId, Meta, Subject, Time,
        id::{AccountId, InstanceId, JobId},
        job::{CancelRequested, Cancelled, Completed, Finish, Output, Started},
        meter::Usage,
    };

    use super::*;

    fn last(event: JobEvent) -> Stored {
        let (account, job) = (AccountId::new("acme").unwrap(), JobId::new("j1").unwrap());
        let meta = Meta {
            id: EventId::derived("cause", "kind", 0),
            time: Time(1),
            source: "test".into(),
            correlation: None,
            causation: None,
            traceparent: None,
        };
        let subject = Subject::job(&account, &job, event.event_type().name);
        Stored { stream: "LOG".into(), sequence: 9, stored_at: Time(1), subject, meta, event: event.into() }
    }

    fn stands(event: JobEvent) -> [Standing; 2] {
        let last = last(event);
        [1, 2].map(|attempt| standing(Some(&last), attempt))
    }

    #[test]
    fn only_the_attempt_that_the_last_event_names_may_go_on() {
        let instance = InstanceId::new("i1").unwrap();
        let started = Started { instance: instance.clone(), attempt: 2, resumed_tokens: 0 };
        assert_eq!(stands(JobEvent::Started(started)), [Standing::Gone, Standing::Held(9)]);
        let asked = CancelRequested { instance: instance.clone(), attempt: 2, reason: "no more".into() };
        let unwanted = Standing::Unwanted { sequence: 9, reason: "no more".into() };
        assert_eq!(stands(JobEvent::CancelRequested(asked)), [Standing::Gone, unwanted]);
        let (finish, output, usage) = (Finish::Stop, Output::default(), Usage::default());
        let completed = Completed { instance, attempt: 2, finish, output, usage };
        assert_eq!(stands(JobEvent::Completed(completed)), [Standing::Gone, Standing::Completed]);
    }

    #[test]
    fn a_job_that_has_ended_or_is_unknown_is_nobody_s() {
        let cancelled = Cancelled { reason: "no more".into(), usage: Usage::default() };
        assert_eq!(stands(JobEvent::Cancelled(cancelled)), [Standing::Gone, Standing::Gone]);
        assert_eq!(standing(None, 1), Standing::Gone);
    }
}
