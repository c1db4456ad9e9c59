//! What is asked of a transport, and how it is measured. Every job gives one [`Outcome`].
//!
//! Jobs and their arguments are those of `lowland acnp perf client`, so that one command line does for both.

mod bulk;
mod cold;
mod load;
mod pace;
mod rpc;

use std::{io, time::Duration};

use crate::{outcome::Outcome, peer::Dialer};

/// Bytes of a KiB.
const KIB: u64 = 1024;

/// A job, with its figures.
#[derive(Debug, Clone, PartialEq, clap::Subcommand)]
pub enum Job {
    /// Small calls at a steady pace over warm connections
    Rpc(Calls),
    /// One large answer, or as much as comes in a time
    Bulk(Load),
    /// A new connection for each call, one after the other
    Cold(Fresh),
}

/// Calls at a steady pace.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Calls {
    /// Calls a second, scheduled whether or not earlier ones were answered
    #[arg(long, default_value_t = 50.0)]
    pub rate: f64,
    /// Seconds that are measured
    #[arg(long, default_value_t = 20.0)]
    pub secs: f64,
    /// Bytes of a request
    #[arg(long, default_value_t = 1024)]
    pub request_bytes: u32,
    /// KiB of an answer
    #[arg(long, default_value_t = 4)]
    pub response_kib: u64,
    /// Seconds after which a call counts as lost
    #[arg(long, default_value_t = 10.0)]
    pub give_up_secs: f64,
    /// Calls before those that are measured
    #[arg(long, default_value_t = 100)]
    pub warm_up: u32,
    /// Fetch an endless answer at the same time: on the same connection where the transport keeps calls apart
    #[arg(long)]
    pub beside_bulk: bool,
    /// Connections that the calls share, where the transport does not keep calls of one connection apart
    #[arg(long, default_value_t = 1)]
    pub connections: usize,
}

/// A large answer.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Load {
    /// Bytes to fetch
    #[arg(long, default_value_t = 75_000_000)]
    pub bytes: u64,
    /// Fetch without end and stop after this many seconds
    #[arg(long)]
    pub secs: Option<f64>,
    /// Seconds after which a fetch of given size is given up
    #[arg(long, default_value_t = 120.0)]
    pub give_up_secs: f64,
}

/// Calls on fresh connections.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Fresh {
    /// Connections, one after the other
    #[arg(long, default_value_t = 20)]
    pub runs: u32,
    /// Send the request before the handshake ends; a first connection fetches what that takes
    #[arg(long)]
    pub early: bool,
    /// Bytes of a request
    #[arg(long, default_value_t = 1024)]
    pub request_bytes: u32,
    /// KiB of an answer
    #[arg(long, default_value_t = 4)]
    pub response_kib: u64,
    /// Seconds after which a connection counts as lost
    #[arg(long, default_value_t = 20.0)]
    pub give_up_secs: f64,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            rate: 50.0,
            secs: 20.0,
            request_bytes: 1024,
            response_kib: 4,
            give_up_secs: 10.0,
            warm_up: 100,
            beside_bulk: false,
            connections: 1,
        }
    }
}

impl Default for Load {
    fn default() -> Self {
        Self { bytes: 75_000_000, secs: None, give_up_secs: 120.0 }
    }
}

impl Default for Fresh {
    fn default() -> Self {
        Self { runs: 20, early: false, request_bytes: 1024, response_kib: 4, give_up_secs: 20.0 }
    }
}

impl Job {
    /// As arguments of the command line.
    pub fn arguments(&self) -> Vec<String> {
        let (name, mut arguments, flag) = match self {
            Self::Rpc(calls) => ("rpc", calls.arguments(), calls.beside_bulk.then_some("--beside-bulk")),
            Self::Bulk(load) => ("bulk", load.arguments(), None),
            Self::Cold(fresh) => ("cold", fresh.arguments(), fresh.early.then_some("--early")),
        };
        arguments.insert(0, name.to_owned());
        arguments.extend(flag.map(str::to_owned));
        arguments
    }

    /// The longest that it can take, dialling aside.
    pub fn patience(&self) -> Duration {
        let secs = match self {
            Self::Rpc(calls) => f64::from(calls.warm_up) / calls.rate + calls.secs + 2.0 * calls.give_up_secs,
            Self::Bulk(load) => load.secs.unwrap_or(load.give_up_secs),
            Self::Cold(fresh) => f64::from(fresh.runs) * 2.0 + fresh.give_up_secs,
        };
        Duration::from_secs_f64(secs)
    }

    /// Bytes both ways of the calls that gave `outcome`, for a client that does not say; none where a load is beside them.
    pub fn content_bytes(&self, outcome: &Outcome) -> Option<u64> {
        let made = outcome.ok? + outcome.lost.unwrap_or(0) + outcome.bad_content.unwrap_or(0);
        match self {
            Self::Rpc(calls) if !calls.beside_bulk => {
                Some((made + u64::from(calls.warm_up)) * calls.content())
            }
            Self::Cold(fresh) => Some(made * fresh.content()),
            Self::Rpc(_) | Self::Bulk(_) => None,
        }
    }
}

impl Calls {
    fn arguments(&self) -> Vec<String> {
        vec![
            format!("--rate={}", self.rate),
            format!("--secs={}", self.secs),
            format!("--request-bytes={}", self.request_bytes),
            format!("--response-kib={}", self.response_kib),
            format!("--give-up-secs={}", self.give_up_secs),
            format!("--warm-up={}", self.warm_up),
        ]
    }

    /// Bytes of one call, both ways.
    fn content(&self) -> u64 {
        u64::from(self.request_bytes) + self.response_kib * KIB
    }
}

impl Load {
    fn arguments(&self) -> Vec<String> {
        let size = self.secs.map_or(format!("--bytes={}", self.bytes), |secs| format!("--secs={secs}"));
        vec![size, format!("--give-up-secs={}", self.give_up_secs)]
    }
}

impl Fresh {
    fn arguments(&self) -> Vec<String> {
        vec![
            format!("--runs={}", self.runs),
            format!("--request-bytes={}", self.request_bytes),
            format!("--response-kib={}", self.response_kib),
            format!("--give-up-secs={}", self.give_up_secs),
        ]
    }

    fn content(&self) -> u64 {
        u64::from(self.request_bytes) + self.response_kib * KIB
    }
}

/// Does the job.
///
/// # Errors
/// The first dial's; later failures are counted.
pub async fn run(job: &Job, dialer: &Dialer) -> io::Result<Outcome> {
    let mut outcome = match job {
        Job::Rpc(calls) => rpc::run(calls, dialer).await?,
        Job::Bulk(load) => bulk::run(load, dialer).await?,
        Job::Cold(fresh) => cold::run(fresh, dialer).await?,
    };
    outcome.cpu_s = Some(cpu_seconds());
    Ok(outcome)
}

/// CPU time of this process, user and system.
fn cpu_seconds() -> f64 {
    // SAFETY: an all-zero `rusage` is valid, lives through the call, and is only written by it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
