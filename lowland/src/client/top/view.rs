//! What is shown at a moment: plain data, for drawing and for `--json`.

use hdrhistogram::Histogram;
use lowland_events::Money;
use serde::Serialize;

/// All that is shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct View {
    /// The time, RFC 3339.
    pub at: String,
    /// Totals.
    pub totals: Totals,
    /// By model.
    pub models: Vec<ModelRow>,
    /// Processes.
    pub processes: Vec<ProcessRow>,
    /// Accounts.
    pub accounts: Vec<AccountRow>,
    /// The latest events, newest last.
    pub events: Vec<EventRow>,
}

/// Over everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Jobs that ended, a second, over the last ten.
    pub jobs_a_second: f64,
    /// Tokens that were written, a second.
    pub tokens_a_second: f64,
    /// Tokens of prompts that were read, a second.
    pub prompt_tokens_a_second: f64,
    /// Jobs in hand.
    pub running: i64,
    /// Jobs that wait for a place.
    pub waiting: i64,
    /// Jobs that ended in each of the last sixty seconds, oldest first.
    pub jobs: Vec<f64>,
    /// Tokens that were written in each of them.
    pub tokens: Vec<f64>,
    /// Times of all models together.
    #[serde(flatten)]
    pub latency: Latency,
}

/// Times since the processes began, of all of them together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latency {
    /// To the first token.
    pub first_token: Option<Percentiles>,
    /// From one token to the next.
    pub inter_token: Option<Percentiles>,
    /// Of a whole job.
    pub end_to_end: Option<Percentiles>,
}

/// A distribution in short.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    /// Values.
    pub count: u64,
    /// Half are at most this, in milliseconds.
    pub p50_ms: f64,
    /// Of a hundred, ninety-nine are at most this, in milliseconds.
    pub p99_ms: f64,
}

impl Percentiles {
    /// Of microseconds; none of none.
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let ms = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        (!histogram.is_empty()).then(|| Self { count: histogram.len(), p50_ms: ms(0.5), p99_ms: ms(0.99) })
    }
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelRow {
    /// Its id.
    pub model: String,
    /// Instances that are there.
    pub instances: usize,
    /// Jobs that they take at once.
    pub slots: u32,
    /// Jobs in hand.
    pub running: i64,
    /// Jobs that wait.
    pub waiting: i64,
    /// Tokens that were written since the processes began.
    pub tokens: u64,
    /// Its times.
    #[serde(flatten)]
    pub latency: Latency,
}

/// How a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Not heard of for too long.
    Silent,
    /// It says that it does not do its work.
    NotReady,
    /// It does its work.
    Ready,
    /// It was heard of, and does not say more.
    Heard,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProcessRow {
    /// The service.
    pub service: String,
    /// The process.
    pub instance: String,
    /// How it is.
    pub health: Health,
    /// Its age, in milliseconds.
    pub uptime_ms: u64,
    /// How long ago it was heard of, in milliseconds.
    pub heard_ms_ago: u64,
    /// Jobs in hand.
    pub running: i64,
    /// Tokens that it wrote, a second.
    pub tokens_a_second: f64,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccountRow {
    /// Its id.
    pub account: String,
    /// What was charged, ever; in micro-units.
    pub spent: Money,
    /// What is set aside for running jobs.
    pub set_aside: Money,
    /// What may be spent.
    pub available: Money,
    /// Jobs that were charged.
    pub charges: u64,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventRow {
    /// When it was stored, RFC 3339.
    pub at: String,
    /// Domain and name.
    pub event: String,
    /// What it is about.
    pub about: String,
    /// What it says.
    pub what: String,
}
