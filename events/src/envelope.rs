//! What surrounds an event: its identity, time, origin and cause, carried as CloudEvents and W3C headers.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    codec::BodyError,
    event::{Event, Unknown, ce_type},
    log::{Entry, Expect, Record},
    subject::{self, Domain, Subject},
    time::Time,
    trace::TraceContext,
};

/// Header names; NATS compares them case by case, so they are spelt once.
pub mod header {
    /// The event's id, by which the server drops what is sent twice.
    pub const MESSAGE_ID: &str = "Nats-Msg-Id";
    /// CloudEvents: specification version.
    pub const SPEC_VERSION: &str = "ce-specversion";
    /// CloudEvents: the event's id.
    pub const ID: &str = "ce-id";
    /// CloudEvents: type with version.
    pub const TYPE: &str = "ce-type";
    /// CloudEvents: the process that wrote it.
    pub const SOURCE: &str = "ce-source";
    /// CloudEvents: when it was decided, RFC 3339.
    pub const TIME: &str = "ce-time";
    /// CloudEvents: what it is about.
    pub const SUBJECT: &str = "ce-subject";
    /// Media type of the body.
    pub const CONTENT_TYPE: &str = "Content-Type";
    /// The job that the event belongs to.
    pub const CORRELATION: &str = "lowland-correlation";
    /// The id of the event that led to it.
    pub const CAUSATION: &str = "lowland-causation";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
}

/// Media type of bodies that we write.
pub const CONTENT_TYPE_MSGPACK: &str = "application/msgpack";

/// An event's id: UUIDv8 from a hash of what caused it, so a decision that is taken again has the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// The id of the `index`th event of type `kind` that `cause` leads to.
    #[must_use]
    pub fn derived(cause: &str, kind: &str, index: u32) -> Self {
        let mut hash = Sha256::new();
        for part in [cause.as_bytes(), b"\0", kind.as_bytes(), b"\0", &index.to_be_bytes()] {
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(Uuid::new_v8(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// The id of a record that came without one: from its place in its stream.
    #[must_use]
    pub fn of_record(stream: &str, sequence: u64) -> Self {
        Self::derived(&format!("{stream}/{sequence}"), "record", 0)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EventId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(Self)
    }
}

/// Who, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The event's id.
    pub id: EventId,
    /// When it was decided.
    pub time: Time,
    /// The process that wrote it: a service's name and instance.
    pub source: String,
    /// The job that it belongs to.
    pub correlation: Option<String>,
    /// The event that led to it.
    pub causation: Option<EventId>,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

impl Meta {
    /// The place in a trace that the event was written in, if it says one.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        self.traceparent.as_ref()?.parse().ok()
    }
}

/// An event that is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Where it goes.
    pub subject: Subject,
    /// Who, when and why.
    pub meta: Meta,
    /// What.
    pub event: Event,
}

impl Draft {
    /// An event that `cause` (an id, or any permanent key) leads to.
    #[must_use]
    pub fn new(subject: Subject, event: impl Into<Event>, cause: &str, source: &str, time: Time) -> Self {
        let event = event.into();
        let meta = Meta {
            id: EventId::derived(cause, &format!("{subject}"), 0),
            time,
            source: source.to_owned(),
            correlation: subject.job_id().map(String::from),
            causation: cause.parse().ok(),
            traceparent: None,
        };
        Self { subject, meta, event }
    }

    /// The same event as part of the trace `traceparent`.
    #[must_use]
    pub fn traced(mut self, traceparent: Option<String>) -> Self {
        self.meta.traceparent = traceparent;
        self
    }

    /// The bytes and headers to append, unguarded.
    #[must_use]
    pub fn entry(&self) -> Entry {
        Entry {
            subject: self.subject.to_string(),
            id: self.meta.id,
            headers: self.headers(),
            payload: self.event.encode(),
            expect: None,
        }
    }

    /// The bytes and headers to append if the aggregate's last sequence still is `last`.
    #[must_use]
    pub fn entry_after(&self, last: u64) -> Entry {
        Entry { expect: Some(Expect { filter: self.subject.aggregate_filter(), last }), ..self.entry() }
    }

    fn headers(&self) -> Headers {
        let version = self.event.event_type().map_or(1, |event_type| event_type.version);
        let mut headers = Headers::default();
        headers.set(header::SPEC_VERSION, "1.0");
        headers.set(header::ID, self.meta.id.to_string());
        headers.set(header::TYPE, ce_type(self.subject.domain(), self.event.name(), version));
        headers.set(header::SOURCE, self.meta.source.clone());
        headers.set(header::TIME, self.meta.time.to_string());
        headers.set(header::SUBJECT, format!("{}/{}", self.subject.scope(), self.subject.aggregate()));
        headers.set(header::CONTENT_TYPE, CONTENT_TYPE_MSGPACK);
        headers.set_some(header::CORRELATION, self.meta.correlation.clone());
        headers.set_some(header::CAUSATION, self.meta.causation.map(|id| id.to_string()));
        headers.set_some(header::TRACEPARENT, self.meta.traceparent.clone());
        headers
    }
}

/// Headers of a message: one value a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub BTreeMap<String, String>);

impl Headers {
    /// Sets `name` to `value`.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Sets `name` where there is a value.
    pub fn set_some(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// The value of `name`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// An event as the log gives it back.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its stream.
    pub stream: String,
    /// Its place in the stream.
    pub sequence: u64,
    /// When the server stored it.
    pub stored_at: Time,
    /// Where it went.
    pub subject: Subject,
    /// Who, when and why.
    pub meta: Meta,
    /// What.
    pub event: Event,
}

/// A record that is no event of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// Its subject is not one of ours.
    #[error(transparent)]
    Subject(#[from] subject::Invalid),
    /// Its body is not what its type says.
    #[error("{subject}: {error}")]
    Body {
        /// Where it went.
        subject: Box<Subject>,
        /// What is wrong with its body.
        error: BodyError,
    },
}

impl Stored {
    /// A record of ours whose body cannot be read: it counts as an event of a type that this build does not know, so
    /// that its aggregate's sequence is not lost track of.
    #[must_use]
    pub fn opaque(record: &Record, subject: Subject) -> Self {
        let (name, body) = (subject.event().to_owned(), record.payload.clone());
        Self {
            stream: record.stream.clone(),
            sequence: record.sequence,
            stored_at: record.stored_at,
            meta: meta(record, &subject),
            subject,
            event: Event::Unknown(Unknown { name, version: version(record), body }),
        }
    }
}

impl TryFrom<&Record> for Stored {
    type Error = Undecodable;

    fn try_from(record: &Record) -> Result<Self, Undecodable> {
        let subject: Subject = record.subject.parse()?;
        let name = match subject.domain() {
            Domain::Token => crate::token::PUBLISHED,
            _ => subject.event(),
        };
        let event = Event::decode(subject.domain(), name, version(record), &record.payload)
            .map_err(|error| Undecodable::Body { subject: Box::new(subject.clone()), error })?;
        Ok(Self {
            stream: record.stream.clone(),
            sequence: record.sequence,
            stored_at: record.stored_at,
            meta: meta(record, &subject),
            subject,
            event,
        })
    }
}

/// The version in the type header; a message without one, from outside, is of the first version.
fn version(record: &Record) -> u16 {
    record
        .headers
        .value(header::TYPE)
        .and_then(|ce_type| ce_type.rsplit_once(".v"))
        .and_then(|(_, version)| version.parse().ok())
        .unwrap_or(1)
}

/// What the headers say; what they leave out follows from the record's place and time.
fn meta(record: &Record, subject: &Subject) -> Meta {
    let read = |name: &str| record.headers.value(name);
    Meta {
        id: read(header::ID)
            .and_then(|id| id.parse().ok())
            .unwrap_or_else(|| EventId::of_record(&record.stream, record.sequence)),
        time: read(header::TIME).and_then(|time| time.parse().ok()).unwrap_or(record.stored_at),
        source: read(header::SOURCE).unwrap_or("outside").to_owned(),
        correlation: read(header::CORRELATION)
            .map(str::to_owned)
            .or_else(|| subject.job_id().map(String::from)),
        causation: read(header::CAUSATION).and_then(|id| id.parse().ok()),
        traceparent: read(header::TRACEPARENT).map(str::to_owned),
    }
}
