//! Every stream, and the rules of appending to them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Faults, Now, consume::Durable, stored::Stream};
use crate::{
    envelope::EventId,
    log::{AppendError, Appended, BATCH_MAX, Entry, Error},
    stream::StreamSpec,
    subject::Filter,
};

/// Largest body, in bytes: what a NATS server takes by default.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// All that the log knows.
#[derive(Default)]
pub(super) struct State {
    pub(super) streams: BTreeMap<String, Stream>,
    /// By stream and name.
    pub(super) durables: BTreeMap<(String, String), Durable>,
    pub(super) faults: Faults,
    incarnations: u64,
}

impl State {
    pub(super) fn stream(&self, name: &str) -> Result<&Stream, Error> {
        self.streams.get(name).ok_or_else(|| Error::NoStream(name.to_owned()))
    }

    pub(super) fn stream_mut(&mut self, name: &str) -> Result<&mut Stream, Error> {
        self.streams.get_mut(name).ok_or_else(|| Error::NoStream(name.to_owned()))
    }

    /// Forgets the streams that `stays` does not hold, and their consumers.
    pub(super) fn retain(&mut self, stays: impl Fn(&StreamSpec) -> bool) {
        self.streams.retain(|_, stream| stays(&stream.spec));
        self.durables.retain(|(stream, _), _| self.streams.contains_key(stream));
    }

    pub(super) fn expire(&mut self, now: Now) {
        for stream in self.streams.values_mut() {
            stream.expire(now);
        }
    }

    pub(super) fn ensure(&mut self, spec: &StreamSpec) -> Result<(), Error> {
        let clash = |detail: String| Error::Clash { stream: spec.name.to_owned(), detail };
        for other in self.streams.values().filter(|other| other.spec.name != spec.name) {
            if let Some(subject) = overlap(spec, &other.spec) {
                return Err(clash(format!("stream {} takes {subject} already", other.spec.name)));
            }
        }
        if let Some(stream) = self.streams.get_mut(spec.name) {
            if stream.spec.storage != spec.storage {
                let (have, want) = (stream.spec.storage, spec.storage);
                return Err(clash(format!("storage ({have:?} instead of {want:?}) cannot be changed")));
            }
            stream.spec = spec.clone();
            for subject in stream.subjects() {
                stream.trim(&subject);
            }
            return Ok(());
        }
        self.incarnations += 1;
        self.streams.insert(spec.name.to_owned(), Stream::new(spec.clone(), self.incarnations));
        Ok(())
    }

    /// Appends all or none; a repetition of what is stored succeeds.
    pub(super) fn append(&mut self, entries: Vec<Entry>, now: Now) -> Result<Appended, AppendError> {
        let stream = self.stream_for(&entries)?;
        if let Some(sequence) = repeated(stream, &entries) {
            return Ok(Appended { sequence, repeated: true });
        }
        expected(stream, &entries)?;
        let mut sequence = 0;
        for entry in entries {
            let subject = entry.subject.clone();
            sequence = stream.store(entry, now);
            stream.trim(&subject);
        }
        stream.expire(now);
        Ok(Appended { sequence, repeated: false })
    }

    fn stream_for(&mut self, entries: &[Entry]) -> Result<&mut Stream, AppendError> {
        let refused = |text: String| Err(AppendError::Refused(text));
        let Some(first) = entries.first() else {
            return refused("a batch has at least one message".to_owned());
        };
        if let Some(large) = entries.iter().find(|entry| entry.payload.len() > PAYLOAD_BYTES_MAX) {
            return refused(format!("{}: the body has more than {PAYLOAD_BYTES_MAX} bytes", large.subject));
        }
        let taken = self.streams.values_mut().find(|stream| stream.takes(&first.subject));
        let Some(stream) = taken else { return Err(AppendError::NoStream(first.subject.clone())) };
        if entries.len() > 1 && !stream.spec.atomic {
            return refused(format!("stream {} takes no batches", stream.spec.name));
        }
        if entries.len() > BATCH_MAX {
            return refused(format!("a batch has at most {BATCH_MAX} messages, this one {}", entries.len()));
        }
        if let Some(stray) = entries.iter().find(|entry| !stream.takes(&entry.subject)) {
            return refused(format!("stream {} does not take {}", stream.spec.name, stray.subject));
        }
        Ok(stream)
    }
}

/// Sequence of the last of `entries`, if all are stored, next to each other: by id while ids are remembered, by what came
/// right after the expected sequence for ever.
fn repeated(stream: &Stream, entries: &[Entry]) -> Option<u64> {
    let known = entries.iter().zip(0..).find_map(|(entry, index)| {
        let successor = || {
            let expect = entry.expect.as_ref()?;
            stream.next(&expect.filter, expect.last)
        };
        stream.remembered(entry.id).or_else(successor)?.checked_sub(index)
    })?;
    let stored_at = |index: u64, id: EventId| {
        stream.remembered(id) == Some(known + index) || stream.id(known + index) == Some(id)
    };
    let all = entries.iter().zip(0..).all(|(entry, index)| stored_at(index, entry.id));
    all.then(|| known + entries.len() as u64 - 1)
}

/// Whether every expectation holds, and no message of the batch is stored already.
fn expected(stream: &Stream, entries: &[Entry]) -> Result<(), AppendError> {
    let conflict = |detail: String| Err(AppendError::Conflict { detail });
    let mut ids = BTreeSet::new();
    for (index, entry) in entries.iter().enumerate() {
        if stream.remembered(entry.id).is_some() || !ids.insert(entry.id) {
            return conflict(format!("message {} is stored already", entry.id));
        }
        let Some(expect) = &entry.expect else { continue };
        let last = stream.last(&expect.filter).unwrap_or(0);
        let moved = entries[..index].iter().any(|earlier| expect.filter.matches(&earlier.subject));
        if last != expect.last || moved {
            return conflict(format!("{}: last sequence {last}, expected {}", expect.filter, expect.last));
        }
    }
    Ok(())
}

/// A subject that both streams take, as far as their first two tokens tell.
fn overlap<'a>(a: &'a StreamSpec, b: &'a StreamSpec) -> Option<&'a Filter> {
    let covers = |x: &Filter, y: &Filter| x.matches(y.as_str());
    a.subjects.iter().find(|x| b.subjects.iter().any(|y| covers(x, y) || covers(y, x)))
}
