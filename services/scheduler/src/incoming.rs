//! What the outside asked for: a record of the request stream, read leniently and never trusted.

use lowland_events::{
    Event, EventId, Stored, Subject, Time, TraceContext,
    codec::BodyError,
    envelope::{Undecodable, header},
    log::Record,
    request::{CancelRequested, Event as RequestEvent, Posted},
    trace::JOB_SPAN,
};

use lowland_host::trace::Sampling;

use crate::key::JobKey;

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// Its id: what the decision on it follows from.
    pub id: EventId,
    /// Its place in the request stream.
    pub sequence: u64,
    /// When the server stored it: what its deadline counts from, whatever the sender's clock says.
    pub stored_at: Time,
    /// W3C trace context; whatever else the sender put there is not handed on.
    pub traceparent: Option<TraceContext>,
    /// The job that it is about.
    pub key: JobKey,
    /// What is asked for.
    pub ask: Ask,
    /// Times that it was delivered, this one included.
    pub delivered: u64,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// A job.
    Post(Box<Result<Posted, BodyError>>),
    /// An end to a job.
    Cancel(Result<CancelRequested, BodyError>),
}

impl Incoming {
    /// Reads a record; nothing if its subject is none that the scheduler answers.
    #[must_use]
    pub fn read(record: &Record, delivered: u64) -> Option<Self> {
        let subject: Subject = record.subject.parse().ok()?;
        let key = JobKey::of(&subject)?;
        let ask = match subject.event() {
            "posted" => Ask::Post(Box::new(posted(record))),
            "cancel_requested" => Ask::Cancel(cancel(record)),
            _ => return None,
        };
        let read = |name: &str| record.headers.value(name);
        let id = read(header::ID).and_then(|id| id.parse().ok());
        Some(Self {
            id: id.unwrap_or_else(|| EventId::of_record(&record.stream, record.sequence)),
            sequence: record.sequence,
            stored_at: record.stored_at,
            traceparent: read(header::TRACEPARENT).and_then(|text| text.parse().ok()),
            key,
            ask,
            delivered,
        })
    }

    /// The trace that its job is part of: the one that it brought, or else one of its own; in it, the span that all of
    /// the job's events are written in.
    #[must_use]
    pub fn job_trace(&self, sampling: Sampling) -> TraceContext {
        let trace = self.traceparent.unwrap_or_else(|| TraceContext::of_event(self.id));
        let sampled = sampling.samples(self.traceparent, trace.trace());
        trace.span(self.id, JOB_SPAN).sampled(sampled)
    }
}

fn posted(record: &Record) -> Result<Posted, BodyError> {
    match event(record)? {
        Event::Request(RequestEvent::Posted(posted)) => Ok(posted),
        other => Err(unknown_version(&other)),
    }
}

/// A cancel request may come without a body: there is nothing that it has to say.
fn cancel(record: &Record) -> Result<CancelRequested, BodyError> {
    if record.payload.is_empty() {
        return Ok(CancelRequested::default());
    }
    match event(record)? {
        Event::Request(RequestEvent::CancelRequested(cancel)) => Ok(cancel),
        other => Err(unknown_version(&other)),
    }
}

fn event(record: &Record) -> Result<Event, BodyError> {
    match Stored::try_from(record) {
        Ok(stored) => Ok(stored.event),
        Err(Undecodable::Body { error, .. }) => Err(error),
        Err(Undecodable::Subject(error)) => Err(BodyError::new("", error.to_string())),
    }
}

fn unknown_version(event: &Event) -> BodyError {
    let version = match event {
        Event::Unknown(unknown) => unknown.version,
        _ => 0,
    };
    let known = RequestEvent::TYPES.iter().find(|known| known.name == event.name());
    let known = known.map_or(1, |known| known.version);
    BodyError::new("", format!("version {version} of `{}` is not known; {known} is the latest", event.name()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lowland_events::envelope::Headers;

    use super::*;

    fn record(subject: &str, payload: &'static [u8]) -> Record {
        Record {
            stream: "REQUESTS".into(),
            sequence: 7,
            subject: subject.into(),
            headers: Headers::default(),
            payload: Bytes::from_static(payload),
            stored_at: Time(5),
        }
    }

    #[test]
    fn a_plain_message_needs_no_headers() {
        let incoming =
            Incoming::read(&record("lowland.request.acme.j1.posted", b"{\"model\":\"m\"}"), 1).unwrap();
        assert_eq!(incoming.key.to_string(), "acme/j1");
        assert_eq!(incoming.id, EventId::of_record("REQUESTS", 7));
        let Ask::Post(posted) = incoming.ask else { panic!("a post") };
        assert_eq!(posted.unwrap().model, "m");
    }

    #[test]
    fn a_cancel_needs_no_body() {
        let cancel =
            |payload| match Incoming::read(&record("lowland.request.a.b.cancel_requested", payload), 1) {
                Some(Incoming { ask: Ask::Cancel(cancel), .. }) => cancel,
                other => panic!("{other:?}"),
            };
        assert_eq!(cancel(b""), Ok(CancelRequested::default()));
        assert_eq!(cancel(b"{\"reason\":\"bored\"}").unwrap().reason.as_deref(), Some("bored"));
        assert!(cancel(b"\xffnoise").is_err());
    }

    #[test]
    fn a_version_of_the_future_is_refused_in_words() {
        let mut record = record("lowland.request.a.b.posted", b"{}");
        record.headers.set(header::TYPE, "lowland.request.posted.v9");
        let Ask::Post(posted) = Incoming::read(&record, 1).unwrap().ask else { panic!("a post") };
        assert_eq!(posted.unwrap_err().problem, "version 9 of `posted` is not known; 1 is the latest");
    }

    #[test]
    fn only_a_trace_context_is_handed_on() {
        let given = |text: &str| {
            let mut record = record("lowland.request.a.b.posted", b"{}");
            record.headers.set(header::TRACEPARENT, text);
            Incoming::read(&record, 1).unwrap().traceparent
        };
        let right = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(given(right).unwrap().to_string(), right);
        assert_eq!(given(&"x".repeat(900_000)), None);
    }

    #[test]
    fn a_job_goes_on_with_the_trace_that_it_brought_or_begins_one_that_is_always_the_same() {
        let mut record = record("lowland.request.a.b.posted", b"{}");
        let trace = |record: &Record| Incoming::read(record, 1).unwrap().job_trace(Sampling::default());
        let own = trace(&record);
        assert_eq!(own, trace(&record));
        assert_eq!(own.trace(), EventId::of_record("REQUESTS", 7).bytes());
        assert!(own.is_sampled());
        record.headers.set(header::TRACEPARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
        let brought = trace(&record);
        assert_eq!(brought.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(brought.span_id(), own.span_id());
        assert!(!brought.is_sampled(), "whoever sent it does not record it");
    }

    #[test]
    fn what_is_not_for_the_scheduler_is_left_alone() {
        for subject in ["lowland.request.a.b.topup_posted", "lowland.request.a.b.c.d.e.posted", "other"] {
            assert_eq!(Incoming::read(&record(subject, b"{}"), 1), None, "{subject}");
        }
    }
}
