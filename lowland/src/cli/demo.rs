//! `lowland demo`: the whole of it once: start, ask, answer, explain, stop.

use std::{process::ExitCode, rc::Rc};

use anyhow::Result;
use lowland_events::{id::AccountId, log::SharedLog, request::Posted};

use super::{
    Context, block_on,
    submit::{self, Ask, DEFAULT_MODEL},
    up::{Screen, first_steps, stop_token},
};
use crate::{
    artifacts::progress::Progress,
    client::post::new_job_id,
    folders::Data,
    paint::Paint,
    supervise::{
        plan::Plan,
        prepare::{Options, prepare},
        run::Run,
        state::{self, Up},
    },
};

/// What is asked when nothing is said.
const QUESTION: &str = "In two sentences: why do rivers flow to the sea?";
/// A small model writes its best when it takes the likeliest token; also, everybody sees the same answer.
const TEMPERATURE: f32 = 0.0;
/// Most tokens of the answer, unless said otherwise: the demo is to end.
const TOKENS: u32 = 120;

/// Start everything, have a model answer one question, show what happened and what it cost, and stop
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland demo
  lowland demo 'Write a haiku about dykes' --temperature 0.8

It uses a data folder of its own, which is gone afterwards, and free ports: it may run beside `lowland up`.")]
pub struct Args {
    /// What is asked
    #[arg(default_value = QUESTION)]
    question: String,
    #[command(flatten)]
    ask: Ask,
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("lowland-demo-").tempdir()?;
    let data = Data::open(folder.path())?;
    let _lock = state::lock(&data)?;
    let screen = Rc::new(Screen { json: false, paint: Paint::for_stdout() });
    let options = Options { workers: 1, ..Options::default() };
    let fetcher = context.fetcher(Progress::Shown)?;
    let plan = prepare(&data, &options, &fetcher, &|text| screen.line(&text))?;
    block_on(play(plan, screen, &args))
}

async fn play(plan: Plan, screen: Rc<Screen>, args: &Args) -> Result<ExitCode> {
    let (data, stop, saying) = (plan.data.clone(), stop_token()?, screen.clone());
    let mut run = Run::new(plan, move |said| saying.said(&said));
    let outcome = tokio::select! {
        outcome = ask(&mut run, &data, args) => outcome,
        () = stop.cancelled() => Ok(ExitCode::FAILURE),
    };
    println!();
    run.stop().await;
    outcome
}

async fn ask(run: &mut Run, data: &Data, args: &Args) -> Result<ExitCode> {
    let up = run.start().await?;
    let log = first_steps(data, &up).await?;
    let watched = run.watch_forever();
    tokio::select! {
        error = watched => Err(error.into()),
        outcome = conversation(&log, &up, args) => outcome,
    }
}

async fn conversation(log: &SharedLog, up: &Up, args: &Args) -> Result<ExitCode> {
    let paint = Paint::for_stdout();
    let request = Posted {
        model: args.ask.model.clone().unwrap_or_else(|| DEFAULT_MODEL.into()),
        messages: Some(args.ask.messages(&args.question)),
        max_tokens: Some(args.ask.max_tokens.unwrap_or(TOKENS)),
        temperature: Some(args.ask.temperature.unwrap_or(TEMPERATURE)),
        seed: args.ask.seed,
        ..Posted::default()
    };
    let job = new_job_id();
    println!("\n{} {}\n", paint.bold(">"), paint.bold(&args.question));
    let last = submit::stream(log, up, &job, &request, true).await?;
    submit::show_chain(log, &AccountId::new(&up.nats_user)?, &job).await?;
    Ok(if submit::succeeded(&last) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
