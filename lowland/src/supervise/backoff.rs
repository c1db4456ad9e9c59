//! How long to wait before a process that died is started again.

use std::time::Duration;

/// Wait before the first restart: short, since jobs are under way.
pub const DELAY_MIN: Duration = Duration::from_millis(100);
/// Longest wait.
pub const DELAY_MAX: Duration = Duration::from_secs(10);
/// A process that ran for so long before it died starts at [`DELAY_MIN`] again: longer than loading a model takes, so one
/// that dies in starting is not taken for steady.
pub const STEADY_AFTER: Duration = Duration::from_secs(10);

/// Doubles from one death to the next.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: DELAY_MIN }
    }
}

impl Backoff {
    /// The wait after a process that ran for `ran` has died.
    pub fn after(&mut self, ran: Duration) -> Duration {
        if ran >= STEADY_AFTER {
            self.next = DELAY_MIN;
        }
        let delay = self.next;
        self.next = (delay * 2).min(DELAY_MAX);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_is_bounded_and_forgives() {
        let mut backoff = Backoff::default();
        let short = Duration::from_secs(1);
        assert_eq!(backoff.after(short), DELAY_MIN);
        assert_eq!(backoff.after(short), DELAY_MIN * 2);
        for _ in 0..20 {
            backoff.after(short);
        }
        assert_eq!(backoff.after(short), DELAY_MAX);
        assert_eq!(backoff.after(STEADY_AFTER), DELAY_MIN);
    }
}
