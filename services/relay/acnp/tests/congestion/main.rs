//! Loss detection, controllers and pacing over a simulated bottleneck: what they get out of it, and what they do to others.

mod flow;
mod link;
mod sim;

use std::time::Duration;

use flow::Flow;
use link::Path;
use lowland_acnp::proto::{
    Time,
    congestion::{Controller, Cubic, HighBandwidth, LOSS_CEILING, LowLatency},
};
use sim::{Summary, run};

const BULK: u64 = 75_000_000;
const MINUTE: Time = Time::from_nanos(60_000_000_000);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn path(mbit: u64, rtt: u64, loss: f64) -> Path {
    Path {
        bits: mbit * 1_000_000,
        rtt: ms(rtt),
        jitter: Duration::ZERO,
        loss,
        bursts: None,
        queue: 1.0,
        loss_before: false,
    }
}

fn high() -> Box<dyn Controller> {
    Box::new(HighBandwidth::new(ms(100), LOSS_CEILING))
}

fn low() -> Box<dyn Controller> {
    Box::new(LowLatency::new(ms(100), None))
}

fn cubic() -> Box<dyn Controller> {
    Box::new(Cubic::default())
}

fn print(name: &str, summary: &Summary) {
    println!(
        "{name:44} {:5.1} % sent {:.3} p95 {:5.1} ms lost {:5.2} % spurious {:4} Jain {:.3} {:?} {:.3?}",
        summary.share() * 100.0,
        summary.overhead,
        summary.p95.as_secs_f64() * 1000.0,
        summary.lost * 100.0,
        summary.spurious,
        summary.jain(),
        summary.states,
        summary.shares,
    );
}

/// A bulk transfer alone, over several seeds; the worst.
fn bulk(name: &str, path: Path, controller: fn() -> Box<dyn Controller>) -> Summary {
    let summaries = (1..=3).map(|seed| {
        let flows = vec![Flow::new(controller(), BULK, Time::ZERO)];
        let summary = run(path, flows, seed, Time::ZERO, MINUTE);
        print(name, &summary);
        summary
    });
    summaries.min_by(|a, b| a.share().total_cmp(&b.share())).expect("there are some")
}

fn check(name: &str, path: Path, share: f64, loss: f64) {
    let summary = bulk(name, path, high);
    assert!(summary.share() >= share, "{name}: {:.3}", summary.share());
    assert!(summary.overhead <= 1.15 / (1.0 - loss), "{name}: {:.3} times as much sent", summary.overhead);
    assert!(summary.p95 <= path.rtt / 4, "{name}: queueing {:?}", summary.p95);
}

#[test]
fn bulk_fills_long_and_lossy_paths() {
    check("100 Mbit/s 180 ms 1 %", path(100, 180, 0.01), 0.80, 0.01);
    check("100 Mbit/s 200 ms 5 %", path(100, 200, 0.05), 0.72, 0.05);
    check("100 Mbit/s 150±20 ms 0.5 %", Path { jitter: ms(20), ..path(100, 150, 0.005) }, 0.70, 0.005);
    check("100 Mbit/s 150 ms", path(100, 150, 0.0), 0.87, 0.0);
    check("200 Mbit/s 10 ms 0.1 %", path(200, 10, 0.001), 0.94, 0.001);
    check("100 Mbit/s 100 ms 10 %", path(100, 100, 0.10), 0.70, 0.10);
}
