//! The time that an invoice is for.

use std::{fmt, str::FromStr};

use jiff::{Zoned, civil::Date, tz::TimeZone};
use lowland_events::Time;
use serde::Serialize;

use crate::statement::as_text;

/// From one time (included) to another (not included), in UTC. Written as a year (`2026`), a month (`2026-11`), a day
/// (`2026-11-22`) or `FROM..TO` with two RFC 3339 times or days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Period {
    /// First moment.
    #[serde(serialize_with = "as_text")]
    pub from: Time,
    /// First moment that no longer belongs to it.
    #[serde(serialize_with = "as_text")]
    pub to: Time,
}

/// A text that is no period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a period: a year (2026), a month (2026-11), a day (2026-11-22), or FROM..TO with two days or RFC 3339 times, FROM before TO"
)]
pub struct Invalid(pub String);

impl Period {
    /// Whether `time` belongs to it.
    #[must_use]
    pub fn contains(&self, time: Time) -> bool {
        self.from <= time && time < self.to
    }

    /// The month that `time` is in.
    #[must_use]
    pub fn month_of(time: Time) -> Self {
        let text = time.to_string();
        text.get(..7)
            .and_then(|month| month.parse().ok())
            .unwrap_or(Self { from: Time(i64::MIN), to: Time(i64::MAX) })
    }
}

impl FromStr for Period {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let period = match text.split_once("..") {
            Some((from, to)) => moment(from).zip(moment(to)),
            None => calendar(text),
        };
        match period {
            Some((from, to)) if from < to => Ok(Self { from, to }),
            _ => Err(Invalid(text.to_owned())),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

/// A whole year, month or day.
fn calendar(text: &str) -> Option<(Time, Time)> {
    let span = jiff::Span::new();
    let (first, length) = match text.len() {
        4 => (format!("{text}-01-01"), span.years(1)),
        7 => (format!("{text}-01"), span.months(1)),
        10 => (text.to_owned(), span.days(1)),
        _ => return None,
    };
    let first: Date = first.parse().ok()?;
    Some((midnight(first)?, midnight(first.checked_add(length).ok()?)?))
}

fn moment(text: &str) -> Option<Time> {
    match text.parse::<Date>() {
        Ok(day) if text.len() == 10 => midnight(day),
        _ => text.parse().ok(),
    }
}

fn midnight(day: Date) -> Option<Time> {
    let zoned: Zoned = day.to_zoned(TimeZone::UTC).ok()?;
    Some(Time(zoned.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Period>().unwrap().to_string()
    }

    #[test]
    fn years_months_days_and_spans() {
        assert_eq!(shown("2026"), "2026-01-01T00:00:00Z..2027-01-01T00:00:00Z");
        assert_eq!(shown("2026-12"), "2026-12-01T00:00:00Z..2027-01-01T00:00:00Z");
        assert_eq!(shown("2024-02-29"), "2024-02-29T00:00:00Z..2024-03-01T00:00:00Z");
        assert_eq!(
            shown("2026-01-01..2026-01-02T03:00:00+01:00"),
            "2026-01-01T00:00:00Z..2026-01-02T02:00:00Z"
        );
        for bad in ["", "26", "2026-13", "2026-1", "2026-01-02..2026-01-01", "2026-01-01..2026-01-01", "x..y"]
        {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_end_is_not_included() {
        let month: Period = "2026-11".parse().unwrap();
        assert!(month.contains(month.from) && !month.contains(month.to));
        assert_eq!(Period::month_of(month.from), month);
        assert_eq!(Period::month_of(Time(month.to.0 - 1)), month);
    }
}
