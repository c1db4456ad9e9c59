//! What a figure was measured on: the machine, the versions, and what each process used of the processor.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Serialize;

use crate::artifacts::pins::PINS;

/// The machine and the programs.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// Processor model.
    pub processor: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Kernel version.
    pub kernel: String,
    /// Type of the file system that holds the data.
    pub file_system: String,
    /// The one-minute load average before anything was started: what else the machine was doing.
    pub load_before: f64,
    /// This program's version, and whether it was built with optimisation.
    pub lowland: String,
    /// The server's version.
    pub nats_server: String,
}

impl Facts {
    /// Reads them; what cannot be read is empty.
    #[must_use]
    pub fn read(data: &Path) -> Self {
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_bytes(),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(data),
            load_before: load(),
            lowland: format!("{} ({build})", env!("CARGO_PKG_VERSION")),
            nats_server: PINS.artifact("nats-server").map(|pin| pin.version.clone()).unwrap_or_default(),
        }
    }
}

/// The one-minute load average.
#[must_use]
pub fn load() -> f64 {
    text("/proc/loadavg").split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

/// Processor seconds that each of `pids` has used so far; 0 for one that is gone, or where there is no `/proc`.
#[must_use]
pub fn cpu_seconds(pids: &BTreeMap<String, u32>) -> BTreeMap<String, f64> {
    pids.iter().map(|(name, pid)| (name.clone(), seconds_of(*pid))).collect()
}

fn seconds_of(pid: u32) -> f64 {
    // SAFETY: sysconf takes a plain number and touches no memory of ours.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    used_ticks(&text(&format!("/proc/{pid}/stat"))) as f64 / (ticks.max(1) as f64)
}

/// User and system time in a `stat` line; the name before it may hold anything, but ends with the last bracket.
fn used_ticks(stat: &str) -> u64 {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // Fields are counted from the state, which is the third of the line: utime is the 14th, stime the 15th.
    after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = text(path);
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

fn memory_bytes() -> u64 {
    let kib = field("/proc/meminfo", "MemTotal");
    kib.and_then(|kib| kib.split(' ').next()?.parse::<u64>().ok()).unwrap_or_default() << 10
}

/// The type of the mount whose point is the longest that leads to `path`.
fn file_system(path: &Path) -> String {
    let mounts = text("/proc/mounts");
    let held = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        path.starts_with(point).then(|| (point.len(), kind.to_owned()))
    });
    held.max_by_key(|(length, _)| *length).map(|(_, kind)| kind).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_blanks_and_brackets() {
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194304 90 0 0 0 150 25 0 0 20 0 9 0 100";
        assert_eq!(used_ticks(stat), 175);
        assert_eq!(used_ticks(""), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_process_has_used_something() {
        let ours = [("us".to_owned(), std::process::id())].into();
        let began = std::time::Instant::now();
        while began.elapsed() < std::time::Duration::from_millis(100) {
            std::hint::black_box(used_ticks("1 (x) S 1"));
        }
        assert!(cpu_seconds(&ours)["us"] > 0.0);
        assert!(!file_system(Path::new("/")).is_empty());
    }
}
