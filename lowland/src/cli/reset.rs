//! `lowland reset`: forget everything.

use std::{
    fs,
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};

use super::Context;
use crate::{
    folders,
    supervise::{prepare::bytes_in, state},
};

/// Remove the data folder: the event log, accounts and their money, keys, configuration, logs
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Don't ask
    #[arg(long)]
    yes: bool,
    /// Also remove the cache folder: everything is fetched and imported again at the next start
    #[arg(long)]
    cache: bool,
}

/// Entries of a data folder; something else in there means that it is no data folder of ours.
const KNOWN: [&str; 6] = ["nats", "logs", "run", "keys", "keys.toml", "prices.toml"];

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let data = context.data();
    if let Some(pid) = state::supervisor(&data) {
        bail!("it is running (process {pid}): `lowland down` first");
    }
    refuse_strangers(data.root())?;
    let folders = [Some(data.root().to_owned()), args.cache.then(folders::cache).transpose()?];
    let folders: Vec<PathBuf> = folders.into_iter().flatten().filter(|folder| folder.exists()).collect();
    if folders.is_empty() {
        println!("nothing to remove: {} does not exist", data.root().display());
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !agreed(&folders)? {
        println!("nothing was removed");
        return Ok(ExitCode::FAILURE);
    }
    for folder in folders {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
        println!("removed {}", folder.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// A slip in `--data` must not cost somebody's home folder.
fn refuse_strangers(folder: &std::path::Path) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !KNOWN.iter().any(|known| name == *known) {
            bail!(
                "{} holds {}, which is none of ours: remove it by hand if you want it gone",
                folder.display(),
                name.to_string_lossy()
            );
        }
    }
    Ok(())
}

fn agreed(folders: &[PathBuf]) -> Result<bool> {
    for folder in folders {
        println!("{}  {} MB", folder.display(), bytes_in(folder) / 1_000_000);
    }
    if !std::io::stdin().is_terminal() {
        bail!("nobody is there to ask: give --yes to remove them");
    }
    print!("Remove for good? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
