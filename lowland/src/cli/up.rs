//! `lowland up`: start everything, say where it is, stay, stop everything.

use std::{process::ExitCode, rc::Rc};

use anyhow::Result;
use lowland_events::{id::AccountId, log::SharedLog};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Context, block_on};
use crate::{
    artifacts::progress::Progress,
    client::{self, credit},
    folders::Data,
    paint::Paint,
    supervise::{
        disk::Standing,
        prepare::{Options, prepare},
        run::{Run, Said},
        state::{self, Up},
    },
};

/// Start NATS and every service, say where they are, and stay until Ctrl-C or `lowland down`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland up                          the gateway on 127.0.0.1:8080, NATS on 127.0.0.1:4222, or other ports if taken
  lowland up --workers 2              two worker processes
  lowland up --json | head -1 | jq    one line of JSON when all is ready
  LOWLAND_NATS_URL=nats://host:4222 lowland up
                                      an existing server; it needs the accounts that `lowland nats accounts` prints

A process that dies is started again. What each prints goes to the data folder, see `lowland logs`.")]
pub struct Args {
    /// Port of the gateway [default: 8080, or another if taken]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Port of NATS [default: 4222, or another if taken]
    #[arg(long, value_name = "PORT")]
    nats_port: Option<u16>,
    /// An existing NATS server, instead of one of our own
    #[arg(long, env = "LOWLAND_NATS_URL", value_name = "URL", hide_env_values = true)]
    nats_url: Option<String>,
    /// Worker processes; each loads its models by itself
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=64))]
    workers: u8,
    /// Models to serve, by id; `echo:NAME` is an echo, for trying out [default: all that are in the model folder]
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    models: Vec<String>,
    /// Print exactly one line of JSON to standard output, when all is ready
    #[arg(long)]
    json: bool,
}

impl Args {
    fn options(&self) -> Options {
        Options {
            port: self.port,
            nats_port: self.nats_port,
            nats_url: self.nats_url.clone(),
            workers: self.workers.into(),
            models: self.models.clone(),
            ..Options::default()
        }
    }
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let data = context.open_data()?;
    let _lock = state::lock(&data)?;
    let screen = Screen { json: args.json, paint: Paint::for_stdout() };
    let fetcher = context.fetcher(Progress::Shown)?;
    let plan = prepare(&data, &args.options(), &fetcher, &|text| screen.line(&text))?;
    block_on(async {
        let screen = Rc::new(screen);
        let saying = screen.clone();
        let mut run = Run::new(plan, move |said| saying.said(&said));
        let outcome = live(&mut run, &data, &screen).await;
        run.stop().await;
        outcome
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn begin(run: &mut Run, data: &Data) -> Result<Up> {
    let up = run.start().await?;
    first_steps(data, &up).await?;
    Ok(up)
}

/// What a new data folder still lacks once everything runs: money for its own account. Returns the log.
pub(super) async fn first_steps(data: &Data, up: &Up) -> Result<SharedLog> {
    let log = client::operator_at(data, &up.nats_url).await?;
    credit::welcome(&log, &AccountId::new(&up.nats_user)?).await?;
    Ok(log)
}

async fn live(run: &mut Run, data: &Data, screen: &Screen) -> Result<()> {
    let stop = stop_token()?;
    tokio::select! {
        up = begin(run, data) => screen.up(&up?)?,
        () = stop.cancelled() => return Ok(()),
    }
    run.watch(&stop).await?;
    screen.line("stopping ...");
    Ok(())
}

/// Cancelled by Ctrl-C, by SIGTERM (`lowland down`), and when the terminal goes.
pub(super) fn stop_token() -> Result<CancellationToken> {
    let token = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let (mut signals, token) = (signal(kind)?, token.clone());
        tokio::spawn(async move {
            signals.recv().await;
            token.cancel();
        });
    }
    Ok(token)
}

/// What a person sees; a machine sees the one line alone, and the rest on standard error.
pub(super) struct Screen {
    pub(super) json: bool,
    pub(super) paint: Paint,
}

impl Screen {
    pub(super) fn line(&self, text: &str) {
        if self.json { eprintln!("{text}") } else { println!("{text}") }
    }

    pub(super) fn said(&self, said: &Said) {
        let paint = self.paint;
        self.line(&match said {
            Said::Ready { name, pid, after_ms } => {
                let detail = format!("pid {pid}, after {:.1} s", *after_ms as f64 / 1000.0);
                format!("{name:<12} {}  {}", paint.green("ready"), paint.dim(&detail))
            }
            Said::Died { name, how, again_in } => {
                format!(
                    "{name:<12} {}  {how}; started again in {:.1} s",
                    paint.red("died"),
                    again_in.as_secs_f64()
                )
            }
            Said::Stopped { name, killed: false } => format!("{name:<12} stopped"),
            Said::Disk { standing, free_mib } => self.disk(*standing, *free_mib),
            Said::Stopped { name, killed: true } => {
                format!("{name:<12} {}  it did not stop when asked", paint.yellow("killed"))
            }
        });
    }

    fn disk(&self, standing: Standing, free_mib: u64) -> String {
        let paint = self.paint;
        match standing {
            Standing::Room => format!("disk         {}  {free_mib} MiB are free", paint.green("ok")),
            Standing::Short => {
                format!("disk         {}  {free_mib} MiB are left for the data folder", paint.yellow("short"))
            }
            Standing::Full => format!(
                "disk         {}  nothing new is stored, nothing stored is lost; make room",
                paint.red("full")
            ),
            Standing::Mendable => format!(
                "disk         {}  {free_mib} MiB are free again: restarting NATS, so that it stores again",
                paint.green("ok")
            ),
        }
    }

    fn up(&self, up: &Up) -> Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(up)?);
            return Ok(());
        }
        let (paint, data) = (self.paint, Data::at(&up.data));
        println!("\n{}", paint.bold("Lowland is up."));
        if let Some(gateway) = &up.gateway_url {
            println!("  API      {gateway}/v1   key {}", up.api_key);
        }
        println!(
            "  NATS     {}   user {}, password in {}/{}.password",
            up.nats_url,
            up.nats_user,
            data.keys().display(),
            up.nats_user
        );
        println!("  data     {}", up.data.display());
        println!("Stop with Ctrl-C, or `lowland down` elsewhere.\n");
        Ok(())
    }
}
