//! The order of runs: contestants side by side within each path, task and seed, so that a machine's mood meets all of them
//! alike; what was disturbed is run again.

use super::{Bench, Contestant, Record, Task, run_once};
use crate::path::Path;

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Paths.
    pub paths: Vec<Path>,
    /// Tasks on each.
    pub tasks: Vec<Task>,
    /// Who does them.
    pub contestants: Vec<Contestant>,
    /// Seeds, each of which is one run of everything.
    pub seeds: Vec<u64>,
    /// How often a disturbed run is run again.
    pub repeats: u32,
}

/// Something to tell the user.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A run begins: its number from one on, of how many, and what it is.
    Begins(usize, usize, String),
    /// It ended with these figures; those of a disturbed one count only if no attempt is left.
    Ended(&'a Record),
    /// It could not be run.
    Failed(&'a anyhow::Error),
}

/// Runs everything; what cannot be run is told and left out.
pub fn run_all(plan: &Plan, bench: &Bench, tell: &mut dyn FnMut(Progress<'_>)) -> Vec<Record> {
    let mut records = Vec::new();
    let all = plan.seeds.len() * plan.paths.len() * plan.tasks.len() * plan.contestants.len();
    let mut number = 0;
    for seed in &plan.seeds {
        for path in &plan.paths {
            for task in &plan.tasks {
                for contestant in &plan.contestants {
                    number += 1;
                    let what = format!("{} {task} {contestant} seed {seed}", path.name);
                    tell(Progress::Begins(number, all, what));
                    let run = || run_once(bench, path, task, contestant, *seed);
                    records.extend(undisturbed(plan.repeats, run, tell));
                }
            }
        }
    }
    records
}

/// Runs until a run is undisturbed or no attempt is left; the last run is the one that stays.
fn undisturbed(
    repeats: u32,
    mut run: impl FnMut() -> anyhow::Result<Record>,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Option<Record> {
    for attempt in 1..=repeats + 1 {
        match run() {
            Ok(mut record) => {
                record.attempt = attempt;
                tell(Progress::Ended(&record));
                if !record.disturbed || attempt > repeats {
                    return Some(record);
                }
            }
            Err(error) => {
                tell(Progress::Failed(&error));
                return None;
            }
        }
    }
    None
}
