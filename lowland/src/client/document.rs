//! An event as a JSON document: its envelope, and its body under `data`. What every command prints with `--json`.

use lowland_events::{Event, Stored, event::ce_type};
use serde::Serialize;
use serde_json::Value;

/// A stored event for machines. Times are RFC 3339, amounts of money strings of micro-units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// Its stream.
    pub stream: String,
    /// Its place in the stream.
    pub sequence: u64,
    /// When the server stored it.
    pub stored_at: String,
    /// Where it went.
    pub subject: String,
    /// Its type with version, as CloudEvents has it.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Whether this build knows the type; if not, `data` is the body as it can be read without.
    pub known: bool,
    /// Its id.
    pub id: String,
    /// When it was decided.
    pub time: String,
    /// The process that wrote it.
    pub source: String,
    /// The job that it belongs to.
    pub correlation: Option<String>,
    /// The id of the event that led to it.
    pub causation: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Its body.
    pub data: Value,
}

impl From<&Stored> for Document {
    fn from(stored: &Stored) -> Self {
        let (subject, meta) = (&stored.subject, &stored.meta);
        let version = match &stored.event {
            Event::Unknown(unknown) => unknown.version,
            known => known.event_type().map_or(1, |known| known.version),
        };
        Self {
            stream: stored.stream.clone(),
            sequence: stored.sequence,
            stored_at: stored.stored_at.to_string(),
            subject: subject.to_string(),
            event_type: ce_type(subject.domain(), stored.event.name(), version),
            known: !matches!(stored.event, Event::Unknown(_)),
            id: meta.id.to_string(),
            time: meta.time.to_string(),
            source: meta.source.clone(),
            correlation: meta.correlation.clone(),
            causation: meta.causation.map(|id| id.to_string()),
            traceparent: meta.traceparent.clone(),
            data: stored.event.to_json(),
        }
    }
}
