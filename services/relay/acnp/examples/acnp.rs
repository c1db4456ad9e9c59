//! `lowland acnp …` by itself, with the same arguments: what a test bed needs of it.

use clap::Parser;
use lowland_acnp::command::{Command, run};

#[derive(Debug, Parser)]
#[command(name = "acnp")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("acnp: {failure}");
            std::process::ExitCode::FAILURE
        }
    }
}
