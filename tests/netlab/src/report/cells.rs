//! A row as text: which columns a task has, and what stands in them.

use super::Row;
use crate::runner::Record;

/// A column: its title, and what stands in it.
type Column = (&'static str, fn(&Row) -> String);

/// Columns of tasks that make calls.
const CALLS: [Column; 8] = [
    ("p50", |row| times(row, |run| run.outcome.p50_ms)),
    ("p90", |row| times(row, |run| run.outcome.p90_ms)),
    ("p99", |row| times(row, |run| run.outcome.p99_ms)),
    ("p99.9", |row| times(row, |run| run.outcome.p999_ms)),
    ("ok", |row| count(row, |run| run.outcome.ok)),
    ("lost", |row| count(row, |run| run.outcome.lost)),
    ("bad", |row| count(row, |run| run.outcome.bad_content)),
    ("wire/content", |row| ratio(row, |run| run.wire.times_content)),
];

/// Columns of tasks that load the path.
const LOADS: [Column; 6] = [
    ("Mbit/s", |row| number(row.median(|run| run.outcome.goodput_mbit), 1)),
    ("of capacity", |row| percent(row.median(|run| run.share))),
    ("second half", |row| number(row.median(|run| run.outcome.tail_mbit), 1)),
    ("sent/content", |row| ratio(row, |run| run.wire.down_times_content)),
    ("queue ms", |row| number(row.median(|run| Some(run.emulator.down.queued_ms_mean())), 1)),
    ("CPU s/GB", |row| number(row.median(|run| run.cpu_s_per_gb), 2)),
];

/// Columns of several flows.
const SHARING: [Column; 2] = [
    ("Jain", |row| number(row.median(|run| run.jain), 3)),
    ("beside it Mbit/s", |row| number(row.median(|run| run.rival_mbit), 1)),
];

/// Columns of every task.
const ALWAYS: [Column; 2] = [
    ("late p99/max us", |row| {
        let late = |of: fn(&Record) -> u64| row.runs.iter().map(of).max().unwrap_or_default();
        format!("{}/{}", late(|run| run.emulator.lateness.p99_us), late(|run| run.emulator.lateness.max_us))
    }),
    ("runs", |row| {
        let unsound = row.unsound();
        let trouble = if unsound > 0 { format!(", {unsound} unsound") } else { String::new() };
        let disturbed = if row.disturbed { ", disturbed" } else { "" };
        format!("{}{trouble}{disturbed}", row.runs.len())
    }),
];

/// The columns that say something about these rows.
pub(super) fn columns(rows: &[Row]) -> Vec<Column> {
    CALLS
        .iter()
        .chain(&LOADS)
        .chain(&SHARING)
        .chain(&ALWAYS)
        .filter(|(_, cell)| rows.iter().any(|row| !cell(row).is_empty()))
        .filter(|(title, _)| {
            *title != "queue ms"
                || rows.iter().any(|row| row.runs.iter().any(|run| run.outcome.goodput_mbit.is_some()))
        })
        .copied()
        .collect()
}

/// One run in one line, for its progress.
pub fn line(record: &Record) -> String {
    let row = Row { peer: record.peer.clone(), runs: vec![record.clone()], disturbed: record.disturbed };
    if let Some(error) = &record.outcome.error {
        return format!("failed: {error}");
    }
    let rows = [row];
    let cells = columns(&rows).into_iter().map(|(title, cell)| (title, cell(&rows[0])));
    let told: Vec<_> = cells.filter(|(_, cell)| !cell.is_empty() && cell != "0").collect();
    told.iter().map(|(title, cell)| format!("{title} {cell}")).collect::<Vec<_>>().join("  ")
}

fn times(row: &Row, of: fn(&Record) -> Option<f64>) -> String {
    let ms = number(row.median(of), 1);
    match row.times_floor(of) {
        Some(times) => format!("{times:.2}x ({ms} ms)"),
        None => ms,
    }
}

fn count(row: &Row, of: fn(&Record) -> Option<u64>) -> String {
    row.sum(of).map_or_else(String::new, |count| count.to_string())
}

fn ratio(row: &Row, of: fn(&Record) -> Option<f64>) -> String {
    row.median(of).map_or_else(String::new, |ratio| format!("{ratio:.2}x"))
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(String::new, |value| format!("{value:.digits$}"))
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{:.0}%", value * 100.0))
}
