//! The command line.

mod ends;
mod hold;
mod list;
mod run;
mod smoke;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures transports side by side on emulated paths: two network namespaces, a path between them in user space.
///
/// Needs Linux and root. Nothing outside the namespaces is touched, and nothing is left behind.
#[derive(Debug, Parser)]
#[command(name = "netlab", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure: every contestant, job, path and seed asked for
    Run(run::Run),
    /// A run of seconds that shows that everything works
    Smoke(smoke::Smoke),
    /// Print the tables and the plot of runs kept as JSON lines
    Report(run::Report),
    /// List the paths, jobs and contestants that have a name
    List,
    /// Open a path and keep it open, for trying things by hand
    Hold(hold::Hold),
    /// The far end of a peer
    Server(ends::Server),
    /// The near end of a peer: does one job and prints one line of JSON
    Client(ends::Client),
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// What to tell the user.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(run) => run.run(),
            Command::Smoke(smoke) => smoke.run(),
            Command::Report(report) => report.run(),
            Command::List => list::list(),
            Command::Hold(hold) => hold.run(),
            Command::Server(server) => server.run(),
            Command::Client(client) => client.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
