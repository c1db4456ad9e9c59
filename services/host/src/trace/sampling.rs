//! Which traces are recorded: OpenTelemetry's samplers, as a pure function of the trace's id and what its sender says.

use std::str::FromStr;

use lowland_events::TraceContext;

/// Names of samplers, as `OTEL_TRACES_SAMPLER` spells them.
const NAMES: &str = "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or \
                     parentbased_traceidratio";

/// Which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Whether a context that came with a request has the say.
    pub parent_based: bool,
    /// Who has it otherwise.
    pub root: Root,
}

/// Which traces are recorded of those that begin here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// All.
    Always,
    /// None.
    Never,
    /// Those whose id, of which the last 63 bits count as a number, is below this.
    Below(u64),
}

impl Default for Sampling {
    /// All, except where the sender says otherwise: `parentbased_always_on`.
    fn default() -> Self {
        Self { parent_based: true, root: Root::Always }
    }
}

impl Sampling {
    /// None that begin here; what the sender says is handed on.
    pub const OFF: Self = Self { parent_based: true, root: Root::Never };

    /// Whether the trace is recorded that has this id and came, or did not come, with `parent`.
    #[must_use]
    pub fn samples(self, parent: Option<TraceContext>, trace: [u8; 16]) -> bool {
        match (parent, self.root) {
            (Some(parent), _) if self.parent_based => parent.is_sampled(),
            (_, Root::Always) => true,
            (_, Root::Never) => false,
            (_, Root::Below(bound)) => number(trace) < bound,
        }
    }

    /// The same, with a share of traces (0 to 1) where that is what the sampler goes by.
    pub(super) fn with_ratio(self, ratio: f64) -> Self {
        match self.root {
            // 2^63 and above for a ratio of 1: every number is below.
            Root::Below(_) => Self { root: Root::Below((ratio * (1_u64 << 63) as f64) as u64), ..self },
            Root::Always | Root::Never => self,
        }
    }
}

/// The last 63 bits of a trace's id, as OpenTelemetry's SDKs take them.
fn number(trace: [u8; 16]) -> u64 {
    let mut last = [0; 8];
    last.copy_from_slice(&trace[8..]);
    u64::from_be_bytes(last) >> 1
}

impl FromStr for Sampling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (parent_based, root) = match text.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, text),
        };
        let root = match root {
            "always_on" => Root::Always,
            "always_off" => Root::Never,
            "traceidratio" => Root::Below(1 << 63),
            _ => return Err(format!("no sampler is called so; use {NAMES}")),
        };
        Ok(Self { parent_based, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(number: u64) -> [u8; 16] {
        let mut trace = [7; 16];
        trace[8..].copy_from_slice(&(number << 1).to_be_bytes());
        trace
    }

    #[test]
    fn the_parent_has_the_say_where_it_is_asked() {
        let parent = |sampled| TraceContext::new([1; 16], [1; 8], sampled);
        for (name, unsampled, sampled, none) in [
            ("always_on", true, true, true),
            ("always_off", false, false, false),
            ("parentbased_always_on", false, true, true),
            ("parentbased_always_off", false, true, false),
            ("parentbased_traceidratio", false, true, true),
        ] {
            let sampling: Sampling = name.parse().unwrap();
            let said = [parent(false), parent(true), None].map(|parent| sampling.samples(parent, trace(5)));
            assert_eq!(said, [unsampled, sampled, none], "{name}");
        }
        assert_eq!("parentbased_always_on".parse(), Ok(Sampling::default()));
        assert!("often".parse::<Sampling>().unwrap_err().contains("parentbased_traceidratio"));
    }

    #[test]
    fn a_ratio_is_a_share_of_ids() {
        let ratio = |ratio| "traceidratio".parse::<Sampling>().unwrap().with_ratio(ratio);
        let (low, high) = (trace(1 << 60), trace(u64::MAX >> 1));
        assert!(ratio(1.0).samples(None, high) && ratio(1.0).samples(None, low));
        assert!(!ratio(0.0).samples(None, low) && !ratio(0.0).samples(None, trace(0)));
        assert!(ratio(0.25).samples(None, low) && !ratio(0.25).samples(None, high));
    }
}
