//! When a repair is worth its bytes, and over which packets.
//!
//! In low-latency mode packets are gathered into flights. A flight that needs few repairs for its size is covered as soon as the sender has
//! nothing else to send, and so is one that follows a pause; a small one in a steady flow waits for company until its deadline, a quarter of
//! the round trip after its first packet: the larger it is, the smaller the share that it needs. Repairs keep the learned length of a burst
//! away from what they cover, in packets and in time, as far as the deadline allows. In bandwidth mode only runs of retransmissions and the
//! last packets of a flight are covered.
//!
//! Repairs go only into room that would stay idle, and never above a share of the content: each byte of content buys that much credit.

mod flight;
mod terms;
#[cfg(test)]
mod tests;

use super::{Keep, loss::Loss, residual::Gilbert};
use crate::proto::Time;
use flight::{Flight, Plan};
use std::{collections::VecDeque, time::Duration};
pub use terms::{Class, Config, Counters, Fate, Mode, Order};

/// Packets of a flight at most; more begin another.
const FLIGHT_MAX: usize = 64;
/// Flights that wait for their repairs at most; the oldest leave first.
const FLIGHTS_MAX: usize = 64;
/// Packets to which more company would add little.
const ENOUGH_PACKETS: usize = 32;
/// Repairs of a flight at most.
const REPAIRS_MAX: usize = 64;
/// Last packets of a flight that are covered in bandwidth mode.
const TAIL_PACKETS: usize = 16;
/// A flight for which one repair in so many packets is enough does not wait for more.
const EARLY_PACKETS: usize = 4;
/// Bytes of a repair beyond the longest payload that it covers: header, length, tag and the packet's own header.
const REPAIR_BYTES: usize = 48;
/// Credit that a path begins with, and that it may save, in bytes.
const CREDIT_START: f64 = 6_000.0;
const CREDIT_MAX: f64 = 60_000.0;
/// Round trip assumed before the first measurement.
const RTT_START: Duration = Duration::from_millis(100);

/// Plans the repairs of a path.
#[derive(Debug)]
pub struct Planner {
    config: Config,
    loss: Loss,
    rtt: Duration,
    credit: f64,
    /// When content was sent last.
    content: Option<Time>,
    /// The last is open unless it has a plan.
    flights: VecDeque<Flight>,
    seed: u16,
    counters: Counters,
}

impl Planner {
    /// A planner for a new path.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let (loss, flights, counters) = (Loss::default(), VecDeque::new(), Counters::default());
        Self { config, loss, rtt: RTT_START, credit: CREDIT_START, content: None, flights, seed: 0, counters }
    }

    /// The same with what an earlier connection learnt of the path's losses.
    #[must_use]
    pub fn with_loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }

    /// What was spent so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// What was learned of the path's losses.
    #[must_use]
    pub const fn loss(&self) -> &Loss {
        &self.loss
    }

    /// The path's smoothed round trip.
    pub const fn on_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// A packet with a payload of so many bytes was sent. Packet numbers rise.
    pub fn on_sent(&mut self, now: Time, pn: u64, bytes: usize, class: Class) {
        self.flights.iter_mut().for_each(|flight| flight.since = flight.since.saturating_add(1));
        match class {
            Class::First => {
                self.counters.content_bytes += bytes as u64;
                self.credit = (self.credit + self.config.share_max * bytes as f64).min(CREDIT_MAX);
                self.join(now, pn, bytes, class);
            }
            Class::Retransmission => self.join(now, pn, bytes, class),
            Class::Repair => {
                self.counters.sent += 1;
                self.counters.sent_bytes += bytes as u64;
                self.credit -= bytes as f64;
            }
            Class::Other => {}
        }
    }

    /// What became of packets, in the order of their numbers: (number, when it was sent, fate). A flight whose outcome is known is no
    /// longer covered: what it lost is sent anew.
    pub fn on_outcomes(&mut self, outcomes: impl IntoIterator<Item = (u64, Time, Fate)>) {
        for (pn, sent, fate) in outcomes {
            self.loss.on_outcome(sent, fate != Fate::Arrived);
            self.counters.used += u64::from(fate == Fate::Recovered);
            while self.flights.front().is_some_and(|flight| flight.last().0 <= pn) {
                self.give_up();
            }
        }
    }

    /// The repair to be sent now, if any; `room` says that nothing else wants to be sent and that congestion control would let it out.
    pub fn poll(&mut self, now: Time, room: bool) -> Option<Order> {
        self.close(now, room);
        let late = self.quarter();
        while self.flights.front().is_some_and(|flight| flight.is_late(now, late)) {
            self.give_up();
        }
        if !room || self.credit <= 0.0 {
            return None;
        }
        let at = self.flights.iter().position(|flight| flight.due().is_some_and(|due| due <= now))?;
        let flight = &mut self.flights[at];
        let (pns, keep) = (flight.packets[0].0..=flight.last().0, Keep::Newest);
        if flight.issue() {
            self.flights.remove(at);
        }
        self.seed = self.seed.wrapping_add(1);
        Some(Order { pns, keep, seed: self.seed })
    }

    /// When to poll next, if nothing is sent before.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        let low_latency = self.config.mode == Mode::LowLatency;
        let open = self
            .flights
            .back()
            .filter(|flight| low_latency && flight.plan.is_none())
            .map(|flight| self.deadline(flight));
        self.flights.iter().filter_map(Flight::due).chain(open).min()
    }

    fn quarter(&self) -> Duration {
        self.rtt / 4
    }

    /// How long the first packet of a flight may wait for its repairs: a quarter of the round trip, or half of it where bursts last so long
    /// that repairs within a quarter would be lost with what they cover.
    fn patience(&self) -> Duration {
        let outlast = self.loss.bursts().time_high * 3 / 2;
        outlast.clamp(self.quarter(), self.rtt / 2)
    }

    /// A little before that is over, so that what it covers is still within it.
    fn deadline(&self, flight: &Flight) -> Time {
        flight.packets[0].1 + self.patience() * 15 / 16
    }

    /// Adds a packet to the open flight, or to a new one if there is none that it may join.
    fn join(&mut self, now: Time, pn: u64, bytes: usize, class: Class) {
        let bandwidth = self.config.mode == Mode::Bandwidth;
        self.close(now, false);
        if bandwidth && self.open().is_some_and(|flight| flight.class != class) {
            self.end_run();
        }
        if self.open().is_none() {
            let alone = self.content.is_none_or(|last| now.since(last) > self.quarter());
            self.flights.push_back(Flight::new(class, alone));
        }
        self.content = Some(now);
        if let Some(flight) = self.flights.back_mut() {
            flight.packets.push_back((pn, now, bytes));
            flight.since = 0;
            if bandwidth && class == Class::First && flight.packets.len() > TAIL_PACKETS {
                flight.packets.pop_front();
            }
        }
        while self.flights.len() > FLIGHTS_MAX {
            self.give_up();
        }
    }

    fn open(&self) -> Option<&Flight> {
        self.flights.back().filter(|flight| flight.plan.is_none())
    }

    /// In bandwidth mode another class begins: retransmissions are covered now, first transmissions before them were no tail.
    fn end_run(&mut self) {
        match self.open().map(|flight| flight.class) {
            Some(Class::Retransmission) => self.plan(),
            Some(_) => _ = self.flights.pop_back(),
            None => {}
        }
    }

    /// Closes the open flight if it is full, has waited long enough, or need not wait.
    fn close(&mut self, now: Time, idle: bool) {
        let Some(flight) = self.open() else { return };
        let full = flight.packets.len() >= FLIGHT_MAX;
        let enough = flight.alone || flight.packets.len() >= ENOUGH_PACKETS;
        let close = match self.config.mode {
            Mode::Bandwidth => idle || full,
            Mode::LowLatency => full || self.deadline(flight) <= now || idle && (enough || self.is_cheap()),
        };
        if close {
            self.plan();
        }
    }

    /// Whether a small share of repairs is enough for the open flight as it stands.
    fn is_cheap(&mut self) -> bool {
        let gilbert = self.gilbert();
        let Some(flight) = self.flights.back_mut() else { return false };
        let packets = flight.packets.len();
        if flight.cheap.0 != packets {
            let failures = gilbert.failures(packets, packets / EARLY_PACKETS);
            flight.cheap = (packets, failures.last().is_some_and(|failure| *failure < self.config.target));
        }
        flight.cheap.1
    }

    fn gilbert(&self) -> Gilbert {
        Gilbert::new(self.loss.rate(), self.loss.bursts().packets_mean)
    }

    /// Plans the repairs of the open flight, which is closed thereby.
    fn plan(&mut self) {
        let Some(flight) = self.open() else { return };
        let (packets, (_, last, _)) = (flight.packets.len(), flight.last());
        let longest = flight.packets.iter().map(|(_, _, bytes)| *bytes).max().unwrap_or(0) + REPAIR_BYTES;
        let affordable = (self.credit.max(0.0) / longest as f64).ceil() as usize;
        let bursts = self.loss.bursts();
        let worth = (self.config.share_max * packets as f64).ceil() as usize;
        let repairs = self.gilbert().repairs(packets, affordable.min(REPAIRS_MAX), worth, self.config.target);
        let deadline = self.deadline(flight).max(last);
        let start = (last + bursts.time_high).min(deadline);
        let gap = bursts.time_high.min(deadline.since(start) / repairs.max(1) as u32);
        let plan = Plan { repairs, issued: 0, start, gap, spacing: bursts.packets_high - 1, deadline };
        self.counters.forgone += u64::from(repairs == 0);
        if let Some(flight) = self.flights.back_mut() {
            flight.plan = Some(plan);
        }
        if repairs == 0 {
            self.flights.pop_back();
        }
    }

    fn give_up(&mut self) {
        if let Some(plan) = self.flights.pop_front().and_then(|flight| flight.plan) {
            self.counters.forgone += (plan.repairs - plan.issued) as u64;
        }
    }
}
