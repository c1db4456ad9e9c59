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
        _ => Standing::Gone,
    }
}
