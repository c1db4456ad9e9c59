//! One direction of a path: what it does to datagrams.

use std::time::Duration;

use lowland_acnp::proto::Time;
use rand::RngExt;
use rand_chacha::ChaCha20Rng;

/// A burst of loss is over after so long, however few datagrams there were: what takes packets takes time, and passes.
const BURST_MAX: Duration = Duration::from_millis(100);

/// Others who use the same bottleneck, at a steady rate, in turns on and off.
#[derive(Debug, Clone, Copy)]
pub struct Cross {
    /// Bits a second while they are on.
    pub rate: u64,
    /// How long they are on, then off.
    pub on: Duration,
    pub off: Duration,
}

impl Cross {
    fn is_on(&self, at: Time) -> bool {
        let period = (self.on + self.off).as_nanos().max(1);
        u128::from(at.as_nanos()) % period < self.on.as_nanos()
    }
}

/// What one direction of the path does to datagrams.
#[derive(Debug, Clone)]
pub struct Link {
    pub delay: Duration,
    /// Each datagram is late by up to this much more.
    pub jitter: Duration,
    /// Probability that a datagram is held back by `reorder_by`, so that others overtake it.
    pub reorder: f64,
    pub reorder_by: Duration,
    /// Probability that a datagram is lost.
    pub loss: f64,
    /// Once one is lost, so many in a row are.
    pub burst: u32,
    pub duplicate: f64,
    pub corrupt: f64,
    /// Bits a second; 0: no limit.
    pub rate: u64,
    /// From these times on the rate is another.
    pub steps: Vec<(Duration, u64)>,
    /// Bytes that wait for the rate; more is dropped.
    pub queue: u64,
    /// Datagrams that wait longer than this are marked, if they may be.
    pub mark_above: Option<Duration>,
    pub cross: Option<Cross>,
    /// Larger datagrams vanish.
    pub mtu: usize,
    /// Nothing passes in these spans.
    pub blackouts: Vec<(Duration, Duration)>,
    pub burst_left: u32,
    pub burst_until: Time,
    pub free_at: Time,
    pub crossed_until: Time,
}

/// A datagram that got through.
pub struct Passed {
    pub at: Time,
    pub marked: bool,
}

impl Link {
    pub fn new(delay_ms: u64) -> Self {
        Self {
            delay: Duration::from_millis(delay_ms),
            jitter: Duration::ZERO,
            reorder: 0.0,
            reorder_by: Duration::ZERO,
            loss: 0.0,
            burst: 1,
            duplicate: 0.0,
            corrupt: 0.0,
            rate: 0,
            steps: Vec::new(),
            queue: 1 << 20,
            mark_above: None,
            cross: None,
            mtu: 1500,
            blackouts: Vec::new(),
            burst_left: 0,
            burst_until: Time::ZERO,
            free_at: Time::ZERO,
            crossed_until: Time::ZERO,
        }
    }

    pub fn loss(self, loss: f64) -> Self {
        Self { loss, ..self }
    }

    /// Loses that part, so many in a row.
    pub fn bursts(self, loss: f64, burst: u32) -> Self {
        Self { loss, burst, ..self }
    }

    /// Megabits a second, with a queue of so many milliseconds.
    pub fn rate(self, mbit: f64, queue_ms: u64) -> Self {
        let rate = (mbit * 1e6) as u64;
        Self { rate, queue: (rate / 8 * queue_ms / 1000).max(3000), ..self }
    }

    fn loses(&mut self, now: Time, len: usize, rng: &mut ChaCha20Rng) -> bool {
        let since = now.since(Time::ZERO);
        if len > self.mtu || self.blackouts.iter().any(|(from, to)| (*from..*to).contains(&since)) {
            return true;
        }
        if self.burst_left > 0 && now < self.burst_until {
            self.burst_left -= 1;
            return true;
        }
        let begins = rng.random_bool(self.loss / f64::from(self.burst));
        if begins {
            (self.burst_left, self.burst_until) = (self.burst - 1, now + BURST_MAX);
        }
        begins
    }

    fn rate_at(&self, now: Time) -> u64 {
        let since = now.since(Time::ZERO);
        self.steps.iter().rev().find(|(from, _)| *from <= since).map_or(self.rate, |(_, rate)| *rate)
    }

    /// What others have put into the queue since somebody last looked.
    fn cross(&mut self, now: Time, rate: u64) {
        let Some(cross) = self.cross else { return };
        let full = Duration::from_secs_f64(self.queue as f64 * 8.0 / rate as f64);
        let step = Duration::from_millis(1);
        // What was long ago has drained.
        self.crossed_until = self.crossed_until.max(now - full * 4 - Duration::from_secs(1));
        while self.crossed_until + step <= now {
            let at = self.crossed_until;
            if cross.is_on(at) && self.free_at.since(at) < full {
                let share = cross.rate as f64 / rate as f64;
                self.free_at = self.free_at.max(at) + step.mul_f64(share);
            }
            self.crossed_until += step;
        }
    }

    /// When a datagram arrives; `None`: never.
    pub fn pass(&mut self, now: Time, len: usize, rng: &mut ChaCha20Rng) -> Option<Passed> {
        if self.loses(now, len, rng) {
            return None;
        }
        let (mut at, mut marked) = (now, false);
        let rate = self.rate_at(now);
        if rate > 0 {
            self.cross(now, rate);
            let waits = self.free_at.since(now);
            if waits.as_secs_f64() * rate as f64 / 8.0 > self.queue as f64 {
                return None;
            }
            marked = self.mark_above.is_some_and(|above| waits > above);
            at = self.free_at.max(now) + Duration::from_secs_f64(len as f64 * 8.0 / rate as f64);
            self.free_at = at;
        }
        let jitter = self.jitter.as_nanos() as u64;
        let mut late = Duration::from_nanos(if jitter == 0 { 0 } else { rng.random_range(0..jitter) });
        if self.reorder > 0.0 && rng.random_bool(self.reorder) {
            late += self.reorder_by;
        }
        Some(Passed { at: at + self.delay + late, marked })
    }
}
