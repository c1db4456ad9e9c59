//! When a connection has to act without having been asked.

use std::time::Duration;

use super::{CloseReason, Connection, sent::Own, state::State};
use crate::proto::Time;

impl Connection {
    /// When [`Self::handle_timeout`] has to be called, and after it [`Self::poll_transmit`]; a time that has passed means now.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Drained => None,
            State::Draining { until } => Some(*until),
            State::Closing(closing) => Some(closing.until),
            State::Connecting(connecting) => {
                earliest([Some(self.handshake_until), connecting.repeat.at, self.path_timeout()])
            }
            State::Accepting(accepting) => {
                let repeat = accepting.repeat.at.filter(|_| self.paths[0].may_send(accepting.datagram_len()));
                earliest([Some(self.handshake_until), repeat, self.path_timeout()])
            }
            State::Established => earliest([self.idle_at(), self.keep_alive_at(), self.path_timeout()]),
        }
    }

    fn path_timeout(&self) -> Option<Time> {
        let connecting = matches!(self.state, State::Connecting(_));
        earliest(self.paths.iter().map(|path| {
            let given_up = path.challenge.map(|challenge| challenge.until);
            let challenge = path.challenge.filter(|_| path.may_challenge()).map(|challenge| challenge.at);
            if !path.is_open() {
                // Nothing else can be done in time before something is heard (ACNP-7).
                return earliest([challenge, given_up]);
            }
            // What went with an Initial goes again with it.
            let loss = path.flight.timeout().filter(|_| !connecting);
            let larger = path.mtu.timeout().filter(|_| path.validated);
            earliest([
                loss,
                path.acks.deadline(),
                path.paced_until,
                path.mend_at,
                larger,
                challenge,
                given_up,
            ])
        }))
    }

    /// How long silence may last: the shorter of both sides' wishes (ACNP-73), but not less than three probe time-outs.
    fn idle(&self) -> Option<Duration> {
        let wishes = [self.config.idle, self.peer.idle];
        let shorter = wishes.into_iter().filter(|idle| !idle.is_zero()).min()?;
        Some(shorter.max(self.paths[0].flight.pto() * 3))
    }

    fn idle_at(&self) -> Option<Time> {
        self.idle().map(|idle| self.last_heard.max(self.asked_at.unwrap_or(Time::ZERO)) + idle)
    }

    fn keep_alive_at(&self) -> Option<Time> {
        // While an answer is waited for, the loss timer asks often enough; and a PING that may not leave yet is not asked for again.
        let asked = self.asked_at.is_some() || self.own.contains(&Own::Ping);
        self.config.keep_alive.filter(|_| !asked).map(|interval| self.last_heard + interval)
    }

    /// The time that [`Self::poll_timeout`] gave has come.
    pub fn handle_timeout(&mut self, now: Time) {
        match &self.state {
            State::Drained => {}
            State::Draining { until } => {
                if *until <= now {
                    self.on_drained();
                }
            }
            State::Closing(closing) => {
                if closing.until <= now {
                    self.on_drained();
                }
            }
            State::Connecting(_) | State::Accepting(_) if self.handshake_until <= now => {
                self.end(now, CloseReason::HandshakeTimeout);
            }
            State::Connecting(_) => {}
            State::Accepting(_) => self.handle_path_timeouts(now),
            State::Established => {
                if self.idle_at().is_some_and(|at| at <= now) {
                    return self.end(now, CloseReason::Idle);
                }
                if self.keep_alive_at().is_some_and(|at| at <= now) {
                    self.own.insert(Own::Ping);
                }
                self.handle_path_timeouts(now);
            }
        }
    }

    fn handle_path_timeouts(&mut self, now: Time) {
        for at in 0..self.paths.len() {
            let path = &mut self.paths[at];
            if path.challenge.is_some_and(|challenge| challenge.until <= now) {
                path.fall_back();
            }
            if path.flight.timeout().is_some_and(|timeout| timeout <= now) {
                let mut outcome = std::mem::take(&mut self.outcome);
                let path = &mut self.paths[at];
                path.flight.on_timeout(now, &mut outcome);
                path.stats.probes += u64::from(path.flight.owes_probe());
                self.on_outcome(now, at, &mut outcome);
                self.outcome = outcome;
            }
        }
    }
}

fn earliest(times: impl IntoIterator<Item = Option<Time>>) -> Option<Time> {
    times.into_iter().flatten().min()
}
