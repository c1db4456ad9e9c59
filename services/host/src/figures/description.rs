//! What a metric is, said once: its name, its kind, its labels, what it means. Each service has a table of them;
//! `docs/metrics.md` is these tables, and a test holds the two together.

/// A metric.
#[derive(Debug, PartialEq)]
pub struct Description {
    /// Its name, as it is shown: counters end in `_total`, times in `_seconds`.
    pub name: &'static str,
    /// How it is counted.
    pub kind: Kind,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it means, for people.
    pub help: &'static str,
}

/// How a metric is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Goes up only.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution, with the upper bounds that Prometheus is shown.
    Histogram(Scale),
}

/// What a histogram's values are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// What is recorded.
    pub unit: Unit,
    /// Upper bounds of Prometheus' buckets in the name's unit, ascending.
    pub bounds: &'static [f64],
}

/// What a histogram records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Times: recorded in microseconds, shown to Prometheus in seconds.
    Seconds,
    /// Tokens.
    Tokens,
}

impl Unit {
    /// Recorded values in one of the name's unit.
    #[must_use]
    pub fn scale(self) -> f64 {
        match self {
            Self::Seconds => 1e6,
            Self::Tokens => 1.0,
        }
    }

    /// The highest value that is told apart, in what is recorded: a day, which no job may outlast; more tokens than any
    /// context has.
    pub(super) fn highest(self) -> u64 {
        match self {
            Self::Seconds => 24 * 3600 * 1_000_000,
            Self::Tokens => 1 << 27,
        }
    }
}

impl Description {
    /// A counter; its name ends in `_total`.
    #[must_use]
    pub const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, labels, help }
    }

    /// A gauge.
    #[must_use]
    pub const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, labels, help }
    }

    /// A histogram.
    #[must_use]
    pub const fn histogram(
        name: &'static str,
        scale: Scale,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Histogram(scale), labels, help }
    }
}

/// Times of whole requests, with vLLM's bounds.
pub const REQUEST_SECONDS: Scale = Scale {
    unit: Unit::Seconds,
    bounds: &[
        0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
        480.0, 960.0, 1920.0, 7680.0,
    ],
};
/// Times to a first token, with vLLM's bounds.
pub const FIRST_TOKEN_SECONDS: Scale = Scale {
    unit: Unit::Seconds,
    bounds: &[
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
        40.0, 80.0, 160.0, 640.0, 2560.0,
    ],
};
/// Times a token, with vLLM's bounds.
pub const TOKEN_SECONDS: Scale = Scale {
    unit: Unit::Seconds,
    bounds: &[
        0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0,
        80.0,
    ],
};
/// Tokens of a request, with vLLM's bounds for a context of up to 200,000.
pub const TOKENS: Scale = Scale {
    unit: Unit::Tokens,
    bounds: &[
        1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0,
        50_000.0, 100_000.0, 200_000.0,
    ],
};
/// Times of an append and the like: from a tenth of a millisecond up.
pub const LOG_SECONDS: Scale = Scale {
    unit: Unit::Seconds,
    bounds: &[
        0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
    ],
};
