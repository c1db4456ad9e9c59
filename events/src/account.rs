//! Money, on `lowland.account.<account>.<account>.<event>`: each event is one balanced set of postings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    event::domain_events,
    id::{JobId, ModelId},
    meter::{Meter, Rates, Usage},
    money::Money,
    subject::Domain,
};

domain_events!(Domain::Account, {
    "topped_up" v 1 ToppedUp,
    "hold_placed" v 1 HoldPlaced,
    "charged" v 1 Charged,
    "hold_released" v 1 HoldReleased,
});

/// One line of a double entry; the lines of an event add up to zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Posting {
    /// The ledger account (`cash`, `customer:acme`, `held:acme`, `revenue`).
    pub ledger: String,
    /// Positive debits, negative credits; in micro-units.
    pub amount: Money,
}

/// Money came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToppedUp {
    /// Id of the top-up, which counts once.
    pub topup: JobId,
    /// How much.
    pub amount: Money,
    /// The payment's own reference, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The double entry.
    pub postings: Vec<Posting>,
}

/// The most that a job could cost is set aside: from here on it may be given to a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldPlaced {
    /// The job.
    pub job: JobId,
    /// Its model.
    pub model: ModelId,
    /// How much.
    pub amount: Money,
    /// Version of the price book.
    pub price_version: String,
    /// The prices themselves, so that a replay needs no price book.
    pub rates: Rates,
    /// The most that the job can use.
    pub bounds: Usage,
    /// The double entry.
    pub postings: Vec<Posting>,
}

/// One line of a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChargeLine {
    /// What was used.
    pub meter: Meter,
    /// How much of it.
    pub quantity: u64,
    /// Price of a million, in micro-units.
    pub rate: Money,
}

/// A job is paid for, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Charged {
    /// The job: the charge's permanent key.
    pub job: JobId,
    /// Its model.
    pub model: ModelId,
    /// How much: the lines' exact sum, rounded once, up.
    pub amount: Money,
    /// What for.
    pub lines: Vec<ChargeLine>,
    /// Version of the price book.
    pub price_version: String,
    /// How the job ended (`completed`, `cancelled`, ...).
    pub outcome: String,
    /// Part of the price that was waived because it went beyond the hold.
    #[serde(default)]
    pub waived: Money,
    /// What of the hold goes back, which closes it. Logs of earlier builds have none here, and what was left, if anything
    /// was, goes back by a `hold_released` of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Money>,
    /// The double entry.
    pub postings: Vec<Posting>,
}

/// A hold that pays for nothing goes back. In logs of earlier builds also what a charge had left of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldReleased {
    /// The job.
    pub job: JobId,
    /// How much.
    pub amount: Money,
    /// The double entry.
    pub postings: Vec<Posting>,
}
