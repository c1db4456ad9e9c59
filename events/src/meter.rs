//! What is counted and charged for.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::money::Money;

/// A thing that is metered, named with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// Prompt tokens that were computed.
    InputTokens,
    /// Prompt tokens whose computation was reused.
    CachedTokens,
    /// Tokens written.
    OutputTokens,
    /// Tokens turned into vectors.
    EmbeddingTokens,
    /// Images made.
    Images,
    /// Machine time, in seconds.
    Seconds,
    /// Bytes carried.
    Bytes,
}

/// Says in the schema of a map by meter which names there are.
fn keyed_by_meter(schema: &mut Schema) {
    let meter = Meter::json_schema(&mut SchemaGenerator::default());
    schema.insert("propertyNames".to_owned(), meter.into());
}

/// Quantities by meter; a meter that is absent is zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transform = keyed_by_meter)]
pub struct Usage(pub BTreeMap<Meter, u64>);

impl Usage {
    /// Usage of the given meters, zeros left out.
    pub fn of(quantities: impl IntoIterator<Item = (Meter, u64)>) -> Self {
        Self(quantities.into_iter().filter(|(_, quantity)| *quantity > 0).collect())
    }

    /// How much of `meter` was used.
    #[must_use]
    pub fn quantity(&self, meter: Meter) -> u64 {
        self.0.get(&meter).copied().unwrap_or(0)
    }

    /// Prompt tokens, computed or reused.
    #[must_use]
    pub fn prompt_tokens(&self) -> u64 {
        self.quantity(Meter::InputTokens)
            + self.quantity(Meter::CachedTokens)
            + self.quantity(Meter::EmbeddingTokens)
    }

    /// Tokens written.
    #[must_use]
    pub fn output_tokens(&self) -> u64 {
        self.quantity(Meter::OutputTokens)
    }
}

/// Prices by meter, in micro-units for a million of the meter's unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transform = keyed_by_meter)]
pub struct Rates(pub BTreeMap<Meter, Money>);
