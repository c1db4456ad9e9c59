//! One way of a line as a function of its packets: a packet enters at a time, deliveries come out. No clock, no socket;
//! everything random follows from the seed, each cause from a stream of its own.
//!
//! A packet passes the queue first and is lost behind it: what is lost has used its share of the rate.

mod blackout;
mod delay;
mod ip;
mod loss;
mod queue;
mod tally;

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::path::Way;
use blackout::Dark;
use delay::Delay;
use loss::Loss;
use queue::{Place, Queue};
pub use tally::Tally;

/// Time since the path was opened.
pub type At = Duration;

/// A packet on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// When it is to arrive.
    pub at: At,
    /// The packet, from its IP header on.
    pub packet: Vec<u8>,
}

/// One way of a line.
#[derive(Debug)]
pub struct Model {
    queue: Queue,
    loss: Loss,
    dark: Option<Dark>,
    delay: Delay,
    mangle: Mangle,
    tally: Tally,
}

#[derive(Debug)]
struct Mangle {
    ecn: Option<Duration>,
    duplicates: f64,
    corrupts: f64,
    chance: ChaCha8Rng,
}

/// Random streams of one seed, told apart by `stream`.
fn chance(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    chance.set_stream(stream);
    chance
}

/// Which way of which line a model is for.
#[derive(Debug, Clone, Copy)]
pub struct Which {
    /// The line's number.
    pub line: u64,
    /// Whether towards the client.
    pub down: bool,
}

impl Model {
    /// The model of `way`, whose line takes `rtt` both ways.
    pub fn new(way: &Way, rtt: Duration, seed: u64, which: Which) -> Self {
        let base = which.line * 64;
        let stream = |cause: u64| chance(seed, base + 16 * (1 + u64::from(which.down)) + cause);
        Self {
            queue: Queue::new(way.rates.clone(), way.queue(rtt)),
            loss: Loss::new(way.loss, way.bursts, stream(0)),
            // One stream for both ways: they go dark together.
            dark: way.blackouts.map(|blackouts| Dark::new(blackouts, chance(seed, base))),
            delay: Delay::new(way, stream(1)),
            mangle: Mangle {
                ecn: way.ecn,
                duplicates: way.duplicates,
                corrupts: way.corrupts,
                chance: stream(2),
            },
            tally: Tally::default(),
        }
    }

    /// Takes a packet that entered at `now`, and adds what comes of it to `out`. Times do not go backwards.
    pub fn enter(&mut self, now: At, mut packet: Vec<u8>, out: &mut Vec<Delivery>) {
        let bytes = packet.len() as u64;
        self.tally.packets += 1;
        self.tally.bytes += bytes;
        let departs = match self.queue.enter(now, bytes) {
            Place::Full => return self.tally.dropped_queue += 1,
            Place::Departs(at) => at,
        };
        self.tally.queued(departs.saturating_sub(now));
        if self.dark.as_mut().is_some_and(|dark| dark.covers(departs)) {
            return self.tally.dropped_blackout += 1;
        }
        match self.loss.fate() {
            loss::Fate::Passes => {}
            loss::Fate::Alone => return self.tally.dropped_random += 1,
            loss::Fate::InBurst => return self.tally.dropped_burst += 1,
        }
        self.mangle(&mut packet, departs.saturating_sub(now));
        if self.mangle.hits(self.mangle.duplicates) {
            self.tally.duplicated += 1;
            out.push(Delivery { at: self.delay.arrival(departs), packet: packet.clone() });
        }
        out.push(Delivery { at: self.delay.arrival(departs), packet });
    }

    /// What has happened so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn mangle(&mut self, packet: &mut [u8], waited: Duration) {
        if self.mangle.ecn.is_some_and(|bound| waited > bound) && ip::mark(packet) {
            self.tally.marked += 1;
        }
        if self.mangle.hits(self.mangle.corrupts) {
            let from = ip::header_bytes(packet).min(packet.len());
            if from < packet.len() {
                let bit = self.mangle.chance.random_range(from * 8..packet.len() * 8);
                packet[bit / 8] ^= 1 << (bit % 8);
                self.tally.corrupted += 1;
            }
        }
    }
}

impl Mangle {
    fn hits(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.chance.random_bool(probability)
    }
}

#[cfg(test)]
mod tests;
