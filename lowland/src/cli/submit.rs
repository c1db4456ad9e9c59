//! `lowland submit`: one job by event, its text as it comes, and what became of it.

use std::{
    io::{IsTerminal, Read, Write},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use lowland_events::{
    Domain, Event, Filter, Stored,
    id::{AccountId, JobId},
    job::{Event as Job, Message},
    log::SharedLog,
    request::{OneOrMany, Posted},
    stream::LOG,
};

use super::{Context, block_on, table};
use crate::{
    client::{
        self, chain,
        post::{new_job_id, post},
        watch::{Shown, Watch},
    },
    paint::Paint,
    supervise::state::Up,
};

/// The model that is asked when none is named.
pub(super) const DEFAULT_MODEL: &str = "smollm2-135m-instruct";

/// Post one job as an event, and show its text as it is written
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland submit 'Why is the sky blue?'
  lowland submit --events 'Why is the sky blue?'     also every event of the job, and what it cost
  lowland submit --raw 'Once upon a time'            continue a text instead of answering
  lowland submit --embed 'a text'                    a vector instead of an answer, with all-minilm-l6-v2
  cat request.json | lowland submit --json-request   a request as it goes over the bus")]
pub struct Args {
    /// What is asked [default: standard input]
    prompt: Option<String>,
    #[command(flatten)]
    ask: Ask,
    /// Continue the text as it stands, without the model's chat template
    #[arg(long, conflicts_with_all = ["embed", "system"])]
    raw: bool,
    /// Turn the text into a vector
    #[arg(long, conflicts_with = "system")]
    embed: bool,
    /// The input is a whole request in JSON
    #[arg(long, conflicts_with_all = ["raw", "embed"])]
    json_request: bool,
    /// Id of the job [default: a random one]; an id is used once
    #[arg(long)]
    job: Option<JobId>,
    /// Show the job's events and what it cost
    #[arg(long)]
    events: bool,
    /// Print the job's last event as one JSON document, and nothing else
    #[arg(long)]
    json: bool,
}

/// What may be said about any text that is asked for.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Ask {
    /// The model
    #[arg(long, short)]
    pub(super) model: Option<String>,
    /// What the model is told before anything else
    #[arg(long)]
    pub(super) system: Option<String>,
    /// Most tokens to write
    #[arg(long, value_name = "N")]
    pub(super) max_tokens: Option<u32>,
    /// 0 always takes the likeliest token
    #[arg(long, value_name = "T")]
    pub(super) temperature: Option<f32>,
    /// Makes sampling repeatable
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
}

impl Ask {
    /// The conversation that `prompt` begins.
    pub(super) fn messages(&self, prompt: &str) -> Vec<Message> {
        let message = |role: &str, content: &str| Message { role: role.into(), content: content.into() };
        let system = self.system.as_ref().map(|text| message("system", text));
        system.into_iter().chain([message("user", prompt)]).collect()
    }
}

impl Args {
    fn request(&self) -> Result<Posted> {
        let text = match &self.prompt {
            Some(prompt) => prompt.clone(),
            None => standard_input()?,
        };
        if self.json_request {
            return serde_json::from_str(&text).context("the request");
        }
        let model = self.ask.model.clone();
        if self.embed {
            let model = model.unwrap_or_else(|| "all-minilm-l6-v2".into());
            return Ok(Posted { model, input: Some(OneOrMany::One(text)), ..Posted::default() });
        }
        let base = Posted {
            model: model.unwrap_or_else(|| DEFAULT_MODEL.into()),
            max_tokens: self.ask.max_tokens,
            temperature: self.ask.temperature,
            seed: self.ask.seed,
            ..Posted::default()
        };
        Ok(if self.raw {
            Posted { prompt: Some(text), ..base }
        } else {
            Posted { messages: Some(self.ask.messages(&text)), ..base }
        })
    }
}

fn standard_input() -> Result<String> {
    if std::io::stdin().is_terminal() {
        bail!("say what is asked: lowland submit 'Why is the sky blue?'");
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    if text.trim().is_empty() {
        bail!("standard input says nothing: lowland submit 'Why is the sky blue?'");
    }
    Ok(text)
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let data = context.data();
    let request = args.request()?;
    block_on(async {
        let up = client::reachable(&data, &context.env)?;
        let log = client::operator(&data, &context.env).await?;
        let job = args.job.clone().unwrap_or_else(new_job_id);
        let last = stream(&log, &up, &job, &request, !args.json).await?;
        if args.json {
            println!("{}", serde_json::to_string(&last.event.to_json())?);
        } else if args.events {
            show_chain(&log, &AccountId::new(&up.nats_user)?, &job).await?;
        }
        Ok(if succeeded(&last) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Posts the job and prints its text as it comes; returns its last event.
pub(super) async fn stream(
    log: &SharedLog,
    up: &Up,
    job: &JobId,
    request: &Posted,
    print: bool,
) -> Result<Stored> {
    let account = AccountId::new(&up.nats_user)?;
    if log.last(LOG, &Filter::aggregate(Domain::Job, account.as_str(), job.as_str())).await?.is_some() {
        bail!("the id {job} names an earlier job: give another one with --job, or none");
    }
    let mut watch = Watch::open(log, &account, job).await?;
    post(up, job, request).await?;
    let last = watch
        .to_end(|shown| {
            if let (Shown::Text(text), true) = (shown, print) {
                print!("{text}");
                let _ = std::io::stdout().flush();
            }
        })
        .await?;
    if print {
        println!();
        explain(&last);
    }
    Ok(last)
}

pub(super) fn succeeded(last: &Stored) -> bool {
    matches!(last.event, Event::Job(Job::Completed(_)))
}

/// What there is to say besides the text: vectors, or why there is no text.
fn explain(last: &Stored) {
    match &last.event {
        Event::Job(Job::Completed(body)) => {
            for vector in &body.output.vectors {
                println!("{}", serde_json::to_string(&floats(vector)).unwrap_or_default());
            }
        }
        _ => {
            for line in chain::lines(std::slice::from_ref(last)) {
                eprintln!("{}: {}", line.event, line.what);
            }
        }
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<4>();
    chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

/// Prints the job's events, its usage and its cost.
pub(super) async fn show_chain(log: &SharedLog, account: &AccountId, job: &JobId) -> Result<()> {
    let paint = Paint::for_stdout();
    let events = chain::read(log, account, job, 0).await?;
    let rows = chain::lines(&events).into_iter().map(|line| {
        vec![line.sequence.to_string(), format!("{} ms", line.after_ms), line.event, line.by, line.what]
    });
    println!("\n{}", table(&["SEQ", "AFTER", "EVENT", "BY", "WHAT"], rows));
    match chain::charge(&events) {
        Some(charge) => {
            let lines = charge.lines.iter().map(|line| {
                let meter = chain::usage(&lowland_events::meter::Usage::of([(line.meter, line.quantity)]));
                format!("{meter} at {} a million", line.rate.to_units())
            });
            println!("\nused   {}", lines.collect::<Vec<_>>().join(", "));
            println!(
                "cost   {} (price book {})",
                paint.bold(&charge.amount.to_units()),
                charge.price_version
            );
        }
        None => println!("\nnothing was charged"),
    }
    Ok(())
}
