//! A job's life as one table of legal moves.
//!
//! `lifecycle.golden.txt` beside the crate's manifest is this table printed, so that a changed arrow shows in review.
//! Every append expects the job's last sequence and every writer follows this table, so a job has exactly one terminal
//! event.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where an open job stands: the name of the last event that moved it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Accepted; billing has not answered yet.
    Submitted,
    /// Paid for in advance; waits for a place.
    Held,
    /// Given to a worker.
    Assigned,
    /// The worker has begun.
    Started,
    /// The last attempt came to nothing; waits for another place, or for its end.
    AttemptFailed,
    /// A worker has it and was told to stop.
    CancelRequested,
}

impl Phase {
    /// Whether a worker has the job.
    #[must_use]
    pub fn is_with_worker(self) -> bool {
        matches!(self, Self::Assigned | Self::Started | Self::CancelRequested)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Held => HELD,
            Self::Assigned => "assigned",
            Self::Started => "started",
            Self::AttemptFailed => "attempt_failed",
            Self::CancelRequested => "cancel_requested",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a move leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The job goes on.
    Open(Phase),
    /// The job has ended, for good.
    Ended,
}

/// The move that the account's `hold_placed` makes, and that earlier builds told again by a job event of this name.
pub const HELD: &str = "held";

/// The legal moves: from each place (none: the job does not exist yet), the events that may follow. A job that has its hold
/// may yet be rejected: by an append of billing's that was on its way when money came in.
pub const TABLE: &[(Option<Phase>, &[&str])] = &[
    (None, &["submitted", "rejected"]),
    (Some(Phase::Submitted), &[HELD, "rejected", "cancelled", "expired"]),
    (Some(Phase::Held), &[HELD, "assigned", "rejected", "cancelled", "expired", "failed"]),
    (
        Some(Phase::Assigned),
        &["started", "attempt_failed", "cancel_requested", "cancelled", "expired", "failed", "completed"],
    ),
    (
        Some(Phase::Started),
        &["completed", "attempt_failed", "cancel_requested", "cancelled", "expired", "failed"],
    ),
    (Some(Phase::AttemptFailed), &["assigned", "rejected", "failed", "cancelled", "expired"]),
    (Some(Phase::CancelRequested), &["cancelled", "completed", "attempt_failed", "expired", "failed"]),
];

/// Events after which nothing follows.
pub const TERMINAL: &[&str] = &["rejected", "completed", "failed", "cancelled", "expired"];

/// Where `event` leads from `phase`; nothing if that is no legal move.
#[must_use]
pub fn after(phase: Option<Phase>, event: &str) -> Option<Next> {
    let (_, moves) = TABLE.iter().find(|(from, _)| *from == phase)?;
    moves.contains(&event).then(|| place(event)).flatten()
}

fn place(event: &str) -> Option<Next> {
    if TERMINAL.contains(&event) {
        return Some(Next::Ended);
    }
    let open = |(phase, _): &(Option<Phase>, _)| phase.filter(|phase: &Phase| phase.name() == event);
    TABLE.iter().find_map(open).map(Next::Open)
}

/// The table as text.
#[must_use]
pub fn print() -> String {
    let name = |phase: Option<Phase>| phase.map_or("(none)", Phase::name);
    let rows = TABLE.iter().map(|(from, moves)| format!("{:<16} -> {}\n", name(*from), moves.join(" | ")));
    let ends = TERMINAL.iter().map(|end| format!("{end:<16} .\n"));
    rows.chain(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a change of the table that is meant: `UPDATE_GOLDEN=1 cargo test -p lowland-scheduler`.
    #[test]
    fn the_table_is_the_golden_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/lifecycle.golden.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, print()).unwrap();
        }
        assert_eq!(print(), std::fs::read_to_string(path).unwrap());
    }

    #[test]
    fn every_move_leads_somewhere_that_has_a_row_or_is_the_end() {
        for (from, moves) in TABLE {
            for event in *moves {
                assert!(after(*from, event).is_some(), "{from:?} -> {event}");
            }
        }
    }

    #[test]
    fn every_job_event_of_the_contract_stands_in_the_table() {
        for event in lowland_events::job::Event::TYPES {
            let known = TABLE.iter().any(|(_, moves)| moves.contains(&event.name));
            assert!(known, "{} is reached from nowhere", event.name);
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_illegal() {
        assert_eq!(after(None, "assigned"), None);
        assert_eq!(after(Some(Phase::Submitted), "assigned"), None);
        assert_eq!(after(Some(Phase::Assigned), "held"), None);
        assert_eq!(after(Some(Phase::AttemptFailed), "completed"), None);
        assert_eq!(after(Some(Phase::Held), "assigned"), Some(Next::Open(Phase::Assigned)));
        assert_eq!(after(Some(Phase::CancelRequested), "completed"), Some(Next::Ended));
    }
}
