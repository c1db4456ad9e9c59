//! OpenTelemetry's standard variables, read with the other settings. What is wrong is told without the values of headers,
//! which may be keys.

use std::{collections::BTreeMap, time::Duration};

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use super::Sampling;
use crate::Settings;

/// Time that a collector has to take a batch, in milliseconds, unless told otherwise.
const TIMEOUT_MS: u64 = 5_000;
/// Where a collector takes traces, below its base URL.
const PATH: &str = "v1/traces";
/// The one protocol that is spoken.
const PROTOCOL: &str = "http/protobuf";

/// How a service takes part in traces.
#[derive(Debug, Clone, Default)]
pub struct TraceConfig {
    /// Where spans go; nowhere, unless an endpoint is set.
    pub collector: Option<Collector>,
    /// Which traces are recorded.
    pub sampling: Sampling,
    /// The service's name to the collector, if not its own.
    service: Option<String>,
    /// What else the collector is told of the process.
    attributes: BTreeMap<String, String>,
}

/// Where spans go.
#[derive(Clone)]
pub struct Collector {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Collector({})", self.shown())
    }
}

impl Collector {
    /// Its address as it may be shown: without what identifies us there.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{}{}", self.url.origin().ascii_serialization(), self.url.path())
    }
}

impl TraceConfig {
    /// Reads `OTEL_*`; what is wrong is noted in `settings`.
    pub fn read(settings: &mut Settings) -> Self {
        let sampler: Sampling = settings.or("OTEL_TRACES_SAMPLER", Sampling::default());
        let ratio: f64 = settings.or("OTEL_TRACES_SAMPLER_ARG", 1.0);
        if !(0.0..=1.0).contains(&ratio) {
            settings.problem(format!("OTEL_TRACES_SAMPLER_ARG={ratio}: a share of traces is from 0 to 1"));
        }
        Self {
            collector: collector(settings),
            sampling: sampler.with_ratio(ratio.clamp(0.0, 1.0)),
            service: settings.optional("OTEL_SERVICE_NAME"),
            attributes: pairs(settings, "OTEL_RESOURCE_ATTRIBUTES"),
        }
    }

    /// What the collector is told of the process.
    pub(super) fn resource(&self, service: &str, instance: &str) -> Resource {
        let name = self.service.clone().or_else(|| self.attributes.get("service.name").cloned());
        let own = [
            ("service.name", name.unwrap_or_else(|| format!("lowland-{service}"))),
            ("service.instance.id", instance.to_owned()),
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("process.pid", std::process::id().to_string()),
            ("telemetry.sdk.language", "rust".to_owned()),
        ];
        let given = self.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let own = own.into_iter().map(|(name, value)| KeyValue::new(name, value));
        Resource::builder_empty().with_attributes(given).with_attributes(own).build()
    }
}

fn collector(settings: &mut Settings) -> Option<Collector> {
    let base: Option<String> = settings.optional("OTEL_EXPORTER_OTLP_ENDPOINT");
    let own: Option<String> = settings.optional("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    let url = match (&own, &base) {
        (Some(own), _) => url(settings, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", own),
        (None, Some(base)) => {
            let whole = format!("{}/{PATH}", base.trim_end_matches('/'));
            url(settings, "OTEL_EXPORTER_OTLP_ENDPOINT", &whole)
        }
        (None, None) => None,
    };
    let headers = headers(settings);
    let timeout_ms = settings.or("OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT_MS);
    let timeout_ms = settings.or("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", timeout_ms);
    if is_switched_off(settings) {
        return None;
    }
    let url = url?;
    check_protocol(settings);
    Some(Collector { url, headers, timeout: Duration::from_millis(timeout_ms) })
}

fn url(settings: &mut Settings, name: &str, text: &str) -> Option<Url> {
    let problem = match Url::parse(text) {
        Ok(url) if url.scheme() == "http" && url.has_host() => return Some(url),
        Ok(url) if url.scheme() == "https" => {
            "spans go out in clear only; run a collector beside the services and let it speak TLS".into()
        }
        Ok(url) => format!("{}: is no address", url.scheme()),
        Err(error) => error.to_string(),
    };
    settings.problem(format!(
        "{name}: {problem}; use the address of an OTLP collector, such as http://localhost:4318"
    ));
    None
}

fn is_switched_off(settings: &mut Settings) -> bool {
    let disabled = settings.or("OTEL_SDK_DISABLED", String::new()).eq_ignore_ascii_case("true");
    let exporter: String = settings.or("OTEL_TRACES_EXPORTER", "otlp".into());
    match exporter.as_str() {
        "otlp" => disabled,
        "none" => true,
        other => {
            settings.problem(format!("OTEL_TRACES_EXPORTER={other:?}: traces go out by otlp, or by none"));
            true
        }
    }
}

fn check_protocol(settings: &mut Settings) {
    for name in ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] {
        let protocol: String = settings.or(name, PROTOCOL.into());
        if protocol != PROTOCOL {
            settings
                .problem(format!("{name}={protocol:?}: traces go out by {PROTOCOL}, usually to port 4318"));
        }
    }
}

fn headers(settings: &mut Settings) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"] {
        for (key, value) in pairs(settings, name) {
            match (HeaderName::try_from(&key), HeaderValue::try_from(&value)) {
                (Ok(key), Ok(mut value)) => {
                    value.set_sensitive(true);
                    headers.insert(key, value);
                }
                _ => settings.problem(format!("{name}: {key:?} or its value cannot stand in an HTTP header")),
            }
        }
    }
    headers
}

/// `name=value,name=value`, values percent-encoded as in W3C baggage. What is wrong is told by its place.
fn pairs(settings: &mut Settings, name: &str) -> BTreeMap<String, String> {
    let text: String = settings.or(name, String::new());
    let mut pairs = BTreeMap::new();
    for (at, item) in text.split(',').map(str::trim).enumerate().filter(|(_, item)| !item.is_empty()) {
        let pair = item.split_once('=').filter(|(key, _)| !key.trim().is_empty());
        match pair.and_then(|(key, value)| Some((key.trim(), percent_decoded(value.trim())?))) {
            Some((key, value)) => drop(pairs.insert(key.to_owned(), value)),
            None => settings.problem(format!("{name}: item {} is not name=value", at + 1)),
        }
    }
    pairs
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> (TraceConfig, String) {
        let set: BTreeMap<String, String> =
            set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut settings = Settings::from_lookup(move |name| set.get(name).cloned());
        let config = TraceConfig::read(&mut settings);
        (config, settings.finish().err().map(|error| error.to_string()).unwrap_or_default())
    }

    fn endpoint(set: &[(&str, &str)]) -> Option<String> {
        let (config, problems) = read(set);
        assert_eq!(problems, "");
        config.collector.map(|collector| collector.url.to_string())
    }

    #[test]
    fn nothing_goes_anywhere_unless_an_endpoint_is_set() {
        assert_eq!(endpoint(&[("OTEL_EXPORTER_OTLP_HEADERS", "a=b")]), None);
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
        assert_eq!(endpoint(&[base]).unwrap(), "http://c:4318/v1/traces");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://u:p@t/x");
        assert_eq!(endpoint(&[base, own]).unwrap(), "http://u:p@t/x", "the more special one, as it is");
        assert_eq!(endpoint(&[base, ("OTEL_SDK_DISABLED", "true")]), None);
        assert_eq!(endpoint(&[base, ("OTEL_TRACES_EXPORTER", "none")]), None);
        let shown = format!("{:?}", read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://u:p@t/x")]).0);
        assert!(shown.contains("Collector(http://t/x)") && !shown.contains("u:p"), "{shown}");
    }

    #[test]
    fn headers_and_attributes_are_decoded() {
        let (config, problems) = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%3Dcret, x = y"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=eu,deployment.environment.name=test"),
        ]);
        assert_eq!(problems, "");
        assert_eq!(config.collector.as_ref().unwrap().headers["api-key"], "s=cret");
        assert_eq!(config.collector.as_ref().unwrap().headers["x"], "y");
        let resource = config.resource("scheduler", "scheduler-1");
        let of = |name: &'static str| resource.get(&name.into()).map(|value| value.to_string());
        assert_eq!(of("service.name").as_deref(), Some("lowland-scheduler"));
        assert_eq!(of("service.instance.id").as_deref(), Some("scheduler-1"));
        assert_eq!(of("service.namespace").as_deref(), Some("eu"));
    }

    #[test]
    fn what_is_wrong_is_told_together_and_without_secrets() {
        let (_, problems) = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
        ]);
        for named in
            ["ENDPOINT: collector: is no address", "HEADERS: item 1", "SAMPLER=\"sometimes\"", "from 0 to 1"]
        {
            assert!(problems.contains(named), "{named} in {problems}");
        }
        assert!(problems.contains("TIMEOUT=\"soon\"") && problems.contains("zipkin"), "{problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
        let (_, problems) = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ]);
        assert!(problems.contains("http/protobuf, usually to port 4318"), "{problems}");
        let (_, problems) = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4318")]);
        assert!(problems.contains("in clear only"), "{problems}");
    }
}
