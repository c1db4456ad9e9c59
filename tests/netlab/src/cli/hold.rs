//! `netlab hold`: a path to try things on by hand.

use std::{io, process::ExitCode};

use crate::{
    emulator::{Emulator, Family, client_address, server_address},
    path::parse_path,
};

/// Opens a path until the end of the standard input.
#[derive(Debug, clap::Args)]
pub(super) struct Hold {
    /// A path's name, or what describes it
    path: String,
    /// What its luck follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// IPv6 instead of IPv4
    #[arg(long)]
    ipv6: bool,
}

impl Hold {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let path = parse_path(&self.path)?;
        let family = if self.ipv6 { Family::V6 } else { Family::V4 };
        let emulator = Emulator::open(&path, family, self.seed)?;
        println!("client: {} COMMAND", emulator.client().entry());
        println!("server: {} COMMAND", emulator.server().entry());
        for line in 0..path.lines.len() {
            println!("line {line}: {} -> {}", client_address(family, line), server_address(family, line));
        }
        println!("Open until Enter, or the end of the input.");
        io::stdin().read_line(&mut String::new())?;
        println!("{}", serde_json::to_string_pretty(&emulator.close()?)?);
        Ok(ExitCode::SUCCESS)
    }
}
