//! One event as a line for people. Pure.

use jiff::{Timestamp, tz::TimeZone};
use lowland_events::{Domain, Event, Stored, Time, job::Event as Job};

use crate::{client::chain, paint::Paint};

/// Characters of what an event says; more is cut.
const WHAT_CHARS: usize = 160;

/// Time, place, what it is about, who wrote it, what it says.
pub fn line(stored: &Stored, zone: &TimeZone, paint: Paint) -> String {
    let subject = &stored.subject;
    let name = match subject.domain() {
        Domain::Token => format!("published.{}", subject.event()),
        _ => stored.event.name().to_owned(),
    };
    let about = match subject.domain() {
        Domain::Account => subject.scope().to_owned(),
        _ => format!("{}/{}", subject.scope(), subject.aggregate()),
    };
    let target = subject.target().map(|target| format!(" -> {target}")).unwrap_or_default();
    let place = format!("{} {}", stored.stream, stored.sequence);
    let by = stored.meta.source.split('/').next().unwrap_or_default();
    let kind = format!("{} {name}", subject.domain());
    format!(
        "{} {} {} {about}{target} {} {}",
        time(stored.stored_at, zone),
        paint.dim(&format!("{place:<12}")),
        coloured(&stored.event, &format!("{kind:<24}"), paint),
        paint.dim(&format!("by {by}:")),
        cut(&chain::what(&stored.event))
    )
}

/// The time of day, to the millisecond.
pub fn time(time: Time, zone: &TimeZone) -> String {
    match Timestamp::from_microsecond(time.0) {
        Ok(time) => time.to_zoned(zone.clone()).strftime("%H:%M:%S%.3f").to_string(),
        Err(_) => time.to_string(),
    }
}

fn coloured(event: &Event, text: &str, paint: Paint) -> String {
    match event {
        Event::Job(Job::Completed(_)) => paint.green(text),
        Event::Job(Job::Failed(_) | Job::Rejected(_) | Job::Expired(_) | Job::AttemptFailed(_))
        | Event::Request(lowland_events::request::Event::Rejected(_))
        | Event::Instance(lowland_events::instance::Event::Lost(_)) => paint.red(text),
        Event::Job(Job::Cancelled(_) | Job::CancelRequested(_)) | Event::Unknown(_) => paint.yellow(text),
        _ => paint.bold(text),
    }
}

fn cut(text: &str) -> String {
    let line = text.replace(['\n', '\r'], " ");
    match line.char_indices().nth(WHAT_CHARS) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}
