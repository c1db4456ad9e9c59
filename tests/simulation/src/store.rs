//! The log that everything is stored on, which never fails: what fails is the way to it. It keeps a hash of everything that
//! was ever stored, with headers and times, by which two runs are compared.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use lowland_events::{
    Time,
    log::{AppendError, Appended, Entry, Log as _, memory::MemoryLog},
    stream,
};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::trace::Trace;

/// When simulated time begins.
pub(crate) const BEGAN: Time = Time(1_790_000_000_000_000);

/// The log.
pub(crate) struct Store {
    pub(crate) memory: MemoryLog,
    pub(crate) trace: Trace,
    began: Instant,
    hash: Mutex<Sha256>,
    stored: AtomicU64,
}

impl Store {
    /// A log with every stream.
    pub(crate) async fn new(trace: Trace) -> Arc<Self> {
        let memory = MemoryLog::starting_at(BEGAN);
        for spec in stream::all() {
            memory.ensure(&spec).await.expect("an empty log takes every stream");
        }
        let (hash, stored) = (Mutex::new(Sha256::new()), AtomicU64::new(0));
        Arc::new(Self { memory, trace, began: Instant::now(), hash, stored })
    }

    /// The time by the log's own clock.
    pub(crate) fn now(&self) -> Time {
        self.later_by(0)
    }

    /// The time by a clock that is off by so many milliseconds.
    pub(crate) fn later_by(&self, ms: i64) -> Time {
        let micros = i64::try_from(self.began.elapsed().as_micros()).expect("a run is shorter than time");
        Time(BEGAN.0 + micros + ms * 1000)
    }

    /// Appends all or none.
    pub(crate) async fn append(&self, who: &str, entries: Vec<Entry>) -> Result<Appended, AppendError> {
        let copies = entries.clone();
        let appended = self.memory.append_batch(entries).await;
        match &appended {
            Ok(Appended { repeated: false, sequence }) => self.note(who, *sequence, &copies),
            Ok(_) => self.trace.tell(who, || format!("= {} is stored already", copies[0].subject)),
            Err(error) => self.trace.tell(who, || format!("! {}: {error}", copies[0].subject)),
        }
        appended
    }

    fn note(&self, who: &str, last: u64, entries: &[Entry]) {
        let now = self.now();
        let mut hash = self.hash.lock().unwrap_or_else(PoisonError::into_inner);
        for (entry, sequence) in entries.iter().zip(last + 1 - entries.len() as u64..) {
            self.trace.tell(who, || format!("+ {} #{sequence} {} bytes", entry.subject, entry.payload.len()));
            hash.update(now.0.to_be_bytes());
            hash.update(sequence.to_be_bytes());
            hash.update(entry.subject.as_bytes());
            hash.update(entry.id.to_string().as_bytes());
            for (name, value) in &entry.headers.0 {
                hash.update(name.as_bytes());
                hash.update(value.as_bytes());
            }
            hash.update(&entry.payload);
        }
        self.stored.fetch_add(entries.len() as u64, Ordering::Relaxed);
    }

    /// Hash of everything that was ever stored, in hexadecimal digits.
    pub(crate) fn hash(&self) -> String {
        let hash = self.hash.lock().unwrap_or_else(PoisonError::into_inner).clone();
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Messages that were ever stored.
    pub(crate) fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }
}
