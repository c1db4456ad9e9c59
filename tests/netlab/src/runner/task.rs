//! What a run consists of: one client with a job, or several clients at once.

use std::fmt;

use crate::job::{Calls, Fresh, Job, Load};

/// KiB of answers, small and large.
const SMALL_KIB: u64 = 4;
const LARGE_KIB: u64 = 64;

/// Seconds of calls before those that are measured.
const WARM_UP_SECS: f64 = 2.0;

/// A task, by the names of the command line.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// As it stands in tables.
    pub name: String,
    /// What its clients do.
    pub job: Job,
    /// How many do it at once.
    pub clients: usize,
    /// Whether a flow of kernel cubic runs beside it.
    pub rival: bool,
}

/// Figures that the tasks share.
#[derive(Debug, Clone, Copy, PartialEq, clap::Args)]
pub struct Sizes {
    /// Calls a second
    #[arg(long, default_value_t = 50.0)]
    pub rate: f64,
    /// Seconds that calls are measured for
    #[arg(long, default_value_t = 20.0)]
    pub rpc_secs: f64,
    /// Connections that calls share over TCP, KCP and tunnels
    #[arg(long, default_value_t = 1)]
    pub connections: usize,
    /// Bytes of a bulk answer
    #[arg(long, default_value_t = 75_000_000)]
    pub bulk_bytes: u64,
    /// Seconds of the tasks that run for a time: bulk-time, flowsN, fair
    #[arg(long, default_value_t = 10.0)]
    pub bulk_secs: f64,
    /// Connections of a cold task
    #[arg(long, default_value_t = 20)]
    pub cold_runs: u32,
}

/// Task names and what they are.
pub const TASKS: [(&str, &str); 9] = [
    ("rpc", "calls of 1 KiB, answers of 4 KiB, at a steady pace on warm connections"),
    ("rpc64k", "the same with answers of 64 KiB"),
    ("bulk", "one answer of 75 MB, from the dial on"),
    ("bulk-time", "as much as comes in a time"),
    ("cold", "a new connection for each call"),
    ("cold-early", "the same, with the request before the handshake's end"),
    ("mixed", "calls beside a bulk answer"),
    ("flows4", "so many bulk-time clients at once (any number), and how evenly they share"),
    ("fair", "bulk-time beside one flow of kernel cubic"),
];

impl Task {
    /// The task of that name.
    ///
    /// # Errors
    /// That there is none, and which there are.
    pub fn named(name: &str, sizes: &Sizes) -> Result<Self, String> {
        let calls = |response_kib, beside_bulk| {
            Job::Rpc(Calls {
                response_kib,
                beside_bulk,
                rate: sizes.rate,
                secs: sizes.rpc_secs,
                connections: sizes.connections,
                warm_up: (sizes.rate * WARM_UP_SECS) as u32,
                ..Calls::default()
            })
        };
        let timed = Job::Bulk(Load { secs: Some(sizes.bulk_secs), ..Load::default() });
        let flows = name.strip_prefix("flows").and_then(|count| count.parse().ok());
        let fresh = |early| Job::Cold(Fresh { runs: sizes.cold_runs, early, ..Fresh::default() });
        let (job, clients, rival) = match (name, flows) {
            ("rpc", _) => (calls(SMALL_KIB, false), 1, false),
            ("rpc64k", _) => (calls(LARGE_KIB, false), 1, false),
            ("bulk", _) => (Job::Bulk(Load { bytes: sizes.bulk_bytes, ..Load::default() }), 1, false),
            ("bulk-time", _) => (timed, 1, false),
            ("cold", _) => (fresh(false), 1, false),
            ("cold-early", _) => (fresh(true), 1, false),
            ("mixed", _) => (calls(SMALL_KIB, true), 1, false),
            ("fair", _) => (timed, 1, true),
            (_, Some(count @ 1..=64)) => (timed, count, false),
            _ => {
                let names = TASKS.map(|(name, _)| name).join(", ");
                return Err(format!("no job `{name}`; there are {names}"));
            }
        };
        Ok(Self { name: name.to_owned(), job, clients, rival })
    }

    /// Sizes of the calls, if it makes any.
    pub fn call(&self) -> Option<(u64, u64)> {
        match &self.job {
            Job::Rpc(calls) => Some((calls.request_bytes.into(), calls.response_kib * 1024)),
            Job::Cold(fresh) => Some((fresh.request_bytes.into(), 1)),
            Job::Bulk(_) => None,
        }
    }

    /// What suits its traffic: `latency` or `bandwidth`.
    pub fn mode(&self) -> &'static str {
        if matches!(self.job, Job::Bulk(_)) { "bandwidth" } else { "latency" }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes() -> Sizes {
        Sizes { rate: 50.0, rpc_secs: 1.0, connections: 16, bulk_bytes: 1000, bulk_secs: 1.0, cold_runs: 2 }
    }

    #[test]
    fn every_name_is_a_task_and_others_are_refused() {
        for (name, _) in TASKS {
            assert_eq!(Task::named(name, &sizes()).map(|task| task.name), Ok(name.to_owned()));
        }
        assert_eq!(Task::named("flows8", &sizes()).map(|task| task.clients), Ok(8));
        for name in ["flows0", "flows", "upload"] {
            assert!(Task::named(name, &sizes()).is_err(), "{name}");
        }
    }
}
