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
