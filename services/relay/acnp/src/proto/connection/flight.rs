//! What is under way on a path: loss recovery, congestion control and pacing put together.

use std::time::Duration;

use super::{config::Config, sent::Content};
use crate::proto::{
    Time,
    close::{Code, Violation},
    congestion::{self, Controller, Estimate, Mode, Pacer},
    frame::{self, Ack},
    packet::number::NUMBER_MAX,
    recovery::{self, EcnCounts, Recovery},
};

/// Packets whose fate has become known.
pub(super) type Outcome = recovery::Outcome<Content>;

/// Whether a packet may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowance {
    Now,
    At(Time),
    Full,
}

/// The sending half of a packet-number space.
#[derive(Debug)]
pub(super) struct Flight {
    recovery: Recovery<Content>,
    controller: Box<dyn Controller>,
    pacer: Pacer,
    ack_delay_max: Duration,
}

impl Flight {
    pub(super) fn new(config: &Config, ack_delay_max: Duration) -> Self {
        Self {
            recovery: Recovery::new(config.initial_rtt, ack_delay_max),
            controller: config.congestion.controller(config.initial_rtt, config.known),
            pacer: Pacer::default(),
            ack_delay_max,
        }
    }

    pub(super) const fn next_number(&self) -> u64 {
        self.recovery.next_number()
    }

    pub(super) const fn is_exhausted(&self) -> bool {
        self.recovery.next_number() > NUMBER_MAX
    }

    pub(super) const fn largest_acked(&self) -> Option<u64> {
        self.recovery.largest_acked()
    }

    pub(super) const fn smoothed(&self) -> Duration {
        self.recovery.rtt().smoothed()
    }

    pub(super) const fn latest(&self) -> Duration {
        self.recovery.rtt().latest()
    }

    pub(super) const fn in_flight(&self) -> u64 {
        self.recovery.in_flight()
    }

    pub(super) fn window(&self) -> u64 {
        self.controller.window()
    }

    pub(super) fn pacing(&self) -> Option<u64> {
        self.controller.pacing_rate()
    }

    pub(super) fn state(&self) -> &'static str {
        self.controller.state()
    }

    pub(super) fn reorder_window(&self) -> Duration {
        self.recovery.reorder_window()
    }

    /// Probe time-out, without backing off.
    pub(super) fn pto(&self) -> Duration {
        self.recovery.pto()
    }

    /// A round trip measured by the handshake.
    pub(super) fn sample(&mut self, now: Time, rtt: Duration) {
        self.recovery.on_rtt(now, rtt);
    }

    /// Tells what the peer said of its ACKs.
    pub(super) fn set_ack_delay(&mut self, max: Duration) {
        self.ack_delay_max = max;
        self.recovery.set_ack_delay(max);
    }

    /// What was learnt of the path.
    pub(super) fn estimate(&self) -> Option<Estimate> {
        self.controller.estimate()
    }

    /// A repair left that covers these packets.
    pub(super) fn on_repair_sent(&mut self, now: Time, covered: impl IntoIterator<Item = u64>) {
        self.recovery.on_repair_sent(now, covered);
    }

    /// What an earlier connection knew of the path, as long as nothing is known better.
    pub(super) fn assume(&mut self, mode: Mode, known: Estimate) {
        if self.controller.estimate().is_none() {
            self.controller = mode.controller(known.rtt, Some(known));
        }
    }

    /// Another controller takes over.
    pub(super) fn set_controller(&mut self, mode: Mode) {
        self.controller = mode.controller(self.recovery.rtt().smoothed(), self.controller.estimate());
    }

    pub(super) fn on_sent(&mut self, now: Time, wants_ack: bool, content: Content) {
        let len = content.len as u64;
        let sent = wants_ack.then_some((content.len as u32, content.is_mtu_probe, content));
        self.recovery.on_sent(now, sent);
        if wants_ack {
            self.controller.on_sent(now, len, self.recovery.in_flight());
            self.pacer.set_rate(now, self.controller.pacing_rate());
            self.pacer.on_sent(now, len);
        }
    }

    pub(super) fn on_ack(&mut self, now: Time, ack: &Ack, out: &mut Outcome) -> Result<(), Violation> {
        out.clear();
        let unsent = Violation::new(Code::PROTOCOL, "a packet is acknowledged that was never sent");
        let ecn = ack.ecn.map(|frame::EcnCounts { ect0, ect1, ce }| EcnCounts { ect0, ect1, ce });
        self.recovery
            .on_ack(now, ack.ranges.iter(), ack.recovered.iter(), ack.delay, ecn, out)
            .map_err(|_| unsent)?;
        if let Some(lateness) = ack.reordering {
            self.recovery.on_reordering(lateness);
        }
        congestion::tell(&mut *self.controller, now, &self.recovery, out);
        Ok(())
    }

    /// When [`Self::on_timeout`] has to be called.
    pub(super) fn timeout(&self) -> Option<Time> {
        self.recovery.next_timeout()
    }

    /// Finds packets lost, or owes a probe.
    pub(super) fn on_timeout(&mut self, now: Time, out: &mut Outcome) {
        out.clear();
        self.recovery.on_timeout(now, out);
        congestion::tell(&mut *self.controller, now, &self.recovery, out);
    }

    /// Whether a packet has to leave to find out what became of others.
    pub(super) const fn owes_probe(&self) -> bool {
        self.recovery.owes_probe()
    }

    /// Probe time-outs in a row.
    pub(super) const fn backoff(&self) -> u32 {
        self.recovery.backoff()
    }

    /// What to send again as a probe when there is nothing new: what the oldest packet under way carried.
    pub(super) fn probe_content(&self) -> Option<&Content> {
        self.recovery.iter().map(|(_, sent)| &sent.payload).find(|content| !content.frames.is_empty())
    }

    pub(super) fn allowance(&mut self, now: Time, len: usize) -> Allowance {
        let len = len as u64;
        if self.recovery.in_flight() + len > self.controller.window() {
            return Allowance::Full;
        }
        self.pacer.set_rate(now, self.controller.pacing_rate());
        let wait = self.pacer.until_next(now, len);
        if wait.is_zero() { Allowance::Now } else { Allowance::At(now + wait) }
    }

    /// There is nothing to send, though there might be.
    pub(super) fn on_idle(&mut self) {
        self.recovery.on_app_limited();
    }

    /// The path leads elsewhere now: what was learnt of it says nothing any more.
    pub(super) fn restart(&mut self, config: &Config) {
        self.recovery.restart(config.initial_rtt, self.ack_delay_max);
        self.controller = config.congestion.controller(config.initial_rtt, None);
    }

    /// Gives up everything that is under way, without a verdict on the path.
    pub(super) fn take_all(&mut self) -> Vec<Content> {
        self.recovery.take_all().collect()
    }
}
