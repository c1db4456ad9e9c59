//! What is kept of a run: what the client measured, what crossed the path, what it cost, and whether it was disturbed.

use serde::{Deserialize, Serialize};

use crate::{emulator::Report, outcome::Outcome, path::Path};

/// One run, one JSON line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The path's name, or what describes it.
    pub path: String,
    /// The task's name.
    pub job: String,
    /// The contestant's name.
    pub peer: String,
    /// What the path's luck follows from.
    pub seed: u64,
    /// Which attempt at this run it was, from one on.
    pub attempt: u32,
    /// Whether the emulator was later than allowed, so that the figures mean little.
    pub disturbed: bool,
    /// Milliseconds that a call takes at the least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor_ms: Option<f64>,
    /// Goodput as a share of the path's capacity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// How evenly several flows shared: Jain's index, 1 is even.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jain: Option<f64>,
    /// Mbit/s that the flow beside it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rival_mbit: Option<f64>,
    /// Bytes on the path.
    pub wire: Wire,
    /// CPU seconds of the near ends (clients, tunnel).
    pub cpu_client_s: f64,
    /// CPU seconds of the far ends.
    pub cpu_server_s: f64,
    /// CPU seconds of both for 10^9 bytes of content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_s_per_gb: Option<f64>,
    /// What the client measured; of several clients, all together.
    pub outcome: Outcome,
    /// What the emulator saw.
    pub emulator: Report,
}

/// Bytes on the path, IP headers included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Wire {
    /// Towards the server.
    pub up_bytes: u64,
    /// Towards the client.
    pub down_bytes: u64,
    /// Both, for a byte of content both ways.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times_content: Option<f64>,
    /// Towards the client, for a byte of content received (bulk).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down_times_content: Option<f64>,
}

impl Wire {
    /// With `shared`, another's packets are among them, and nothing can be said of content.
    pub(super) fn of(report: &Report, outcome: &Outcome, shared: bool) -> Self {
        let (up, down) = (report.up.bytes, report.down.bytes);
        let per = |bytes: u64, content: Option<u64>| {
            content
                .filter(|content| *content > 0 && bytes > 0 && !shared)
                .map(|content| bytes as f64 / content as f64)
        };
        Self {
            up_bytes: up,
            down_bytes: down,
            times_content: per(up + down, outcome.content_bytes.or(outcome.bytes)),
            down_times_content: per(down, outcome.bytes),
        }
    }
}

/// Jain's index of fairness (Jain, Chiu, Hawe, 1984).
pub(super) fn jain(shares: &[f64]) -> Option<f64> {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    (shares.len() > 1 && squares > 0.0).then(|| sum * sum / (shares.len() as f64 * squares))
}

/// Goodput as a share of what `path` could carry in the time.
pub(super) fn share(path: &Path, outcome: &Outcome) -> Option<f64> {
    let span = std::time::Duration::try_from_secs_f64(outcome.secs?).ok()?;
    Some(outcome.goodput_mbit? * 1e6 / path.mean_capacity(span)?)
}

/// Several clients' outcomes as one.
pub(super) fn together(outcomes: &[Outcome]) -> Outcome {
    if let [only] = outcomes {
        return only.clone();
    }
    let sum = |of: fn(&Outcome) -> Option<f64>| Some(outcomes.iter().filter_map(of).sum());
    let whole = |of: fn(&Outcome) -> Option<u64>| Some(outcomes.iter().filter_map(of).sum());
    let all =
        |of: fn(&Outcome) -> Option<bool>| Some(outcomes.iter().all(|outcome| of(outcome) == Some(true)));
    Outcome {
        goodput_mbit: sum(|outcome| outcome.goodput_mbit),
        tail_mbit: sum(|outcome| outcome.tail_mbit),
        bytes: whole(|outcome| outcome.bytes),
        content_bytes: whole(|outcome| outcome.content_bytes.or(outcome.bytes)),
        secs: outcomes.iter().filter_map(|outcome| outcome.secs).reduce(f64::max),
        complete: all(|outcome| outcome.complete),
        content_ok: all(|outcome| outcome.content_ok),
        error: outcomes.iter().find_map(|outcome| outcome.error.clone()),
        ..Outcome::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_share_is_one() {
        assert_eq!(jain(&[5.0, 5.0, 5.0, 5.0]), Some(1.0));
        assert_eq!(jain(&[1.0, 0.0]), Some(0.5));
        assert_eq!(jain(&[1.0]), None);
    }

    #[test]
    fn several_outcomes_add_up() {
        let one = Outcome {
            goodput_mbit: Some(10.0),
            complete: Some(true),
            content_ok: Some(true),
            bytes: Some(5),
            ..Outcome::default()
        };
        let both = together(&[one.clone(), Outcome { content_ok: Some(false), ..one }]);
        assert_eq!((both.goodput_mbit, both.content_ok, both.bytes), (Some(20.0), Some(false), Some(10)));
    }
}
