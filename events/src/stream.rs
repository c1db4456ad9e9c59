//! The streams, declared in one place.

use std::time::Duration;

use crate::subject::{Domain, Filter, LIVE, ROOT};

/// How a stream stores, keeps and passes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSpec {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Subjects that it takes.
    pub subjects: Vec<Filter>,
    /// Where it lives.
    pub storage: Storage,
    /// Age at which messages go; none for ever.
    pub max_age: Option<Duration>,
    /// Bytes beyond which the oldest go; none without bound.
    pub max_bytes: Option<i64>,
    /// Messages kept a subject; none without bound.
    pub max_per_subject: Option<i64>,
    /// How long an id is remembered to drop what is sent twice.
    pub duplicate_window: Duration,
    /// Whether several messages may be appended as one.
    pub atomic: bool,
    /// What is published again once it is stored, as (source, destination).
    pub republish: Option<(String, String)>,
}

/// Where a stream lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// On disk, flushed before it is acknowledged.
    File,
    /// In the server's memory: gone when a single server restarts, configuration and all.
    Memory,
}

/// Name of the stream of jobs, accounts and instances.
pub const LOG: &str = "LOG";
/// Name of the stream of requests.
pub const REQUESTS: &str = "REQUESTS";
/// Name of the stream of tokens.
pub const TOKENS: &str = "TOKENS";
/// Name of the stream of measurements.
pub const METRICS: &str = "METRICS";
/// Name of the stream of snapshots.
pub const SNAPSHOTS: &str = "SNAPSHOTS";

const MINUTE: Duration = Duration::from_secs(60);
/// Requests are the outside's own words; what became of them is in the log.
const REQUESTS_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Readers may resume a text for this long; `completed` carries it whole for as long as the log keeps it.
const TOKENS_AGE: Duration = Duration::from_secs(15 * 60);
const METRICS_AGE: Duration = Duration::from_secs(5 * 60);
/// Most memory that tokens may take on the server, in bytes; the oldest go first.
const TOKENS_BYTES: i64 = 256 << 20;
/// Most memory that measurements may take on the server, in bytes; the oldest go first.
const METRICS_BYTES: i64 = 64 << 20;

/// Every stream.
#[must_use]
pub fn all() -> [StreamSpec; 5] {
    [log(), requests(), tokens(), metrics(), snapshots()]
}

/// Jobs, accounts and instances: one total order, kept on disk.
#[must_use]
pub fn log() -> StreamSpec {
    StreamSpec {
        name: LOG,
        description: "jobs, accounts and instances: the decisions and the charges, in one order",
        subjects: [Domain::Job, Domain::Account, Domain::Instance].map(Filter::domain).to_vec(),
        storage: Storage::File,
        max_age: None,
        max_bytes: None,
        max_per_subject: None,
        duplicate_window: 2 * MINUTE,
        atomic: true,
        republish: Some((format!("{ROOT}.>"), format!("{LIVE}.>"))),
    }
}

/// What the outside asks for, kept on disk.
#[must_use]
pub fn requests() -> StreamSpec {
    StreamSpec {
        name: REQUESTS,
        description: "what the outside asks for",
        subjects: vec![Filter::domain(Domain::Request)],
        storage: Storage::File,
        max_age: Some(REQUESTS_AGE),
        atomic: false,
        republish: Some((
            Filter::event(Domain::Request, "rejected").as_str().to_owned(),
            format!("{LIVE}.{}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}.rejected", Domain::Request),
        )),
        ..log()
    }
}

/// Tokens as they are written, in memory.
#[must_use]
pub fn tokens() -> StreamSpec {
    StreamSpec {
        name: TOKENS,
        description: "tokens as they are written",
        subjects: vec![Filter::domain(Domain::Token)],
        storage: Storage::Memory,
        max_age: Some(TOKENS_AGE),
        max_bytes: Some(TOKENS_BYTES),
        atomic: false,
        ..log()
    }
}

/// Measurements, in memory.
#[must_use]
pub fn metrics() -> StreamSpec {
    StreamSpec {
        name: METRICS,
        description: "measurements and heartbeats",
        subjects: vec![Filter::domain(Domain::Metric)],
        storage: Storage::Memory,
        max_age: Some(METRICS_AGE),
        max_bytes: Some(METRICS_BYTES),
        atomic: false,
        ..log()
    }
}

/// What services folded the log into, kept on disk: of each part the newest, so that one snapshot replaces another.
#[must_use]
pub fn snapshots() -> StreamSpec {
    StreamSpec {
        name: SNAPSHOTS,
        description: "what services folded the log into",
        subjects: vec![Filter::snapshots()],
        storage: Storage::File,
        max_per_subject: Some(1),
        republish: None,
        ..log()
    }
}
