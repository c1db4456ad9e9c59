//! `lowland down`: stop what runs on a data folder.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::Context;
use crate::supervise::{child, state};

/// Time that stopping in order may take: services and then the server have [`child::GRACE`] each.
const STOP_MAX: Duration = Duration::from_secs(3 * child::GRACE.as_secs());
/// How often the supervisor is looked at meanwhile.
const POLL: Duration = Duration::from_millis(50);

/// Stop everything that `lowland up` started, from another terminal
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(context: &Context, _args: Args) -> Result<ExitCode> {
    let data = context.data();
    let Some(pid) = state::supervisor(&data) else {
        println!("nothing runs on {}", data.root().display());
        return Ok(ExitCode::SUCCESS);
    };
    child::signal(pid, libc::SIGTERM);
    let deadline = Instant::now() + STOP_MAX;
    while state::supervisor(&data).is_some() {
        if Instant::now() > deadline {
            bail!(
                "process {pid} has not stopped after {} s; `kill -9 {pid}` ends it and all it started",
                STOP_MAX.as_secs()
            );
        }
        thread::sleep(POLL);
    }
    println!("stopped");
    Ok(ExitCode::SUCCESS)
}
