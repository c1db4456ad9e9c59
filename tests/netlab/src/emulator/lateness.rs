//! How late the emulator itself was: the difference between when a packet was to leave and when it did.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest lateness that is told apart, in microseconds.
const LATENESS_US_MAX: u64 = 60_000_000;

/// Microseconds by which packets left too late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    /// Half of the packets were later than this.
    pub p50_us: u64,
    /// One in a hundred was.
    pub p99_us: u64,
    /// The latest.
    pub max_us: u64,
}

/// Collects lateness.
#[derive(Debug)]
pub(super) struct Recorder(Histogram<u64>);

impl Recorder {
    pub(super) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, LATENESS_US_MAX, 3).expect("the bounds are in order"))
    }

    pub(super) fn late(&mut self, by: std::time::Duration) {
        self.0.saturating_record(by.as_micros() as u64);
    }

    pub(super) fn lateness(&self) -> Lateness {
        Lateness {
            p50_us: self.0.value_at_quantile(0.5),
            p99_us: self.0.value_at_quantile(0.99),
            max_us: self.0.max(),
        }
    }
}
