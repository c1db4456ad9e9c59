//! Points in time, as event data: microseconds since the Unix epoch, UTC.
//!
//! Nothing in this crate reads a clock; a [`Time`] always came from a shell or from the log.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Microseconds since the Unix epoch, UTC.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// The time `ms` milliseconds later; stays at the end of time rather than wrap.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        let us = i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1000);
        Self(self.0.saturating_add(us))
    }

    /// Milliseconds from `earlier` to this time, zero if it is not earlier.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0) / 1000).unwrap_or(0)
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC, as CloudEvents' `ce-time` wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl std::str::FromStr for Time {
    type Err = jiff::Error;
    /// Reads RFC 3339.
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        Ok(Self(text.parse::<jiff::Timestamp>()?.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_rfc3339() {
        let time = Time(1_790_000_000_123_456);
        assert_eq!(time.to_string().parse::<Time>().unwrap(), time);
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn spans_do_not_wrap() {
        assert_eq!(Time(5).ms_since(Time(9)), 0);
        assert_eq!(Time(i64::MAX).plus_ms(u64::MAX), Time(i64::MAX));
        assert_eq!(Time(2_500_000).ms_since(Time(0)), 2500);
    }
}
