//! What is under way on a path and what became of it: RACK-TLP (RFC 8985) over packet numbers that are used once, so that the order of
//! numbers is the order of sending.

use std::{collections::VecDeque, ops::RangeInclusive, time::Duration};

use super::{
    ledger::{Ledger, Sent},
    outcome::{EcnCounts, Losses, Outcome, Spurious},
    rate::RateSampler,
    reorder::ReorderWindow,
    rtt::{GRANULARITY, Rtt},
};
use crate::proto::Time;

/// Packets given up that are remembered in case they come after all.
const REMEMBERED_MAX: usize = 1024;
/// Doublings of the probe time-out at most.
const BACKOFF_MAX: u32 = 10;
/// Probe time-outs without any delivery that are persistent congestion (RFC 9002 section 7.6).
const PERSISTENT_PTOS: u32 = 3;

/// A packet that was given up.
#[derive(Debug, Clone, Copy)]
struct GivenUp {
    number: u64,
    size: u32,
    sent_at: Time,
    /// The ACK that last called it recovered, by count; 0: none did.
    recovered_in: u64,
}

/// A number acknowledged that was never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeverSent;

/// The sending half of a packet-number space; `T` is what a packet carried.
#[derive(Debug)]
pub struct Recovery<T> {
    ledger: Ledger<T>,
    given_up: VecDeque<GivenUp>,
    rtt: Rtt,
    rate: RateSampler,
    reorder: ReorderWindow,
    in_flight: u64,
    lost: u64,
    largest_acked: Option<u64>,
    /// Round trip of the packet delivered that left last, and when it left.
    newest: Option<(Time, Duration)>,
    /// Delivered bytes at which a round ends.
    round_end: u64,
    ce: u64,
    pto_count: u32,
    last_sent: Time,
    loss_at: Option<Time>,
    probes: u32,
    acks: u64,
}

impl<T> Recovery<T> {
    /// A path of which nothing is known but a guess of its round trip, and how long the peer may sit on an ACK.
    #[must_use]
    pub fn new(initial_rtt: Duration, ack_delay_max: Duration) -> Self {
        Self {
            ledger: Ledger::new(),
            given_up: VecDeque::new(),
            rtt: Rtt::new(initial_rtt, ack_delay_max),
            rate: RateSampler::default(),
            reorder: ReorderWindow::default(),
            in_flight: 0,
            lost: 0,
            largest_acked: None,
            newest: None,
            round_end: 0,
            ce: 0,
            pto_count: 0,
            last_sent: Time::ZERO,
            loss_at: None,
            probes: 0,
            acks: 0,
        }
    }

    /// The number of the next packet.
    #[must_use]
    pub const fn next_number(&self) -> u64 {
        self.ledger.next()
    }

    /// The largest number acknowledged.
    #[must_use]
    pub const fn largest_acked(&self) -> Option<u64> {
        self.largest_acked
    }

    /// Round trips.
    #[must_use]
    pub const fn rtt(&self) -> &Rtt {
        &self.rtt
    }

    /// Bytes under way.
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Bytes delivered, and bytes found lost, so far.
    #[must_use]
    pub const fn totals(&self) -> (u64, u64) {
        (self.rate.delivered(), self.lost)
    }

    /// How late a packet may come now.
    #[must_use]
    pub fn reorder_window(&self) -> Duration {
        self.reorder.get(self.rtt.min(), self.rtt.smoothed())
    }

    /// How long the peer may sit on an ACK.
    pub const fn set_ack_delay(&mut self, max: Duration) {
        self.rtt.set_ack_delay(max);
    }

    /// A round trip measured by other means (the handshake's).
    pub fn on_rtt(&mut self, now: Time, rtt: Duration) {
        self.rtt.sample(now, rtt, Duration::ZERO);
    }

    /// The peer says how late packets came.
    pub fn on_reordering(&mut self, lateness: Duration) {
        self.reorder.on_late(lateness);
    }

    /// The application has nothing to send though it may.
    pub fn on_app_limited(&mut self) {
        self.rate.on_app_limited(self.in_flight);
    }

    /// A packet leaves; gives its number. `sent` is its size, whether it is an MTU probe, and what it carries; none if it asks for no ACK.
    pub fn on_sent(&mut self, now: Time, sent: Option<(u32, bool, T)>) -> u64 {
        let number = self.ledger.next();
        let sent = sent.map(|(size, is_mtu_probe, payload)| {
            let stamp = self.rate.on_sent(now, self.in_flight);
            self.in_flight += u64::from(size);
            self.last_sent = now;
            self.probes = self.probes.saturating_sub(1);
            Sent { size, is_mtu_probe, stamp, repaired_at: Time::ZERO, payload }
        });
        self.ledger.push(sent);
        number
    }

    /// An ACK came: its ranges from the largest numbers down, those numbers among them that were lost and recovered by FEC, how long the
    /// peer sat on it, and its ECN counts. Adds to `out`.
    ///
    /// # Errors
    /// [`NeverSent`] if the peer acknowledges what was not sent; nothing has changed then.
    pub fn on_ack(
        &mut self,
        now: Time,
        ranges: impl IntoIterator<Item = RangeInclusive<u64>>,
        recovered: impl IntoIterator<Item = u64>,
        delay: Duration,
        ecn: Option<EcnCounts>,
        out: &mut Outcome<T>,
    ) -> Result<(), NeverSent> {
        let mut ranges = ranges.into_iter().peekable();
        let Some(largest) = ranges.peek().map(|range| *range.end()) else { return Ok(()) };
        if largest >= self.ledger.next() {
            return Err(NeverSent);
        }
        self.ledger.see(largest);
        self.acks += 1;
        for number in recovered {
            self.on_recovered(number, out);
        }
        let (before, acked) = (self.newest, out.acked.len());
        for range in ranges {
            self.on_range(now, &range, before, out);
        }
        self.largest_acked = self.largest_acked.max(Some(largest));
        if out.acked.len() > acked {
            self.pto_count = 0;
            if let Some((_, rtt)) = self.newest.filter(|_| out.acked[acked].0 == largest) {
                self.rtt.sample(now, rtt, delay);
                out.rtt = Some(self.rtt.latest());
            }
        }
        out.ce += ecn.map_or(0, |ecn| ecn.ce.saturating_sub(self.ce));
        self.ce = self.ce.max(ecn.map_or(0, |ecn| ecn.ce));
        self.detect(now, out);
        self.sum_up(out);
        Ok(())
    }

    fn on_range(
        &mut self,
        now: Time,
        range: &RangeInclusive<u64>,
        before: Option<(Time, Duration)>,
        out: &mut Outcome<T>,
    ) {
        let Self { ledger, rate, reorder, in_flight, newest, .. } = self;
        ledger.take_range(range, |number, sent| {
            let (at, size) = (sent.stamp.sent_at, u64::from(sent.size));
            *in_flight -= size;
            rate.on_acked(now, size, &sent.stamp);
            out.acked_bytes += size;
            match before {
                Some((newest, rtt)) if at < newest => reorder.on_late(now.since(at).saturating_sub(rtt)),
                _ if newest.is_none_or(|(newest, _)| at >= newest) => *newest = Some((at, now.since(at))),
                _ => {}
            }
            out.acked.push((number, sent.payload));
        });
        let from = self.given_up.partition_point(|given| given.number < *range.start());
        let to = self.given_up.partition_point(|given| given.number <= *range.end());
        let acks = self.acks;
        // As long as the peer calls a packet recovered, it was lost; once it does not, the packet itself has come.
        for given in extract(&mut self.given_up, from..to, |given| given.recovered_in != acks) {
            let lateness =
                now.since(given.sent_at).saturating_sub(before.map_or(Duration::ZERO, |(_, rtt)| rtt));
            if given.recovered_in == 0 {
                self.reorder.on_spurious(lateness);
            } else {
                self.reorder.on_late(lateness);
            }
            self.lost -= u64::from(given.size);
            let (number, size, sent_at) = (given.number, given.size, given.sent_at);
            out.spurious.push(Spurious { number, size, sent_at, lateness });
        }
    }

    fn on_recovered(&mut self, number: u64, out: &mut Outcome<T>) {
        if let Some(sent) = self.ledger.take(number) {
            self.take_out(&sent, number, &mut out.losses);
            let (size, sent_at) = (sent.size, sent.stamp.sent_at);
            self.remember(GivenUp { number, size, sent_at, recovered_in: self.acks });
            out.recovered.push((number, sent.payload));
        } else if let Ok(at) = self.given_up.binary_search_by_key(&number, |given| given.number) {
            // It counted as lost, and rightly so.
            self.given_up[at].recovered_in = self.acks;
        }
    }

    /// A repair left that covers these packets: those under way may yet come by it.
    pub fn on_repair_sent(&mut self, now: Time, covered: impl IntoIterator<Item = u64>) {
        for number in covered {
            if let Some(sent) = self.ledger.sent_mut(number) {
                sent.repaired_at = now;
            }
        }
    }

    fn take_out(&mut self, sent: &Sent<T>, number: u64, losses: &mut Losses) {
        self.in_flight -= u64::from(sent.size);
        if !sent.is_mtu_probe {
            self.lost += u64::from(sent.size);
            losses.add(number, sent.size, sent.stamp);
        }
    }

    fn detect(&mut self, now: Time, out: &mut Outcome<T>) {
        self.loss_at = None;
        let Some((newest, rtt)) = self.newest else { return };
        let allowed = rtt.max(self.rtt.latest()) + self.reorder_window().max(GRANULARITY);
        while let Some((number, sent)) = self.ledger.oldest_late() {
            // Only a packet that asks for no ACK was acknowledged behind it: that says nothing of its time, and a probe has to ask.
            if sent.stamp.sent_at > newest {
                return;
            }
            // Not before what was sent to repair it could have been heard of.
            let at = sent.stamp.sent_at.max(sent.repaired_at) + allowed;
            if at > now {
                self.loss_at = Some(at);
                return;
            }
            let Some(sent) = self.ledger.take(number) else { return };
            self.take_out(&sent, number, &mut out.losses);
            if !sent.is_mtu_probe {
                self.remember(GivenUp {
                    number,
                    size: sent.size,
                    sent_at: sent.stamp.sent_at,
                    recovered_in: 0,
                });
            }
            out.lost.push((number, sent.payload));
        }
    }

    fn remember(&mut self, given: GivenUp) {
        let forget = given.sent_at - self.rtt.smoothed() * 4;
        while self.given_up.len() >= REMEMBERED_MAX
            || self.given_up.front().is_some_and(|old| old.sent_at < forget)
        {
            self.given_up.pop_front();
        }
        let at = self.given_up.partition_point(|old| old.number < given.number);
        self.given_up.insert(at, given);
    }

    fn sum_up(&mut self, out: &mut Outcome<T>) {
        out.rate = self.rate.take(self.rtt.min()).or(out.rate);
        out.losses.persistent =
            out.losses.longest() > self.rtt.pto() * PERSISTENT_PTOS && self.rtt.is_measured();
        if let Some(sample) = out.rate.filter(|sample| sample.prior_delivered >= self.round_end) {
            debug_assert!(sample.prior_delivered <= self.rate.delivered());
            self.round_end = self.rate.delivered();
            self.reorder.on_round();
        }
    }

    /// Probe time-out, without backing off.
    #[must_use]
    pub fn pto(&self) -> Duration {
        self.rtt.pto()
    }

    /// When [`Self::on_timeout`] has to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        let probe = || self.last_sent + self.pto() * (1 << self.pto_count.min(BACKOFF_MAX));
        self.loss_at.or_else(|| (!self.ledger.is_empty()).then(probe))
    }

    /// Finds packets lost, or owes a probe.
    pub fn on_timeout(&mut self, now: Time, out: &mut Outcome<T>) {
        if self.loss_at.is_some() {
            self.detect(now, out);
            self.sum_up(out);
        } else if !self.ledger.is_empty() {
            self.pto_count += 1;
            self.probes = 1;
        }
    }

    /// Whether a packet has to leave to find out what became of others (RFC 8985 section 7).
    #[must_use]
    pub const fn owes_probe(&self) -> bool {
        self.probes > 0
    }

    /// Probe time-outs in a row.
    #[must_use]
    pub const fn backoff(&self) -> u32 {
        self.pto_count
    }

    /// Packets under way, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Sent<T>)> {
        self.ledger.iter()
    }

    /// Gives up everything that is under way, without a verdict on the path.
    pub fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        (self.in_flight, self.loss_at, self.probes) = (0, None, 0);
        self.ledger.take_all().map(|sent| sent.payload)
    }

    /// The path has become another one: what was measured is void, what is under way stays.
    pub fn restart(&mut self, initial_rtt: Duration, ack_delay_max: Duration) {
        self.rtt = Rtt::new(initial_rtt, ack_delay_max);
        self.reorder = ReorderWindow::default();
        (self.newest, self.pto_count) = (None, 0);
    }
}

/// Takes those of a range out that are meant.
fn extract(
    given_up: &mut VecDeque<GivenUp>,
    range: std::ops::Range<usize>,
    is_meant: impl Fn(&GivenUp) -> bool,
) -> Vec<GivenUp> {
    if range.is_empty() {
        return Vec::new();
    }
    let meant = given_up.range(range.clone()).copied().filter(&is_meant).collect();
    let mut at = 0..;
    given_up.retain(|given| !at.next().is_some_and(|at| range.contains(&at) && is_meant(given)));
    meant
}
