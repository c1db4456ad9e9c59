//! What a peer is told about its path, so that it can be at its best on it.

use crate::path::Path;

/// Facts that size windows.
#[derive(Debug, Clone, Copy, PartialEq, clap::Args)]
pub struct Settings {
    /// Round trip of the path, in milliseconds
    #[arg(long, default_value_t = 100.0)]
    pub rtt_ms: f64,
    /// Capacity of the path, in Mbit/s
    #[arg(long, default_value_t = 1000.0)]
    pub rate_mbit: f64,
    /// Whether packets overtake each other
    #[arg(long)]
    pub reorders: bool,
    /// Whether packets get lost without a queue's being full
    #[arg(long)]
    pub loses: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { rtt_ms: 100.0, rate_mbit: 1000.0, reorders: false, loses: false }
    }
}

impl Settings {
    /// What there is to know about `path`.
    pub fn of(path: &Path) -> Self {
        let ways = || path.lines.iter().flat_map(|line| [&line.up, &line.down]);
        let default = Self::default();
        Self {
            rtt_ms: path.rtt().as_secs_f64() * 1e3,
            rate_mbit: path.capacity().map_or(default.rate_mbit, |bits| bits as f64 / 1e6),
            reorders: ways().any(|way| !way.jitter.is_zero() && !way.in_order),
            loses: ways().any(|way| way.mean_loss() > 0.0 || way.blackouts.is_some() || way.corrupts > 0.0),
        }
    }

    /// As arguments of the command line.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments =
            vec![format!("--rtt-ms={}", self.rtt_ms), format!("--rate-mbit={}", self.rate_mbit)];
        arguments.extend(self.reorders.then(|| "--reorders".to_owned()));
        arguments.extend(self.loses.then(|| "--loses".to_owned()));
        arguments
    }

    /// Bandwidth-delay product in bytes, of a path of at least 10 ms.
    pub(super) fn product_bytes(&self) -> f64 {
        self.rate_mbit * 1e6 / 8.0 * self.rtt_ms.max(10.0) / 1e3
    }
}
