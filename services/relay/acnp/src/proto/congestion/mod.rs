//! Congestion control: how much may be under way, and how fast.

mod base_rtt;
mod cubic;
mod high_bandwidth;
mod hystart;
mod loss_floor;
mod low_latency;
mod mode;
mod model;
mod pacer;
mod recent;
mod round;
mod style;

use std::{fmt::Debug, time::Duration};

pub use cubic::Cubic;
pub use high_bandwidth::LOSS_CEILING;
pub use low_latency::Estimate;
pub use mode::Mode;
pub use model::Model;
pub use pacer::Pacer;

use super::{
    Time,
    recovery::{Outcome, RateSample, Recovery, Spurious},
};

/// Bytes of a datagram that controllers reckon with.
pub const DATAGRAM: u64 = 1200;
/// Bytes that may always be under way.
pub const WINDOW_MIN: u64 = 4 * DATAGRAM;
/// Bytes that may be under way on a path of which nothing is known.
pub const WINDOW_INITIAL: u64 = 32 * DATAGRAM;

/// What an ACK told.
#[derive(Debug, Clone, Copy)]
pub struct AckSample {
    /// When it came.
    pub now: Time,
    /// Bytes newly delivered.
    pub bytes: u64,
    /// Bytes still under way.
    pub in_flight: u64,
    /// Bytes delivered so far.
    pub delivered: u64,
    /// Bytes lost so far.
    pub lost: u64,
    /// The round trip, if this ACK measured it.
    pub rtt: Option<Duration>,
    /// The smoothed round trip.
    pub smoothed: Duration,
    /// The smallest round trip of late.
    pub min_rtt: Duration,
    /// The delivery rate, if this ACK measured it.
    pub rate: Option<RateSample>,
    /// New marks of congestion, in packets.
    pub ce: u64,
}

/// What was lost at once.
#[derive(Debug, Clone, Copy)]
pub struct LossSample {
    /// When that was found.
    pub now: Time,
    /// Bytes lost.
    pub bytes: u64,
    /// Bytes still under way.
    pub in_flight: u64,
    /// When the last of the lost packets left.
    pub newest_sent: Time,
}

/// An algorithm that says how much may be under way on a path.
pub trait Controller: Debug + Send {
    /// A packet left; `in_flight` includes it.
    fn on_sent(&mut self, now: Time, bytes: u64, in_flight: u64);
    /// Packets were delivered. Told after the losses that the same ACK brought to light.
    fn on_ack(&mut self, ack: &AckSample);
    /// Packets were lost.
    fn on_loss(&mut self, loss: &LossSample);
    /// A packet that had been given up came after all.
    fn on_spurious(&mut self, now: Time, spurious: &Spurious);
    /// Nothing came through for long (RFC 9002 section 7.6).
    fn on_persistent(&mut self, now: Time);
    /// Bytes that may be under way.
    fn window(&self) -> u64;
    /// Bytes a second at which packets may leave.
    fn pacing_rate(&self) -> Option<u64>;
    /// What it has learnt of the path, for a later connection over it.
    fn estimate(&self) -> Option<Estimate> {
        None
    }
    /// What it is doing, for statistics.
    fn state(&self) -> &'static str;
}

/// Tells a controller what became of packets.
pub fn tell<T>(controller: &mut dyn Controller, now: Time, recovery: &Recovery<T>, outcome: &Outcome<T>) {
    let in_flight = recovery.in_flight();
    outcome.spurious.iter().for_each(|spurious| controller.on_spurious(now, spurious));
    let losses = &outcome.losses;
    if losses.persistent {
        controller.on_persistent(now);
    }
    if losses.bytes > 0 {
        let (bytes, newest_sent) = (losses.bytes, losses.newest_sent);
        controller.on_loss(&LossSample { now, bytes, in_flight, newest_sent });
    }
    if outcome.acked_bytes > 0 || outcome.ce > 0 {
        let (delivered, lost) = recovery.totals();
        controller.on_ack(&AckSample {
            now,
            bytes: outcome.acked_bytes,
            in_flight,
            delivered,
            lost,
            rtt: outcome.rtt,
            smoothed: recovery.rtt().smoothed(),
            min_rtt: recovery.rtt().min(),
            rate: outcome.rate,
            ce: outcome.ce,
        });
    }
}

/// Bytes that a rate in bytes a second yields in a time.
fn bytes_in(rate: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(rate) * time.as_nanos() / 1_000_000_000).unwrap_or(u64::MAX)
}

/// A number of bytes or bytes a second, times a factor.
fn scale(value: u64, factor: f64) -> u64 {
    (value as f64 * factor) as u64
}

/// Bytes a second that take a time for a number of bytes.
fn rate_of(bytes: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(bytes) * 1_000_000_000 / time.as_nanos().max(1)).unwrap_or(u64::MAX)
}
