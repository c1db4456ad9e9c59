//! A world, its faults and its work from one number.

use std::time::Duration;

use bytes::Bytes;
use lowland_acnp::proto::{
    PathId, Side, Time,
    congestion::Mode,
    connection::{Config, Stats},
    handshake::ClientKeys,
    listener::{Retry, ServerConfig},
    stream::{Priority, StreamConfig},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::{
    Cross, Link, World, established, memory, server_config, server_key,
    workload::{Ending, Job, Volley, Workload},
};

/// Simulated time in which all work has to be done.
const WORK_MAX: Duration = Duration::from_secs(600);
/// Silence after which a connection is gone, and the longest that a handshake may take. Slow and lossy as a path may be, nothing may fail.
const PATIENCE: Duration = Duration::from_secs(120);
/// Simulated time in which a connection that was closed has to be gone at both ends: a CLOSE that is lost is not sent again unasked.
const CLOSE_MAX: Duration = Duration::from_secs(150);
/// Bytes that a world may take beyond what its windows allow.
const MEMORY_FIXED: u64 = 24 << 20;

/// Random numbers of a seed, apart from those of its world.
struct Dice(ChaCha20Rng);

impl Dice {
    fn chance(&mut self, of: f64) -> bool {
        self.0.random_bool(of)
    }

    fn up_to(&mut self, most: u64) -> u64 {
        self.0.random_range(0..=most)
    }

    fn ms(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.up_to(most))
    }

    /// As often small as large.
    fn size(&mut self, most: u64) -> u64 {
        let bits = self.up_to(u64::from(most.ilog2()));
        self.up_to(1 << bits)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.random_range(0..of.len())]
    }
}

fn link(dice: &mut Dice, delay_ms: u64) -> Link {
    let mut link = Link::new(delay_ms);
    if dice.chance(0.5) {
        link = link.bursts(dice.up_to(15) as f64 / 100.0, dice.pick(&[1, 1, 2, 3, 10]));
    }
    if dice.chance(0.3) {
        link.jitter = dice.ms(delay_ms / 2 + 2);
    }
    if dice.chance(0.2) {
        (link.reorder, link.reorder_by) = (dice.up_to(20) as f64 / 100.0, dice.ms(delay_ms + 5));
    }
    if dice.chance(0.2) {
        link.duplicate = dice.up_to(20) as f64 / 100.0;
    }
    if dice.chance(0.2) {
        link.corrupt = dice.up_to(5) as f64 / 100.0;
    }
    if dice.chance(0.6) {
        link = link.rate(dice.pick(&[0.5, 2.0, 10.0, 50.0, 200.0]), dice.pick(&[20, 100, 500]));
        if dice.chance(0.3) {
            link.steps =
                (1..=3).map(|at| (Duration::from_secs(at * 2), link.rate / dice.pick(&[1, 2, 4]))).collect();
        }
        if dice.chance(0.2) {
            let [on, off] = [100, 900].map(|most| dice.ms(most) + Duration::from_millis(50));
            // Never all of it, or nobody else gets anything.
            let least = link.steps.iter().map(|(_, rate)| *rate).chain([link.rate]).min().unwrap_or(0);
            link.cross = Some(Cross { rate: least * 2 / 3, on, off });
        }
        if dice.chance(0.3) {
            link.mark_above = Some(Duration::from_millis(5));
        }
    }
    if dice.chance(0.15) {
        let from = dice.ms(5000);
        link.blackouts = vec![(from, from + dice.ms(4000))];
    }
    if dice.chance(0.2) {
        link.mtu = 1200 + dice.up_to(300) as usize;
    }
    link
}

fn config(dice: &mut Dice) -> Config {
    let mut config = Config {
        handshake_timeout: PATIENCE,
        idle: PATIENCE,
        congestion: dice.pick(&[
            Mode::LowLatency,
            Mode::HIGH_BANDWIDTH,
            Mode::LowLatency,
            Mode::HIGH_BANDWIDTH,
            Mode::Cubic,
        ]),
        ecn: dice.chance(0.7),
        cid_len: dice.pick(&[4, 4, 8, 1]),
        ..Config::default()
    };
    if dice.chance(0.3) {
        let window = 65_536 + dice.up_to(200_000);
        config.streams = StreamConfig {
            stream_window: window,
            window: window + dice.up_to(window),
            streams: 16 + dice.up_to(20),
            send_buffer: 10_000 + dice.up_to(200_000),
            unsent: 1000 + dice.up_to(100_000),
        };
    }
    if dice.chance(0.2) {
        config.keep_alive = Some(Duration::from_millis(500) + dice.ms(3000));
    }
    config
}

fn job(dice: &mut Dice, most: u64) -> Job {
    let mut job = Job::new(dice.pick(&[Side::Client, Side::Client, Side::Server]), dice.size(most));
    job.at = dice.ms(3000);
    job.chunk = 1 + dice.size(1 << 16);
    job.priority =
        dice.pick(&[Priority::Weight(16), Priority::Weight(1), Priority::Weight(200), Priority::Urgent]);
    if dice.chance(0.4) {
        job.answer = Some(dice.size(most));
    } else if dice.chance(0.2) {
        let after = dice.up_to(job.len);
        job.ending = if dice.chance(0.5) { Ending::Reset(after) } else { Ending::Stop(after) };
    }
    if dice.chance(0.1) {
        let len = job.len.max(job.answer.unwrap_or(0)) as usize;
        job.rests = Some((len / 20 + 100, dice.ms(200) + Duration::from_millis(1)));
    }
    if job.from == Side::Client && dice.chance(0.3) {
        (job.at, job.repeatable) = (Duration::ZERO, true);
    }
    job
}

/// What a seed's run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub simulated: Duration,
    pub bytes: u64,
    pub datagrams: u64,
    pub client: Stats,
    pub server: Stats,
    pub memory: u64,
}

/// A world and what is done in it.
pub struct Plan {
    world: World,
    jobs: Vec<Job>,
    volleys: Vec<Volley>,
    update_keys: Vec<Duration>,
    memory_max: u64,
}

impl Plan {
    /// Everything that follows from a seed.
    pub fn new(seed: u64) -> Self {
        let dice = &mut Dice(ChaCha20Rng::seed_from_u64(seed ^ 0xac_4e_50));
        let delay = dice.pick(&[1, 5, 25, 75, 150, 300]);
        let back = if dice.chance(0.2) { delay * 3 } else { delay };
        let (up, down) = (link(dice, delay), link(dice, back));
        let (mut config, rebinds) = (config(dice), dice.chance(0.2));
        if rebinds {
            // Only what a client sends tells a server where it is now.
            config.keep_alive = Some(Duration::from_secs(1));
        }
        let early = dice.chance(0.8).then(|| Duration::from_secs(10));
        // A Retry's token holds for one address, and nothing tells the client that it was changed on its way (ACNP-25).
        let corrupts = up.corrupt + down.corrupt > 0.0;
        let retry = if !rebinds && !corrupts && dice.chance(0.2) { Retry::Always } else { Retry::WhenBusy };
        let slow = [&up, &down].iter().any(|link| link.rate > 0 && link.rate <= 2_000_000);
        let most = if slow { 1 << 16 } else { 1 << 18 };
        let jobs = (0..1 + dice.size(30)).map(|_| job(dice, most)).collect();
        let volley = |dice: &mut Dice| Volley {
            from: dice.pick(&[Side::Client, Side::Server]),
            count: dice.up_to(30) as u32,
            len: 8 + dice.up_to(1100) as usize,
            at: dice.ms(3000),
        };
        let volleys = if dice.chance(0.3) { (0..5).map(|_| volley(dice)).collect() } else { Vec::new() };
        let windows = config.streams.window + config.streams.send_buffer;
        let mut world =
            World::with(seed, Link::new(delay), config, ServerConfig { early, retry, ..server_config() });
        (world.up, world.down) = (up, down);
        if rebinds {
            let mut rebind = |at: u64| {
                let host = if dice.chance(0.5) { 1 } else { 100 + at };
                (
                    Duration::from_secs(at) + dice.ms(900),
                    format!("10.0.0.{host}:{}", 4000 + at).parse().unwrap(),
                )
            };
            world.rebinds = (1..=3).map(&mut rebind).collect();
        }
        let update_keys = if dice.chance(0.2) { (0..3).map(|_| dice.ms(5000)).collect() } else { Vec::new() };
        Self { world, jobs, volleys, update_keys, memory_max: windows * 2 + MEMORY_FIXED }
    }

    /// Does it all.
    ///
    /// # Panics
    /// If anything is not as it should be.
    pub fn run(self) -> Outcome {
        memory::restart();
        let Self { mut world, jobs, volleys, mut update_keys, memory_max } = self;
        world.connect_with(ClientKeys::pinned(server_key().public()), Bytes::new());
        let mut workload = Workload::new(jobs, volleys);
        let done = loop {
            update_keys.sort();
            let pause =
                update_keys.first().map_or(WORK_MAX, |at| at.saturating_sub(world.now.since(Time::ZERO)));
            if world.work(&mut workload, pause) || update_keys.is_empty() || world.is_broken() {
                break workload.is_done();
            }
            update_keys.remove(0);
            let now = world.now;
            world.client.connection().update_keys(now);
        };
        let path = world.client.connection().path_stats(PathId(0));
        assert!(
            done,
            "not done after {:.0} ms: {}; client {:?} {:?}; server {:?}",
            world.ms(),
            workload.open(),
            world.client.events,
            path,
            world.server.events,
        );
        let connection = world.client.connection();
        assert_eq!(connection.buffered(), 0, "all was acknowledged and something is kept");
        let (client, server) = (
            connection.stats(),
            established(&mut world.server.connections)
                .map(|(_, connection)| connection.stats())
                .unwrap_or_default(),
        );
        let closed = world.close(CLOSE_MAX);
        assert!(closed, "not closed: {:?} {:?}", world.client.events, world.server.events);
        let memory = memory::most();
        assert!(memory <= memory_max, "{memory} bytes of {memory_max}");
        Outcome {
            simulated: world.now.since(Time::ZERO),
            bytes: workload.read(),
            datagrams: world.client.sent + world.server.sent,
            client,
            server,
            memory,
        }
    }
}
