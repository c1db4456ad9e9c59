//! The figures as text, as Prometheus reads it: in its own format 0.0.4, or in OpenMetrics 1.0 for whoever asks for it.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabelSet, EncodeMetric, LabelSetEncoder, MetricEncoder, NoLabelSet,
        prometheus_text, text,
    },
    metrics::MetricType,
    registry::Registry,
};

use super::{Description, Family, Figure, Figures, Kind};

/// How figures are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own text format, 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` header prefers: OpenMetrics for whoever names it.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The text's content type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Figures {
    /// All of them now, as text.
    #[must_use]
    pub fn exposition(&self, format: Format) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut written = String::new();
        let outcome = match format {
            Format::Prometheus => prometheus_text::encode(&mut written, &registry),
            Format::OpenMetrics => text::encode(&mut written, &registry),
        };
        outcome.expect("writing to memory succeeds");
        written
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in self.families().clone().into_values() {
            let of = family.of;
            let metric = encoder.encode_descriptor(stem(of), of.help, None, metric_type(of))?;
            encode_family(&family, metric)?;
        }
        Ok(())
    }
}

fn encode_family(family: &Family, mut metric: MetricEncoder<'_>) -> fmt::Result {
    for (values, figure) in &family.series {
        let labels = Labels { names: family.of.labels, values };
        figure.encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// The name without the `_total` that the encoder puts behind counters.
fn stem(of: &Description) -> &'static str {
    match of.kind {
        Kind::Counter => of.name.strip_suffix("_total").unwrap_or(of.name),
        Kind::Gauge | Kind::Histogram(_) => of.name,
    }
}

fn metric_type(of: &Description) -> MetricType {
    match of.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram(_) => MetricType::Histogram,
    }
}

impl EncodeMetric for Figure {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Counter(counter) => encoder.encode_counter::<NoLabelSet, _, f64>(&counter.value(), None),
            Self::Gauge(gauge) => encoder.encode_gauge(&gauge.value()),
            Self::Histogram(histogram) => {
                let (recorded, scale) = (histogram.snapshot(), histogram.scale());
                let sum = recorded.sum as f64 / scale.unit.scale();
                let buckets = recorded.buckets(scale);
                encoder.encode_histogram::<NoLabelSet>(sum, recorded.cells.len(), &buckets, None)
            }
        }
    }

    fn metric_type(&self) -> MetricType {
        match self {
            Self::Counter(_) => MetricType::Counter,
            Self::Gauge(_) => MetricType::Gauge,
            Self::Histogram(_) => MetricType::Histogram,
        }
    }
}

/// A series' labels.
#[derive(Debug)]
struct Labels<'a> {
    names: &'a [&'static str],
    values: &'a [String],
}

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let pairs = self.names.iter().zip(self.values);
        pairs.map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>().encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::description::TOKENS, *};

    static SUCCESS: Description =
        Description::counter("vllm:request_success_total", &["model_name", "finished_reason"], "Finished.");
    static RUNNING: Description =
        Description::gauge("vllm:num_requests_running", &["model_name"], "Running.");
    static SIZES: Description =
        Description::histogram("vllm:request_prompt_tokens", TOKENS, &["model_name"], "Tokens.");
    static PLAIN: Description = Description::counter("plain_total", &[], "A plain one.");

    fn figures() -> Figures {
        let figures = Figures::default();
        figures.counter(&SUCCESS, &["a\"\\\nb", "stop"]).add(3);
        figures.gauge(&RUNNING, &["m"]).set(-2);
        figures.counter(&PLAIN, &[]).add(1);
        let sizes = figures.histogram(&SIZES, &["m"]);
        [1, 2, 3, 300_000].into_iter().for_each(|size| sizes.record(size));
        figures
    }

    fn lines(format: Format) -> Vec<String> {
        figures().exposition(format).lines().map(str::to_owned).collect()
    }

    #[test]
    fn prometheus_text_keeps_every_name_as_it_is_described() {
        let lines = lines(Format::Prometheus);
        for line in [
            "# TYPE vllm:request_success_total counter",
            r#"vllm:request_success_total{model_name="a\"\\\nb",finished_reason="stop"} 3"#,
            "# HELP plain_total A plain one.",
            "plain_total 1",
            r#"vllm:num_requests_running{model_name="m"} -2"#,
            "# TYPE vllm:request_prompt_tokens histogram",
            r#"vllm:request_prompt_tokens_sum{model_name="m"} 300006.0"#,
            r#"vllm:request_prompt_tokens_count{model_name="m"} 4"#,
            r#"vllm:request_prompt_tokens_bucket{model_name="m",le="2"} 2"#,
            r#"vllm:request_prompt_tokens_bucket{model_name="m",le="200000"} 3"#,
            r#"vllm:request_prompt_tokens_bucket{model_name="m",le="+Inf"} 4"#,
        ] {
            assert!(lines.iter().any(|found| found == line), "{line} in {lines:#?}");
        }
        assert!(!lines.iter().any(|line| line.contains("_total_total") || line.contains("EOF")));
    }

    #[test]
    fn open_metrics_names_the_same_series() {
        let names = |lines: &[String]| -> BTreeSet<String> {
            let samples = lines.iter().filter(|line| !line.starts_with('#'));
            samples.filter_map(|line| Some(line.split(['{', ' ']).next()?.to_owned())).collect()
        };
        let (ours, open) = (lines(Format::Prometheus), lines(Format::OpenMetrics));
        assert_eq!(names(&ours), names(&open));
        assert!(open.contains(&"# TYPE vllm:request_success counter".to_owned()));
        assert!(open.contains(&r#"vllm:request_prompt_tokens_bucket{le="2.0",model_name="m"} 2"#.to_owned()));
        assert_eq!(open.last().map(String::as_str), Some("# EOF"));
    }

    #[test]
    fn open_metrics_is_for_whoever_names_it() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        assert_eq!(Format::accepted("*/*"), Format::Prometheus);
    }
}
