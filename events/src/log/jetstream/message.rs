//! Messages as NATS spells them, to records and back.

use async_nats::{HeaderMap, HeaderValue, Message, jetstream::message::StreamMessage};
use bytes::Bytes;

use crate::{
    envelope::{Headers, header},
    log::{Entry, Record},
    time::Time,
};

/// What the names of the server's own headers begin with; of them a record shows the id alone.
const SERVER_HEADERS: &str = "Nats-";
const EXPECTED_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";
const EXPECTED_SEQUENCE_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
const EXPECTED_ID: &str = "Nats-Expected-Last-Msg-Id";
const BATCH_ID: &str = "Nats-Batch-Id";
const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
const BATCH_COMMIT: &str = "Nats-Batch-Commit";
const STREAM: &str = "Nats-Stream";
const SUBJECT: &str = "Nats-Subject";
const SEQUENCE: &str = "Nats-Sequence";
const TIME: &str = "Nats-Time-Stamp";
/// Messages that match a question and were not sent with its answer.
pub(super) const PENDING: &str = "Nats-Num-Pending";
/// Messages that a pull still waits for as it ends.
pub(super) const PULL_PENDING: &str = "Nats-Pending-Messages";

/// Place of a message within a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchPlace<'a> {
    /// The batch.
    pub(super) id: &'a str,
    /// From 1.
    pub(super) place: usize,
    /// Whether the batch ends here.
    pub(super) last: bool,
}

/// The headers to publish `entry` with. A value that cannot be a header is an error, in words.
pub(super) fn headers(entry: &Entry, batch: Option<BatchPlace<'_>>) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for (name, value) in &entry.headers.0 {
        let bad = |what: &str| format!("header {name:?}: {what}");
        let name: async_nats::HeaderName = name.parse().map_err(|_| bad("not a valid name"))?;
        let value: HeaderValue = value.parse().map_err(|_| bad("its value has a line break"))?;
        map.insert(name, value);
    }
    map.insert(header::MESSAGE_ID, entry.id.to_string());
    if let Some(expect) = &entry.expect {
        map.insert(EXPECTED_SEQUENCE, expect.last.to_string());
        map.insert(EXPECTED_SEQUENCE_SUBJECT, expect.filter.as_str());
    }
    if let Some(batch) = batch {
        map.insert(BATCH_ID, batch.id);
        map.insert(BATCH_SEQUENCE, batch.place.to_string());
        if batch.last {
            map.insert(BATCH_COMMIT, "1");
        }
    }
    Ok(map)
}

/// Headers of a message that the server never stores, but answers with the sequence of the one that has its id: it looks
/// for a repeated id before it looks at the expectation that the last id be one that never was.
pub(super) fn probe_headers(entry: &Entry, never: &str) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert(header::MESSAGE_ID, entry.id.to_string());
    map.insert(EXPECTED_ID, never);
    map
}

/// The record in an answer to a direct question, whose headers say where it came from.
pub(super) fn direct(message: Message) -> Option<Record> {
    let map = message.headers?;
    let value = |name: &str| map.get(name).map(HeaderValue::as_str);
    Some(Record {
        stream: value(STREAM)?.to_owned(),
        sequence: value(SEQUENCE)?.parse().ok()?,
        subject: value(SUBJECT)?.to_owned(),
        stored_at: value(TIME)?.parse().ok()?,
        headers: shown(&map),
        payload: message.payload,
    })
}

/// The record in an answer of the API.
pub(super) fn raw(stream: &str, message: StreamMessage) -> Record {
    let nanoseconds = message.time.unix_timestamp_nanos();
    Record {
        stream: stream.to_owned(),
        sequence: message.sequence,
        subject: message.subject.to_string(),
        stored_at: Time(i64::try_from(nanoseconds / 1000).unwrap_or(i64::MAX)),
        headers: shown(&message.headers),
        payload: message.payload,
    }
}

/// The record that a consumer delivered.
pub(super) fn delivered(message: Message, place: &Place) -> Record {
    Record {
        stream: place.stream.clone(),
        sequence: place.sequence,
        subject: message.subject.to_string(),
        stored_at: place.stored_at,
        headers: message.headers.as_ref().map(shown).unwrap_or_default(),
        payload: message.payload,
    }
}

fn shown(map: &HeaderMap) -> Headers {
    let ours = map.iter().filter(|(name, _)| {
        let name: &str = name.as_ref();
        !name.starts_with(SERVER_HEADERS) || name == header::MESSAGE_ID
    });
    Headers(
        ours.filter_map(|(name, values)| {
            let first = values.first()?;
            Some((name.to_string(), first.as_str().to_owned()))
        })
        .collect(),
    )
}

/// What the reply subject of a delivery says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) stream: String,
    /// Times that it was delivered, this one included.
    pub(super) delivered: u64,
    pub(super) sequence: u64,
    /// Counts the consumer's deliveries.
    pub(super) consumer_sequence: u64,
    pub(super) stored_at: Time,
    /// Messages that the consumer has not delivered yet.
    pub(super) pending: u64,
}

impl Place {
    /// Reads `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<sequence>.<consumer sequence>.<time>.<pending>[...]`.
    pub(super) fn of(reply: &str) -> Option<Self> {
        let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
        let tokens = if tokens.len() >= 9 { &tokens[2..] } else { &tokens[..] };
        let number = |at: usize| tokens.get(at).and_then(|token| token.parse::<u64>().ok());
        Some(Self {
            stream: (*tokens.first()?).to_owned(),
            delivered: number(2)?,
            sequence: number(3)?,
            consumer_sequence: number(4)?,
            stored_at: Time(i64::try_from(number(5)? / 1000).ok()?),
            pending: number(6)?,
        })
    }
}

/// What acknowledges a delivery.
pub(super) mod answer {
    use super::Bytes;

    pub(crate) const DONE: Bytes = Bytes::from_static(b"+ACK");
    pub(crate) const PROGRESS: Bytes = Bytes::from_static(b"+WPI");

    /// Not done: again after `delay_ms` milliseconds.
    pub(crate) fn again(delay_ms: u64) -> Bytes {
        format!("-NAK {{\"delay\": {}}}", u128::from(delay_ms) * 1_000_000).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_subjects_are_read_in_both_spellings() {
        let old = Place::of("$JS.ACK.LOG.c.2.7.3.1790000000123456789.5").unwrap();
        assert_eq!(
            old,
            Place {
                stream: "LOG".to_owned(),
                delivered: 2,
                sequence: 7,
                consumer_sequence: 3,
                stored_at: Time(1_790_000_000_123_456),
                pending: 5,
            }
        );
        assert_eq!(Place::of("$JS.ACK._.hash.LOG.c.2.7.3.1790000000123456789.5.token").unwrap(), old);
        assert_eq!(Place::of("$JS.ACK._.hash.LOG.c.2.7.3.1790000000123456789.5").unwrap(), old);
        assert_eq!(Place::of("elsewhere"), None);
        assert_eq!(Place::of("$JS.ACK.LOG.c.x.7.3.1.5"), None);
    }
}
