//! Medians over the seeds, by path, task and contestant, of the runs that were not disturbed.

use crate::{outcome::median, runner::Record};

/// A path and a task, and how each contestant did.
#[derive(Debug, Clone)]
pub struct Section {
    /// The path.
    pub path: String,
    /// The task.
    pub job: String,
    /// Contestants, in the order in which they were given.
    pub rows: Vec<Row>,
}

/// One contestant's medians.
#[derive(Debug, Clone)]
pub struct Row {
    /// The contestant.
    pub peer: String,
    /// The runs behind the medians.
    pub runs: Vec<Record>,
    /// Whether all runs were disturbed, and count for want of better ones.
    pub disturbed: bool,
}

impl Row {
    /// The median of a figure over the runs that have it.
    pub fn median(&self, of: impl Fn(&Record) -> Option<f64>) -> Option<f64> {
        median(&mut self.runs.iter().filter_map(of).collect::<Vec<_>>())
    }

    /// The sum of a figure over the runs.
    pub fn sum(&self, of: impl Fn(&Record) -> Option<u64>) -> Option<u64> {
        self.runs.iter().filter_map(of).reduce(|sum, more| sum + more)
    }

    /// A time as so many times the floor.
    pub fn times_floor(&self, of: impl Fn(&Record) -> Option<f64>) -> Option<f64> {
        self.median(|run| Some(of(run)? / run.floor_ms.filter(|floor| *floor > 0.0)?))
    }

    /// Why runs came to nothing, if one did.
    pub fn error(&self) -> Option<&str> {
        self.runs.iter().find_map(|run| run.outcome.error.as_deref())
    }

    /// Runs of which something was lost, wrong or unfinished.
    pub fn unsound(&self) -> usize {
        self.runs.iter().filter(|run| !run.outcome.sound()).count()
    }
}

/// Sorts runs into sections, in the order in which they first appear.
pub fn summarise(records: &[Record]) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for record in records {
        let place =
            sections.iter().position(|section| section.path == record.path && section.job == record.job);
        let place = place.unwrap_or_else(|| {
            sections.push(Section { path: record.path.clone(), job: record.job.clone(), rows: Vec::new() });
            sections.len() - 1
        });
        let rows = &mut sections[place].rows;
        match rows.iter_mut().find(|row| row.peer == record.peer) {
            Some(row) => row.runs.push(record.clone()),
            None => {
                rows.push(Row { peer: record.peer.clone(), runs: vec![record.clone()], disturbed: false });
            }
        }
    }
    sections.iter_mut().flat_map(|section| &mut section.rows).for_each(drop_disturbed);
    sections
}

fn drop_disturbed(row: &mut Row) {
    row.disturbed = row.runs.iter().all(|run| run.disturbed);
    if !row.disturbed {
        row.runs.retain(|run| !run.disturbed);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{emulator::Report, outcome::Outcome, runner::Wire};

    pub(crate) fn record(peer: &str, p99: f64, disturbed: bool) -> Record {
        Record {
            path: "lossy1".to_owned(),
            job: "rpc".to_owned(),
            peer: peer.to_owned(),
            seed: 1,
            attempt: 1,
            disturbed,
            floor_ms: Some(180.0),
            share: None,
            jain: None,
            rival_mbit: None,
            wire: Wire::default(),
            cpu_client_s: 0.0,
            cpu_server_s: 0.0,
            cpu_s_per_gb: None,
            outcome: Outcome { p99_ms: Some(p99), ..Outcome::default() },
            emulator: Report::default(),
        }
    }

    #[test]
    fn medians_are_of_undisturbed_runs() {
        let runs = [("a", 360.0, false), ("b", 180.0, true), ("a", 540.0, false), ("a", 9000.0, true)];
        let records: Vec<_> = runs.iter().map(|(peer, p99, bad)| record(peer, *p99, *bad)).collect();
        let sections = summarise(&records);
        let [section] = sections.as_slice() else { panic!("one section: {sections:?}") };
        assert_eq!(section.rows[0].times_floor(|run| run.outcome.p99_ms), Some(2.5));
        assert!(!section.rows[0].disturbed && section.rows[1].disturbed);
    }
}
