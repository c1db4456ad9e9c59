//! Congestion control by a model of the path: how fast it delivers, and how long its own round trip is (after BBR: Cardwell and others,
//! ACM Queue 2016, and draft-ietf-ccwg-bbr). What differs: loss is held against a floor learnt while the queue is empty, rates make up
//! for that floor, and a queue that stands is drained by whoever sees it.

use std::time::Duration;

use super::{
    AckSample, Controller, DATAGRAM, Estimate, LossSample, WINDOW_MIN,
    base_rtt::BaseRtt,
    bytes_in,
    loss_floor::LossFloor,
    rate_of,
    recent::Recent,
    round::{Report, Rounds},
    scale,
    style::Style,
};
use crate::proto::{
    Time,
    recovery::{Spurious, Windowed},
};

/// Rate at the start, to the measured: twice as much in each round gets through (4 ln 2).
const START_GAIN: f64 = 2.77;
/// Bytes under way at the start, in products of rate and round trip: no more than it takes to double.
const START_WINDOW: f64 = 2.0;
/// Rounds in which the rate is no less than was assumed; the window bounds what comes of it.
const FIRST_ROUNDS: u64 = 2;
/// Growth in a round below which the path may be full.
const START_GROWTH: f64 = 1.25;
/// Rounds without growth after which it is.
const START_ROUNDS: u32 = 3;
/// Rate at which the queue of the start is drained.
const DRAIN_GAIN: f64 = 0.15;
/// Rate at which the queue of a probe is drained.
const DOWN_GAIN: f64 = 0.75;
/// Rate at which a queue is drained that others fill too.
const YIELD_GAIN: f64 = 0.8;
/// Growth by which a probe found so much that another follows at once.
const FOUND: f64 = 1.15;
/// Fraction of the round trip that a queue takes when it ends the start.
const START_DIVISOR: u32 = 16;
/// The shortest queue that is told from noise.
const QUEUE_SEEN: Duration = Duration::from_millis(2);
/// Share of a queue that is drained in a round without haste.
const EASE: f64 = 0.25;
/// Bytes under way at which a flow among others probes as it would alone.
const EVEN: f64 = 300.0 * DATAGRAM as f64;
/// Rounds between probes, at least, and as many more by chance.
const CRUISE_ROUNDS: u64 = 5;
const CRUISE_CHANCE: u64 = 3;
/// Rounds for which the greatest delivery rate is believed.
const RATE_ROUNDS: u64 = 10;
/// Rounds of yielding in vain after which the queue must be another's.
const CROWDED_ROUNDS: u32 = 5;
/// The same, when there was another before.
const CROWDED_AGAIN: u32 = 3;
/// Rounds without a queue after which the other must be gone.
const FREE_ROUNDS: u32 = 3;
/// Rounds after the start in which its losses come to light.
const START_LOSSES: u64 = 3;
/// Least share of the rate that is left after a round of excessive loss.
const CUT: f64 = 0.7;
/// Loss that chance may add to a floor of none.
const LOSS_MARGIN: f64 = 0.02;
/// Packets that have to be missing before a share of loss means anything.
const LOST_MIN: u64 = 8 * DATAGRAM;
/// How long the path is kept nearly empty to see its own round trip.
const EMPTY_TIME: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Looks for the path's rate, doubling.
    Start,
    /// Empties the queue that this made.
    Drain,
    /// Looks whether more is to be had.
    Up,
    /// Empties the queue that this made.
    Down,
    /// Sends what gets through.
    Cruise,
    /// Keeps the path nearly empty to see its round trip.
    Empty,
}

/// Control by a model of the path, and what it is doing: [`Self::low_latency`] or [`Self::high_bandwidth`].
#[derive(Debug, Clone)]
pub struct Model {
    style: Style,
    initial_window: u64,
    initial_rate: u64,
    phase: Phase,
    since: Time,
    cruise_until: u64,
    rate: Windowed<u64>,
    base: BaseRtt,
    rounds: Rounds,
    recent: Recent,
    floor: LossFloor,
    /// Less than the greatest rate, by what was seen last; and the round in which loss was the reason.
    short: Option<u64>,
    cut_in: Option<u64>,
    /// The greatest rate of the start, and rounds since it grew.
    full: (u64, u32),
    /// Rounds in a row with a standing queue.
    crowded: u32,
    /// Rounds in a row without one.
    free: u32,
    competing: bool,
    /// Others were seen since the last probe.
    shares: bool,
    met: bool,
    /// It was another's queue before.
    competed: bool,
    /// First round whose losses are not the start's.
    cut_from: u64,
    /// The rate before the last probe.
    before_probe: u64,
    /// First round that lies wholly within this phase.
    judge_from: u64,
}

impl Controller for Model {
    fn window(&self) -> u64 {
        if self.rate.current().is_none() {
            return self.initial_window;
        }
        let product = self.product();
        let window = match self.phase {
            Phase::Start => scale(product, START_WINDOW / (1.0 - self.floor.get())).max(self.initial_window),
            Phase::Empty => product / 2,
            _ => scale(product, self.style.window_gain) + 3 * DATAGRAM,
        };
        window.max(WINDOW_MIN)
    }

    fn pacing_rate(&self) -> Option<u64> {
        let Some(rate) = self.delivering() else { return Some(self.initial_rate) };
        // The first ACKs have seen too little to tell a rate from.
        let least = if self.rounds.number() < FIRST_ROUNDS { self.initial_rate } else { DATAGRAM };
        // What is lost anyway is sent on top.
        Some(scale(rate, self.gain() / (1.0 - self.floor.get())).max(least))
    }

    /// Nothing before either was measured.
    fn estimate(&self) -> Option<Estimate> {
        self.delivering().map(|rate| Estimate { rate, rtt: self.base.get() })
    }

    fn state(&self) -> &'static str {
        match (self.phase, self.competing) {
            (Phase::Start, _) => "start",
            (Phase::Drain, _) => "drain",
            (Phase::Up, _) => "probe_up",
            (Phase::Down, _) => "probe_down",
            (Phase::Cruise, false) => "cruise",
            (Phase::Cruise, true) => "compete",
            (Phase::Empty, _) => "probe_rtt",
        }
    }

    fn on_sent(&mut self, now: Time, bytes: u64, _in_flight: u64) {
        self.floor.on_sent(now, bytes);
    }

    fn on_loss(&mut self, loss: &LossSample) {
        self.floor.on_lost(loss.newest_sent, loss.bytes);
    }

    fn on_spurious(&mut self, _now: Time, spurious: &Spurious) {
        self.floor.on_spurious(spurious.sent_at, u64::from(spurious.size));
        // A cut was for nothing.
        if self.cut_in.take().is_some_and(|round| round + 2 >= self.rounds.number()) {
            self.short = None;
        }
    }

    /// Begins anew from what little is certain.
    fn on_persistent(&mut self, now: Time) {
        self.rate = Windowed::new(RATE_ROUNDS);
        self.initial_rate = self.initial_rate.min(super::WINDOW_INITIAL * 10);
        self.initial_window = self.initial_window.min(super::WINDOW_INITIAL);
        (self.short, self.full, self.crowded) = (None, (0, 0), 0);
        self.enter(now, Phase::Start);
    }

    fn on_ack(&mut self, ack: &AckSample) {
        if let Some(rtt) = ack.rtt {
            self.base.sample(ack.now, rtt);
            self.recent.sample(rtt);
        }
        let report = self.rounds.on_ack(ack);
        if let Some(sample) = ack.rate
            && (!sample.app_limited || self.rate.current().is_none_or(|rate| sample.rate >= rate))
        {
            self.rate.update(self.rounds.number(), sample.rate);
        }
        if ack.ce > 0 {
            self.cut(ack.now, scale(self.delivering().unwrap_or(self.initial_rate), 0.85));
        }
        if let Some(report) = report {
            self.on_round(ack.now, &report);
        }
        self.step(ack);
    }
}

impl Model {
    pub(super) fn new(style: Style, initial_window: u64, initial_rate: u64, rtt: Duration) -> Self {
        Self {
            style,
            initial_window,
            initial_rate,
            phase: Phase::Start,
            since: Time::ZERO,
            cruise_until: 0,
            rate: Windowed::new(RATE_ROUNDS),
            base: BaseRtt::guess(rtt),
            rounds: Rounds::default(),
            recent: Recent::default(),
            floor: LossFloor::default(),
            before_probe: 0,
            judge_from: 0,
            short: None,
            cut_in: None,
            full: (0, 0),
            crowded: 0,
            free: 0,
            competing: false,
            shares: false,
            met: false,
            competed: false,
            cut_from: 0,
        }
    }

    /// Bytes a second that get through.
    fn delivering(&self) -> Option<u64> {
        let rate = self.rate.current()?;
        Some(self.short.map_or(rate, |short| short.min(rate)))
    }

    /// Bytes that fill the path without a queue.
    fn product(&self) -> u64 {
        self.delivering().map_or(self.initial_window, |rate| bytes_in(rate, self.base.get()))
    }

    fn gain(&self) -> f64 {
        match self.phase {
            Phase::Start => START_GAIN,
            Phase::Drain => DRAIN_GAIN,
            Phase::Up => self.probe_gain(),
            Phase::Down => DOWN_GAIN,
            Phase::Cruise if self.crowded > 0 && !self.competing => YIELD_GAIN,
            Phase::Cruise if !self.competing => self.ease(),
            Phase::Cruise | Phase::Empty => 1.0,
        }
    }

    /// Among others, who has little probes for relatively more than who has much, so that shares even out.
    fn probe_gain(&self) -> f64 {
        let gain = self.style.probe_gain;
        if !self.shares || self.competing {
            return gain;
        }
        let even = (EVEN / self.product().max(1) as f64).sqrt();
        1.0 + (gain - 1.0) * even.clamp(0.25, 2.5)
    }

    /// Rates are the greatest of several and a little too great: what queue creeps up drains in a few rounds.
    fn ease(&self) -> f64 {
        let base = self.base.get();
        let queue = self.recent.queue(base).unwrap_or_default();
        let share = queue.as_secs_f64() / base.as_secs_f64().max(1e-6);
        (1.0 - share * EASE).max(YIELD_GAIN)
    }

    /// Queueing all through a round.
    fn queue(&self, report: &Report) -> Duration {
        report.min_rtt.map_or(Duration::ZERO, |rtt| rtt.saturating_sub(self.base.get()))
    }

    fn on_round(&mut self, now: Time, report: &Report) {
        let counts = report.lost >= LOST_MIN;
        if counts && report.loss() > self.style.loss_ceiling {
            return self.stop(now, report);
        }
        let queue = self.queue(report);
        if self.phase == Phase::Start {
            return self.on_start_round(now, report, queue);
        }
        let raised = queue > self.base.get() / 16 + Duration::from_millis(1);
        let in_vain =
            self.phase == Phase::Up && !report.app_limited && report.rate < self.rate.current().unwrap_or(0);
        let counts = counts && self.rounds.number() >= self.cut_from;
        if counts && self.floor.is_exceeded_by(report.loss(), LOSS_MARGIN) && (raised || in_vain) {
            self.cut(now, self.shown(report));
        }
        if self.phase == Phase::Cruise && self.rounds.number() >= self.judge_from {
            self.on_cruise_round(report, queue);
        }
    }

    fn on_start_round(&mut self, now: Time, report: &Report, queue: Duration) {
        let rate = self.rate.current().unwrap_or(0);
        let grew = rate >= scale(self.full.0, START_GROWTH);
        if grew {
            self.full = (rate, 0);
            if queue < self.base.get() / 16 {
                self.floor.on_free_round(report.delivered, report.lost);
            }
        } else if !report.app_limited {
            self.full.1 += 1;
        }
        let queued = queue > self.style.queue(self.base.get()) && !grew;
        if self.full.1 >= START_ROUNDS || queued || queue > self.base.get() / 2 {
            self.enter(now, Phase::Drain);
        }
    }

    fn on_cruise_round(&mut self, report: &Report, queue: Duration) {
        if queue <= self.style.queue(self.base.get()) {
            self.crowded = 0;
            self.free += 1;
            self.competing &= self.free < FREE_ROUNDS;
            return;
        }
        self.met = true;
        (self.crowded, self.free) = (self.crowded + 1, 0);
        let patience = if self.competed { CROWDED_AGAIN } else { CROWDED_ROUNDS };
        self.competing |= self.style.competes && self.crowded > patience;
        self.competed |= self.competing;
        if !self.competing && !report.app_limited {
            // While a queue stands, what arrives is this flow's share.
            self.short = Some(self.short.map_or(report.rate, |short| short.min(report.rate)));
        }
    }

    /// The rate that a round has shown the path not to exceed: none, if there was too little to send.
    fn shown(&self, report: &Report) -> u64 {
        if report.app_limited { self.delivering().unwrap_or(report.rate) } else { report.rate }
    }

    /// More was lost than the path loses by itself.
    fn cut(&mut self, now: Time, to: u64) {
        let rate = self.delivering().unwrap_or(self.initial_rate);
        self.short = Some(to.max(scale(rate, CUT)));
        self.cut_in = Some(self.rounds.number());
        if self.phase == Phase::Up {
            self.enter(now, Phase::Down);
        }
    }

    /// So much is lost that the rate has to fall whatever the reason.
    fn stop(&mut self, now: Time, report: &Report) {
        let rate = self.delivering().unwrap_or(self.initial_rate).min(self.shown(report)) / 2;
        // The least window may always be under way: less than it in a round trip would be slower for nothing.
        let rate = rate.max(rate_of(WINDOW_MIN, self.base.get()));
        self.rate.reset(self.rounds.number(), rate);
        self.short = None;
        self.enter(now, Phase::Cruise);
    }

    fn step(&mut self, ack: &AckSample) {
        let (now, base) = (ack.now, self.base.get());
        let elapsed = now.since(self.since);
        let drained = ack.in_flight <= self.product();
        match self.phase {
            Phase::Start if self.is_queueing(START_DIVISOR) => self.enter(now, Phase::Drain),
            Phase::Drain if drained || elapsed > base * 3 => self.enter(now, Phase::Cruise),
            Phase::Up if elapsed >= base => self.enter(now, Phase::Down),
            Phase::Down if elapsed >= base && (drained || elapsed >= base * 2) => {
                let found = self.rate.current().unwrap_or(0) >= scale(self.before_probe, FOUND);
                let free = !self.is_queueing(self.style.queue_divisor);
                self.enter(now, if found && free { Phase::Up } else { Phase::Cruise });
            }
            Phase::Cruise if self.base.is_stale(now) => self.enter(now, Phase::Empty),
            // Who sees a queue does not add to it.
            Phase::Cruise if self.crowded > 0 && !self.competing => {}
            Phase::Cruise if self.rounds.number() >= self.cruise_until => self.enter(now, Phase::Up),
            Phase::Empty if elapsed >= EMPTY_TIME.max(ack.smoothed * 2) => {
                self.competed &= self.is_queueing(self.style.queue_divisor);
                self.base.end_probe(now);
                (self.competing, self.crowded) = (false, 0);
                self.enter(now, Phase::Up);
            }
            _ => {}
        }
    }

    /// Whether a queue stands just now.
    fn is_queueing(&self, divisor: u32) -> bool {
        let base = self.base.get();
        let limit = (base / divisor).max(QUEUE_SEEN);
        self.recent.queue(base).is_some_and(|queue| queue > limit)
    }

    fn enter(&mut self, now: Time, phase: Phase) {
        if self.phase == Phase::Start {
            self.cut_from = self.rounds.number() + START_LOSSES;
        }
        if self.phase == Phase::Down {
            self.floor.end(now);
        }
        match phase {
            Phase::Down => self.floor.begin(now),
            Phase::Empty => self.base.start_probe(),
            // The clock's low digits keep flows from probing in step.
            Phase::Cruise => {
                let chance = now.as_nanos() / 1000 % (CRUISE_CHANCE + 1);
                self.cruise_until = self.rounds.number() + CRUISE_ROUNDS + chance;
            }
            Phase::Up => {
                if self.crowded == 0 || self.competing {
                    self.short = None;
                }
                self.shares = std::mem::take(&mut self.met);
                self.before_probe = self.delivering().unwrap_or(0);
            }
            Phase::Start | Phase::Drain => {}
        }
        self.judge_from = self.rounds.number() + 2;
        (self.phase, self.since) = (phase, now);
    }
}
