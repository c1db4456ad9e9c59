//! The subcommands: a file each, thin over the rest of this crate.

use std::{collections::BTreeMap, io::Write, path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{
    artifacts::{cache::Cache, fetch::Fetcher, progress::Progress},
    folders::{self, Data},
};

pub mod acnp;
pub mod bench;
pub mod chat;
pub mod demo;
pub mod doctor;
pub mod down;
pub mod fetch;
pub mod health;
pub mod key;
pub mod logs;
pub mod model;
pub mod money;
pub mod nats;
pub mod prune;
pub mod replay;
pub mod reset;
pub mod serve;
pub mod setup;
pub mod status;
pub mod submit;
pub mod top;
pub mod up;
pub mod watch;
pub mod why;

/// Inference flows to where it is cheap: models served by separate processes that talk only through an event log.
#[derive(Debug, Parser)]
#[command(name = "lowland", version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    /// Data folder: the event log, keys, configuration, logs [default: $XDG_DATA_HOME/lowland or ~/.local/share/lowland]
    #[arg(long, global = true, env = "LOWLAND_DATA", value_name = "DIR", hide_env_values = true)]
    pub data: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Start here:
  lowland demo                start everything, see a model answer and what it cost, stop everything
  lowland up                  start everything and stay; stop with Ctrl-C
  lowland chat                talk with a model
  lowland status              what runs, and where
  lowland top                 what happens now: jobs, tokens, times, accounts
  lowland why JOB             one job explained: who decided what, and what it cost
  lowland watch               events as they come
  lowland replay --check      rebuild what services know from the log, and compare
  lowland doctor              what is missing, and the command that mends it

Replaced by the environment:
  NATS_SERVER       path of a nats-server program     LOWLAND_NATS_URL  an existing NATS server
  ORT_DYLIB_PATH    ONNX Runtime's shared library     LOWLAND_MODELS    a folder of imported models
  XDG_CACHE_HOME    where downloads are kept          XDG_DATA_HOME     where data is kept";

/// The subcommands.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "what each is stands at its arguments, where clap takes it from")]
pub enum Command {
    Demo(demo::Args),
    Up(up::Args),
    Down(down::Args),
    Status(status::Args),
    Doctor(doctor::Args),
    Logs(logs::Args),
    Chat(chat::Args),
    Submit(submit::Args),
    Why(why::Args),
    Watch(watch::Args),
    Top(top::Args),
    Replay(replay::Args),
    Balance(money::BalanceArgs),
    Topup(money::TopupArgs),
    Invoice(money::InvoiceArgs),
    Key(key::Args),
    Fetch(fetch::Args),
    Prune(prune::Args),
    Reset(reset::Args),
    Model(model::Args),
    Nats(nats::Args),
    Bench(bench::Args),
    Acnp(acnp::Args),
    Serve(serve::Args),
    Setup(setup::Args),
    Health(health::Args),
}

/// What every subcommand may need.
pub struct Context {
    /// The data folder, not necessarily there.
    pub data: PathBuf,
    /// The environment, read once.
    pub env: BTreeMap<String, String>,
}

impl Context {
    /// The data folder, made if it is not there.
    pub fn open_data(&self) -> Result<Data> {
        Ok(Data::open(&self.data)?)
    }

    /// The data folder as it is.
    pub fn data(&self) -> Data {
        Data::at(&self.data)
    }

    /// The cache folder, with its replacements.
    pub fn fetcher(&self, progress: Progress) -> Result<Fetcher> {
        Ok(Fetcher { cache: Cache::at(folders::cache()?), env: self.env.clone(), progress })
    }
}

/// Does what was asked.
pub fn run(cli: Cli) -> Result<ExitCode> {
    let data = match cli.data {
        Some(data) => data,
        None => folders::data()?,
    };
    let context = Context { data, env: std::env::vars().collect() };
    match cli.command {
        Command::Demo(args) => demo::run(&context, args),
        Command::Chat(args) => chat::run(&context, args),
        Command::Submit(args) => submit::run(&context, args),
        Command::Why(args) => why::run(&context, args),
        Command::Watch(args) => watch::run(&context, args),
        Command::Top(args) => top::run(&context, args),
        Command::Replay(args) => replay::run(&context, args),
        Command::Balance(args) => money::balance(&context, args),
        Command::Topup(args) => money::topup(&context, args),
        Command::Invoice(args) => money::invoices(&context, args),
        Command::Up(args) => up::run(&context, args),
        Command::Down(args) => down::run(&context, args),
        Command::Status(args) => status::run(&context, args),
        Command::Doctor(args) => doctor::run(&context, args),
        Command::Logs(args) => logs::run(&context, args),
        Command::Key(args) => key::run(&context, args),
        Command::Fetch(args) => fetch::run(&context, args),
        Command::Prune(args) => prune::run(&context, args),
        Command::Reset(args) => reset::run(&context, args),
        Command::Model(args) => model::run(&context, args),
        Command::Nats(args) => nats::run(&context, args),
        Command::Bench(args) => bench::run(&context, args),
        Command::Acnp(args) => acnp::run(&context, args),
        Command::Serve(args) => serve::run(&context, args),
        Command::Setup(args) => setup::run(&context, args),
        Command::Health(args) => health::run(&context, args),
    }
}

/// For commands that wait on the network or on processes: one thread, which children are bound to.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// A table without lines, for people.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt()
}

/// Prints a text and a line's end. Whoever reads it may have gone, as `head` does: then there is nothing left to do.
pub(crate) fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let written =
        out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => Ok(written?),
    }
}
