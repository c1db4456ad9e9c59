//! `netlab smoke`: every peer does a little on a short path, and must do it right. Its figures mean nothing.

use std::{io, process::ExitCode, time::Duration};

use anyhow::Context;

use super::run::measure;
use crate::{
    emulator::{Family, check_rights},
    path::parse_paths,
    peer::PEERS,
    runner::{Bench, Plan, Sizes, Task, builtin},
};

/// A lossy path that is quickly crossed.
const PATHS: &str = "rtt=20ms:rate=100:loss=1%";

/// What each peer does.
const JOBS: [&str; 3] = ["rpc", "bulk", "cold"];

const SIZES: Sizes =
    Sizes { rate: 50.0, rpc_secs: 0.5, connections: 1, bulk_bytes: 1_000_000, bulk_secs: 0.5, cold_runs: 3 };

/// A lateness that no run is disturbed by: the machine may be busy.
const LATE_MAX: Duration = Duration::from_secs(60);

/// Nothing to choose.
#[derive(Debug, clap::Args)]
pub(super) struct Smoke {}

impl Smoke {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        check_rights()?;
        let tasks = JOBS.iter().map(|name| Task::named(name, &SIZES)).collect::<Result<_, _>>();
        let tasks = tasks.map_err(anyhow::Error::msg)?;
        let contestants = builtin("lowland acnp").into_iter().take(PEERS.len()).collect();
        let plan = Plan { paths: parse_paths(PATHS)?, tasks, contestants, seeds: vec![1], repeats: 0 };
        let netlab = std::env::current_exe().context("where this command is")?;
        let bench = Bench { netlab, keys: None, family: Family::V4, late_max: LATE_MAX };
        let records = measure(&plan, &bench, &mut io::sink());
        let all = plan.tasks.len() * plan.contestants.len();
        let wrong: Vec<_> = records.iter().filter(|record| !record.outcome.sound()).collect();
        for record in &wrong {
            eprintln!("{} {}: {:?}", record.peer, record.job, record.outcome);
        }
        let good = wrong.is_empty() && records.len() == all;
        println!("{} of {all} runs did what they were to do", records.len() - wrong.len());
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
