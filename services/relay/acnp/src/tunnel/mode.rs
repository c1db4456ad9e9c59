//! Which mode a connection of the tunnel has: chosen, or by what its flows do.

use std::{sync::Arc, sync::Mutex, sync::PoisonError};

use crate::{endpoint::Connection, proto::congestion};

/// What the tunnel is to be good at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Calls.
    Latency,
    /// Bulk.
    Bandwidth,
    /// Calls, until a flow turns out to be bulk and as long as one is; flows of calls go before it.
    #[default]
    Auto,
}

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "latency" => Ok(Self::Latency),
            "bandwidth" => Ok(Self::Bandwidth),
            "auto" => Ok(Self::Auto),
            other => Err(format!("no mode is called {other:?}: take latency, bandwidth or auto")),
        }
    }
}

/// A connection, how many of its flows are bulk, and the mode that follows.
#[derive(Debug, Clone)]
pub(super) struct Balance {
    pub(super) mode: Mode,
    connection: Connection,
    bulk: Arc<Mutex<usize>>,
}

impl Balance {
    pub(super) fn new(connection: Connection, mode: Mode) -> Self {
        connection.set_mode(match mode {
            Mode::Bandwidth => congestion::Mode::HIGH_BANDWIDTH,
            Mode::Latency | Mode::Auto => congestion::Mode::LowLatency,
        });
        Self { mode, connection, bulk: Arc::default() }
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A flow is bulk now.
    pub(super) fn on_bulk(&self) {
        let mut bulk = self.bulk.lock().unwrap_or_else(PoisonError::into_inner);
        *bulk += 1;
        if *bulk == 1 && self.mode == Mode::Auto {
            self.connection.set_mode(congestion::Mode::HIGH_BANDWIDTH);
        }
    }

    /// A flow is bulk no more.
    pub(super) fn on_calls(&self) {
        let mut bulk = self.bulk.lock().unwrap_or_else(PoisonError::into_inner);
        *bulk -= 1;
        if *bulk == 0 && self.mode == Mode::Auto {
            self.connection.set_mode(congestion::Mode::LowLatency);
        }
    }
}
