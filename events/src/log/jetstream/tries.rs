//! How often, and after what pause, something is tried again.

use std::time::Duration;

/// Times that anything is tried before the caller hears of it.
pub(super) const TRIES_MAX: u32 = 4;
/// First pause between two tries; it doubles.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest wait for one answer.
pub(super) const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Tries of one thing.
#[derive(Default)]
pub(super) struct Tries {
    made: u32,
}

impl Tries {
    /// Counts a failure; waits, and says whether to try again.
    pub(super) async fn again(&mut self) -> bool {
        self.made += 1;
        if self.made >= TRIES_MAX {
            return false;
        }
        tokio::time::sleep(PAUSE * (1 << self.made)).await;
        true
    }
}

/// Pauses of something that is tried for ever: doubling, up to a bound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pauses {
    next: Duration,
}

impl Pauses {
    const MAX: Duration = Duration::from_secs(1);

    pub(super) fn new() -> Self {
        Self { next: PAUSE }
    }

    /// The pause before the next try.
    pub(super) fn take(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(Self::MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tries_are_bounded() {
        let mut tries = Tries::default();
        let mut made = 1;
        while tries.again().await {
            made += 1;
        }
        assert_eq!(made, TRIES_MAX);
    }

    #[test]
    fn pauses_are_bounded() {
        let mut pauses = Pauses::new();
        for _ in 0..100 {
            assert!(pauses.take() <= Pauses::MAX);
        }
    }
}
