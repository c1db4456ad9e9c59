//! CUBIC (RFC 9438) with HyStart++ (RFC 9406): the baseline.

use std::time::Duration;

use super::{
    AckSample, Controller, DATAGRAM, LossSample, WINDOW_INITIAL, WINDOW_MIN,
    hystart::{Growth, HyStart},
    scale,
};
use crate::proto::{Time, recovery::Spurious};

/// What is left of the window after a loss.
const BETA: f64 = 0.7;
/// Aggressiveness, in packets per second cubed.
const C: f64 = 0.4;
/// Growth of Reno's window that is as friendly, in packets a round trip.
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// What a reaction to loss overwrote.
#[derive(Debug, Clone, Copy)]
struct Undo {
    window: f64,
    threshold: f64,
    peak: f64,
    lost: u64,
}

/// The controller; windows are counted in packets.
#[derive(Debug, Clone)]
pub struct Cubic {
    window: f64,
    threshold: f64,
    peak: f64,
    /// Reno's window beside it.
    reno: f64,
    epoch: Option<Time>,
    /// What left before is part of the loss that was reacted to.
    recovering_since: Option<Time>,
    hystart: HyStart,
    smoothed: Duration,
    undo: Option<Undo>,
}

impl Default for Cubic {
    fn default() -> Self {
        Self {
            window: WINDOW_INITIAL as f64 / DATAGRAM as f64,
            threshold: f64::INFINITY,
            peak: 0.0,
            reno: 0.0,
            epoch: None,
            recovering_since: None,
            hystart: HyStart::default(),
            smoothed: Duration::from_millis(100),
            undo: None,
        }
    }
}

impl Cubic {
    fn cut(&mut self, now: Time, lost: u64) {
        let (window, threshold, peak) = (self.window, self.threshold, self.peak);
        self.undo = Some(Undo { window, threshold, peak, lost });
        // Fast convergence: gives way to a newcomer.
        self.peak = if window < peak { window * (1.0 + BETA) / 2.0 } else { window };
        self.window = (window * BETA).max(WINDOW_MIN as f64 / DATAGRAM as f64);
        (self.threshold, self.reno) = (self.window, self.window);
        (self.epoch, self.recovering_since) = (None, Some(now));
    }

    fn grow_slowly(&mut self, now: Time, packets: f64) {
        let peak = self.peak.max(self.window);
        if self.epoch.is_none() {
            (self.epoch, self.peak, self.reno) = (Some(now), peak, self.window);
        }
        let epoch = self.epoch.unwrap_or(now);
        let k = ((self.peak - self.threshold.min(self.peak)) / C).cbrt();
        let ahead = (now.since(epoch) + self.smoothed).as_secs_f64();
        let target = (C * (ahead - k).powi(3) + self.peak).clamp(self.window, self.window * 1.5);
        let alpha = if self.reno < self.peak { ALPHA } else { 1.0 };
        self.reno += alpha * packets / self.window;
        self.window += (target - self.window) / self.window * packets;
        self.window = self.window.max(self.reno);
    }
}

impl Controller for Cubic {
    fn on_sent(&mut self, _now: Time, _bytes: u64, _in_flight: u64) {}

    fn on_ack(&mut self, ack: &AckSample) {
        self.smoothed = ack.smoothed;
        if ack.ce > 0 && self.recovering_since.is_none_or(|since| ack.now.since(since) > ack.smoothed) {
            self.cut(ack.now, u64::MAX);
            return;
        }
        // A window that was not used says nothing.
        if (ack.in_flight + ack.bytes) * 2 < self.window() {
            return;
        }
        let packets = ack.bytes as f64 / DATAGRAM as f64;
        if self.window >= self.threshold {
            return self.grow_slowly(ack.now, packets);
        }
        match self.hystart.on_ack(ack) {
            Growth::Full => self.window += packets,
            Growth::Conservative => self.window += packets / 4.0,
            Growth::Over => (self.threshold, self.peak) = (self.window, self.window),
        }
    }

    fn on_loss(&mut self, loss: &LossSample) {
        if self.recovering_since.is_none_or(|since| loss.newest_sent > since) {
            self.cut(loss.now, loss.bytes);
        } else if let Some(undo) = &mut self.undo {
            undo.lost = undo.lost.saturating_add(loss.bytes);
        }
    }

    fn on_spurious(&mut self, _now: Time, spurious: &Spurious) {
        let Some(undo) = &mut self.undo else { return };
        undo.lost = undo.lost.saturating_sub(u64::from(spurious.size));
        if undo.lost == 0 {
            (self.window, self.threshold, self.peak) =
                (self.window.max(undo.window), undo.threshold, undo.peak);
            (self.epoch, self.recovering_since, self.undo) = (None, None, None);
        }
    }

    fn on_persistent(&mut self, now: Time) {
        self.cut(now, u64::MAX);
        self.window = WINDOW_MIN as f64 / DATAGRAM as f64;
        self.hystart = HyStart::default();
    }

    fn window(&self) -> u64 {
        scale(DATAGRAM, self.window)
    }

    fn pacing_rate(&self) -> Option<u64> {
        let gain = if self.window < self.threshold { 2.0 } else { 1.25 };
        Some(scale(super::rate_of(self.window(), self.smoothed), gain).max(DATAGRAM))
    }

    fn state(&self) -> &'static str {
        if self.window < self.threshold { "slow_start" } else { "avoidance" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(100);

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    fn ack(ms: u64, window: u64) -> AckSample {
        AckSample {
            now: at(ms),
            bytes: window,
            in_flight: 0,
            delivered: 0,
            lost: 0,
            rtt: Some(RTT),
            smoothed: RTT,
            min_rtt: RTT,
            rate: None,
            ce: 0,
        }
    }

    fn loss(ms: u64, sent_ms: u64) -> LossSample {
        LossSample { now: at(ms), bytes: DATAGRAM, in_flight: 0, newest_sent: at(sent_ms) }
    }

    #[test]
    fn it_doubles_until_the_first_loss_and_cuts_once_a_round_trip() {
        let mut cubic = Cubic::default();
        cubic.on_ack(&ack(100, cubic.window()));
        assert_eq!((cubic.window(), cubic.state()), (2 * WINDOW_INITIAL, "slow_start"));
        cubic.on_loss(&loss(200, 150));
        cubic.on_loss(&loss(210, 160));
        let cut = cubic.window();
        assert_eq!((cut, cubic.state()), (WINDOW_INITIAL * 2 * 7 / 10, "avoidance"));
        cubic.on_loss(&loss(310, 205));
        assert!(cubic.window() < cut);
    }

    #[test]
    fn it_comes_back_to_where_it_was_and_waits_there() {
        let mut cubic = Cubic { window: 1000.0, ..Cubic::default() };
        cubic.on_loss(&loss(0, 0));
        // K is the cube root of 300 / 0.4: nine seconds.
        let windows: Vec<f64> = (1..=120)
            .map(|round| {
                cubic.on_ack(&ack(round * 100, cubic.window()));
                cubic.window
            })
            .collect();
        assert!(windows[20] > 850.0 && windows[85] > 990.0 && windows[85] < 1001.0, "{windows:?}");
        assert!(windows[119] > 1005.0);
    }

    #[test]
    fn a_cut_for_nothing_is_undone() {
        let mut cubic = Cubic { window: 1000.0, ..Cubic::default() };
        cubic.on_loss(&loss(0, 0));
        let (size, sent_at) = (DATAGRAM as u32, at(0));
        cubic.on_spurious(at(10), &Spurious { number: 1, size, sent_at, lateness: RTT });
        assert_eq!(cubic.window(), 1000 * DATAGRAM);
    }
}
