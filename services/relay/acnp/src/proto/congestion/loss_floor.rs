//! Loss that is no sign of congestion.

use crate::proto::Time;

/// Bytes that have to have been sent before the floor is believed to be above zero.
const EVIDENCE_MIN: u64 = 64 * 1200;
/// What a span of the past counts for when another is added.
const KEEP: f64 = 0.75;
/// No floor is higher: it would hide the hard stop.
const FLOOR_MAX: f64 = 0.2;

/// The share of packets that is lost while the queue is empty for certain: in spans when packets leave more slowly than they could be
/// delivered. Loss is counted for when the packet left, not for when it was missed.
#[derive(Debug, Clone, Default)]
pub(super) struct LossFloor {
    spans: [Span; 2],
    sent: f64,
    lost: f64,
    /// Learnt before any span.
    floor: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    from: Time,
    to: Time,
    sent: u64,
    lost: u64,
}

impl LossFloor {
    /// From now on, packets leave slowly enough.
    pub(super) fn begin(&mut self, now: Time) {
        let [done, last] = self.spans;
        self.sent = self.sent * KEEP + done.sent as f64;
        self.lost = self.lost * KEEP + done.lost as f64;
        if self.sent >= EVIDENCE_MIN as f64 {
            self.floor = (self.lost / self.sent).min(FLOOR_MAX);
        }
        self.spans = [last, Span { from: now, to: Time::FAR, sent: 0, lost: 0 }];
    }

    pub(super) fn end(&mut self, now: Time) {
        self.spans[1].to = self.spans[1].to.min(now);
    }

    pub(super) fn on_sent(&mut self, now: Time, bytes: u64) {
        let span = &mut self.spans[1];
        if now < span.to && span.to == Time::FAR {
            span.sent += bytes;
        }
    }

    pub(super) fn on_lost(&mut self, sent_at: Time, bytes: u64) {
        if let Some(span) = self.spans.iter_mut().find(|span| span.from <= sent_at && sent_at < span.to) {
            span.lost = (span.lost + bytes).min(span.sent);
        }
    }

    pub(super) fn on_spurious(&mut self, sent_at: Time, bytes: u64) {
        if let Some(span) = self.spans.iter_mut().find(|span| span.from <= sent_at && sent_at < span.to) {
            span.lost = span.lost.saturating_sub(bytes);
        }
    }

    /// A round while the path was not full yet.
    pub(super) fn on_free_round(&mut self, delivered: u64, lost: u64) {
        self.sent = self.sent * KEEP + (delivered + lost) as f64;
        self.lost = self.lost * KEEP + lost as f64;
        if self.sent >= EVIDENCE_MIN as f64 {
            self.floor = (self.lost / self.sent).min(FLOOR_MAX);
        }
    }

    /// The share.
    pub(super) const fn get(&self) -> f64 {
        self.floor
    }

    /// Whether a loss is so far above the floor that it must have another reason; `margin` is what chance may add to no loss at all.
    pub(super) fn is_exceeded_by(&self, loss: f64, margin: f64) -> bool {
        loss > self.floor * 1.5 + margin
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_left_in_a_span_counts() {
        let at = |ms| Time::ZERO + Duration::from_millis(ms);
        let mut floor = LossFloor::default();
        floor.begin(at(100));
        floor.on_sent(at(110), 1_000_000);
        floor.end(at(200));
        floor.on_lost(at(150), 50_000);
        floor.on_lost(at(250), 500_000);
        floor.begin(at(300));
        floor.begin(at(400));
        assert!((floor.get() - 0.05).abs() < 1e-9, "{}", floor.get());
        assert!(!floor.is_exceeded_by(0.08, 0.02) && floor.is_exceeded_by(0.1, 0.02));
    }
}
