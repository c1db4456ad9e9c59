//! Which first messages were seen: early data is taken once (ACNP-23).

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use super::keys::KEY_LEN;
use crate::proto::Time;

/// Most messages that are remembered. With none to spare, early data is refused, never forgotten.
pub const REPLAY_ENTRIES_MAX: usize = 65_536;

/// Remembers ephemeral keys for as long as their messages could still be taken.
#[derive(Debug)]
pub struct ReplayCache {
    /// How far a message's time may be from ours, either way.
    window: Duration,
    seen: HashSet<[u8; KEY_LEN]>,
    order: VecDeque<(Time, [u8; KEY_LEN])>,
}

impl ReplayCache {
    /// One that takes messages whose time is within `window` of ours.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self { window, seen: HashSet::new(), order: VecDeque::new() }
    }

    /// Whether early data may be taken: the message's time (ms since 1970) is near ours, and it was not seen before. If so it is
    /// remembered.
    pub fn admit(&mut self, now: Time, now_ms: u64, message_ms: u64, ephemeral: [u8; KEY_LEN]) -> bool {
        self.forget(now);
        if u128::from(now_ms.abs_diff(message_ms)) > self.window.as_millis()
            || self.seen.len() >= REPLAY_ENTRIES_MAX
        {
            return false;
        }
        if !self.seen.insert(ephemeral) {
            return false;
        }
        self.order.push_back((now, ephemeral));
        true
    }

    /// A message from the far end of the window could be taken for twice its length.
    fn forget(&mut self, now: Time) {
        let keep = self.window * 2 + Duration::from_millis(1);
        while let Some((seen, ephemeral)) = self.order.front()
            && now.since(*seen) > keep
        {
            self.seen.remove(ephemeral);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn a_message_is_taken_once_within_its_window() {
        let mut cache = ReplayCache::new(WINDOW);
        assert!(cache.admit(at(0), 50_000, 60_000, [1; 32]));
        assert!(!cache.admit(at(1), 50_001, 60_000, [1; 32]));
        assert!(
            !cache.admit(at(20_000), 70_000, 60_000, [1; 32]),
            "as long as its time is good, it is remembered"
        );
        assert!(!cache.admit(at(20_002), 70_002, 60_000, [1; 32]), "and then its time is not");
        assert!(!cache.admit(at(0), 50_000, 60_001, [2; 32]), "from too far ahead");
    }

    #[test]
    fn a_full_cache_refuses_until_it_may_forget() {
        let mut cache = ReplayCache::new(WINDOW);
        for i in 0..REPLAY_ENTRIES_MAX as u32 {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&i.to_be_bytes());
            assert!(cache.admit(at(0), 50_000, 50_000, key));
        }
        assert!(!cache.admit(at(5), 50_005, 50_005, [9; 32]));
        assert!(cache.admit(at(20_100), 70_100, 70_100, [9; 32]));
    }
}
