//! Flows over a link, one event after another.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use lowland_acnp::proto::Time;

use crate::{
    flow::{Ack, Flow, SIZE},
    link::{Link, Path},
};

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Packet(u64, usize),
    Ack(usize),
    AckTimer,
    Timer,
}

/// What a run came to.
pub(crate) struct Summary {
    /// Goodput of each flow between its start (or `from`) and the end, to the rate.
    pub(crate) shares: Vec<f64>,
    /// Bytes sent to bytes delivered once.
    pub(crate) overhead: f64,
    pub(crate) p95: Duration,
    pub(crate) lost: f64,
    pub(crate) spurious: u64,
    pub(crate) states: Vec<&'static str>,
}

impl Summary {
    pub(crate) fn share(&self) -> f64 {
        self.shares.iter().sum()
    }

    /// Jain's index: 1 if all have the same.
    pub(crate) fn jain(&self) -> f64 {
        let squares: f64 = self.shares.iter().map(|share| share * share).sum();
        self.share().powi(2) / squares / self.shares.len() as f64
    }
}

/// Runs until all flows are done or the time is up; shares count from `from` on.
pub(crate) fn run(path: Path, mut flows: Vec<Flow>, seed: u64, from: Time, until: Time) -> Summary {
    let mut link = Link::new(path, seed);
    let mut heap = BinaryHeap::new();
    let mut acks: Vec<Option<Ack>> = Vec::new();
    let mut order = 0;
    let mut at_from = vec![None; flows.len()];
    let mut push = |heap: &mut BinaryHeap<_>, at: Time, flow: usize, event: Event| {
        order += 1;
        heap.push(Reverse((at, order, flow, event)));
    };
    (0..flows.len()).for_each(|at| push(&mut heap, Time::ZERO, at, Event::Timer));
    let mut end = until;
    let trace = std::env::var_os("TRACE").is_some();
    let mut traced = 0;
    while let Some(Reverse((now, _, at, event))) = heap.pop() {
        if now >= until {
            break;
        }
        let flow = &mut flows[at];
        if now >= from && at_from[at].is_none() {
            at_from[at] = Some((now, flow.receiver.unique));
        }
        match event {
            Event::Packet(number, chunk) => {
                flow.receiver.on_packet(now, number, chunk);
                push(&mut heap, flow.receiver.ack_at.expect("it is set").max(now), at, Event::AckTimer);
                if flows.iter().all(Flow::is_done) {
                    end = now;
                    break;
                }
                continue;
            }
            Event::AckTimer => {
                if flow.receiver.ack_at.is_some_and(|due| due <= now) {
                    acks.push(Some(flow.receiver.ack(now)));
                    if !link.loses() {
                        push(&mut heap, now + path.rtt / 2, at, Event::Ack(acks.len() - 1));
                    }
                }
                continue;
            }
            Event::Ack(ack) => flow.on_ack(now, acks[ack].take().expect("it comes once")),
            Event::Timer if flow.timer.is_none_or(|timer| timer <= now) => flow.timer = None,
            Event::Timer => continue,
        }
        flow.on_timeout(now);
        let (arrivals, wake) = flow.pump(now, &mut link);
        for (arrival, number, chunk) in arrivals {
            push(&mut heap, arrival.max(now), at, Event::Packet(number, chunk));
        }
        if let Some(wake) = wake
            && flow.timer.is_none_or(|timer| wake < timer)
        {
            flow.timer = Some(wake);
            push(&mut heap, wake, at, Event::Timer);
        }
        if trace && now.as_nanos() / 100_000_000 > traced {
            traced = now.as_nanos() / 100_000_000;
            let states: Vec<String> = flows
                .iter()
                .map(|flow| {
                    let mbit = flow.controller.pacing_rate().unwrap_or(0) as f64 / 125_000.0;
                    let (window, flight) =
                        (flow.controller.window() / 1200, flow.recovery.in_flight() / 1200);
                    let rtt = flow.recovery.rtt().smoothed().as_millis();
                    let (reorder, lost) = (flow.recovery.reorder_window().as_millis(), flow.lost);
                    let state = flow.controller.state();
                    format!("{state} {mbit:.1}M w{window} f{flight} rtt{rtt} reo{reorder} lost{lost}")
                })
                .collect();
            println!("{:.1}s {} drop{}", traced as f64 / 10.0, states.join(" | "), link.dropped);
        }
    }
    summarize(&link, &flows, &at_from, end)
}

fn summarize(link: &Link, flows: &[Flow], at_from: &[Option<(Time, u64)>], end: Time) -> Summary {
    let share = |(flow, from): (&Flow, &Option<(Time, u64)>)| {
        let (from, unique) = from.unwrap_or((flow.start, 0));
        let bits = (flow.receiver.unique - unique) * SIZE * 8;
        bits as f64 / end.since(from).as_secs_f64() / link.path.bits as f64
    };
    let sum = |of: fn(&Flow) -> u64| flows.iter().map(of).sum::<u64>();
    let sent = sum(|flow| flow.sent) as f64;
    Summary {
        shares: flows.iter().zip(at_from).map(share).collect(),
        overhead: sent / (sum(|flow| flow.receiver.unique) * SIZE) as f64,
        p95: link.p95(),
        lost: (sum(|flow| flow.lost) - sum(|flow| flow.spurious)) as f64 * SIZE as f64 / sent,
        spurious: sum(|flow| flow.spurious),
        states: flows.iter().map(|flow| flow.controller.state()).collect(),
    }
}
