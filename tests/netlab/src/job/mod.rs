//! What is asked of a transport, and how it is measured. Every job gives one [`Outcome`].

mod bulk;
mod cold;
mod mixed;
mod pace;
mod rpc;

use std::{io, time::Duration};

use crate::{outcome::Outcome, peer::Dialer};

/// A job, with its figures.
#[derive(Debug, Clone, PartialEq, clap::Subcommand)]
pub enum Job {
    /// Small calls at a steady pace over warm connections
    Rpc(Calls),
    /// One large answer, or as much as comes in a time
    Bulk(Load),
    /// A new connection for each call, one after the other
    Cold(Fresh),
    /// Calls while a large answer is under way
    Mixed(Calls),
}

/// Calls at a steady pace.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Calls {
    /// Bytes of a request
    #[arg(long, default_value_t = 1024)]
    pub request: u32,
    /// Bytes of an answer
    #[arg(long, default_value_t = 4096)]
    pub response: u64,
    /// Calls a second, scheduled whether or not earlier ones were answered
    #[arg(long, default_value_t = 50.0)]
    pub rate: f64,
    /// Seconds that are measured
    #[arg(long, default_value_t = 20.0)]
    pub secs: f64,
    /// Seconds of calls before them
    #[arg(long, default_value_t = 2.0)]
    pub warm_secs: f64,
    /// Connections that the calls share, where the transport does not keep calls of one connection apart
    #[arg(long, default_value_t = 1)]
    pub connections: usize,
    /// Seconds after which a call counts as lost
    #[arg(long, default_value_t = 10.0)]
    pub patience_secs: f64,
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
    pub patience_secs: f64,
}

/// Calls on fresh connections.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Fresh {
    /// Connections, one after the other
    #[arg(long, default_value_t = 20)]
    pub count: u32,
    /// Bytes of a request
    #[arg(long, default_value_t = 1024)]
    pub request: u32,
    /// Bytes of an answer
    #[arg(long, default_value_t = 4096)]
    pub response: u64,
    /// Send the request before the handshake ends; a first connection fetches what that takes
    #[arg(long)]
    pub early: bool,
    /// Seconds after which a connection counts as lost
    #[arg(long, default_value_t = 30.0)]
    pub patience_secs: f64,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            request: 1024,
            response: 4096,
            rate: 50.0,
            secs: 20.0,
            warm_secs: 2.0,
            connections: 1,
            patience_secs: 10.0,
        }
    }
}

impl Default for Load {
    fn default() -> Self {
        Self { bytes: 75_000_000, secs: None, patience_secs: 120.0 }
    }
}

impl Default for Fresh {
    fn default() -> Self {
        Self { count: 20, request: 1024, response: 4096, early: false, patience_secs: 30.0 }
    }
}

impl Job {
    /// As arguments of the command line.
    pub fn arguments(&self) -> Vec<String> {
        match self {
            Self::Rpc(calls) => prefixed("rpc", calls.arguments()),
            Self::Mixed(calls) => prefixed("mixed", calls.arguments()),
            Self::Bulk(load) => prefixed("bulk", load.arguments()),
            Self::Cold(fresh) => prefixed("cold", fresh.arguments()),
        }
    }

    /// The longest that it can take, dialling aside.
    pub fn patience(&self) -> Duration {
        let secs = match self {
            Self::Rpc(calls) | Self::Mixed(calls) => calls.warm_secs + calls.secs + 2.0 * calls.patience_secs,
            Self::Bulk(load) => load.secs.unwrap_or(load.patience_secs),
            Self::Cold(fresh) => f64::from(fresh.count) * 2.0 + fresh.patience_secs,
        };
        Duration::from_secs_f64(secs)
    }
}

fn prefixed(name: &str, mut arguments: Vec<String>) -> Vec<String> {
    arguments.insert(0, name.to_owned());
    arguments
}

impl Calls {
    fn arguments(&self) -> Vec<String> {
        vec![
            format!("--request={}", self.request),
            format!("--response={}", self.response),
            format!("--rate={}", self.rate),
            format!("--secs={}", self.secs),
            format!("--warm-secs={}", self.warm_secs),
            format!("--connections={}", self.connections),
            format!("--patience-secs={}", self.patience_secs),
        ]
    }
}

impl Load {
    fn arguments(&self) -> Vec<String> {
        let size = self.secs.map_or(format!("--bytes={}", self.bytes), |secs| format!("--secs={secs}"));
        vec![size, format!("--patience-secs={}", self.patience_secs)]
    }
}

impl Fresh {
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--count={}", self.count),
            format!("--request={}", self.request),
            format!("--response={}", self.response),
            format!("--patience-secs={}", self.patience_secs),
        ];
        arguments.extend(self.early.then(|| "--early".to_owned()));
        arguments
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
        Job::Mixed(calls) => mixed::run(calls, dialer).await?,
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
