//! `lowland bench`: how fast it is, beside a yardstick. A file each of `lowland::bench`, thin here.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Result, bail};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{Context, block_on};
use crate::{
    artifacts::progress::Progress,
    bench::{
        pipeline::{Bench, Settings, Tell},
        replay, table,
    },
};

/// Measure the pipeline, or how fast the log is folded, on this machine
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    Pipeline(PipelineArgs),
    Replay(ReplayArgs),
}

/// Jobs a second through submit, hold, assign, start, complete and charge, and the time to the first token
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland bench pipeline                     both ways of flushing, some minutes
  lowland bench pipeline --quick             a few seconds: does it work at all
  lowland bench pipeline --sync always --json > pipeline.json

All processes run as `lowland up` starts them, in a temporary data folder, with an engine that answers at once.
Throughput is a closed loop: --outstanding jobs are under way, and where one is charged the next is posted.
The yardstick is bare JetStream on a server of its own with the same flushing: as many messages as the jobs stored (in
LOG, REQUESTS and TOKENS), of their mean size, published with acknowledgement and as many in flight, and taken by one
durable pull consumer that acknowledges each. Runs of pipeline and yardstick alternate; figures are medians.
Latencies when idle are of one job at a time; `added` is what is more than calling the engine in this process.
TMPDIR says on which disk: a memory file system has nothing to flush.")]
struct PipelineArgs {
    /// Jobs of a run
    #[arg(long, default_value_t = 4000, value_name = "N")]
    jobs: usize,
    /// Jobs under way at once
    #[arg(long, default_value_t = 512, value_name = "N")]
    outstanding: usize,
    /// Accounts that the jobs belong to
    #[arg(long, default_value_t = 8, value_name = "N")]
    accounts: usize,
    /// Characters of a prompt; as many tokens come back
    #[arg(long, default_value_t = 64, value_name = "N")]
    prompt_chars: usize,
    /// Worker processes
    #[arg(long, default_value_t = 1, value_name = "N")]
    workers: usize,
    /// Runs, of pipeline and yardstick each
    #[arg(long, default_value_t = 5, value_name = "N")]
    repeats: usize,
    /// Jobs one at a time, by the bus and by HTTP each; 0 leaves that out
    #[arg(long, default_value_t = 500, value_name = "N")]
    idle_jobs: usize,
    /// Rest between two of these, in milliseconds
    #[arg(long, default_value_t = 20, value_name = "MS")]
    idle_rest_ms: u64,
    /// When the server flushes what it stores
    #[arg(long, value_delimiter = ',', default_value = "always,default", value_parser = ["always", "default"])]
    sync: Vec<String>,
    /// Few jobs, one run: shows that it works, not how fast
    #[arg(long)]
    quick: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Events a second that scheduler and billing fold, in this process and from NATS
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland bench replay
  lowland bench replay --events 10000,100000,1000000 --json

The log is made by the services' own decisions about jobs that are posted, run and charged; then each service's state is
folded from it, from the first event on, and hashed.")]
struct ReplayArgs {
    /// Sizes of the log, in events
    #[arg(long, value_delimiter = ',', default_value = "10000,100000", value_name = "N")]
    events: Vec<usize>,
    /// Accounts that the jobs belong to
    #[arg(long, default_value_t = 100, value_name = "N")]
    accounts: usize,
    /// Folds of each; figures are their medians
    #[arg(long, default_value_t = 3, value_name = "N")]
    repeats: usize,
    /// Leave NATS out
    #[arg(long)]
    memory_only: bool,
    /// A small log, one fold: shows that it works, not how fast
    #[arg(long)]
    quick: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    match args.kind {
        Kind::Pipeline(args) => pipeline(context, args),
        Kind::Replay(args) => replay(context, args),
    }
}

impl PipelineArgs {
    fn settings(&self) -> Result<Settings> {
        let (jobs, repeats, idle_jobs) =
            if self.quick { (200, 1, 20) } else { (self.jobs, self.repeats, self.idle_jobs) };
        let outstanding = if self.quick { self.outstanding.min(64) } else { self.outstanding };
        at_least_one(&[
            ("jobs", jobs),
            ("outstanding", outstanding),
            ("accounts", self.accounts),
            ("prompt-chars", self.prompt_chars),
            ("workers", self.workers),
            ("repeats", repeats),
        ])?;
        Ok(Settings {
            jobs,
            outstanding,
            accounts: self.accounts,
            prompt_chars: self.prompt_chars,
            workers: self.workers,
            repeats,
            idle_jobs,
            idle_rest_ms: self.idle_rest_ms,
            sync: self.sync.clone(),
        })
    }
}

fn at_least_one(figures: &[(&str, usize)]) -> Result<()> {
    match figures.iter().find(|(_, value)| *value == 0) {
        Some((name, _)) => bail!("--{name} 0: there is nothing to measure; use 1 or more"),
        None => Ok(()),
    }
}

fn pipeline(context: &Context, args: PipelineArgs) -> Result<ExitCode> {
    let settings = args.settings()?;
    let fetcher = context.fetcher(Progress::Shown)?;
    let driver = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let bar = Bar::new();
    let tell: Tell = bar.tell();
    let bench = Bench { settings, fetcher: &fetcher, driver: driver.handle().clone(), tell };
    let report = block_on(bench.run())?;
    bar.clear();
    print(args.json, &report, table::pipeline)
}

fn replay(context: &Context, args: ReplayArgs) -> Result<ExitCode> {
    let sizes = if args.quick { vec![2000] } else { args.events.clone() };
    let repeats = if args.quick { 1 } else { args.repeats };
    at_least_one(&[("accounts", args.accounts), ("repeats", repeats)])?;
    at_least_one(&sizes.iter().map(|size| ("events", *size)).collect::<Vec<_>>())?;
    let fetcher = context.fetcher(Progress::Shown)?;
    let settings =
        replay::Settings { events: sizes, accounts: args.accounts, repeats, nats: !args.memory_only };
    let bar = Bar::new();
    let report = block_on(replay::run(settings, &fetcher, bar.tell()))?;
    bar.clear();
    print(args.json, &report, replay::table)
}

fn print<R: Serialize>(json: bool, report: &R, table: impl Fn(&R) -> String) -> Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        print!("{}", table(report));
    }
    Ok(ExitCode::SUCCESS)
}

/// A bar on standard error, where that is a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg:<40} [{bar:24}] {pos}/{len} {elapsed}");
        let bar = ProgressBar::new(1);
        bar.set_style(style.expect("the template is a constant").progress_chars("=> "));
        bar.enable_steady_tick(std::time::Duration::from_millis(100));
        Self(bar)
    }

    fn tell(&self) -> Tell {
        let bar = self.0.clone();
        Arc::new(move |what, done, of| {
            bar.set_length(of as u64);
            bar.set_message(what.to_owned());
            bar.set_position(done as u64);
        })
    }

    fn clear(&self) {
        self.0.finish_and_clear();
    }
}
