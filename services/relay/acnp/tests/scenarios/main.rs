//! Scenarios by the names that QUIC's implementers use, so that figures can be laid side by side: those of the interop runner, and those of
//! picoquic's tests. Paths are theirs where they say.
//!
//! Each asserts that every byte comes, once and in order; that memory stays bounded; that nothing waits for ever or spins; and that a close
//! ends both ends in time.

#[path = "../sim/mod.rs"]
mod sim;

mod interop;
mod picoquic;

use std::time::Duration;

use lowland_acnp::proto::{PathId, Side, congestion::Mode, connection::Config};
use sim::{
    Link, World, memory, server_config,
    workload::{Job, Workload},
};

#[global_allocator]
static MEMORY: memory::Counted = memory::Counted;

const SECOND: Duration = Duration::from_secs(1);
/// Bytes that a world may take: a window of the path, what is under way twice, and what it costs to keep account of it.
const MEMORY_MAX: u64 = 96 << 20;

/// A world in which bulk is what is wanted.
fn bulk_world(seed: u64, link: Link) -> World {
    let config = Config { congestion: Mode::HIGH_BANDWIDTH, ..Config::default() };
    World::with(seed, link, config, server_config())
}

/// Does all jobs, within so many seconds each for work and close; gives the seconds that the work took.
fn work(world: &mut World, jobs: Vec<Job>, limit: u64) -> f64 {
    memory::restart();
    let (began, mut workload) = (world.ms(), Workload::new(jobs, Vec::new()));
    let done = world.work(&mut workload, SECOND * u32::try_from(limit).expect("it is short"));
    let took = (world.ms() - began) / 1000.0;
    let stats = world.client.connection().path_stats(PathId(0));
    assert!(done, "after {took:.1} s: {} {:?} {stats:?}", workload.open(), world.client.events.last());
    assert!(memory::most() < MEMORY_MAX, "{} bytes", memory::most());
    took
}

/// Connects, does all jobs, and closes.
fn whole(world: &mut World, jobs: Vec<Job>, limit: u64) -> f64 {
    world.connect();
    let took = work(world, jobs, limit);
    assert!(world.close(SECOND * 60), "not closed: {:?} {:?}", world.client.events, world.server.events);
    println!("{took:.2} s, {:.1} MB at most", memory::most() as f64 / 1e6);
    took
}

/// A request of 100 bytes and an answer, from the client.
fn request(answer: u64) -> Job {
    Job { repeatable: true, ..Job::new(Side::Client, 100).answered(answer) }
}
