//! `lowland logs`: what the processes printed.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::{Result, bail};

use super::Context;
use crate::{paint::Paint, supervise::output::tail};

/// How often the files are looked at with `--follow`.
const POLL: Duration = Duration::from_millis(200);

/// Show what the processes printed
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lowland logs                 the end of every log
  lowland logs worker -f       the workers', and what comes
  lowland logs nats -n 100     the last hundred lines of the NATS server")]
pub struct Args {
    /// Name of a process, or its beginning
    service: Option<String>,
    /// Go on showing what is printed, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Lines of each log
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: usize,
}

pub(super) fn run(context: &Context, args: Args) -> Result<ExitCode> {
    let logs = logs(&context.data().logs(), args.service.as_deref().unwrap_or(""));
    if logs.is_empty() {
        match args.service {
            Some(name) => bail!("no log of {name:?} in {}", context.data().logs().display()),
            None => bail!("no logs in {}: nothing was started yet", context.data().logs().display()),
        }
    }
    let printer = Printer { prefixed: logs.len() > 1, paint: Paint::for_stdout() };
    for (name, path) in &logs {
        tail(path, args.lines).iter().for_each(|line| printer.line(name, line));
    }
    if args.follow {
        follow(&logs, &printer)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn logs(dir: &Path, prefix: &str) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().to_str()?.strip_suffix(".log")?.to_owned();
            name.starts_with(prefix).then(|| (name, entry.path()))
        })
        .collect()
}

fn follow(logs: &BTreeMap<String, PathBuf>, printer: &Printer) -> Result<()> {
    let mut read: BTreeMap<&String, u64> =
        logs.iter().map(|(name, path)| (name, fs::metadata(path).map_or(0, |meta| meta.len()))).collect();
    loop {
        for (name, path) in logs {
            let at = read.entry(name).or_default();
            for line in new_lines(path, at)? {
                printer.line(name, &line);
            }
        }
        thread::sleep(POLL);
    }
}

/// Whole lines after `at`, which moves on; a file that has shrunk was put aside and begun anew.
fn new_lines(path: &Path, at: &mut u64) -> Result<Vec<String>> {
    let Ok(mut file) = fs::File::open(path) else { return Ok(Vec::new()) };
    if file.metadata()?.len() < *at {
        *at = 0;
    }
    file.seek(SeekFrom::Start(*at))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    *at += whole as u64;
    Ok(String::from_utf8_lossy(&bytes[..whole]).lines().map(str::to_owned).collect())
}

struct Printer {
    prefixed: bool,
    paint: Paint,
}

impl Printer {
    fn line(&self, name: &str, line: &str) {
        if self.prefixed {
            println!("{} {line}", self.paint.dim(&format!("{name:<12}")));
        } else {
            println!("{line}");
        }
    }
}
