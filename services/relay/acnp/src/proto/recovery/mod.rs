//! Loss detection after RFC 8985 (RACK-TLP), round trips, delivery rate.

mod ledger;
mod outcome;
mod rack;
mod rate;
mod reorder;
mod rtt;
#[cfg(test)]
mod tests;
mod windowed;

pub use ledger::Sent;
pub use outcome::{EcnCounts, Losses, Outcome, Spurious};
pub use rack::{NeverSent, Recovery};
pub use rate::{RateSample, RateSampler, Stamp};
pub use reorder::ReorderWindow;
pub use rtt::{GRANULARITY, MIN_WINDOW, Rtt};
pub use windowed::Windowed;
