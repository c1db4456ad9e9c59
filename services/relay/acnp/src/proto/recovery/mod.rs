//! Loss detection after RFC 8985 (RACK-TLP), round trips, delivery rate.

mod rate;
mod rtt;
mod windowed;

pub use rate::{RateSample, RateSampler, Stamp};
pub use rtt::{GRANULARITY, MIN_WINDOW, Rtt};
pub use windowed::Windowed;
