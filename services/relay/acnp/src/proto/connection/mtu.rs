//! How large datagrams of a path may be: probing upwards, falling back when a larger size turns out to vanish (ACNP-72).

use std::time::Duration;

use crate::proto::{Time, packet::DATAGRAM_LEN_MIN};

/// Probes of one size that may be lost before it is taken for too large.
const PROBES_MAX: u32 = 3;
/// A search ends when the bounds are that close, bytes.
const RESOLUTION: usize = 8;
/// How long a result stands before larger sizes are tried again.
const RAISE_AFTER: Duration = Duration::from_secs(600);
/// How long nothing is tried after a fall. Short: a long blackout looks the same as a path that has become narrow.
const PAUSE_AFTER_FALL: Duration = Duration::from_secs(10);
/// Rounds in which larger packets were lost, each sent when the losses before were known, and none arrived: a black hole.
const SUSPICIOUS_ROUNDS: u32 = 4;

/// The search for the largest datagram that a path carries.
#[derive(Debug)]
pub(super) struct Mtu {
    current: usize,
    ceiling: usize,
    /// The smallest size that is known or taken to be too large.
    too_large: usize,
    probe: Option<Probe>,
    next_at: Option<Time>,
    suspicious: u32,
    /// The smallest number after which lost packets count as suspicious.
    suspicious_from: u64,
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    size: usize,
    losses: u32,
    number: Option<u64>,
}

impl Mtu {
    pub(super) const fn new() -> Self {
        Self {
            current: DATAGRAM_LEN_MIN,
            ceiling: DATAGRAM_LEN_MIN,
            too_large: DATAGRAM_LEN_MIN + 1,
            probe: None,
            next_at: None,
            suspicious: 0,
            suspicious_from: 0,
        }
    }

    /// Bytes that a datagram may have.
    pub(super) const fn current(&self) -> usize {
        self.current
    }

    /// Begins to search up to `ceiling`.
    pub(super) fn begin(&mut self, now: Time, ceiling: usize) {
        (self.ceiling, self.too_large, self.next_at) = (ceiling, ceiling + 1, Some(now));
    }

    /// Begins anew after the path moved, unless it has been searched already.
    pub(super) fn resume(&mut self, now: Time, ceiling: usize) {
        if self.ceiling != ceiling {
            self.begin(now, ceiling);
        }
    }

    /// The size of the probe that is due.
    pub(super) fn due(&mut self, now: Time) -> Option<usize> {
        if let Some(probe) = self.probe {
            return probe.number.is_none().then_some(probe.size);
        }
        if self.next_at.is_none_or(|at| now < at) {
            return None;
        }
        if self.too_large - self.current <= RESOLUTION && self.too_large <= self.ceiling {
            // The result has stood long enough.
            self.too_large = self.ceiling + 1;
        }
        self.next();
        self.probe.map(|probe| probe.size)
    }

    /// When a probe will be due.
    pub(super) fn timeout(&self) -> Option<Time> {
        if self.probe.is_some() { None } else { self.next_at }
    }

    /// The largest first: most paths carry it. Then halves.
    fn next(&mut self) {
        let size = if self.too_large > self.ceiling {
            self.ceiling
        } else {
            usize::midpoint(self.current, self.too_large)
        };
        let worth = size > self.current
            && (self.too_large > self.ceiling || self.too_large - self.current > RESOLUTION);
        self.probe = worth.then_some(Probe { size, losses: 0, number: None });
    }

    pub(super) fn on_probe_sent(&mut self, number: u64) {
        if let Some(probe) = &mut self.probe {
            probe.number = Some(number);
        }
    }

    /// A packet arrived; says whether datagrams may be larger now.
    pub(super) fn on_acked(&mut self, now: Time, number: u64, len: usize) -> bool {
        if len > DATAGRAM_LEN_MIN {
            (self.suspicious, self.suspicious_from) = (0, self.suspicious_from.max(number));
        }
        let Some(probe) = self.probe.filter(|probe| probe.number == Some(number)) else { return false };
        self.current = probe.size;
        self.go_on(now);
        true
    }

    /// A packet was lost. Says whether it was a probe, whose loss means nothing else.
    pub(super) fn on_lost(&mut self, now: Time, number: u64) -> bool {
        let Some(probe) = self.probe.as_mut().filter(|probe| probe.number == Some(number)) else {
            return false;
        };
        probe.losses += 1;
        probe.number = None;
        if probe.losses >= PROBES_MAX {
            self.too_large = probe.size;
            self.go_on(now);
        }
        true
    }

    fn go_on(&mut self, now: Time) {
        self.next();
        if self.probe.is_none() {
            self.next_at = (self.current < self.ceiling).then_some(now + RAISE_AFTER);
        }
    }

    /// A packet of data was lost, and the next to be sent has number `next`. Says whether that has shown a black hole, and datagrams are
    /// small again.
    pub(super) fn on_data_lost(&mut self, now: Time, number: u64, len: usize, next: u64) -> bool {
        if len <= DATAGRAM_LEN_MIN || number < self.suspicious_from || self.current == DATAGRAM_LEN_MIN {
            return false;
        }
        (self.suspicious, self.suspicious_from) = (self.suspicious + 1, next);
        if self.suspicious < SUSPICIOUS_ROUNDS {
            return false;
        }
        (self.current, self.probe, self.suspicious) = (DATAGRAM_LEN_MIN, None, 0);
        (self.too_large, self.next_at) = (self.ceiling + 1, Some(now + PAUSE_AFTER_FALL));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches on a path that carries `real`; gives what was found and with how many probes.
    fn search(real: usize, ceiling: usize) -> (usize, usize) {
        let (mut mtu, mut probes) = (Mtu::new(), 0);
        mtu.begin(Time::ZERO, ceiling);
        while let Some(size) = mtu.due(Time::ZERO) {
            let number = probes as u64;
            probes += 1;
            mtu.on_probe_sent(number);
            assert_eq!(mtu.due(Time::ZERO), None, "one at a time");
            if size <= real {
                assert!(mtu.on_acked(Time::ZERO, number, size));
            } else {
                assert!(mtu.on_lost(Time::ZERO, number));
            }
        }
        (mtu.current(), probes)
    }

    #[test]
    fn the_search_ends_close_below_what_the_path_carries() {
        assert_eq!(search(1500, 1452), (1452, 1));
        for real in [1200, 1203, 1280, 1400, 1420, 1451] {
            let (found, probes) = search(real, 1452);
            assert!(found <= real && real - found <= RESOLUTION, "{real}: {found}");
            assert!(probes <= 20);
        }
    }

    #[test]
    fn larger_packets_that_vanish_bring_the_size_down_and_ones_that_arrive_do_not() {
        let mut mtu = Mtu::new();
        mtu.begin(Time::ZERO, 1452);
        mtu.due(Time::ZERO);
        mtu.on_probe_sent(0);
        mtu.on_acked(Time::ZERO, 0, 1452);
        let mut lost = |numbers: &[u64], next| {
            numbers.iter().map(|number| mtu.on_data_lost(Time::ZERO, *number, 1452, next)).collect::<Vec<_>>()
        };
        assert_eq!(lost(&[1, 2, 3, 4, 5, 6], 10), [false; 6], "one round");
        assert_eq!(lost(&[7, 8, 9], 10), [false; 3], "and more of it");
        assert_eq!(lost(&[10, 11], 12), [false; 2]);
        assert_eq!(lost(&[12], 13), [false]);
        assert!(!mtu.on_acked(Time::ZERO, 20, 1452));
        let mut lost = |number, next| mtu.on_data_lost(Time::ZERO, number, 1452, next);
        assert!(!lost(13, 21), "sent before what arrived");
        assert!(!lost(21, 22) && !lost(22, 23) && !lost(23, 24) && lost(24, 25));
        assert_eq!(mtu.current(), 1200);
        assert_eq!(mtu.due(Time::ZERO), None);
        assert_eq!(mtu.due(Time::ZERO + PAUSE_AFTER_FALL), Some(1452));
    }
}
