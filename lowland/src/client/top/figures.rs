//! The figures of processes, out of their samples: the latest of each process, and what they add up to. Pure.

use std::collections::BTreeMap;

use hdrhistogram::{Histogram, serialization::Deserializer};
use lowland_events::metric::{Sampled, Series};

/// Tokens that were written.
pub const GENERATED: &str = "vllm:generation_tokens_total";
/// Tokens of prompts that were read.
pub const PROMPT: &str = "vllm:prompt_tokens_total";
/// Jobs in hand.
pub const RUNNING: &str = "vllm:num_requests_running";
/// Jobs that wait for a place.
pub const WAITING: &str = "vllm:num_requests_waiting";
/// Time to the first token.
pub const FIRST_TOKEN: &str = "vllm:time_to_first_token_seconds";
/// Time from one token to the next.
pub const INTER_TOKEN: &str = "vllm:inter_token_latency_seconds";
/// Time of a whole job.
pub const END_TO_END: &str = "vllm:e2e_request_latency_seconds";
/// Whether a process does its work.
pub const READY: &str = "lowland_ready";
/// The label that names a model.
const MODEL: &str = "model_name";

/// Values by model; without a model under the empty name.
pub type ByModel<V> = BTreeMap<String, V>;

/// One process's latest figures.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Counters by name and model, the other labels added up.
    counters: BTreeMap<&'static str, ByModel<u64>>,
    gauges: BTreeMap<&'static str, ByModel<i64>>,
    histograms: BTreeMap<&'static str, ByModel<Histogram<u64>>>,
}

impl Figures {
    /// The figures that a sample tells.
    pub fn of(sampled: &Sampled) -> Self {
        let mut figures = Self::default();
        for (key, value) in &sampled.counters {
            if let Some((name, model)) = known(key, &[GENERATED, PROMPT]) {
                *figures.counters.entry(name).or_default().entry(model).or_default() += value;
            }
        }
        for (key, value) in &sampled.gauges {
            if let Some((name, model)) = known(key, &[RUNNING, WAITING, READY]) {
                *figures.gauges.entry(name).or_default().entry(model).or_default() += value;
            }
        }
        for (key, bytes) in &sampled.histograms {
            if let Some((name, model)) = known(key, &[FIRST_TOKEN, INTER_TOKEN, END_TO_END])
                && let Ok(histogram) = Deserializer::new().deserialize(&mut &bytes[..])
            {
                merge(figures.histograms.entry(name).or_default(), model, &histogram);
            }
        }
        figures
    }

    /// A counter's sum over all models.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).into_iter().flat_map(BTreeMap::values).sum()
    }

    /// A gauge that has no labels.
    pub fn gauge(&self, name: &str) -> Option<i64> {
        self.gauges.get(name)?.get("").copied()
    }

    /// Adds a counter to `sums`.
    pub fn add_counter(&self, name: &str, sums: &mut ByModel<u64>) {
        for (model, value) in self.counters.get(name).into_iter().flatten() {
            *sums.entry(model.clone()).or_default() += value;
        }
    }

    /// Adds a gauge to `sums`.
    pub fn add_gauge(&self, name: &str, sums: &mut ByModel<i64>) {
        for (model, value) in self.gauges.get(name).into_iter().flatten() {
            *sums.entry(model.clone()).or_default() += value;
        }
    }

    /// Adds a histogram to `sums`, cell by cell.
    pub fn add_histogram(&self, name: &str, sums: &mut ByModel<Histogram<u64>>) {
        for (model, histogram) in self.histograms.get(name).into_iter().flatten() {
            merge(sums, model.clone(), histogram);
        }
    }
}

/// Cells of the same layout add up exactly; where a process counts further than the first one did, the sum grows.
fn merge(sums: &mut ByModel<Histogram<u64>>, model: String, histogram: &Histogram<u64>) {
    let sum = sums.entry(model).or_insert_with(|| {
        let mut empty = histogram.clone();
        empty.reset();
        empty.auto(true);
        empty
    });
    // It can only fail for want of room, and it grows.
    let _ = sum.add(histogram);
}

/// The name and model of a series, if its name is among `wanted`.
fn known(key: &str, wanted: &[&'static str]) -> Option<(&'static str, String)> {
    let series: Series = key.parse().ok()?;
    let name = wanted.iter().find(|wanted| **wanted == series.name)?;
    let model = series.labels.into_iter().find(|(label, _)| label == MODEL);
    Some((name, model.map(|(_, model)| model).unwrap_or_default()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
    use serde_bytes::ByteBuf;

    /// A sample of a worker that wrote `tokens`, with first tokens after `first_us`.
    pub(in crate::client::top) fn sampled(uptime_ms: u64, tokens: u64, first_us: &[u64]) -> Sampled {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 86_400_000_000, 3).unwrap();
        first_us.iter().for_each(|us| histogram.record(*us).unwrap());
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&histogram, &mut bytes).unwrap();
        let key = |name: &str| format!("{name}{{{MODEL}=\"m\"}}");
        Sampled {
            uptime_ms,
            counters: BTreeMap::from([(key(GENERATED), tokens), ("other_total".into(), 9)]),
            gauges: BTreeMap::from([(key(RUNNING), 2), (READY.into(), 1)]),
            histograms: BTreeMap::from([(key(FIRST_TOKEN), ByteBuf::from(bytes))]),
        }
    }

    #[test]
    fn histograms_of_several_processes_add_up_exactly() {
        let mut sums = ByModel::new();
        Figures::of(&sampled(1, 5, &[1000, 2000])).add_histogram(FIRST_TOKEN, &mut sums);
        Figures::of(&sampled(1, 5, &[3000, 4000, 5000])).add_histogram(FIRST_TOKEN, &mut sums);
        let sum = &sums["m"];
        assert_eq!((sum.len(), sum.value_at_quantile(0.5)), (5, sum.highest_equivalent(3000)));
    }

    #[test]
    fn series_are_read_as_prometheus_writes_them() {
        let read = |key: &str| known(key, &[GENERATED]);
        assert_eq!(read("vllm:generation_tokens_total"), Some((GENERATED, String::new())));
        let key = r#"vllm:generation_tokens_total{a="x\"},\\",model_name="m",b="y"}"#;
        assert_eq!(read(key), Some((GENERATED, "m".into())));
        assert_eq!(read("vllm:generation_tokens{model_name=\"m\"}"), None);
        assert_eq!(read("vllm:generation_tokens_total{model_name=\"m"), None, "no series at all");
    }
}
