//! What a flow has done lately, to tell calls from bulk.

use std::time::Duration;

use tokio::time::Instant;

use super::mode::{Balance, Mode};
use crate::{endpoint::SendStream, proto::stream::Priority};

/// A flow is bulk once it has sent so many bytes without a pause.
const BULK_BYTES: u64 = 512 * 1024;
/// What a pause is.
const PAUSE: Duration = Duration::from_millis(50);

/// A flow, what it is taken for, and its weight in the connection's mode.
pub(super) struct Flow {
    balance: Balance,
    since_pause: u64,
    last: Instant,
    bulk: bool,
}

impl Flow {
    /// A flow begins as calls do.
    pub(super) fn new(balance: Balance, stream: &SendStream) -> Self {
        if balance.mode != Mode::Bandwidth {
            stream.set_priority(Priority::Urgent);
        }
        Self { balance, since_pause: 0, last: Instant::now(), bulk: false }
    }

    /// Data came from TCP.
    pub(super) fn on_read(&mut self, len: usize, stream: &SendStream) {
        let now = Instant::now();
        if now - self.last >= PAUSE {
            self.since_pause = 0;
        }
        (self.last, self.since_pause) = (now, self.since_pause + len as u64);
        let bulk = self.since_pause > BULK_BYTES;
        if bulk == self.bulk {
            return;
        }
        self.bulk = bulk;
        if self.balance.mode == Mode::Auto {
            stream.set_priority(if bulk { Priority::default() } else { Priority::Urgent });
        }
        if bulk { self.balance.on_bulk() } else { self.balance.on_calls() }
    }

    /// Data was taken: time spent waiting for that is no pause of the flow's.
    pub(super) fn on_written(&mut self) {
        self.last = Instant::now();
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        if self.bulk {
            self.balance.on_calls();
        }
    }
}
