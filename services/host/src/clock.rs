//! The one place that reads the clock. What it gives enters decisions as an argument and events as data.

use std::time::{SystemTime, UNIX_EPOCH};

use lowland_events::Time;

/// The time now.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
