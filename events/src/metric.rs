//! Measurements of a process, on `lowland.metric.<service>.<instance>.<event>`. A worker's samples are its heartbeat.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{event::domain_events, subject::Domain};

domain_events!(Domain::Metric, {
    "sampled" v 1 Sampled,
});

/// A process's figures at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sampled {
    /// Age of the process, in milliseconds.
    pub uptime_ms: u64,
    /// Counts since the process began.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, u64>,
    /// Values now.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gauges: BTreeMap<String, i64>,
    /// Distributions since the process began: HdrHistogram's V2 encoding.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Vec<u8>>")]
    pub histograms: BTreeMap<String, ByteBuf>,
}
