//! How much of a simulated path bulk gets, and how long calls take. `cargo test --release … -- --nocapture` prints the figures.

mod sim;

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use lowland_acnp::proto::{
    Direction, PathId, StreamId,
    congestion::Mode,
    connection::{Config, Event, Fec, PathStats, Stats},
    fec::loss::Loss,
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

const PATHS: [Path; 7] = [
    path("180 ms, 1 %", 90, 0, 0.01, 1),
    path("200 ms, 5 %", 100, 0, 0.05, 1),
    path("150+-20 ms, 0.5 %", 65, 20, 0.005, 1),
    path("150 ms", 75, 0, 0.0, 1),
    path("10 ms, 0.1 %", 5, 0, 0.001, 1),
    path("180 ms, 2 % in bursts of 10", 90, 0, 0.02, 10),
    path("180 ms, 2 %", 90, 0, 0.02, 1),
];

fn world(path: &Path, config: Config, seed: u64) -> World {
    let mut link = Link::new(path.one_way_ms).loss(path.loss);
    link.jitter = Duration::from_millis(path.jitter_ms);
    (link.burst, link.rate) = (path.burst, RATE);
    // A round trip's worth.
    link.queue = (RATE / 8 * 2 * path.one_way_ms.max(10) / 1000).max(64 * 1500);
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
    let mut world = world(path, Config { congestion: mode, ..Config::default() }, seed);
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

/// Bytes on the wire in both directions, IPv4 and UDP headers included.
fn wire_bytes(world: &mut World) -> u64 {
    [&mut world.client, &mut world.server]
        .map(|host| host.connection().path_stats(PathId(0)).unwrap())
        .iter()
        .map(|stats| stats.bytes_sent + 28 * stats.datagrams_sent)
        .sum()
}

/// How calls fared.
struct Calls {
    /// Latencies as multiples of the floor, sorted.
    took: Vec<f64>,
    /// Bytes on the wire for each byte of content.
    cost: f64,
    /// The client's and the server's counters.
    ends: [(Stats, PathStats); 2],
    /// What the server learnt of the path's losses.
    losses: Option<Loss>,
}

impl Calls {
    fn at(&self, part: f64) -> f64 {
        self.took[((self.took.len() - 1) as f64 * part) as usize]
    }

    fn print(&self, name: &str) {
        let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(|part| self.at(part));
        println!(
            "{name:44}: p50 {p50:.2}x p90 {p90:.2}x p99 {p99:.2}x max {max:.2}x, {:.2} bytes a byte",
            self.cost
        );
        for (stats, path) in &self.ends {
            println!(
                "    {} packets, {} lost, {} recovered by the other end of {} repairs ({} forgone), {} duplicates, {} KB of streams, {} of {} KB/s, {} probes, window {} reorder {:?} loss {}",
                stats.packets_sent,
                stats.packets_lost,
                path.repairs.used,
                path.repairs.sent,
                path.repairs.forgone,
                stats.duplicates,
                stats.stream_bytes_sent / 1000,
                path.congestion,
                path.pacing.unwrap_or(0) / 1000,
                path.probes,
                path.window,
                path.reorder_window,
                path.loss_ppm,
            );
        }
    }
}

/// Latencies of calls at 50 a second, as multiples of the floor, sorted; and bytes sent for each byte of content.
fn calls(path: &Path, config: Config, seed: u64, count: usize, answer: usize) -> Calls {
    let mut world = world(path, config, seed);
    let before = wire_bytes(&mut world);
    let floor = 2.0 * path.one_way_ms as f64
        + path.jitter_ms as f64
        + (QUESTION + answer) as f64 * 8000.0 / RATE as f64;
    let began = world.ms();
    let (mut open, mut took): (VecDeque<(StreamId, f64, usize)>, _) = (VecDeque::new(), Vec::new());
    let (mut started, mut answered) = (0, 0);
    while took.len() < count {
        if world.ms() - began > 120_000.0 {
            let ends = [&mut world.client, &mut world.server]
                .map(|host| (host.connection().stats(), host.connection().path_stats(PathId(0)).unwrap()));
            panic!("{} seed {seed}: {} of {count} calls, {started} begun: {ends:#?}", path.name, took.len());
        }
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
    let cost = (wire_bytes(&mut world) - before) as f64 / (count * (QUESTION + answer)) as f64;
    let ends = [&mut world.client, &mut world.server]
        .map(|host| (host.connection().stats(), host.connection().path_stats(PathId(0)).unwrap()));
    let losses = world.server.connection().losses(PathId(0)).cloned();
    Calls { took, cost, ends, losses }
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
            let calls = calls(path, Config::default(), 1, 500, answer);
            calls.print(&format!("{} {answer} bytes", path.name));
            assert!(calls.at(0.5) < 2.5, "{}", path.name);
        }
    }
}

/// The whole table: with and without repair, with the path known and not.
#[test]
#[ignore = "a measurement: takes minutes"]
fn table_of_calls() {
    for path in &PATHS {
        for answer in [4096, 65_536] {
            for (how, fec, known) in [
                ("bare", Fec::OFF, false),
                ("bare known", Fec::OFF, true),
                ("", Fec::default(), false),
                ("known", Fec::default(), true),
            ] {
                for seed in 1..=3 {
                    let cold = Config { fec, ..Config::default() };
                    let config = if known {
                        let before = calls(path, cold.clone(), seed + 100, 1500, answer);
                        let known = before
                            .ends
                            .iter()
                            .filter_map(|(_, path)| path.estimate)
                            .max_by_key(|known| known.rate);
                        Config { known, known_losses: before.losses, ..cold }
                    } else {
                        cold
                    };
                    let calls = calls(path, config, seed, 600, answer);
                    calls.print(&format!("{} {answer} bytes {how} seed {seed}", path.name));
                }
            }
        }
    }
}
