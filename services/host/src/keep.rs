//! Setting a fold's state aside in the log, and taking it up again at start instead of folding from the beginning.

use lowland_events::{
    Filter,
    id::ServiceId,
    log::{self, SharedLog},
    snapshot::{self, Found, Snapshot, SnapshotError},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Fold, Host, State};

/// Fewest events between two snapshots: what a start folds in some tens of milliseconds.
pub const EVENTS_BETWEEN_MIN: u64 = 10_000;
/// Bytes of a snapshot that one event pays for, so that a large state does not cost more than the events themselves.
const BYTES_AN_EVENT: u64 = 512;

/// A state that can be set aside. Its encoding must be canonical: ordered maps, no floats that are not numbers.
pub trait Keep: State + Serialize + DeserializeOwned {
    /// Counts up whenever `evolve` would fold the same events to another state; older snapshots are then not used.
    const LOGIC_VERSION: u32;

    /// What of the log it is folded from.
    #[must_use]
    fn filters() -> Vec<Filter>;
}

impl<S: Keep> Fold<S> {
    /// Folds what `filters` select of `stream`, from the newest usable snapshot of `service` on, and returns once it has
    /// caught up. A snapshot that is missing, of another logic, damaged or of another log only costs the time to fold.
    pub async fn resume(
        log: &SharedLog,
        service: &ServiceId,
        stream: &str,
        filters: &[Filter],
    ) -> Result<Self, log::Error> {
        let (state, position) = kept(log, service, stream).await?.unwrap_or_default();
        Self::after(log, stream, filters, state, position).await
    }

    /// Sets the state aside if enough has happened since it was last done. What fails is said and tried again later.
    pub fn keep_when_due(&mut self, host: &Host) {
        if self.unkept < host.keep_after.max(self.kept_bytes / BYTES_AN_EVENT) {
            return;
        }
        let snapshot = Snapshot::of(
            host.service.clone(),
            self.stream(),
            self.position(),
            S::LOGIC_VERSION,
            self.state(),
        );
        self.unkept = 0;
        self.kept_bytes = snapshot.state.len() as u64;
        let log = host.log.clone();
        tokio::spawn(async move {
            match snapshot::keep(&*log, &snapshot).await {
                Ok(_) => tracing::info!(
                    position = snapshot.position,
                    bytes = snapshot.state.len(),
                    "state set aside"
                ),
                Err(error) => tracing::warn!(%error, "the state was not set aside"),
            }
        });
    }
}

/// The newest usable snapshot, with its position.
async fn kept<S: Keep>(
    log: &SharedLog,
    service: &ServiceId,
    stream: &str,
) -> Result<Option<(S, u64)>, log::Error> {
    let found = match snapshot::find(&**log, service, stream, S::LOGIC_VERSION).await {
        Ok(Found::Usable(snapshot)) => snapshot,
        Ok(Found::Nothing | Found::Unusable(_)) => return Ok(None),
        Err(SnapshotError::Log(error)) => return Err(error),
        Err(error) => {
            tracing::warn!(%error, "the snapshot is not used");
            return Ok(None);
        }
    };
    let last = log.extent(stream).await?.last;
    if found.position > last {
        tracing::warn!(position = found.position, last, "the snapshot is of another log, and not used");
        return Ok(None);
    }
    match found.decode() {
        Ok(state) => {
            tracing::info!(position = found.position, "taken up from a snapshot");
            Ok(Some((state, found.position)))
        }
        Err(error) => {
            tracing::warn!(%error, "the snapshot is not used");
            Ok(None)
        }
    }
}
