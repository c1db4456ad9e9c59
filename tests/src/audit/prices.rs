//! The price book, read once more: whole numbers, no code of billing's.

use std::collections::BTreeMap;

use lowland_events::{
    Time,
    meter::{Meter, Rates, Usage},
};
use toml::{Table, Value};

/// Rates are for so many of a meter's unit.
const RATE_PER: i128 = 1_000_000;
/// Decimals of an amount.
const DECIMALS: usize = 6;

/// What a million of each meter's unit costs, in micro-units, by the time from which on that holds.
#[derive(Debug, Clone, Default)]
pub struct Prices(BTreeMap<Time, Version>);

#[derive(Debug, Clone)]
struct Version {
    id: String,
    models: BTreeMap<String, BTreeMap<String, i128>>,
}

impl Prices {
    /// Reads a price book as billing's sample has them.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let book: Table = text.parse().expect("a price book is TOML");
        let versions = book["version"].as_array().expect("a price book has versions");
        Self(versions.iter().map(|version| (effective(version), Version::read(version))).collect())
    }

    /// The version in force at `time`, and what `model` costs by it.
    fn of(&self, model: &str, time: Time) -> (&str, BTreeMap<String, i128>) {
        let (_, version) = self.0.range(..=time).next_back().expect("a version is in force");
        (&version.id, version.of(model))
    }

    /// Holds that a job of `model` submitted at `time` has the version and the rates that were in force.
    pub(super) fn in_force(&self, model: &str, time: Time, version: &str, rates: &Rates) {
        if self.0.is_empty() {
            return;
        }
        let (wanted, own) = self.of(model, time);
        assert_eq!(wanted, version, "the version in force at {time}");
        let told: BTreeMap<String, i128> =
            rates.0.iter().map(|(meter, rate)| (name(*meter).to_owned(), rate.0)).collect();
        assert_eq!(own, told, "the rates of {model} by version {version}");
    }
}

impl Version {
    /// As the sample says: a model's own rates, those of `*` for what it does not set itself, and a cached token costs
    /// what an input token of the same table costs where nothing else is said.
    fn of(&self, model: &str) -> BTreeMap<String, i128> {
        let table = |name: &str| {
            let mut rates = self.models.get(name).cloned().unwrap_or_default();
            if let Some(input) = rates.get("input_tokens").copied() {
                rates.entry("cached_tokens".to_owned()).or_insert(input);
            }
            rates
        };
        let mut rates = table("*");
        rates.extend(table(model));
        rates
    }

    fn read(version: &Value) -> Self {
        let rates = |rates: &Value| {
            let rates = rates.as_table().expect("rates are a table").iter();
            rates
                .map(|(meter, rate)| (meter.clone(), micros(rate.as_str().expect("a rate is a string"))))
                .collect()
        };
        let models = version["models"].as_table().expect("models are a table").iter();
        Self {
            id: version["id"].as_str().expect("a version has an id").to_owned(),
            models: models.map(|(model, own)| (model.clone(), rates(own))).collect(),
        }
    }
}

fn effective(version: &Value) -> Time {
    version["effective"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("a version says since when it holds")
}

/// `0.02` is 20,000.
fn micros(text: &str) -> i128 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    assert!(part.len() <= DECIMALS, "{text} has more than {DECIMALS} decimals");
    format!("{whole}{part:0<DECIMALS$}").parse().expect("a rate is a number")
}

pub(super) fn name(meter: Meter) -> &'static str {
    match meter {
        Meter::InputTokens => "input_tokens",
        Meter::CachedTokens => "cached_tokens",
        Meter::OutputTokens => "output_tokens",
        Meter::EmbeddingTokens => "embedding_tokens",
        Meter::Images => "images",
        Meter::Seconds => "seconds",
        Meter::Bytes => "bytes",
    }
}

/// What `usage` costs at `rates`: the exact sum, rounded up once.
pub(super) fn price(rates: &Rates, usage: &Usage) -> i128 {
    let rate = |meter: &Meter| rates.0.get(meter).map_or(0, |rate| rate.0);
    let exact: i128 = usage.0.iter().map(|(meter, quantity)| i128::from(*quantity) * rate(meter)).sum();
    (exact + RATE_PER - 1) / RATE_PER
}

/// The most that `bounds` can cost: any token of the prompt may turn out cached, if that is dearer.
pub(super) fn most(rates: &Rates, bounds: &Usage) -> i128 {
    let mut dearest = rates.clone();
    if let Some(cached) = rates.0.get(&Meter::CachedTokens) {
        let input = dearest.0.entry(Meter::InputTokens).or_default();
        *input = (*input).max(*cached);
    }
    price(&dearest, bounds)
}

#[cfg(test)]
mod tests {
    use lowland_events::Money;

    use super::*;

    #[test]
    fn prices_are_read_and_rounded_up_once() {
        assert_eq!((micros("0.02"), micros("3"), micros("0.000001")), (20_000, 3_000_000, 1));
        let rates =
            Rates([(Meter::InputTokens, Money(400_000)), (Meter::OutputTokens, Money(400_001))].into());
        let one_each = Usage::of([(Meter::InputTokens, 1), (Meter::OutputTokens, 1)]);
        assert_eq!(price(&rates, &one_each), 1);
        assert_eq!(price(&rates, &Usage::default()), 0);
    }

    #[test]
    fn the_version_in_force_counts() {
        let book = "[[version]]\nid = \"a\"\neffective = \"2026-01-01T00:00:00Z\"\n[version.models.\"*\"]\noutput_tokens = \"1\"\n\
                    [[version]]\nid = \"b\"\neffective = \"2026-02-01T00:00:00Z\"\n[version.models.m]\noutput_tokens = \"2\"\n";
        let prices = Prices::read(book);
        let at = |day: &str| format!("2026-{day}T00:00:00Z").parse::<Time>().unwrap();
        assert_eq!(prices.of("m", at("01-31")).0, "a");
        assert_eq!(prices.of("m", at("02-01")), ("b", [("output_tokens".to_owned(), 2_000_000)].into()));
    }

    #[test]
    fn what_a_model_does_not_set_is_the_stars() {
        let book = "[[version]]\nid = \"a\"\neffective = \"2026-01-01T00:00:00Z\"\n[version.models.m]\ninput_tokens = \"2\"\n\
                    [version.models.\"*\"]\ninput_tokens = \"7\"\ncached_tokens = \"0.5\"\noutput_tokens = \"9\"\n";
        let prices = Prices::read(book);
        let (_, rates) = prices.of("m", "2026-01-02T00:00:00Z".parse().unwrap());
        assert_eq!(rates["output_tokens"], 9_000_000);
        assert_eq!(rates["cached_tokens"], 2_000_000, "as its own input, not as the star's");
    }
}
