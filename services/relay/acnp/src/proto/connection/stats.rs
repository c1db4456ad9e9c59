//! Counters of a connection.

use super::{Connection, PathStats};
use crate::proto::{PathId, fec::loss::Loss};

/// What a connection has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sealed packets sent.
    pub packets_sent: u64,
    /// Sealed packets opened.
    pub packets_received: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets and datagrams dropped for another reason.
    pub dropped: u64,
    /// Bytes of streams sent, repetitions included.
    pub stream_bytes_sent: u64,
    /// Packets found lost.
    pub packets_lost: u64,
    /// Packets that were lost on their way here and recovered by repairs.
    pub packets_recovered: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Datagrams that were dropped for want of room, before they were sent and before they were read.
    pub datagrams_dropped: (u64, u64),
    /// Times that the keys changed.
    pub key_updates: u64,
}

impl Connection {
    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { datagrams_dropped: self.datagrams.dropped(), ..self.stats }
    }

    /// What was learnt of a path's losses, for a later connection over it; nothing where no repairs are sent.
    #[must_use]
    pub fn losses(&self, path: PathId) -> Option<&Loss> {
        let at = self.path(path)?;
        self.paths[at].mending.as_ref().map(|mending| mending.losses())
    }

    /// What was counted on a path.
    #[must_use]
    pub fn path_stats(&self, path: PathId) -> Option<PathStats> {
        self.path(path).map(|at| self.paths[at].stats())
    }
}
