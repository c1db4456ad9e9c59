//! `lowland watch`: events as they come.

use std::{os::fd::AsRawFd, process::ExitCode};

use anyhow::Result;
use jiff::tz::TimeZone;
use lowland_events::{Stored, log::Record};
use lowland_host::{clock, fold::event_of};
use serde_json::json;
use tokio::sync::oneshot;

use super::{Context, block_on, say, up::stop_token};
use crate::{
    client::{
        self,
        document::Document,
        tail::{From, Lanes, line, select},
        when,
    },
    paint::Paint,
};

/// Show events as they come, decoded: of jobs, requests, accounts and instances, or what a pattern selects
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland watch                          jobs, requests, accounts, instances; not tokens and measurements, which are many
  lowland watch job.acme                 all of one account's jobs; job.acme.> and lowland.job.acme.> are the same
  lowland watch 'job.*.*.failed' 'instance.*.*.lost'
  lowland watch token.acme.job-1         one job's text as it is written
  lowland watch '*.acme' --since 1h      all of an account, from an hour ago on; also 16:20, yesterday, or a sequence
  lowland watch metric --json | jq .data.gauges
  lowland watch --from-start --count 20

Subjects are DOMAIN.SCOPE.AGGREGATE.EVENT; domains are request, job, token, instance, account, metric; * is any one token, a
last > the rest. LOG, REQUESTS, TOKENS and METRICS select a whole stream. Tokens are kept for 15 minutes, measurements for 5.
Events of types that this build does not know are shown as well. A restart of NATS is outlived; Ctrl-C ends it.

With --json: one object a line: stream, sequence, stored_at, subject, type, known, id, time, source, correlation, causation,
traceparent, data.")]
pub struct Args {
    /// Patterns of subjects
    #[arg(value_name = "SUBJECT")]
    subjects: Vec<String>,
    /// Begin there instead of now; a sequence is one of the only stream that is selected, else of LOG
    #[arg(long, value_name = "TIME|SEQ|DURATION", conflicts_with = "from_start")]
    since: Option<String>,
    /// Begin with the first event that is still there
    #[arg(long)]
    from_start: bool,
    /// End after so many events
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Args {
    fn from(&self) -> Result<From> {
        match (&self.since, self.from_start) {
            (Some(text), _) => Ok(From::Since(when::parse(text, clock::now(), &TimeZone::system())?)),
            (None, true) => Ok(From::Start),
            (None, false) => Ok(From::Now),
        }
    }
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let (selection, from) = (select(&args.subjects)?, args.from()?);
    block_on(async {
        let log = client::operator(&context.data(), &context.env).await?;
        let mut lanes = Lanes::open(&log, selection, from).await?;
        let stop = stop_token()?;
        let printer = Printer { json: args.json, zone: TimeZone::system(), paint: Paint::for_stdout() };
        tokio::select! {
            outcome = follow(&mut lanes, &printer, args.count) => outcome?,
            () = stop.cancelled() => {}
            () = unread() => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn follow(lanes: &mut Lanes, printer: &Printer, count: Option<u64>) -> Result<()> {
    let mut left = count.unwrap_or(u64::MAX);
    while left > 0 {
        printer.print(&lanes.next().await?)?;
        left -= 1;
    }
    Ok(())
}

struct Printer {
    json: bool,
    zone: TimeZone,
    paint: Paint,
}

impl Printer {
    fn print(&self, record: &Record) -> Result<()> {
        match event_of(record) {
            Some(stored) => say(&self.event(&stored)?),
            None => say(&self.foreign(record)),
        }
    }

    fn event(&self, stored: &Stored) -> Result<String> {
        if self.json {
            return Ok(serde_json::to_string(&Document::from(stored))?);
        }
        Ok(line::line(stored, &self.zone, self.paint))
    }

    /// A message whose subject is none of ours: somebody's mistake, which is worth seeing.
    fn foreign(&self, record: &Record) -> String {
        let (stream, sequence, bytes) = (&record.stream, record.sequence, record.payload.len());
        if self.json {
            let stored_at = record.stored_at.to_string();
            let subject = &record.subject;
            return json!({ "stream": stream, "sequence": sequence, "stored_at": stored_at, "subject": subject, "known": false, "bytes": bytes })
                .to_string();
        }
        let time = line::time(record.stored_at, &self.zone);
        let what = self.paint.yellow("no event of ours");
        format!("{time} {stream} {sequence} {what}: {}, {bytes} bytes", record.subject)
    }
}

/// Tells when whoever reads standard output has gone, as `head` does, even if nothing is printed any more.
async fn unread() {
    let (gone, told) = oneshot::channel();
    std::thread::spawn(move || {
        let out = std::io::stdout().as_raw_fd();
        let mut poll = libc::pollfd { fd: out, events: 0, revents: 0 };
        loop {
            // SAFETY: one valid entry, which lives as long as the call; the descriptor is ours for the process's life.
            let ready = unsafe { libc::poll(&raw mut poll, 1, -1) };
            if ready < 0 && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted {
                continue;
            }
            // A terminal that hangs up says so by a signal; a file never does.
            if ready > 0 && poll.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0 {
                let _ = gone.send(());
            }
            return;
        }
    });
    if told.await.is_err() {
        std::future::pending::<()>().await;
    }
}
