//! When to end slow start: HyStart++ (RFC 9406).

use std::time::Duration;

use super::{AckSample, round::Rounds};

const RISE_MIN: Duration = Duration::from_millis(4);
const RISE_MAX: Duration = Duration::from_millis(16);
/// Rounds of conservative slow start after which slow start is over.
const CONSERVATIVE_ROUNDS: u32 = 5;
/// Round trips of a round that are looked at, at least.
const SAMPLES_MIN: u32 = 8;

/// How fast to grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// A byte for each delivered.
    Full,
    /// A quarter of that: the round trip rises.
    Conservative,
    /// No more of that kind.
    Over,
}

/// Watches round trips rise.
#[derive(Debug, Clone, Default)]
pub(super) struct HyStart {
    rounds: Rounds,
    last: Option<Duration>,
    current: Option<Duration>,
    samples: u32,
    /// The round trip from which conservative slow start began, and its rounds.
    conservative: Option<(Duration, u32)>,
}

impl HyStart {
    pub(super) fn on_ack(&mut self, ack: &AckSample) -> Growth {
        if self.rounds.on_ack(ack).is_some() {
            (self.last, self.current, self.samples) = (self.current, None, 0);
            if let Some((_, rounds)) = &mut self.conservative {
                *rounds += 1;
            }
        }
        if let Some(rtt) = ack.rtt {
            self.samples += 1;
            self.current = Some(self.current.map_or(rtt, |current| current.min(rtt)));
        }
        if self.samples >= SAMPLES_MIN
            && let Some(current) = self.current
        {
            self.compare(current);
        }
        match self.conservative {
            None => Growth::Full,
            Some((_, rounds)) if rounds < CONSERVATIVE_ROUNDS => Growth::Conservative,
            Some(_) => Growth::Over,
        }
    }

    fn compare(&mut self, current: Duration) {
        match (self.conservative, self.last) {
            // It was a passing rise.
            (Some((from, _)), _) if current < from => self.conservative = None,
            (None, Some(last)) if current >= last + (last / 8).clamp(RISE_MIN, RISE_MAX) => {
                self.conservative = Some((current, 0));
            }
            _ => {}
        }
    }
}
