//! A bottleneck: rate, delay, a drop-tail queue, loss behind it.

use std::time::Duration;

use lowland_acnp::proto::Time;

/// Random numbers that are the same every time (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform within 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Loss in bursts (Gilbert): how often one begins, and how often it ends, both a packet.
#[derive(Clone, Copy)]
pub(crate) struct Bursts {
    pub(crate) begin: f64,
    pub(crate) end: f64,
}

/// What a path is like.
#[derive(Clone, Copy)]
pub(crate) struct Path {
    /// Bits a second.
    pub(crate) bits: u64,
    /// Round trip.
    pub(crate) rtt: Duration,
    /// Most that a packet comes earlier or later.
    pub(crate) jitter: Duration,
    /// Independent loss.
    pub(crate) loss: f64,
    pub(crate) bursts: Option<Bursts>,
    /// The queue's room, in round trips at the rate.
    pub(crate) queue: f64,
    /// Loss strikes before the bottleneck rather than behind it.
    pub(crate) loss_before: bool,
}

/// A path in use.
pub(crate) struct Link {
    pub(crate) path: Path,
    pub(crate) random: Random,
    idle_at: u64,
    bursting: bool,
    /// Queueing of each packet, in nanoseconds.
    pub(crate) queueing: Vec<u64>,
    pub(crate) dropped: u64,
}

impl Link {
    pub(crate) fn new(path: Path, seed: u64) -> Self {
        Self { path, random: Random(seed), idle_at: 0, bursting: false, queueing: Vec::new(), dropped: 0 }
    }

    /// Whether chance takes a packet.
    pub(crate) fn loses(&mut self) -> bool {
        if let Some(bursts) = self.path.bursts {
            let p = if self.bursting { bursts.end } else { bursts.begin };
            self.bursting ^= self.random.unit() < p;
        }
        self.bursting || self.random.unit() < self.path.loss
    }

    /// When a packet arrives, if it does.
    pub(crate) fn send(&mut self, now: Time, size: u64) -> Option<Time> {
        let lost = self.loses();
        if lost && self.path.loss_before {
            return None;
        }
        let now = now.as_nanos();
        let wait = self.idle_at.saturating_sub(now);
        let room = (self.path.rtt.as_nanos() as f64 * self.path.queue) as u64;
        if wait > room {
            self.dropped += 1;
            return None;
        }
        self.queueing.push(wait);
        self.idle_at = now + wait + size * 8 * 1_000_000_000 / self.path.bits;
        if lost {
            return None;
        }
        let jitter = (self.random.unit() * 2.0 - 1.0) * self.path.jitter.as_nanos() as f64;
        let at = self.idle_at as f64 + self.path.rtt.as_nanos() as f64 / 2.0 + jitter;
        Some(Time::from_nanos(at as u64))
    }

    /// The queueing that 95 % of packets did not exceed.
    pub(crate) fn p95(&self) -> Duration {
        let mut all = self.queueing.clone();
        all.sort_unstable();
        Duration::from_nanos(all.get(all.len() * 95 / 100).copied().unwrap_or(0))
    }
}
