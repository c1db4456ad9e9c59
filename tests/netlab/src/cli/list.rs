//! `netlab list`.

use std::process::ExitCode;

use crate::{path::NAMED, runner::TASKS, runner::builtin};

pub(super) fn list() -> anyhow::Result<ExitCode> {
    println!("Paths (--paths), each also refined as in lossy1:rate=50, or described from scratch:");
    for (name, text, what) in NAMED {
        println!("  {name:<12}{what}\n  {:<12}{text}", "");
    }
    println!("  {:<12}no path between: both ends on one loopback device", "loopback");
    println!("\nJobs (--jobs):");
    for (name, what) in TASKS {
        println!("  {name:<12}{what}");
    }
    println!("\nContestants (--peers), and those of --contestant:");
    for contestant in builtin("lowland acnp") {
        println!("  {contestant}");
    }
    Ok(ExitCode::SUCCESS)
}
