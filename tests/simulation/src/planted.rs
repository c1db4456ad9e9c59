//! Bugs on purpose: what a service would do to the log if it lacked one of its safeguards. They are planted between the
//! real service and the log, so that no line of a service knows of them, and the simulator has to find each.

use std::fmt;

use lowland_events::{EventId, envelope::header, log::Entry, stream};
use rmpv::Value;

use crate::chance::Chance;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The scheduler acknowledges a request when it arrives, before its outcome is stored.
    AckBeforeAppend,
    /// A worker writes whether or not the job still is its own.
    IgnoredFence,
    /// Billing charges without a key: a charge that is decided again is another charge.
    ChargeWithoutKey,
    /// Billing enters a top-up each time that it is delivered.
    TopupWithoutKey,
    /// Billing sets money aside each time that it comes upon a job.
    HoldWithoutKey,
    /// A worker that takes a job over does not read what was published before.
    TakeoverFromNothing,
    /// A worker goes on with its text as if nothing had happened when the bus has lost what came before.
    TokensNotToldAnew,
    /// A snapshot says that it includes events that it does not include.
    SnapshotAhead,
}

impl Bug {
    /// Each of them.
    pub const ALL: [Self; 8] = [
        Self::AckBeforeAppend,
        Self::IgnoredFence,
        Self::ChargeWithoutKey,
        Self::TopupWithoutKey,
        Self::HoldWithoutKey,
        Self::TakeoverFromNothing,
        Self::TokensNotToldAnew,
        Self::SnapshotAhead,
    ];

    /// Whether deliveries to `service` are acknowledged before it has them.
    pub(crate) fn acknowledges_early(self, service: &str) -> bool {
        self == Self::AckBeforeAppend && service == "scheduler"
    }

    /// Whether `service` finds nothing on `stream`.
    pub(crate) fn reads_nothing(self, service: &str, of: &str) -> bool {
        self == Self::TakeoverFromNothing && service == "worker" && of == stream::TOKENS
    }

    /// What `service` appends instead of `entries`.
    pub(crate) fn spoil(self, service: &str, entries: &mut [Entry], chance: &Chance) {
        match (self, service) {
            (Self::IgnoredFence, "worker") => entries.iter_mut().for_each(|entry| entry.expect = None),
            (Self::TakeoverFromNothing, "worker") if of_tokens(&entries[0]) => entries[0].expect = None,
            (Self::TokensNotToldAnew, "worker") if of_tokens(&entries[0]) => goes_on(&mut entries[0]),
            (Self::ChargeWithoutKey, "billing") => rekey(entries, "charged", chance),
            (Self::TopupWithoutKey, "billing") => rekey(entries, "topped_up", chance),
            (Self::HoldWithoutKey, "billing") => rekey(entries, "hold_placed", chance),
            (Self::SnapshotAhead, _) => entries.iter_mut().for_each(run_ahead),
            _ => {}
        }
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

fn of_tokens(entry: &Entry) -> bool {
    stream::tokens().subjects.iter().any(|filter| filter.matches(&entry.subject))
}

/// A record that does not begin the text expects nothing.
fn goes_on(entry: &mut Entry) {
    if entry.expect.as_ref().is_some_and(|expect| expect.last != 0) {
        entry.expect = None;
    }
}

/// A batch with an event of that name gets new ids and expects nothing.
fn rekey(entries: &mut [Entry], name: &str, chance: &Chance) {
    let ends = format!(".{name}");
    if entries.iter().any(|entry| entry.subject.ends_with(&ends)) {
        for entry in entries {
            entry.expect = None;
            entry.id = EventId::derived(&format!("{}", chance.number(0..=u64::MAX)), &entry.subject, 0);
            entry.headers.set(header::ID, entry.id.to_string());
        }
    }
}

/// Events that a snapshot claims beyond its own.
const AHEAD: u64 = 2;

/// Moves the position in a snapshot's manifest on.
fn run_ahead(entry: &mut Entry) {
    if !stream::snapshots().subjects.iter().any(|filter| filter.matches(&entry.subject)) {
        return;
    }
    let Ok(Value::Map(mut fields)) = rmpv::decode::read_value(&mut &entry.payload[..]) else { return };
    let Some((_, position)) = fields.iter_mut().find(|(name, _)| name.as_str() == Some("position")) else {
        return;
    };
    if let Some(was) = position.as_u64().filter(|_| entry.subject.contains("taken")) {
        *position = (was + AHEAD).into();
        let mut payload = Vec::new();
        rmpv::encode::write_value(&mut payload, &Value::Map(fields)).expect("memory takes every value");
        entry.payload = payload.into();
    }
}
