//! `lowland top`: what happens now, in the terminal.

use std::{io::IsTerminal, process::ExitCode, time::Duration};

use anyhow::Result;
use lowland_events::{Domain, Event, Filter, Time, log::SharedLog};
use lowland_host::{clock, fold::event_of};
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event as Input, KeyEvent},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Context, block_on, say, up::stop_token};
use crate::client::{
    self,
    tail::{From, Lanes, Selection, pattern::stream_of},
    top::{
        Model, View,
        draw::{Looks, draw},
    },
    when::Moment,
};

/// How far back jobs are looked at when it begins, in milliseconds: measurements are kept as long.
const JOBS_SINCE_MS: i64 = 5 * 60 * 1000;
/// Longest time between two pictures, so that what is heard of shows its age.
const PICTURE: Duration = Duration::from_millis(500);
/// How often keys are looked for.
const KEYS: Duration = Duration::from_millis(50);
/// Keys that may wait.
const KEYS_MAX: usize = 64;
/// Events taken in before the keyboard is looked at again.
const EVENTS_AT_ONCE: usize = 512;

/// Show live what happens: jobs, tokens, times, processes, accounts
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland top                            live, in the terminal; ? explains the keys, q quits
  lowland top --once                     one picture as text, and done (also where there is no terminal)
  lowland top --json --interval 5        one JSON document a line, every five seconds
  lowland top --json --once | jq .totals.first_token

It reads what the services publish: their measurements (kept for five minutes) and the log. Times are percentiles of all
processes' histograms added up since these began; rates are means of the last ten seconds. It needs no other right than
to read, and changes nothing.

With --json: at, totals (jobs_a_second, tokens_a_second, prompt_tokens_a_second, running, waiting, first_token,
inter_token, end_to_end with count, p50_ms, p99_ms), models, processes, accounts, events.")]
pub struct Args {
    /// Print one picture and end
    #[arg(long)]
    once: bool,
    /// Print JSON documents, one a line
    #[arg(long)]
    json: bool,
    /// Seconds between two documents, or two pictures
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    interval: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err(format!("{text:?} is no time between two pictures: write 0.1 to 3600 seconds")),
    }
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let every = Duration::from_secs_f64(args.interval);
    block_on(async {
        let log = client::operator(&context.data(), &context.env).await?;
        let mut feed = Feed::open(&log).await?;
        feed.catch_up().await?;
        let live = !args.once && !args.json && std::io::stdout().is_terminal();
        if live {
            watch(&mut feed, every.min(PICTURE)).await?;
        } else {
            print(&mut feed, &args, every).await?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// What is known, kept up with what comes.
struct Feed {
    lanes: Lanes,
    model: Model,
}

impl Feed {
    /// Money and instances from the beginning, since they add up; jobs and measurements as far as they matter now.
    async fn open(log: &SharedLog) -> Result<Self> {
        let select = |domains: &[Domain]| -> Selection {
            let mut selection = Selection::new();
            for domain in domains {
                selection.entry(stream_of(*domain)).or_default().push(Filter::domain(*domain));
            }
            selection
        };
        let since = From::Since(Moment::Time(Time(clock::now().0 - JOBS_SINCE_MS * 1000)));
        let whole = select(&[Domain::Account, Domain::Instance, Domain::Metric]);
        let mut lanes = Lanes::open(log, whole, From::Start).await?;
        lanes.add(log, select(&[Domain::Job]), since).await?;
        Ok(Self { lanes, model: Model::default() })
    }

    /// Takes the next event in; waits for it. Cancel-safe.
    async fn next(&mut self) -> Result<()> {
        let record = self.lanes.next().await?;
        // Measurements that cannot be read tell nothing; other events are shown all the same.
        if let Some(stored) = event_of(&record).filter(|stored| !is_unread_metric(stored)) {
            self.model.take(&stored);
        }
        Ok(())
    }

    async fn catch_up(&mut self) -> Result<()> {
        while !self.lanes.live() {
            // What is live has nothing at hand, and the next may be long in coming.
            match timeout(PICTURE, self.next()).await {
                Ok(taken) => taken?,
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    fn view(&self) -> View {
        self.model.view(clock::now())
    }
}

fn is_unread_metric(stored: &lowland_events::Stored) -> bool {
    stored.subject.domain() == Domain::Metric && matches!(stored.event, Event::Unknown(_))
}

/// Prints documents or pictures of text, until stopped.
async fn print(feed: &mut Feed, args: &Args, every: Duration) -> Result<()> {
    let stop = stop_token()?;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            taken = feed.next() => taken?,
            _ = ticks.tick() => {
                let view = feed.view();
                say(&if args.json { serde_json::to_string(&view)? } else { view.to_text() })?;
                if args.once || !args.json {
                    return Ok(());
                }
            }
            () = stop.cancelled() => return Ok(()),
        }
    }
}

/// Shows it live. The terminal is as it was afterwards, whether this ends well, with an error, or with a panic.
async fn watch(feed: &mut Feed, every: Duration) -> Result<()> {
    let stop = stop_token()?;
    let mut terminal = ratatui::try_init()?;
    let outcome = live(feed, &mut terminal, every, &stop).await;
    ratatui::restore();
    outcome
}

async fn live(
    feed: &mut Feed,
    terminal: &mut DefaultTerminal,
    every: Duration,
    stop: &CancellationToken,
) -> Result<()> {
    let (mut keys, mut looks) = (keys(), Looks::default());
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut view = feed.view();
    let mut taken = 0;
    while !looks.done {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            key = keys.recv() => match key {
                Some(Some(key)) => looks.key(key),
                Some(None) => {}
                None => return Ok(()),
            },
            _ = ticks.tick() => {}
            outcome = feed.next() => {
                outcome?;
                taken += 1;
                if taken % EVENTS_AT_ONCE == 0 {
                    tokio::task::yield_now().await;
                }
                continue;
            }
        }
        if !looks.paused {
            view = feed.view();
        }
        terminal.draw(|frame| draw(frame, &view, &looks))?;
    }
    Ok(())
}

/// Keys as they are pressed; nothing for another size of the terminal. It ends when the terminal goes, or nobody listens.
fn keys() -> mpsc::Receiver<Option<KeyEvent>> {
    let (sender, receiver) = mpsc::channel(KEYS_MAX);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            let input = match event::poll(KEYS) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            let sent = match input {
                Ok(Input::Key(key)) => sender.blocking_send(Some(key)),
                Ok(Input::Resize(..)) => sender.blocking_send(None),
                Ok(_) => Ok(()),
                Err(_) => return,
            };
            if sent.is_err() {
                return;
            }
        }
    });
    receiver
}
