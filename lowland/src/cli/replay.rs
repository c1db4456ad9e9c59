//! `lowland replay`: a service's state, rebuilt from the log alone.

use std::{cell::Cell, collections::BTreeMap, io::IsTerminal, process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use lowland_events::{Time, log::SharedLog, retention::first_since};
use lowland_host::clock;
use serde_json::json;

use super::{Context, block_on, say};
use crate::{
    client::{
        self,
        replay::{
            Service,
            check::{Compared, ask, compare},
            rebuild::{How, Replayed, Wanted, end, rebuild},
        },
        when::{self, Moment},
    },
    paint::Paint,
};

/// Events between two looks at the bar.
const BAR_EVERY: u64 = 512;
/// How often the bar is drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// Rebuild what services knew at any time, from the log alone, and print it with its hash
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland replay                            every service's state as of now
  lowland replay --at 4711 billing          billing's, with the log's events up to sequence 4711
  lowland replay --at '10m ago'             also 2026-11-25T16:20:00Z, '2026-11-25 16:20', 16:20, yesterday
  lowland replay --json scheduler | jq .services[0].state
  lowland replay --check                    ask the running services for their state, rebuild it, and compare

The same code folds the same events as in the service: the hash is SHA-256 of the state's canonical encoding, equal on any
machine. Snapshots are not looked at, unless old jobs were pruned from the log (`lowland prune`): then the newest snapshot
is where it begins, and that is said. Services are told apart by their own filters of the log, so the position of each is
its own last event's.

With --json: at, log_end, pruned, records, took_ms, notes, services (service, position, logic_version, hash, bytes, events,
from_snapshot, summary, state), and with --check compared (service, live, replayed, equal). With --check the exit status
is 0 when all are equal, else 1.")]
pub struct Args {
    /// The services [default: all]
    #[arg(value_enum)]
    services: Vec<Service>,
    /// Up to which sequence or time, which is included [default: now]
    #[arg(long, value_name = "TIME|SEQ", conflicts_with = "check")]
    at: Option<String>,
    /// Ask the running services for their positions and hashes, rebuild exactly these, and compare
    #[arg(long)]
    check: bool,
    /// Where a service to check has its health port [default: what `lowland up` started]
    #[arg(long, value_name = "SERVICE=URL", requires = "check")]
    live: Vec<String>,
    /// Begin with the newest snapshots even if the log is whole
    #[arg(long)]
    from_snapshot: bool,
    /// Print one JSON document, with the whole states
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    block_on(async {
        let log = client::operator(&context.data(), &context.env).await?;
        let log_end = end(&log).await?;
        let services = if args.services.is_empty() { Service::ALL.to_vec() } else { args.services.clone() };
        let how = How { from_snapshot: args.from_snapshot, whole_states: args.json };
        if args.check {
            return check(context, &log, &services, &args, how).await;
        }
        let at = until(&log, args.at.as_deref(), log_end).await?;
        let wanted: Vec<_> = services.iter().map(|service| Wanted { service: *service, until: at }).collect();
        let replayed = replay(&log, &wanted, how).await?;
        if args.json {
            print_json(&replayed, at, log_end, None)?;
        } else {
            say(&text(&replayed, at, log_end))?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The last sequence to include.
async fn until(log: &SharedLog, at: Option<&str>, log_end: u64) -> Result<u64> {
    let Some(text) = at else { return Ok(log_end) };
    let now = clock::now();
    match when::parse(text, now, &TimeZone::system())? {
        Moment::Sequence(at) if at > log_end => {
            bail!("the log ends at sequence {log_end}: {at} is yet to come")
        }
        Moment::Sequence(at) => Ok(at),
        Moment::Time(time) if time > now => bail!("{time} is yet to come"),
        Moment::Time(time) => Ok(first_since(&**log, Time(time.0 + 1)).await?.saturating_sub(1).min(log_end)),
    }
}

async fn check(
    context: &Context,
    log: &SharedLog,
    services: &[Service],
    args: &Args,
    how: How,
) -> Result<ExitCode> {
    let ports = ports(context, services, &args.live)?;
    let mut live = Vec::new();
    for (service, url) in &ports {
        live.push(ask(*service, url).await?);
    }
    let wanted: Vec<_> = ports
        .keys()
        .zip(&live)
        .map(|(service, seen)| Wanted { service: *service, until: seen.position })
        .collect();
    let replayed = replay(log, &wanted, how).await?;
    let compared: Vec<Compared> =
        live.into_iter().zip(&replayed.services).map(|(seen, rebuilt)| compare(seen, rebuilt)).collect();
    let log_end = end(log).await?;
    let at = wanted.iter().map(|wanted| wanted.until).max().unwrap_or_default();
    if args.json {
        print_json(&replayed, at, log_end, Some(&compared))?;
    } else {
        say(&compared_text(&replayed, &compared))?;
    }
    let equal = compared.iter().all(|compared| compared.equal);
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where each service's health port is.
fn ports(context: &Context, services: &[Service], given: &[String]) -> Result<BTreeMap<Service, String>> {
    let mut named = BTreeMap::new();
    for pair in given {
        let Some((name, url)) = pair.split_once('=') else {
            bail!(
                "--live {pair:?}: wanted is a service and its address, such as billing=http://127.0.0.1:9102"
            );
        };
        named.insert(name.to_owned(), url.to_owned());
    }
    if let (false, Ok(up)) = (
        services.iter().all(|s| named.contains_key(s.name())),
        client::reachable(&context.data(), &context.env),
    ) {
        for (name, url) in up.health {
            named.entry(name).or_insert(url);
        }
    }
    let known = named.keys().cloned().collect::<Vec<_>>().join(", ");
    services
        .iter()
        .map(|service| match named.get(service.name()) {
            Some(url) => Ok((*service, url.clone())),
            None if known.is_empty() => bail!(
                "nothing runs on {}: start it with `lowland up`, or say where {} has its health port with --live {}=URL",
                context.data.display(),
                service.name(),
                service.name()
            ),
            None => bail!("where {} has its health port is not known (known: {known}); say it with --live {}=URL", service.name(), service.name()),
        })
        .collect()
}

/// Rebuilds with a bar, where there is a terminal to draw it on.
async fn replay(log: &SharedLog, wanted: &[Wanted], how: How) -> Result<Replayed> {
    let last = wanted.iter().map(|wanted| wanted.until).max().unwrap_or_default();
    let bar = bar(last);
    let seen = Cell::new(0_u64);
    let replayed = rebuild(log, wanted, how, |sequence| {
        seen.set(seen.get() + 1);
        if seen.get().is_multiple_of(BAR_EVERY) {
            bar.set_position(sequence);
        }
    })
    .await;
    bar.finish_and_clear();
    replayed
}

fn bar(last: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "replaying [{bar:32}] {human_pos}/{human_len} {per_sec} {eta}";
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    let bar = ProgressBar::new(last).with_style(style.progress_chars("=> "));
    bar.enable_steady_tick(TICK);
    bar
}

fn print_json(replayed: &Replayed, at: u64, log_end: u64, compared: Option<&[Compared]>) -> Result<()> {
    let mut document = serde_json::to_value(replayed)?;
    document["at"] = at.into();
    document["log_end"] = log_end.into();
    if let Some(compared) = compared {
        document["compared"] = json!(compared);
    }
    say(&document.to_string())
}

fn text(replayed: &Replayed, at: u64, log_end: u64) -> String {
    let paint = Paint::for_stdout();
    let mut lines = vec![paint.bold(&format!("The state as of LOG {at} (the log ends at {log_end})"))];
    for rebuilt in &replayed.services {
        lines.push(format!(
            "\n{}  at LOG {}, logic version {}, {} events folded, {} bytes",
            paint.bold(rebuilt.service),
            rebuilt.position,
            rebuilt.logic_version,
            rebuilt.events,
            rebuilt.bytes
        ));
        lines.push(format!("  {:<24} {}", "hash", rebuilt.hash));
        lines.extend(rebuilt.summary.iter().map(|(name, value)| format!("  {name:<24} {value}")));
    }
    lines.push(String::new());
    lines.extend(reading(replayed, paint));
    lines.join("\n")
}

fn compared_text(replayed: &Replayed, compared: &[Compared]) -> String {
    let paint = Paint::for_stdout();
    let mut lines = Vec::new();
    for one in compared {
        let verdict = if one.equal { paint.green("equal") } else { paint.red("NOT EQUAL") };
        lines.push(format!("{:<10} at LOG {:<8} {verdict}", one.service, one.live.position));
        lines.push(format!("  live      {}\n  replayed  {}", one.live.hash, one.replayed));
    }
    lines.extend(reading(replayed, paint));
    lines.join("\n")
}

/// What is to be known of how the log was read.
fn reading(replayed: &Replayed, paint: Paint) -> Vec<String> {
    let mut lines: Vec<String> = replayed.notes.iter().map(|note| paint.yellow(note)).collect();
    if replayed.pruned > 0 {
        lines.push(format!("{} messages were pruned from the log", replayed.pruned));
    }
    let a_second = replayed.records * 1000 / replayed.took_ms.max(1);
    let took = format!("{} records read in {} ms, {a_second} a second", replayed.records, replayed.took_ms);
    lines.push(paint.dim(&took));
    lines
}
