//! One stream: its messages, in order and by aggregate, and the ids that it remembers.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::Now;
use crate::{
    envelope::{EventId, header},
    log::{Entry, Extent, Record},
    stream::StreamSpec,
    subject::Filter,
};

/// Tokens of a subject that name its aggregate.
const AGGREGATE_TOKENS: usize = 4;

struct Kept {
    record: Record,
    id: EventId,
    at: Instant,
}

/// A stream.
pub(super) struct Stream {
    pub(super) spec: StreamSpec,
    /// Tells this stream from an earlier one of the same name.
    pub(super) incarnation: u64,
    kept: BTreeMap<u64, Kept>,
    last: u64,
    bytes: i64,
    aggregates: HashMap<String, BTreeSet<u64>>,
    subjects: HashMap<String, BTreeSet<u64>>,
    ids: HashMap<EventId, u64>,
    ids_by_age: VecDeque<(Instant, EventId)>,
}

impl Stream {
    pub(super) fn new(spec: StreamSpec, incarnation: u64) -> Self {
        Self {
            spec,
            incarnation,
            kept: BTreeMap::new(),
            last: 0,
            bytes: 0,
            aggregates: HashMap::new(),
            subjects: HashMap::new(),
            ids: HashMap::new(),
            ids_by_age: VecDeque::new(),
        }
    }

    pub(super) fn takes(&self, subject: &str) -> bool {
        self.spec.subjects.iter().any(|filter| filter.matches(subject))
    }

    pub(super) fn extent(&self) -> Extent {
        let first = self.kept.keys().next().copied();
        let gone = if self.last == 0 { 0 } else { self.last + 1 };
        Extent { first: first.unwrap_or(gone), last: self.last, messages: self.kept.len() as u64 }
    }

    pub(super) fn record(&self, sequence: u64) -> Option<Record> {
        self.kept.get(&sequence).map(|kept| kept.record.clone())
    }

    pub(super) fn id(&self, sequence: u64) -> Option<EventId> {
        self.kept.get(&sequence).map(|kept| kept.id)
    }

    /// The sequence under which `id` is remembered.
    pub(super) fn remembered(&self, id: EventId) -> Option<u64> {
        self.ids.get(&id).copied()
    }

    /// Sequence of the last message that `filter` selects.
    pub(super) fn last(&self, filter: &Filter) -> Option<u64> {
        match self.aggregate(filter) {
            Some(sequences) => sequences?.iter().next_back().copied(),
            None => {
                let selected = |(_, kept): &(&u64, &Kept)| filter.matches(&kept.record.subject);
                self.kept.iter().rev().find(selected).map(|(sequence, _)| *sequence)
            }
        }
    }

    /// Sequence of the first message after `after` that `filter` selects.
    pub(super) fn next(&self, filter: &Filter, after: u64) -> Option<u64> {
        match self.aggregate(filter) {
            Some(sequences) => sequences?.range(after + 1..).next().copied(),
            None => {
                let selected = |(_, kept): &(&u64, &Kept)| filter.matches(&kept.record.subject);
                self.kept.range(after + 1..).find(selected).map(|(sequence, _)| *sequence)
            }
        }
    }

    /// The index of one aggregate, if `filter` selects exactly one.
    fn aggregate(&self, filter: &Filter) -> Option<Option<&BTreeSet<u64>>> {
        let prefix = filter.as_str().strip_suffix(".>")?;
        let exact = prefix.split('.').count() == AGGREGATE_TOKENS && !prefix.contains('*');
        exact.then(|| self.aggregates.get(prefix))
    }

    /// What any of `filters` selects (everything, if there are none), from `from` on.
    pub(super) fn select<'a>(
        &'a self,
        filters: &'a [Filter],
        from: u64,
    ) -> impl Iterator<Item = Record> + 'a {
        let selected = |record: &Record| {
            filters.is_empty() || filters.iter().any(|filter| filter.matches(&record.subject))
        };
        let kept = self.kept.range(from..).map(|(_, kept)| &kept.record);
        kept.filter(move |record| selected(record)).cloned()
    }

    pub(super) fn store(&mut self, entry: Entry, now: Now) -> u64 {
        self.last += 1;
        let sequence = self.last;
        let mut headers = entry.headers;
        headers.set(header::MESSAGE_ID, entry.id.to_string());
        self.remember(entry.id, sequence, now);
        self.aggregates.entry(aggregate_of(&entry.subject)).or_default().insert(sequence);
        self.subjects.entry(entry.subject.clone()).or_default().insert(sequence);
        let record = Record {
            stream: self.spec.name.to_owned(),
            sequence,
            subject: entry.subject,
            headers,
            payload: entry.payload,
            stored_at: now.time,
        };
        self.bytes += size(&record);
        self.kept.insert(sequence, Kept { record, id: entry.id, at: now.at });
        sequence
    }

    fn remember(&mut self, id: EventId, sequence: u64, now: Now) {
        self.ids.insert(id, sequence);
        self.ids_by_age.push_back((now.at, id));
    }

    /// Removes what `filter` selects below `below`.
    pub(super) fn purge(&mut self, filter: &Filter, below: u64) -> u64 {
        let selected: Vec<u64> = self
            .kept
            .range(..below)
            .filter(|(_, kept)| filter.matches(&kept.record.subject))
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in &selected {
            self.remove(*sequence);
        }
        selected.len() as u64
    }

    fn remove(&mut self, sequence: u64) {
        let Some(kept) = self.kept.remove(&sequence) else { return };
        self.bytes -= size(&kept.record);
        unindex(&mut self.aggregates, &aggregate_of(&kept.record.subject), sequence);
        unindex(&mut self.subjects, &kept.record.subject, sequence);
    }

    /// Lets go of what is too old, too much for a subject, or too much altogether.
    pub(super) fn expire(&mut self, now: Now) {
        let old = |at: Instant, age: Duration| now.at.saturating_duration_since(at) >= age;
        while let Some((at, id)) = self.ids_by_age.front().copied() {
            if !old(at, self.spec.duplicate_window) {
                break;
            }
            self.ids_by_age.pop_front();
            self.ids.remove(&id);
        }
        while let Some((sequence, kept)) = self.kept.first_key_value() {
            let too_old = self.spec.max_age.is_some_and(|age| old(kept.at, age));
            let too_much = self.spec.max_bytes.is_some_and(|bytes| self.bytes > bytes);
            if !(too_old || too_much) {
                break;
            }
            self.remove(*sequence);
        }
    }

    /// Lets go of the oldest messages of `subject` beyond those kept a subject.
    pub(super) fn trim(&mut self, subject: &str) {
        let Some(most) = self.spec.max_per_subject.and_then(|most| usize::try_from(most).ok()) else {
            return;
        };
        while let Some(sequences) = self.subjects.get(subject).filter(|sequences| sequences.len() > most) {
            let oldest = *sequences.first().expect("it holds more than none");
            self.remove(oldest);
        }
    }

    /// Every subject that has messages.
    pub(super) fn subjects(&self) -> Vec<String> {
        self.subjects.keys().cloned().collect()
    }
}

fn aggregate_of(subject: &str) -> String {
    let end = subject.match_indices('.').nth(AGGREGATE_TOKENS - 1).map_or(subject.len(), |(at, _)| at);
    subject[..end].to_owned()
}

fn unindex(index: &mut HashMap<String, BTreeSet<u64>>, key: &str, sequence: u64) {
    if let Some(sequences) = index.get_mut(key) {
        sequences.remove(&sequence);
        if sequences.is_empty() {
            index.remove(key);
        }
    }
}

/// What a message takes, near enough to what a server counts.
fn size(record: &Record) -> i64 {
    let headers: usize = record.headers.0.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    i64::try_from(record.subject.len() + record.payload.len() + headers).unwrap_or(i64::MAX)
}
