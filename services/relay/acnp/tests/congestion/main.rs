//! Loss detection, controllers and pacing over a simulated bottleneck: what they get out of it, and what they do to others.

mod flow;
mod link;
mod sim;

use std::time::Duration;

use flow::Flow;
use link::{Bursts, Path};
use lowland_acnp::proto::{
    Time,
    congestion::{Controller, Cubic, LOSS_CEILING, Model},
};
use sim::{Summary, run};

const BULK: u64 = 75_000_000;
const MINUTE: Time = Time::from_nanos(60_000_000_000);

/// Set to anything, every case runs with all seeds and full lengths; that takes minutes without optimisation.
const FULL_VARIABLE: &str = "LOWLAND_ACNP_FULL";

fn is_full() -> bool {
    std::env::var_os(FULL_VARIABLE).is_some()
}

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
    Box::new(Model::high_bandwidth(ms(100), LOSS_CEILING))
}

fn low() -> Box<dyn Controller> {
    Box::new(Model::low_latency(ms(100), None))
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

/// A bulk transfer alone, over several seeds.
fn bulk(name: &str, path: Path, controller: fn() -> Box<dyn Controller>) -> Vec<Summary> {
    let run = |seed| {
        let summary = run(path, vec![Flow::new(controller(), BULK, Time::ZERO)], seed, Time::ZERO, MINUTE);
        print(name, &summary);
        summary
    };
    (1..=if is_full() { 3 } else { 1 }).map(run).collect()
}

/// What falls short of what is asked.
fn failures(name: &str, path: Path, share: f64, loss: f64) -> Vec<String> {
    let all = bulk(name, path, high);
    let asked = all.iter().flat_map(|summary| {
        let (got, overhead) = (summary.share(), summary.overhead);
        [
            (got >= share, format!("{name}: {got:.3} of the rate")),
            (overhead <= 1.15 / (1.0 - loss), format!("{name}: {overhead:.3} times as much sent")),
            (summary.p95 <= path.rtt / 4 + ms(3), format!("{name}: queueing {:?}", summary.p95)),
        ]
    });
    asked.filter(|(holds, _)| !holds).map(|(_, what)| what).collect()
}

#[test]
fn bulk_fills_long_and_lossy_paths() {
    let bursts = Some(Bursts { begin: 0.002, end: 0.2 });
    let cases = [
        ("100 Mbit/s 180 ms 1 %", path(100, 180, 0.01), 0.80, 0.01),
        ("100 Mbit/s 200 ms 5 %", path(100, 200, 0.05), 0.72, 0.05),
        ("100 Mbit/s 150±20 ms 0.5 %", Path { jitter: ms(20), ..path(100, 150, 0.005) }, 0.70, 0.005),
        ("100 Mbit/s 150 ms", path(100, 150, 0.0), 0.87, 0.0),
        ("200 Mbit/s 10 ms 0.1 %", path(200, 10, 0.001), 0.94, 0.001),
        ("100 Mbit/s 100 ms 10 %", path(100, 100, 0.10), 0.70, 0.10),
        // Not named anywhere, so that nothing is tuned to the ones above alone.
        (
            "100 Mbit/s 180 ms 1 % before the queue",
            Path { loss_before: true, ..path(100, 180, 0.01) },
            0.80,
            0.01,
        ),
        ("100 Mbit/s 120 ms bursts of 5, 1 %", Path { bursts, ..path(100, 120, 0.0) }, 0.80, 0.01),
        ("50 Mbit/s 80 ms, queue of 1/8", Path { queue: 0.125, ..path(50, 80, 0.0) }, 0.85, 0.0),
        ("20 Mbit/s 40 ms 2 %, queue of 3", Path { queue: 3.0, ..path(20, 40, 0.02) }, 0.85, 0.02),
        ("100 Mbit/s 60 ms 3 %, queue of 1/4", Path { queue: 0.25, ..path(100, 60, 0.03) }, 0.80, 0.03),
    ];
    let only = std::env::var("CASE").ok();
    let chosen = cases.into_iter().filter(|case| only.as_ref().is_none_or(|only| case.0.contains(only)));
    let failures: Vec<String> =
        chosen.flat_map(|(name, path, share, loss)| failures(name, path, share, loss)).collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Flows that start one after another, counted from ten seconds on.
fn together(name: &str, path: Path, controllers: &[fn() -> Box<dyn Controller>]) -> Summary {
    let start = |at: usize| Time::ZERO + ms(500) * u32::try_from(at).expect("they are few");
    let flows = controllers
        .iter()
        .enumerate()
        .map(|(at, new)| Flow::new(new(), u64::MAX / 1000, start(at)))
        .collect();
    let summary = run(path, flows, 7, Time::ZERO + ms(10_000), MINUTE);
    print(name, &summary);
    summary
}

#[test]
fn flows_share() {
    let four = together("100 Mbit/s 50 ms, four", path(100, 50, 0.0), &[high, high, high, high]);
    let lossy = together("100 Mbit/s 50 ms 1 %, four", path(100, 50, 0.01), &[high, high, high, high]);
    let fat = together("400 Mbit/s 100 ms, three", path(400, 100, 0.0), &[high, high, high]);
    let beside = together("50 Mbit/s 50 ms, with cubic", path(50, 50, 0.0), &[high, cubic]);
    let later = together("50 Mbit/s 50 ms, after cubic", path(50, 50, 0.0), &[cubic, high]);
    let deep = Path { queue: 2.0, ..path(50, 50, 0.0) };
    together("50 Mbit/s 50 ms, queue of 2, with cubic", deep, &[high, cubic]);
    together("50 Mbit/s 50 ms, cubics", path(50, 50, 0.0), &[cubic, cubic]);
    assert!(fat.share() >= 0.85);
    for summary in [four, lossy, beside, later] {
        assert!(summary.jain() >= 0.9 && summary.share() >= 0.85);
    }
}

#[test]
fn messages_keep_the_queue_short() {
    for summary in bulk("low latency: 50 Mbit/s 80 ms 2 %", path(50, 80, 0.02), low) {
        assert!(summary.p95 <= ms(20) && summary.share() >= 0.7, "{:?} {}", summary.p95, summary.share());
    }
}

#[test]
fn loss_above_the_ceiling_is_yielded_to() {
    let flow = || vec![Flow::new(high(), u64::MAX / 1000, Time::ZERO)];
    let until = Time::ZERO + ms(20_000);
    let summary = run(path(50, 50, 0.4), flow(), 1, Time::ZERO + ms(5000), until);
    print("50 Mbit/s 50 ms 40 %", &summary);
    assert!(summary.share() < 0.1, "{}", summary.share());
    assert!(summary.share() > 0.0001, "it goes on");
}
