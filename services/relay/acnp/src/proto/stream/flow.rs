//! Flow control (RFC 9000 §4): a receiver grants, a sender keeps to it.

use crate::proto::close::{Code, Violation};

/// A window that moves as data is consumed.
#[derive(Debug)]
pub(super) struct Window {
    size: u64,
    granted: u64,
    consumed: u64,
}

impl Window {
    pub(super) const fn new(size: u64) -> Self {
        Self { size, granted: size, consumed: 0 }
    }

    /// The limit that the peer was told, or is about to be.
    pub(super) const fn granted(&self) -> u64 {
        self.granted
    }

    /// Notes data that the application has taken, or never will; says whether the peer should be told a new limit.
    pub(super) fn on_consumed(&mut self, bytes: u64) -> bool {
        self.consumed += bytes;
        let next = self.consumed + self.size;
        // A quarter of the window at a time: often enough that the sender never waits, seldom enough to cost nothing.
        let worth = next - self.granted >= (self.size / 4).max(1);
        if worth {
            self.granted = next;
        }
        worth
    }

    /// # Errors
    /// Data up to `offset` was not granted (ACNP-61).
    pub(super) const fn check(&self, offset: u64) -> Result<(), Violation> {
        if offset > self.granted {
            return Err(Violation::new(Code::FLOW_CONTROL, "data beyond the limit"));
        }
        Ok(())
    }
}
