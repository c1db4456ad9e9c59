//! How much of a simulated path bulk gets, and how long calls take. `cargo test --release … -- --nocapture` prints the figures.

mod sim;

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use lowland_acnp::proto::{
    Direction, PathId, StreamId,
    congestion::Mode,
    connection::{Config, Event},
    stream::StreamEvent,
};
use sim::{Link, World, server_config};

/// Bits a second of every path here.
const RATE: u64 = 100_000_000;
/// Bytes of a call's question and answer.
const QUESTION: usize = 1024;

struct Path {
    name: &'static str,
    one_way_ms: u64,
    jitter_ms: u64,
    loss: f64,
    burst: u32,
}

const fn path(name: &'static str, one_way_ms: u64, jitter_ms: u64, loss: f64, burst: u32) -> Path {
    Path { name, one_way_ms, jitter_ms, loss, burst }
}

const PATHS: [Path; 6] = [
    path("180 ms, 1 %", 90, 0, 0.01, 1),
    path("200 ms, 5 %", 100, 0, 0.05, 1),
    path("150+-20 ms, 0.5 %", 65, 20, 0.005, 1),
    path("150 ms", 75, 0, 0.0, 1),
    path("10 ms, 0.1 %", 5, 0, 0.001, 1),
    path("180 ms, 2 % in bursts of 10", 90, 0, 0.02, 10),
];

fn world(path: &Path, mode: Mode, seed: u64) -> World {
    let mut link = Link::new(path.one_way_ms).loss(path.loss);
    link.jitter = Duration::from_millis(path.jitter_ms);
    (link.burst, link.rate) = (path.burst, RATE);
    // A round trip's worth.
    link.queue = (RATE / 8 * 2 * path.one_way_ms.max(10) / 1000).max(64 * 1500);
    let config = Config { congestion: mode, ..Config::default() };
    let mut world = World::with(seed, link, config, server_config());
    world.establish();
    world
}

/// Set to anything, everything runs at full length.
const FULL_VARIABLE: &str = "LOWLAND_ACNP_FULL";

fn is_full() -> bool {
    std::env::var_os(FULL_VARIABLE).is_some()
}

/// Share of the path's capacity that 75 MB (a fifth of it in a short run) from the server get, and bytes sent for each byte of content.
fn bulk(path: &Path, mode: Mode, seed: u64) -> (f64, f64) {
    let mut world = world(path, mode, seed);
    let began = world.ms();
    let stream = world.server.connection().open(Direction::Uni).unwrap();
    let (total, chunk) = (if is_full() { 75_000_000 } else { 15_000_000 }, Bytes::from(vec![5; 1 << 16]));
    let (mut written, mut read) = (0, 0);
    let done = world.run(Duration::from_secs(60), |world| {
        while written < total {
            match world.server.connection().write(stream, chunk.clone()) {
                Ok(len) => written += len,
                Err(_) => break,
            }
        }
        while let Ok(Some(data)) = world.client.connection().read(stream, usize::MAX) {
            read += data.len();
        }
        read >= total
    });
    let seconds = (world.ms() - began) / 1000.0;
    assert!(done, "{}: {read} bytes in {seconds} s", path.name);
    let sent = world.server.connection().path_stats(PathId(0)).unwrap().bytes_sent;
    (read as f64 * 8.0 / RATE as f64 / seconds, sent as f64 / read as f64)
}

/// Latencies of calls at 50 a second, as multiples of the floor, sorted; and bytes sent for each byte of content.
fn calls(path: &Path, mode: Mode, seed: u64, count: usize, answer: usize) -> (Vec<f64>, f64) {
    let mut world = world(path, mode, seed);
    let floor = 2.0 * path.one_way_ms as f64
        + path.jitter_ms as f64
        + (QUESTION + answer) as f64 * 8000.0 / RATE as f64;
    let began = world.ms();
    let (mut open, mut took): (VecDeque<(StreamId, f64, usize)>, _) = (VecDeque::new(), Vec::new());
    let (mut started, mut answered) = (0, 0);
    while took.len() < count {
        assert!(world.ms() - began < 120_000.0, "{}: {} of {count} calls", path.name, took.len());
        if started < count && world.ms() - began >= started as f64 * 20.0 {
            let client = world.client.connection();
            let stream = client.open(Direction::Bi).unwrap();
            client.write(stream, Bytes::from(vec![1; QUESTION])).unwrap();
            client.finish(stream).unwrap();
            open.push_back((stream, world.ms(), 0));
            started += 1;
        }
        let due = (began + started as f64 * 20.0 - world.ms()).max(0.001);
        let wait =
            if started < count { Duration::from_secs_f64(due / 1000.0) } else { Duration::from_secs(1) };
        world.run(wait, |world| {
            let events: Vec<_> = world.server.events.drain(..).collect();
            for (_, event) in events {
                let Event::Stream(StreamEvent::Readable(stream)) = event else { continue };
                let server = world.server.connection();
                while let Ok(Some(_)) = server.read(stream, usize::MAX) {}
                if server.read(stream, 1).is_err()
                    && server.write(stream, Bytes::from(vec![2; answer])).is_ok()
                {
                    let _ = server.finish(stream);
                    answered += 1;
                }
            }
            let now = world.ms();
            let client = world.client.connection();
            open.retain_mut(|(stream, at, got)| {
                while let Ok(Some(data)) = client.read(*stream, usize::MAX) {
                    *got += data.len();
                }
                let over = *got >= answer;
                if over {
                    let _ = client.read(*stream, 1);
                    took.push((now - *at) / floor);
                }
                !over
            });
            took.len() == count
        });
    }
    assert!(answered >= count);
    took.sort_by(f64::total_cmp);
    let sent: u64 = [&mut world.client, &mut world.server]
        .map(|host| host.connection().path_stats(PathId(0)).unwrap().bytes_sent)
        .iter()
        .sum();
    (took, sent as f64 / (count * (QUESTION + answer)) as f64)
}

/// The floors are what must never be lost again, not goals.
#[test]
fn bulk_fills_paths() {
    for path in &PATHS {
        let (share, cost) = bulk(path, Mode::HIGH_BANDWIDTH, 1);
        println!("bulk {:28}: {:.0} % of capacity, {cost:.3} bytes sent a byte", path.name, share * 100.0);
        assert!(share > if is_full() { 0.4 } else { 0.2 }, "{}: {share}", path.name);
    }
}

#[test]
fn calls_come_back() {
    for path in &PATHS {
        for answer in [4096, 65_536] {
            let (took, cost) = calls(path, Mode::LowLatency, 1, if is_full() { 500 } else { 100 }, answer);
            let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
            println!(
                "calls {:28} {answer:6} bytes: p50 {:.2}x p90 {:.2}x p99 {:.2}x max {:.2}x, {cost:.2} bytes sent a byte",
                path.name,
                at(0.5),
                at(0.9),
                at(0.99),
                at(1.0)
            );
            assert!(at(0.5) < 2.5, "{}", path.name);
        }
    }
}
