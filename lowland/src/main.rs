//! The `lowland` command.

use std::process::ExitCode;

use clap::Parser;
use lowland::cli::{Cli, run};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lowland: {error:#}");
            ExitCode::FAILURE
        }
    }
}
