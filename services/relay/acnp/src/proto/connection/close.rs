//! How a connection ends (ACNP-73, ACNP-74).

use bytes::Bytes;

use super::{
    CloseReason, Connection, Demand, Event,
    state::{Closing, State},
};
use crate::proto::{
    Time,
    close::{Close, Code, REASON_LEN_MAX, Violation},
    observe::Observed,
};

/// Probe time-outs for which the end is kept in mind.
const LINGER_PTOS: u32 = 3;

impl Connection {
    /// Closes the connection: what was not sent is not any more.
    pub fn close(&mut self, now: Time, code: Code, mut reason: Bytes) {
        reason.truncate(REASON_LEN_MAX);
        self.close_with(now, Close { code, reason });
    }

    /// The peer broke a rule.
    pub(super) fn on_violation(&mut self, now: Time, violation: Violation) {
        self.close_with(now, violation.into());
    }

    fn close_with(&mut self, now: Time, close: Close) {
        if self.is_closed() {
            return;
        }
        if self.keys.is_none() {
            // Nothing that the server could tell from a forgery.
            return self.end(now, CloseReason::Local(close));
        }
        let until = now + self.paths[0].flight.pto() * LINGER_PTOS;
        self.state =
            State::Closing(Closing { close: close.clone(), until, due: true, heard: 0, again_after: 1 });
        self.say_closed(now, Some(close.code), CloseReason::Local(close));
    }

    /// The peer closed.
    pub(super) fn on_close(&mut self, now: Time, close: Close) {
        let was_closed = self.is_closed();
        self.drain(now);
        if !was_closed {
            self.say_closed(now, Some(close.code), CloseReason::Peer(close));
        }
    }

    fn drain(&mut self, now: Time) {
        if !matches!(self.state, State::Drained) {
            self.state = State::Draining { until: now + self.paths[0].flight.pto() * LINGER_PTOS };
        }
    }

    /// It is over at once, without a word.
    pub(super) fn end(&mut self, now: Time, reason: CloseReason) {
        if !self.is_closed() {
            self.say_closed(now, None, reason);
        }
        self.on_drained();
    }

    pub(super) fn on_drained(&mut self) {
        if !matches!(self.state, State::Drained) {
            self.state = State::Drained;
            self.demands.push_back(Demand::Drained);
        }
    }

    fn say_closed(&mut self, now: Time, code: Option<Code>, reason: CloseReason) {
        self.events.push_back(Event::Closed(reason));
        self.observe(now, Observed::Closed { code });
    }
}
