//! The price book: what a million of each meter's unit costs, for each model, since when.
//!
//! Rates go into the hold that a job is charged by, so nothing past [`crate::decide`] ever looks a price up again.

mod file;
mod parse;
mod reader;

use std::collections::BTreeMap;

use lowland_events::{
    Money, Time,
    id::ModelId,
    meter::{Meter, Rates, Usage},
};

pub use file::PriceFile;
pub use reader::Problem;

/// The price book that a new data folder begins with.
pub const SAMPLE: &str = include_str!("sample.toml");

/// The entry whose rates hold for every model that does not set its own.
pub const ANY_MODEL: &str = "*";

/// A valid price book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// What an amount of one unit is one of, for people (`EUR`).
    pub currency: String,
    /// Its versions by the time from which on they hold.
    versions: BTreeMap<Time, Version>,
}

/// What holds from a point in time on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// Its name, which goes into each hold and charge.
    pub id: String,
    /// Rates by model, or [`ANY_MODEL`].
    models: BTreeMap<String, Rates>,
}

/// The price of a job: a version's rates for one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The version's name.
    pub version: String,
    /// The rates of every meter that has one.
    pub rates: Rates,
}

/// Why a job has no price; the text is for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPrice {
    /// The first version takes effect later.
    #[error("the price book has no version in effect at {0}")]
    TooEarly(Time),
    /// A meter that the job may use has no rate.
    #[error("price book version {version} has no rate for {} of model {model:?}; models with prices: {}", .meters.join(", "), .models.join(", "))]
    NoRate {
        /// The version in effect.
        version: String,
        /// The model.
        model: String,
        /// The meters without a rate.
        meters: Vec<String>,
        /// What the version does list.
        models: Vec<String>,
    },
}

impl Book {
    /// Reads a price book; gives every problem that it has.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        parse::book(text)
    }

    /// The version in effect at `time`.
    #[must_use]
    pub fn version_at(&self, time: Time) -> Option<&Version> {
        self.versions.range(..=time).next_back().map(|(_, version)| version)
    }

    /// The price of a job of `model` submitted at `time` that may use `bounds`.
    pub fn price(&self, model: &ModelId, bounds: &Usage, time: Time) -> Result<Price, NoPrice> {
        let version = self.version_at(time).ok_or(NoPrice::TooEarly(time))?;
        let rates = version.rates(model);
        let missing: Vec<_> = bounds
            .0
            .iter()
            .filter(|(meter, quantity)| **quantity > 0 && !rates.0.contains_key(meter))
            .map(|(meter, _)| meter)
            .collect();
        if missing.is_empty() {
            return Ok(Price { version: version.id.clone(), rates });
        }
        Err(NoPrice::NoRate {
            version: version.id.clone(),
            model: model.to_string(),
            meters: missing.into_iter().map(|meter| meter_name(*meter)).collect(),
            models: version.models.keys().cloned().collect(),
        })
    }
}

impl Version {
    /// A model's own rates, and those of [`ANY_MODEL`] for meters that it does not set. A cached token is an input token
    /// that came cheaper: without a rate of its own it costs what an input token costs.
    fn rates(&self, model: &ModelId) -> Rates {
        let mut rates = self.models.get(ANY_MODEL).cloned().unwrap_or_default();
        if let Some(own) = self.models.get(model.as_str()) {
            if own.0.contains_key(&Meter::InputTokens) {
                rates.0.remove(&Meter::CachedTokens);
            }
            rates.0.extend(&own.0);
        }
        if let Some(input) = rates.0.get(&Meter::InputTokens).copied() {
            rates.0.entry(Meter::CachedTokens).or_insert(input);
        }
        rates
    }
}

/// A meter's name as the price book and the events spell it (`input_tokens`).
pub(crate) fn meter_name(meter: Meter) -> String {
    match serde_json::to_value(meter) {
        Ok(serde_json::Value::String(name)) => name,
        _ => unreachable!("a meter is written as a string"),
    }
}

/// Highest rate that a book may hold, in micro-units a million: far below where a sum of charges could leave `i128`.
pub const RATE_MAX: Money = Money(1_000_000_000_000_000);

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> ModelId {
        ModelId::new(name).unwrap()
    }

    fn text_bounds() -> Usage {
        Usage::of([(Meter::InputTokens, 10), (Meter::OutputTokens, 10)])
    }

    const TWO_VERSIONS: &str = r#"
        currency = "EUR"
        [[version]]
        id = "new"
        effective = "2026-06-01T00:00:00Z"
        [version.models.m]
        input_tokens = "2"
        [version.models."*"]
        input_tokens = "7"
        cached_tokens = "0.5"
        output_tokens = "9"
        [[version]]
        id = "old"
        effective = "2026-01-01T02:00:00+02:00"
        [version.models.m]
        input_tokens = "1"
        output_tokens = "1"
    "#;

    #[test]
    fn the_sample_is_valid_and_prices_the_default_models() {
        let book = Book::parse(SAMPLE).unwrap();
        let at: Time = "2026-11-22T00:00:00Z".parse().unwrap();
        let price = book.price(&model("smollm2-135m-instruct"), &text_bounds(), at).unwrap();
        assert_eq!(price.version, "2026-01");
        assert_eq!(price.rates.0[&Meter::InputTokens], Money(20_000));
        assert_eq!(price.rates.0[&Meter::CachedTokens], Money(2_000));
        assert_eq!(price.rates.0[&Meter::OutputTokens], Money(80_000));
        let embedding = Usage::of([(Meter::EmbeddingTokens, 1)]);
        let price = book.price(&model("all-minilm-l6-v2"), &embedding, at).unwrap();
        assert_eq!(price.rates.0[&Meter::EmbeddingTokens], Money(10_000));
    }

    #[test]
    fn the_version_in_effect_counts() {
        let book = Book::parse(TWO_VERSIONS).unwrap();
        let version = |time: &str| book.version_at(time.parse().unwrap()).map(|version| version.id.clone());
        assert_eq!(version("2025-12-31T23:59:59Z"), None);
        assert_eq!(version("2026-01-01T00:00:00Z").as_deref(), Some("old"));
        assert_eq!(version("2026-05-31T23:59:59.999999Z").as_deref(), Some("old"));
        assert_eq!(version("2026-06-01T00:00:00Z").as_deref(), Some("new"));
    }

    #[test]
    fn what_a_model_does_not_set_the_star_does() {
        let book = Book::parse(TWO_VERSIONS).unwrap();
        let at = "2026-07-01T00:00:00Z".parse().unwrap();
        let rates = |name: &str| book.price(&model(name), &text_bounds(), at).unwrap().rates.0;
        assert_eq!(rates("m")[&Meter::OutputTokens], Money(9_000_000));
        assert_eq!(rates("m")[&Meter::CachedTokens], Money(2_000_000), "as its own input, not as the star's");
        assert_eq!(rates("other")[&Meter::CachedTokens], Money(500_000));
    }

    #[test]
    fn no_price_says_what_is_missing() {
        let book = Book::parse(TWO_VERSIONS).unwrap();
        let at = "2026-02-01T00:00:00Z".parse().unwrap();
        let error = book.price(&model("other"), &text_bounds(), at).unwrap_err().to_string();
        for part in ["version old", "input_tokens, output_tokens", "\"other\"", "models with prices: m"] {
            assert!(error.contains(part), "{error}");
        }
        let error = book.price(&model("m"), &text_bounds(), Time(0)).unwrap_err();
        assert_eq!(error, NoPrice::TooEarly(Time(0)));
    }
}
