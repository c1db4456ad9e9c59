//! Points in a stream as people say them: a sequence, a time, or how long ago. Pure: the present is given.

use std::time::Duration;

use jiff::{Timestamp, Unit, civil, tz::TimeZone};
use lowland_events::Time;

/// A point in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A sequence.
    Sequence(u64),
    /// A time.
    Time(Time),
}

/// A text that is no point in a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no point in the log; wanted is a sequence (4711), a time (2026-11-25T16:20:00Z, 2026-11-25 16:20, 16:20, 2026-11-25, \
     yesterday, today, now) or how long ago (10m, \"2h 30m ago\")"
)]
pub struct Invalid(String);

/// Reads a point; times without a zone are of `zone`.
pub fn parse(text: &str, now: Time, zone: &TimeZone) -> Result<Moment, Invalid> {
    let text = text.trim();
    if let Ok(sequence) = text.parse() {
        return Ok(Moment::Sequence(sequence));
    }
    if let Ok(time) = text.parse::<Time>() {
        return Ok(Moment::Time(time));
    }
    let invalid = || Invalid(text.to_owned());
    if let Some(time) = ago(text, now) {
        return Ok(Moment::Time(time));
    }
    let timestamp = civil(text, now, zone).ok_or_else(invalid)?;
    let zoned = timestamp.to_zoned(zone.clone()).map_err(|_| invalid())?;
    Ok(Moment::Time(Time(zoned.timestamp().as_microsecond())))
}

/// `10m`, `2h 30m ago`.
fn ago(text: &str, now: Time) -> Option<Time> {
    if text == "now" {
        return Some(now);
    }
    let span: jiff::SignedDuration =
        text.strip_suffix("ago").unwrap_or(text).trim().parse().ok().or_else(|| days(text))?;
    let ago = Duration::try_from(span).ok()?;
    let us = i64::try_from(ago.as_micros()).ok()?;
    Some(Time(now.0.checked_sub(us)?))
}

/// `3d`, `2 weeks ago`: days of 24 hours, which is what people mean by them here.
fn days(text: &str) -> Option<jiff::SignedDuration> {
    let span: jiff::Span = text.strip_suffix("ago").unwrap_or(text).trim().parse().ok()?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()
}

/// A date and a time of day without a zone.
fn civil(text: &str, now: Time, zone: &TimeZone) -> Option<civil::DateTime> {
    let today = Timestamp::from_microsecond(now.0).ok()?.to_zoned(zone.clone()).date();
    match text {
        "today" => return Some(today.at(0, 0, 0, 0)),
        "yesterday" => return Some(today.yesterday().ok()?.at(0, 0, 0, 0)),
        _ => {}
    }
    // A time of day is tried last: it is also what stands at the end of a date with a time.
    let time_of_day = || text.parse::<civil::Time>().ok().map(|time| today.to_datetime(time));
    text.parse::<civil::DateTime>().ok().or_else(time_of_day)
}

/// How long ago `time` was, in a word or two.
pub fn since(time: Time, now: Time) -> String {
    let ms = now.ms_since(time);
    let span = jiff::SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    let unit = if ms < 60_000 { Unit::Second } else { Unit::Minute };
    let span = span.round(unit).unwrap_or(span);
    if span.is_zero() { "just now".into() } else { format!("{span:#} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-25T16:20:00Z.
    const NOW: Time = Time(1_795_623_600_000_000);

    fn read(text: &str) -> Result<Moment, Invalid> {
        parse(text, NOW, &TimeZone::fixed(jiff::tz::offset(1)))
    }

    fn time(text: &str) -> String {
        match read(text) {
            Ok(Moment::Time(time)) => time.to_string(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn plain_numbers_are_sequences() {
        assert_eq!(read("4711"), Ok(Moment::Sequence(4711)));
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(NOW.to_string(), "2026-11-25T16:20:00Z");
        assert_eq!(time("now"), "2026-11-25T16:20:00Z");
        assert_eq!(time("10m ago"), "2026-11-25T16:10:00Z");
        assert_eq!(time("2h 30m"), "2026-11-25T13:50:00Z");
        assert_eq!(time("2d"), "2026-11-23T16:20:00Z");
        assert_eq!(time("yesterday"), "2026-11-23T23:00:00Z");
        assert_eq!(time("2026-11-20"), "2026-11-19T23:00:00Z");
        assert_eq!(time("2026-11-20 10:00"), "2026-11-20T09:00:00Z");
        assert_eq!(time("16:20"), "2026-11-25T15:20:00Z");
        assert_eq!(time("2026-11-20T10:00:00+02:00"), "2026-11-20T08:00:00Z");
    }

    #[test]
    fn anything_else_says_what_would_be_right() {
        for text in ["", "soon", "-5", "2026-13-01", "tomorrowish"] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains("10m"), "{error}");
        }
    }
}
