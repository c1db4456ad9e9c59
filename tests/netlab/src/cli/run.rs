//! `netlab run` and `netlab report`.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::{
    emulator::{Family, check_rights},
    path::parse_paths,
    report,
    runner::{Bench, Contestant, Kind, Plan, Progress, Record, Sizes, Task, builtin, described, run_all},
};

/// What to measure, and how often.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// Paths, separated by commas: names (`netlab list`), rtt=180ms:rate=100:loss=1%, or lossy1:rate=50; lines joined by +
    #[arg(long, default_value = "lossy1,lossy5,reorder,clean,short")]
    paths: String,
    /// Jobs, separated by commas (`netlab list`)
    #[arg(long, default_value = "rpc,bulk")]
    jobs: String,
    /// Contestants, separated by commas (`netlab list`)
    #[arg(long, default_value = "tcp-cubic,tcp-bbr,quinn-cubic,quinn-bbr,kcp")]
    peers: String,
    /// One more contestant: NAME=perf:SERVER ;; CLIENT or NAME=tunnel:SERVE ;; CONNECT, with {server}, {job}, {local}, {to},
    /// {key}, {pub}, {mode}, {server1} filled in
    #[arg(long)]
    contestant: Vec<String>,
    /// The command of acnp and acnp-tunnel; by default `lowland acnp`, of $LOWLAND_BIN or beside this command
    #[arg(long)]
    acnp: Option<String>,
    /// How many seeds
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// How often a disturbed run is run again
    #[arg(long, default_value_t = 2)]
    repeats: u32,
    /// Microseconds of the emulator's own lateness (p99) beyond which a run counts as disturbed
    #[arg(long, default_value_t = 500)]
    late_us: u64,
    /// IPv6 instead of IPv4
    #[arg(long)]
    ipv6: bool,
    /// Folder for runs.jsonl, table.md and plot.svg
    #[arg(long, default_value = "target/netlab")]
    out: PathBuf,
    #[command(flatten)]
    sizes: Sizes,
}

/// Runs that were kept.
#[derive(Debug, clap::Args)]
pub(super) struct Report {
    /// Files of JSON lines
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Folder for table.md and plot.svg; without it only the terminal's table
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Run {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let plan = self.plan()?;
        check_rights()?;
        fs::create_dir_all(&self.out).with_context(|| format!("cannot make {}", self.out.display()))?;
        let bench = self.bench(&plan)?;
        let mut lines = File::create(self.out.join("runs.jsonl")).context("cannot write runs.jsonl")?;
        let records = measure(&plan, &bench, &mut lines);
        write_reports(&records, &self.out)?;
        println!("\nruns.jsonl, table.md and plot.svg are in {}", self.out.display());
        let all = plan.seeds.len() * plan.paths.len() * plan.tasks.len() * plan.contestants.len();
        Ok(if records.len() == all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn plan(&self) -> anyhow::Result<Plan> {
        let words = |text: &str| -> Vec<String> {
            text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
        };
        let tasks =
            words(&self.jobs).iter().map(|name| Task::named(name, &self.sizes)).collect::<Result<_, _>>();
        let mut known = builtin(&self.acnp_command());
        let more = self.contestant.iter().map(|text| described(text)).collect::<Result<Vec<_>, _>>();
        let more = more.map_err(anyhow::Error::msg)?;
        let mut wanted = words(&self.peers);
        wanted.extend(more.iter().map(|contestant| contestant.name.clone()));
        known.extend(more);
        wanted.dedup();
        let contestants = wanted.iter().map(|name| find(&known, name)).collect::<anyhow::Result<_>>()?;
        let seeds = (self.first_seed..self.first_seed + self.seeds).collect();
        let tasks = tasks.map_err(anyhow::Error::msg)?;
        Ok(Plan { paths: parse_paths(&self.paths)?, tasks, contestants, seeds, repeats: self.repeats })
    }

    fn bench(&self, plan: &Plan) -> anyhow::Result<Bench> {
        let own = |contestant: &Contestant| matches!(contestant.kind, Kind::Peer(_));
        let acnp =
            plan.contestants.iter().any(|contestant| !own(contestant) && contestant.name.starts_with("acnp"));
        Ok(Bench {
            netlab: std::env::current_exe().context("where this command is")?,
            keys: if acnp { Some(keys(&self.acnp_command(), &self.out)?) } else { None },
            family: if self.ipv6 { Family::V6 } else { Family::V4 },
            late_max: Duration::from_micros(self.late_us),
        })
    }

    fn acnp_command(&self) -> String {
        let named = || std::env::var_os("LOWLAND_BIN").map(PathBuf::from);
        let beside = || Some(std::env::current_exe().ok()?.with_file_name("lowland"));
        let lowland = || named().or_else(beside).unwrap_or_else(|| PathBuf::from("lowland"));
        self.acnp.clone().unwrap_or_else(|| format!("{} acnp", lowland().display()))
    }
}

fn find(known: &[Contestant], name: &str) -> anyhow::Result<Contestant> {
    let names: Vec<_> = known.iter().map(|contestant| contestant.name.as_str()).collect();
    let found = known.iter().find(|contestant| contestant.name == name).cloned();
    found.with_context(|| format!("no contestant `{name}`; there are {}", names.join(", ")))
}

/// A fresh key pair, made by `acnp`.
fn keys(acnp: &str, out: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (key, public) = (out.join("server.key"), out.join("server.key.pub"));
    for file in [&key, &public] {
        let _ = fs::remove_file(file);
    }
    let mut words = acnp.split_whitespace();
    let made = Command::new(words.next().unwrap_or_default())
        .args(words)
        .args(["keygen", "--out"])
        .arg(&key)
        .output();
    let lacking = || {
        format!(
            "`{acnp} keygen` makes no key: build it (cargo build --release -p lowland), or name another by --acnp"
        )
    };
    let output = made.with_context(lacking)?;
    if !output.status.success() {
        bail!("{}: {}", lacking(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok((key, public))
}

/// Runs everything, tells about it, and keeps each run at once.
pub(super) fn measure(plan: &Plan, bench: &Bench, lines: &mut dyn Write) -> Vec<Record> {
    let begun = Instant::now();
    let mut tell = |progress: Progress<'_>| match progress {
        Progress::Begins(number, all, what) => {
            let left = begun.elapsed().as_secs_f64() / (number - 1).max(1) as f64 * (all + 1 - number) as f64;
            let left = if number > 1 { format!(" (about {:.0} s left)", left.ceil()) } else { String::new() };
            eprintln!("[{number}/{all}] {what}{left}");
        }
        Progress::Ended(record) => {
            let again = if record.disturbed { "disturbed: " } else { "" };
            eprintln!("    {again}{}", report::line(record));
            let kept = serde_json::to_writer(&mut *lines, record).is_ok() && writeln!(lines).is_ok();
            if !kept {
                eprintln!("    this run could not be kept");
            }
        }
        Progress::Failed(error) => eprintln!("    {error:#}"),
    };
    run_all(plan, bench, &mut tell)
}

fn write_reports(records: &[Record], out: &Path) -> anyhow::Result<()> {
    let sections = report::summarise(records);
    println!("{}", report::table(&sections));
    let write = |name: &str, text: String| {
        fs::write(out.join(name), text).with_context(|| format!("cannot write {name} in {}", out.display()))
    };
    write("table.md", report::markdown(&sections))?;
    write("plot.svg", report::plot(&sections))
}

impl Report {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut records = Vec::new();
        for file in &self.runs {
            let named = || format!("{}", file.display());
            for line in BufReader::new(File::open(file).with_context(named)?).lines() {
                records.push(serde_json::from_str(&line?).with_context(named)?);
            }
        }
        match &self.out {
            Some(out) => {
                fs::create_dir_all(out)?;
                write_reports(&records, out)?;
            }
            None => println!("{}", report::table(&report::summarise(&records))),
        }
        Ok(ExitCode::SUCCESS)
    }
}
