//! What a path does to packets, as figures: one [`Way`] a direction, two a [`Line`], several lines where a path is multiple.

mod named;
mod parse;

use std::time::Duration;

pub use named::{NAMED, named};
pub use parse::{Error, parse_path, parse_paths};

/// Bytes of an IP packet on every line.
pub const MTU: usize = 1500;

/// Bytes of IPv4 and UDP headers before a datagram's content.
const HEADERS: u64 = 28;

/// A queue holds at least this many bytes, unless told otherwise.
const QUEUE_BYTES_MIN: u64 = 64 * 1024;

/// A path between the two ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Its name, or the text that described it.
    pub name: String,
    /// Its lines, each a pair of TUN devices; none at all is the loopback device of one namespace.
    pub lines: Vec<Line>,
}

/// One line of a path, both ways.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    /// From the client to the server.
    pub up: Way,
    /// From the server to the client.
    pub down: Way,
}

/// One direction of a line. The default neither delays nor loses anything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Way {
    /// Time that every packet takes, beside queueing and serialisation.
    pub delay: Duration,
    /// Each packet takes up to this much less or more, evenly spread.
    pub jitter: Duration,
    /// Whether packets leave in the order in which they came in spite of jitter.
    pub in_order: bool,
    /// Capacity, from which time on; empty is without bound.
    pub rates: Vec<Rate>,
    /// Bytes that may wait for the rate; what does not fit is dropped. `None` is one bandwidth-delay product.
    pub queue_bytes: Option<u64>,
    /// Packets that had to queue longer than this are marked, if they are ECN-capable.
    pub ecn: Option<Duration>,
    /// Probability that a packet is lost, each alone.
    pub loss: f64,
    /// Losses that come together.
    pub bursts: Option<Bursts>,
    /// Times at which nothing passes.
    pub blackouts: Option<Blackouts>,
    /// Probability that a packet arrives twice.
    pub duplicates: f64,
    /// Probability that one bit of a packet is turned over.
    pub corrupts: f64,
}

/// Capacity of a way from a time on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Since the path was opened.
    pub from: Duration,
    /// Bits a second, headers included.
    pub bits_per_s: u64,
}

/// Gilbert's model: everything is lost in the bad state, nothing in the good one. Counted in packets, not in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bursts {
    /// Share of all packets that are lost.
    pub loss: f64,
    /// Mean number of packets lost in a row.
    pub packets: f64,
}

/// A dark time in each period, at a random place of the period; both ways of a line go dark together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blackouts {
    /// Length of a dark time.
    pub lasting: Duration,
    /// Length of a period.
    pub every: Duration,
}

impl Path {
    /// Whether both ends stand in one namespace, with no emulator between them.
    pub fn is_loopback(&self) -> bool {
        self.lines.is_empty()
    }

    /// The time both ways without queueing, of the quickest line.
    pub fn rtt(&self) -> Duration {
        self.lines.iter().map(|line| line.up.delay + line.down.delay).min().unwrap_or_default()
    }

    /// Bits a second towards the client at the start, all lines together; `None` where there is no bound.
    pub fn capacity(&self) -> Option<u64> {
        let rates = self.lines.iter().map(|line| line.down.first_rate());
        rates.reduce(|sum, rate| Some(sum? + rate?)).flatten()
    }

    /// What a call takes at the least: the time both ways, and that of its bits at the path's rate.
    pub fn floor(&self, request: u64, response: u64) -> Duration {
        let best = |line: &Line| {
            line.up.delay + line.down.delay + line.up.serialise(request) + line.down.serialise(response)
        };
        self.lines.iter().map(best).min().unwrap_or_default()
    }

    /// Mean bits a second towards the client during `span` after the start, as the rate steps; `None` is without bound.
    pub fn mean_capacity(&self, span: Duration) -> Option<f64> {
        let rates = self.lines.iter().map(|line| line.down.mean_rate(span));
        rates.reduce(|sum, rate| Some(sum? + rate?)).flatten()
    }
}

impl Way {
    /// The rate at the start.
    pub fn first_rate(&self) -> Option<u64> {
        self.rates.first().map(|rate| rate.bits_per_s)
    }

    /// Bytes that its queue holds; `rtt` is the line's.
    pub fn queue(&self, rtt: Duration) -> u64 {
        let rate = self.rates.iter().map(|rate| rate.bits_per_s).max().unwrap_or_default();
        let product = (rate as f64 / 8.0 * rtt.as_secs_f64()) as u64;
        self.queue_bytes.unwrap_or(product.max(QUEUE_BYTES_MIN))
    }

    /// Share of packets that do not arrive, dark times left aside.
    pub fn mean_loss(&self) -> f64 {
        1.0 - (1.0 - self.loss) * (1.0 - self.bursts.map_or(0.0, |bursts| bursts.loss))
    }

    fn serialise(&self, content: u64) -> Duration {
        let packets = content.div_ceil(MTU as u64 - HEADERS);
        let bits = (content + packets * HEADERS) * 8;
        self.first_rate().map_or(Duration::ZERO, |rate| Duration::from_secs_f64(bits as f64 / rate as f64))
    }

    fn mean_rate(&self, span: Duration) -> Option<f64> {
        let first = self.first_rate()? as f64;
        let mut bits = 0.0;
        for (index, rate) in self.rates.iter().enumerate() {
            let until = self.rates.get(index + 1).map_or(span, |next| next.from.min(span));
            bits += until.saturating_sub(rate.from).as_secs_f64() * rate.bits_per_s as f64;
        }
        Some(if span.is_zero() { first } else { bits / span.as_secs_f64() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_the_round_trip_and_the_bits() {
        let path = parse_path("rtt=100ms:rate=10").expect("a path");
        let bits = (1024 + 28 + 4096 + 3 * 28) * 8;
        let wanted = Duration::from_millis(100) + Duration::from_nanos(bits * 100);
        assert_eq!(path.floor(1024, 4096).as_micros(), wanted.as_micros());
    }

    #[test]
    fn steps_count_by_their_time() {
        let path = parse_path("rate=100:rate@2s=50").expect("a path");
        assert_eq!(path.mean_capacity(Duration::from_secs(4)), Some(75e6));
        assert_eq!(path.mean_capacity(Duration::from_secs(1)), Some(100e6));
    }

    #[test]
    fn a_path_without_a_bound_has_no_capacity() {
        for text in ["loopback", "rtt=10ms", "rate=10+rtt=10ms"] {
            let path = parse_path(text).expect("a path");
            assert_eq!((path.capacity(), path.mean_capacity(Duration::from_secs(1))), (None, None), "{text}");
        }
    }

    #[test]
    fn a_queue_holds_one_product_of_rate_and_delay() {
        let path = parse_path("rtt=100ms:rate=80").expect("a path");
        assert_eq!(path.lines[0].down.queue(path.rtt()), 1_000_000);
    }
}
