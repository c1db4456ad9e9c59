//! The one JSON line in which a client says what it measured; ours and others' alike.

use serde::{Deserialize, Serialize};

/// What a client measured. A field that its job has no figure for is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// Milliseconds from a call's scheduled time to the last byte of its answer (for cold: from the dial to the first
    /// byte), of half of the calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// Of 90 in 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90_ms: Option<f64>,
    /// Of 99 in 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// Of 999 in 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p999_ms: Option<f64>,
    /// Calls answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ok: Option<u64>,
    /// Calls not answered in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// Calls whose content, either way, was not what was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_content: Option<u64>,
    /// Content received, in Mbit/s, from the dial on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goodput_mbit: Option<f64>,
    /// The same during the second half of the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail_mbit: Option<f64>,
    /// Content received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Seconds from the dial to the last byte, or to the end of the given time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secs: Option<f64>,
    /// Whether all that was asked for came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete: Option<bool>,
    /// Whether all that came was right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_ok: Option<bool>,
    /// Content both ways from the dial on, calls that only warmed up included: what wire bytes are divided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_bytes: Option<u64>,
    /// CPU seconds of this process, user and system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_s: Option<f64>,
    /// Why the job came to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Outcome {
    /// The last line of `text` that is one.
    pub fn find(text: &str) -> Option<Self> {
        text.lines().rev().find_map(|line| {
            let line = line.trim();
            line.starts_with('{').then(|| serde_json::from_str(line).ok()).flatten()
        })
    }

    /// One that says why there are no figures.
    pub fn failed(why: impl Into<String>) -> Self {
        Self { error: Some(why.into()), ..Self::default() }
    }

    /// Whether everything asked for came, and came right.
    pub fn sound(&self) -> bool {
        self.error.is_none()
            && self.lost.unwrap_or(0) == 0
            && self.bad_content.unwrap_or(0) == 0
            && self.complete.unwrap_or(true)
            && self.content_ok.unwrap_or(true)
    }
}

/// The value below which a share `of` of the sorted values lies (nearest rank).
pub fn quantile(sorted: &[f64], of: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * of).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

/// The middle value; of two, the mean.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some((low + high) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_json_line_counts() {
        let text = "ready\n{\"p50_ms\": 1.0}\nbye\n{\"p50_ms\": 2.5, \"fec_repair\": 7}\n";
        assert_eq!(Outcome::find(text).and_then(|outcome| outcome.p50_ms), Some(2.5));
        assert_eq!(Outcome::find("nothing here"), None);
    }

    #[test]
    fn quantiles_are_nearest_ranks() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((quantile(&sorted, 0.5), quantile(&sorted, 0.99)), (Some(50.0), Some(99.0)));
        assert_eq!((quantile(&sorted, 0.999), quantile(&[], 0.5)), (Some(100.0), None));
        assert_eq!(median(&mut [3.0, 1.0, 2.0, 10.0]), Some(2.5));
        assert_eq!(median(&mut []), None);
    }

    #[test]
    fn what_is_lost_or_wrong_is_not_sound() {
        assert!(Outcome::default().sound());
        assert!(!Outcome { lost: Some(1), ..Outcome::default() }.sound());
        assert!(!Outcome { content_ok: Some(false), ..Outcome::default() }.sound());
        assert!(!Outcome::failed("no").sound());
    }
}
