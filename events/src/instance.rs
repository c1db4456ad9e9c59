//! Models loaded on workers, on `lowland.instance.<model>.<instance>.<event>`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    event::domain_events,
    id::{InstanceId, RegionId, WorkerId},
    money::Money,
    subject::Domain,
};

domain_events!(Domain::Instance, {
    "ready" v 1 Ready,
    "stopped" v 1 Stopped,
    "lost" v 1 Lost,
});

/// What an instance can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// Writes text.
    Generate,
    /// Turns text into vectors.
    Embed,
}

/// A worker's process has loaded a model and takes jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ready {
    /// The worker.
    pub worker: WorkerId,
    /// The worker's process, which one metric stream speaks for; never used twice.
    pub process: InstanceId,
    /// Where it is.
    pub region: RegionId,
    /// What it can do.
    pub ability: Ability,
    /// Jobs at once.
    pub slots: u32,
    /// Longest sequence, prompt and output together, in tokens.
    pub context_tokens: u32,
    /// What the node asks for a million tokens, in micro-units: what the choice of a place weighs.
    pub ask: Money,
    /// Execution provider (`cpu`, `cuda`, `tensorrt`).
    pub provider: String,
}

/// The instance takes no more jobs and has ended those that it had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {
    /// Why, for people.
    pub reason: String,
}

/// The instance has fallen silent, or its worker has started anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lost {
    /// How long it had not been heard of, in milliseconds.
    pub silent_ms: u64,
    /// Why it is taken for lost, for people.
    pub reason: String,
}
