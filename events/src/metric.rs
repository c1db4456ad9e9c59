//! Measurements of a process, on `lowland.metric.<service>.<instance>.<event>`. A worker's samples are its heartbeat.
//!
//! Everything counts from the process's start, so a sample is worth as much as all before it: whoever adds up the latest
//! one of each instance has exactly what all of them counted together, whichever samples it missed.
//!
//! - The latest sample of an instance is the one with the highest `uptime_ms`.
//! - A sample without figures (no counters, no gauges, no histograms) is a mere sign of life: the figures told before stand.
//!   So do the histograms told before, where a sample has none: they were too large for a message.
//! - Counters add up; so do gauges, where a total means something; histograms are added count by count.
//!
//! Keys are series as Prometheus spells them ([`Series`]), with the very names that `GET /metrics` shows:
//! `vllm:request_success_total{model_name="m",finished_reason="stop"}`. `docs/metrics.md` lists all of them.

use std::{collections::BTreeMap, fmt, str::FromStr};

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
    /// Counts since the process began, by series: `name{label="value"}`, as Prometheus spells it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, u64>,
    /// Values now, by series.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gauges: BTreeMap<String, i64>,
    /// Distributions since the process began, by series: HdrHistogram's V2 encoding in its deflated form (what its
    /// libraries call compressed; the cookie 0x1c849314, a length, a zlib stream). Where a library wants base64, it wants
    /// these bytes in base64. Series whose name ends in `_seconds` count microseconds, others what their name says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Vec<u8>>")]
    pub histograms: BTreeMap<String, ByteBuf>,
}

impl Sampled {
    /// Whether it says no more than that the process lives.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.counters.is_empty() && self.gauges.is_empty() && self.histograms.is_empty()
    }
}

/// One series of a metric: its name, and a value for each of its labels. As text it is the key in a [`Sampled`]:
/// `name{label="value",other="value"}`, or the bare name; in values `\`, `"` and line breaks are written `\\`, `\"` and `\n`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// The metric's name.
    pub name: String,
    /// Labels with their values, in the metric's order.
    pub labels: Vec<(String, String)>,
}

impl Series {
    /// The value of a label; empty where the series has no such label, as Prometheus has it.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (index, (label, value)) in self.labels.iter().enumerate() {
            let before = if index == 0 { "{" } else { "," };
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            write!(f, "{before}{label}=\"{value}\"")?;
        }
        if self.labels.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}

/// A text that is no series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no series; wanted name{{label=\"value\",...}}")]
pub struct NoSeries(pub String);

impl FromStr for Series {
    type Err = NoSeries;

    fn from_str(text: &str) -> Result<Self, NoSeries> {
        let invalid = || NoSeries(text.chars().take(256).collect());
        let Some((name, rest)) = text.split_once('{') else {
            return Ok(Self { name: text.to_owned(), labels: Vec::new() });
        };
        let labels = labels(rest).ok_or_else(invalid)?;
        Ok(Self { name: name.to_owned(), labels })
    }
}

/// `label="value",...}` to the end.
fn labels(mut rest: &str) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    loop {
        let (label, after) = rest.split_once("=\"")?;
        let (value, after) = value(after)?;
        labels.push((label.to_owned(), value));
        match after.split_at_checked(1)? {
            (",", more) => rest = more,
            ("}", "") => return Some(labels),
            _ => return None,
        }
    }
}

/// A value up to its closing quotation mark, and what follows.
fn value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()? {
                (_, 'n') => value.push('\n'),
                (_, other) => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, labels: &[(&str, &str)]) -> Series {
        let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        Series { name: name.to_owned(), labels }
    }

    #[test]
    fn a_series_is_spelt_as_prometheus_does() {
        let success =
            series("vllm:request_success_total", &[("model_name", "m"), ("finished_reason", "stop")]);
        assert_eq!(
            success.to_string(),
            r#"vllm:request_success_total{model_name="m",finished_reason="stop"}"#
        );
        assert_eq!(series("up", &[]).to_string(), "up");
        assert_eq!((success.label("model_name"), success.label("x")), ("m", ""));
    }

    #[test]
    fn what_is_spelt_is_read_again() {
        for series in [
            series("a", &[]),
            series("a", &[("b", "")]),
            series("a:b", &[("b", "x\"},\\y\nz="), ("c", "{\"}"), ("d", "\\n")]),
        ] {
            assert_eq!(series.to_string().parse(), Ok(series));
        }
    }

    #[test]
    fn what_is_no_series_is_refused() {
        for bad in ["a{", "a{}", "a{b}", "a{b=\"c\"", "a{b=\"c\"}d", "a{b=\"c}", "a{b=\"c\";d=\"e\"}"] {
            assert_eq!(bad.parse::<Series>(), Err(NoSeries(bad.to_owned())), "{bad}");
        }
    }
}
