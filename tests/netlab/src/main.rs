//! The lab's command: `netlab run` measures; `netlab server` and `netlab client` are the ends that it starts.

use std::process::ExitCode;

use clap::Parser;
use lowland_netlab::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("netlab: {error:#}");
            ExitCode::FAILURE
        }
    }
}
