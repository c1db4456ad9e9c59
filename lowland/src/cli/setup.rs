//! `lowland setup`: what each service needs to run in a container of its own, written before any of them starts.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use lowland_billing::prices::Book;
use lowland_events::id::AccountId;

use super::Context;
use crate::{
    containers::handout::{Deployment, hand_out},
    folders::{Data, write_secret},
    supervise::{
        plan::{DEMO_ACCOUNT, PRICES_FILE},
        prepare::check_space,
    },
};

/// Write keys and configuration for services that run in containers of their own, a folder each
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland setup --out /roles                          as compose.yaml has it
  lowland setup --out /roles --workers 4 --tenants acme,globex
  lowland setup --out /roles --prices new.toml        another price book, refused if it is not right

Writes nats/nats.conf and, for each service, a folder with its own key and nothing of another's. Everything else stays in
the data folder. Doing it again keeps every key and writes only what has changed; a server that runs takes changed users
up when it is started again.")]
pub struct Args {
    /// Folder of the services' folders
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Workers that may run at once; each takes one of as many keys
    #[arg(long, default_value_t = 16, value_name = "N", env = "LOWLAND_WORKERS_MAX",
          hide_env_values = true, value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// Accounts beside the demo account, separated by commas
    #[arg(long, value_name = "ID", env = "LOWLAND_TENANTS", hide_env_values = true)]
    tenants: Option<String>,
    /// A new price book, `-` for standard input; billing takes it up within seconds
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let data = context.open_data()?;
    check_space(&data)?;
    if let Some(file) = &args.prices {
        take_prices(&data, file)?;
    }
    let tenants = tenants(args.tenants.as_deref().unwrap_or_default())?;
    let deployment = Deployment { workers: args.workers.into(), tenants };
    hand_out(&data, &args.out, &deployment)?;
    let accounts: Vec<&str> = deployment.tenants.iter().map(AccountId::as_str).collect();
    println!(
        "{} is ready: scheduler, billing, gateway, up to {} workers; accounts: {}",
        args.out.display(),
        deployment.workers,
        accounts.join(", ")
    );
    Ok(ExitCode::SUCCESS)
}

/// Puts a price book in the place of the one that is there, if it is one.
fn take_prices(data: &Data, file: &Path) -> Result<()> {
    let text = match file.as_os_str() == "-" {
        true => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        }
        false => fs::read_to_string(file),
    };
    let text = text.with_context(|| file.display().to_string())?;
    if let Err(problems) = Book::parse(&text) {
        let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
        bail!("{} is no price book; nothing was changed:\n{}", file.display(), lines.join("\n"));
    }
    Ok(write_secret(&data.config(PRICES_FILE), text.as_bytes())?)
}

/// The demo account and those that are named, each once.
fn tenants(text: &str) -> Result<Vec<AccountId>> {
    let mut tenants = vec![AccountId::new(DEMO_ACCOUNT)?];
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let Ok(tenant) = AccountId::new(name) else {
            bail!("--tenants: {name:?} is no account id: letters, digits, `-` and `_`, such as acme");
        };
        if !tenants.contains(&tenant) {
            tenants.push(tenant);
        }
    }
    Ok(tenants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_book_is_checked_before_it_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let data = Data::open(dir.path().join("data")).unwrap();
        let file = dir.path().join("new.toml");
        fs::write(&file, "currency = 1\n").unwrap();
        let error = take_prices(&data, &file).unwrap_err().to_string();
        assert!(error.contains("nothing was changed") && error.contains("line 1"), "{error}");
        assert!(!data.config(PRICES_FILE).exists());
        fs::write(&file, lowland_billing::prices::SAMPLE).unwrap();
        take_prices(&data, &file).unwrap();
        assert_eq!(fs::read_to_string(data.config(PRICES_FILE)).unwrap(), lowland_billing::prices::SAMPLE);
    }

    #[test]
    fn accounts_are_named_once_and_checked() {
        let ids = |text| tenants(text).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(ids(""), ["demo"]);
        assert_eq!(ids("acme, demo ,acme,"), ["demo", "acme"]);
        assert!(tenants("a.b").unwrap_err().to_string().contains("\"a.b\""));
    }
}
