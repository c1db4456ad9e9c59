//! One attempt's times and tokens, as they are counted. It is told what happened and when, and has no clock of its own.

use std::time::Duration;

use lowland_host::figures::Held;
use tokio::time::Instant;

use crate::figures::ModelFigures;

/// One attempt, from its assignment to its end.
pub(super) struct Stopwatch {
    figures: ModelFigures,
    _running: Held,
    assigned: Instant,
    begun: Option<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
    prompt: u64,
    written: u64,
}

impl Stopwatch {
    /// An attempt that was assigned at `now`.
    pub(super) fn assigned(figures: ModelFigures, now: Instant) -> Self {
        let running = figures.running.hold();
        Self {
            figures,
            _running: running,
            assigned: now,
            begun: None,
            first: None,
            last: None,
            prompt: 0,
            written: 0,
        }
    }

    /// The engine is given the job.
    pub(super) fn begun(&mut self, now: Instant) {
        self.begun = Some(now);
    }

    /// The prompt is read: so many tokens are computed, so many reused.
    pub(super) fn read(&mut self, input: u64, cached: u64) {
        self.prompt += input + cached;
        self.figures.prompt.add(input + cached);
        self.figures.prefix_queries.add(input + cached);
        self.figures.prefix_hits.add(cached);
    }

    /// Tokens were turned into vectors.
    pub(super) fn embedded(&mut self, tokens: u64) {
        self.prompt += tokens;
        self.figures.prompt.add(tokens);
    }

    /// So many tokens came at `now`.
    pub(super) fn wrote(&mut self, tokens: u64, now: Instant) {
        if tokens == 0 {
            return;
        }
        self.figures.generation.add(tokens);
        match self.last {
            None => self.wrote_first(tokens, now),
            Some(last) => self.between(now - last, tokens, tokens),
        }
        self.written += tokens;
        self.last = Some(now);
    }

    fn wrote_first(&mut self, tokens: u64, now: Instant) {
        self.first = Some(now);
        self.figures.first_token.record_time(now - self.assigned);
        self.figures.prefill.record_time(now - self.begun.unwrap_or(self.assigned));
        self.between(Duration::ZERO, tokens, tokens - 1);
    }

    /// `tokens` came together after `time`, of which `counted` have one before them.
    fn between(&self, time: Duration, tokens: u64, counted: u64) {
        let each = time / u32::try_from(tokens).unwrap_or(u32::MAX);
        self.figures.inter_token.record_n(lowland_host::figures::histogram::micros(each), counted);
    }

    /// The attempt has ended at `now`, and that stands in the log: `outcome` names the event, `reason` is vLLM's.
    pub(super) fn ended(&self, outcome: &str, reason: &str, now: Instant) {
        let figures = &self.figures;
        figures.ended(outcome);
        figures.finished(reason);
        figures.end_to_end.record_time(now - self.assigned);
        figures.prompt_sizes.record(self.prompt);
        figures.generation_sizes.record(self.written);
        if let (Some(first), Some(last)) = (self.first, self.last) {
            figures.decode.record_time(last - first);
            if let Ok(after @ 1..) = u32::try_from(self.written - 1) {
                figures.per_token.record_time((last - first) / after);
            }
        }
    }

    /// The attempt is somebody else's to end.
    pub(super) fn gone(&self) {
        self.figures.ended("gone");
    }

    /// A bound was hit.
    pub(super) fn bound_hit(&self, name: &str) {
        self.figures.bound_hit(name);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lowland_host::{
        Figures,
        figures::{Totals, encoding},
    };

    use super::*;

    fn totals(figures: &Figures) -> Totals {
        let mut totals = Totals::default();
        totals.add(&figures.sample(0)).unwrap();
        totals
    }

    fn series(name: &str) -> String {
        format!(r#"{name}{{model_name="m"}}"#)
    }

    /// Values of a histogram, each with its count.
    fn recorded(figures: &Figures, name: &str) -> BTreeMap<u64, u64> {
        let cells = encoding::decode(&figures.sample(0).histograms[&series(name)]).unwrap();
        let values = cells.iter_recorded();
        values
            .map(|cell| (cells.lowest_equivalent(cell.value_iterated_to()), cell.count_at_value()))
            .collect()
    }

    #[test]
    fn an_attempt_from_its_assignment_to_its_end() {
        let figures = Figures::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut watch = Stopwatch::assigned(ModelFigures::of(&figures, "m"), at(0));
        assert_eq!(totals(&figures).gauges[&series("vllm:num_requests_running")], 1);
        watch.begun(at(1));
        watch.read(7, 3);
        watch.wrote(0, at(1));
        watch.wrote(1, at(2));
        watch.wrote(2, at(4));
        watch.wrote(1, at(5));
        watch.ended("completed", "stop", at(6));
        drop(watch);
        let counted = totals(&figures);
        assert_eq!(counted.gauges[&series("vllm:num_requests_running")], 0);
        assert_eq!(counted.counters[&series("vllm:prompt_tokens_total")], 10);
        assert_eq!(counted.counters[&series("vllm:prefix_cache_hits_total")], 3);
        assert_eq!(counted.counters[&series("vllm:generation_tokens_total")], 4);
        let success = r#"vllm:request_success_total{model_name="m",finished_reason="stop"}"#;
        assert_eq!(counted.counters[success], 1);
        for (name, values) in [
            ("vllm:time_to_first_token_seconds", BTreeMap::from([(2000, 1)])),
            ("vllm:request_prefill_time_seconds", BTreeMap::from([(1000, 1)])),
            ("vllm:inter_token_latency_seconds", BTreeMap::from([(1000, 3)])),
            ("vllm:request_time_per_output_token_seconds", BTreeMap::from([(1000, 1)])),
            ("vllm:request_decode_time_seconds", BTreeMap::from([(3000, 1)])),
            ("vllm:e2e_request_latency_seconds", BTreeMap::from([(6000, 1)])),
            ("vllm:request_prompt_tokens", BTreeMap::from([(10, 1)])),
            ("vllm:request_generation_tokens", BTreeMap::from([(4, 1)])),
        ] {
            assert_eq!(recorded(&figures, name), values, "{name}");
        }
    }

    #[test]
    fn an_attempt_that_wrote_nothing_has_no_times_of_tokens() {
        let figures = Figures::default();
        let now = Instant::now();
        let mut watch = Stopwatch::assigned(ModelFigures::of(&figures, "m"), now);
        watch.embedded(5);
        watch.ended("completed", "stop", now);
        let gone = Stopwatch::assigned(ModelFigures::of(&figures, "m"), now);
        gone.gone();
        assert!(recorded(&figures, "vllm:request_decode_time_seconds").is_empty());
        assert!(recorded(&figures, "vllm:time_to_first_token_seconds").is_empty());
        assert_eq!(recorded(&figures, "vllm:request_prompt_tokens"), BTreeMap::from([(5, 1)]));
        assert_eq!(recorded(&figures, "vllm:e2e_request_latency_seconds").len(), 1);
        let outcomes = totals(&figures).counters;
        assert_eq!(outcomes[r#"lowland_worker_attempts_total{model_name="m",outcome="gone"}"#], 1);
    }
}
