//! Snapshots: what a service folded a stream into, so that it need not fold it from the beginning again.
//!
//! A snapshot is one atomic batch on the stream of snapshots: the state in parts, then a manifest. Of each subject the
//! newest message is kept, so a snapshot replaces the one before it, whole or not at all, and there is no second kind of
//! storage. One is used only if the logic that folds is still the same and the state hashes to what was written.

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    codec,
    envelope::{EventId, Headers},
    id::{Invalid, ServiceId},
    log::{AppendError, BATCH_MAX, Entry, Error, Expect, Log, Record},
    stream::SNAPSHOTS,
    subject::SnapshotSubject,
};

/// Bytes of a state in one message; a server takes 1 MiB with headers.
pub const PART_BYTES: usize = 512 << 10;
/// Largest state, in bytes: what fits one batch beside its manifest.
pub const STATE_BYTES_MAX: usize = PART_BYTES * (BATCH_MAX - 1);

/// What a service folded a stream into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The service.
    pub service: ServiceId,
    /// The stream that it folded.
    pub stream: String,
    /// Sequence of the last message that the state includes.
    pub position: u64,
    /// Version of the logic that folded; another version may fold to another state.
    pub logic_version: u32,
    /// The state, in its canonical encoding.
    pub state: Bytes,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// There is no snapshot.
    Nothing,
    /// There is one that cannot be used, and why: fold from the beginning.
    Unusable(String),
    /// There is one.
    Usable(Snapshot),
}

/// What became of a snapshot that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is the newest now.
    Newest,
    /// There is one of the same position or a later one: that was left as it is.
    Outdated,
}

/// Why a snapshot was not kept or found.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The stream's name cannot be part of a subject.
    #[error(transparent)]
    Name(#[from] Invalid),
    /// The state is too large.
    #[error("a state of {bytes} bytes is larger than a snapshot may be ({STATE_BYTES_MAX} bytes)")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] Error),
    /// The log could not be written to.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// What is written after the parts.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    position: u64,
    logic_version: u32,
    /// SHA-256 of the state's canonical encoding, in hexadecimal digits.
    state_hash: String,
    bytes: u64,
    parts: u64,
}

impl Snapshot {
    /// A snapshot of `state`, see [`encode`].
    #[must_use]
    pub fn of<S: Serialize>(
        service: ServiceId,
        stream: &str,
        position: u64,
        logic_version: u32,
        state: &S,
    ) -> Self {
        Self { service, stream: stream.to_owned(), position, logic_version, state: encode(state) }
    }

    /// SHA-256 of the state's canonical encoding, in hexadecimal digits.
    #[must_use]
    pub fn state_hash(&self) -> String {
        state_hash(&self.state)
    }

    /// The state itself.
    pub fn decode<S: DeserializeOwned>(&self) -> Result<S, codec::BodyError> {
        codec::from_msgpack(&self.state)
    }

    fn subject(&self) -> Result<SnapshotSubject, Invalid> {
        SnapshotSubject::new(&self.service, &self.stream)
    }

    /// The batch that keeps it, if the last message of its kind still is the one at `last`.
    fn entries(&self, subject: &SnapshotSubject, last: u64) -> Vec<Entry> {
        let parts: Vec<Bytes> = parts(&self.state);
        let manifest = Manifest {
            position: self.position,
            logic_version: self.logic_version,
            state_hash: self.state_hash(),
            bytes: self.state.len() as u64,
            parts: parts.len() as u64,
        };
        let cause = format!("{}/{}/{}", self.position, self.logic_version, manifest.state_hash);
        let entry = |subject: String, payload: Bytes| Entry {
            id: EventId::derived(&cause, &subject, 0),
            subject,
            headers: Headers::default(),
            payload,
            expect: None,
        };
        let mut entries: Vec<Entry> =
            parts.into_iter().enumerate().map(|(index, part)| entry(subject.part(index), part)).collect();
        entries.push(entry(subject.taken(), codec::to_msgpack(&manifest)));
        entries[0].expect = Some(Expect { filter: subject.filter(), last });
        entries
    }
}

/// A state in its canonical encoding: canonical as long as its maps are ordered (`BTreeMap`) and it holds no float that is
/// not a number.
#[must_use]
pub fn encode<S: Serialize>(state: &S) -> Bytes {
    codec::to_msgpack(state)
}

/// SHA-256 of a state's canonical encoding, in hexadecimal digits.
#[must_use]
pub fn state_hash(state: &[u8]) -> String {
    Sha256::digest(state).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parts(state: &Bytes) -> Vec<Bytes> {
    (0..state.len()).step_by(PART_BYTES).map(|at| state.slice(at..state.len().min(at + PART_BYTES))).collect()
}

/// Keeps `snapshot`, unless there is a later one.
pub async fn keep(log: &dyn Log, snapshot: &Snapshot) -> Result<Kept, SnapshotError> {
    let bytes = snapshot.state.len();
    if bytes > STATE_BYTES_MAX {
        return Err(SnapshotError::TooLarge { bytes });
    }
    let subject = snapshot.subject()?;
    let last = log.last(SNAPSHOTS, &subject.filter()).await?;
    let manifest = last.as_ref().and_then(|record| codec::from_msgpack::<Manifest>(&record.payload).ok());
    let same_logic = |kept: &Manifest| kept.logic_version == snapshot.logic_version;
    if manifest.is_some_and(|kept| same_logic(&kept) && kept.position >= snapshot.position) {
        return Ok(Kept::Outdated);
    }
    let last = last.map_or(0, |record| record.sequence);
    match log.append_batch(snapshot.entries(&subject, last)).await {
        Ok(_) => Ok(Kept::Newest),
        Err(AppendError::Conflict { .. }) => Ok(Kept::Outdated),
        Err(error) => Err(error.into()),
    }
}

/// Finds the newest snapshot of `service`'s fold of `stream`, and says why if it cannot be used by `logic_version`.
pub async fn find(
    log: &dyn Log,
    service: &ServiceId,
    stream: &str,
    logic_version: u32,
) -> Result<Found, SnapshotError> {
    let subject = SnapshotSubject::new(service, stream)?;
    let Some(last) = log.last(SNAPSHOTS, &subject.taken_filter()).await? else { return Ok(Found::Nothing) };
    let found = match codec::from_msgpack::<Manifest>(&last.payload) {
        Err(error) => Found::Unusable(format!("its manifest cannot be read: {error}")),
        Ok(manifest) if manifest.logic_version != logic_version => Found::Unusable(format!(
            "it was folded by version {} of the logic, this is version {logic_version}",
            manifest.logic_version
        )),
        Ok(manifest) => {
            let first = last.sequence.saturating_sub(manifest.parts);
            let most = usize::try_from(manifest.parts).unwrap_or(BATCH_MAX).min(BATCH_MAX);
            let records = log.read(SNAPSHOTS, &[subject.filter()], first, most).await?;
            join(service, stream, &manifest, &records)
        }
    };
    if let Found::Unusable(why) = &found {
        tracing::warn!(%service, stream, why, "the snapshot is not used");
    }
    Ok(found)
}

fn join(service: &ServiceId, stream: &str, manifest: &Manifest, parts: &[Record]) -> Found {
    let state: Bytes = parts.iter().flat_map(|record| record.payload.iter().copied()).collect();
    if state.len() as u64 != manifest.bytes || state_hash(&state) != manifest.state_hash {
        return Found::Unusable(format!("its state is not the one that was written ({} bytes)", state.len()));
    }
    Found::Usable(Snapshot {
        service: service.clone(),
        stream: stream.to_owned(),
        position: manifest.position,
        logic_version: manifest.logic_version,
        state,
    })
}
