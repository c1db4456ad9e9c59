//! The interop runner's: 10 Mbit/s, 15 ms each way and 25 packets of queue where nothing else is said.

use bytes::Bytes;
use lowland_acnp::proto::{
    Ecn, PathId, Side,
    congestion::Mode,
    connection::{Config, Event},
    handshake::ClientKeys,
    listener::{Retry, ServerConfig},
};

use crate::{
    SECOND, bulk_world, request,
    sim::{
        Cross, Link, World, server_config, server_key,
        workload::{Job, Workload},
    },
    whole, work,
};
use std::time::Duration;

fn path() -> Link {
    let mut link = Link::new(15).rate(10.0, 1000);
    link.queue = 25 * 1500;
    link
}

#[test]
fn transfer() {
    let files = [2, 3, 5].map(|mb| request(mb << 20)).to_vec();
    let took = whole(&mut bulk_world(1, path()), files, 60);
    assert!(took < 12.0, "{took} s for 84 Mbit at 10 Mbit/s");
}

#[test]
fn longrtt() {
    let took = whole(&mut World::new(1, Link::new(750)), vec![request(1024)], 30);
    assert!(took < 4.0, "{took} s: two round trips, the second for the last ACK, and its delays");
}

#[test]
fn handshakeloss() {
    let mut slow = 0;
    for seed in 0..50 {
        let took = whole(&mut World::new(seed, path().bursts(0.3, 3)), vec![request(1024)], 30);
        slow += u32::from(took > 3.0);
    }
    assert!(slow <= 5, "{slow} of 50 took more than three seconds");
}

#[test]
fn transferloss() {
    for seed in 0..5 {
        let took = whole(&mut bulk_world(seed, path().bursts(0.02, 3)), vec![request(2 << 20)], 60);
        assert!(took < 5.0, "{took} s for 17 Mbit at 10 Mbit/s");
    }
}

#[test]
fn transfercorruption() {
    let link = Link { corrupt: 0.02, ..path() };
    let took = whole(&mut bulk_world(1, link), vec![request(2 << 20)], 60);
    assert!(took < 5.0, "{took}");
}

#[test]
fn handshakecorruption() {
    let mut failed = 0;
    for seed in 0..50 {
        let mut world = World::new(seed, Link { corrupt: 0.3, ..path() });
        world.connect();
        let mut workload = Workload::new(vec![request(1024)], Vec::new());
        let done = world.work(&mut workload, SECOND * 60);
        // A server that was reached by a changed id answers another's handshake, and the client ends it (ACNP-25).
        failed += u32::from(!done);
    }
    assert!(failed <= 10, "{failed} of 50 came to nothing");
}

#[test]
fn blackhole() {
    let mut world = bulk_world(1, path());
    let dark = vec![(SECOND * 5, SECOND * 7)];
    (world.up.blackouts, world.down.blackouts) = (dark.clone(), dark);
    let took = whole(&mut world, vec![request(10 << 20)], 60);
    assert!(took < 15.0, "{took} s: 8.4 of transfer, two of darkness");
}

fn rebind(address: fn(u64) -> String) {
    // A NAT that moves is seen only when the client says something, and one that only reads is silent once nothing comes.
    let keep_alive = Some(Duration::from_millis(250));
    let config = Config { congestion: Mode::HIGH_BANDWIDTH, keep_alive, ..Config::default() };
    let mut world = World::with(1, path(), config, server_config());
    world.rebinds =
        (1..8).map(|at| (SECOND * u32::try_from(at).unwrap(), address(at).parse().unwrap())).collect();
    world.connect();
    let took = work(&mut world, vec![request(10 << 20)], 60);
    assert!(took < 40.0, "{took}");
    assert!(world.server.has(|event| matches!(event, Event::Moved { .. })));
    assert!(world.close(SECOND * 10));
}

#[test]
fn rebind_port() {
    rebind(|at| format!("10.0.0.1:{}", 5000 + at));
}

#[test]
fn rebind_addr() {
    rebind(|at| format!("10.0.0.{}:1000", 100 + at));
}

#[test]
fn amplificationlimit() {
    for seed in 0..10 {
        let mut world = World::new(seed, path());
        // The server's answers arrive, nothing of the client's does after its first datagram.
        world.up.blackouts = vec![(Duration::from_millis(1), SECOND * 5)];
        world.connect();
        let mut workload = Workload::new(vec![request(1 << 20)], Vec::new());
        world.run(SECOND * 5, |world| {
            workload.drive(world);
            for connection in world.server.connections.values() {
                let stats = connection.path_stats(PathId(0)).unwrap();
                assert!(stats.bytes_sent <= 3 * stats.bytes_received, "{stats:?}");
            }
            false
        });
        assert!(world.work(&mut workload, SECOND * 30), "{}", workload.open());
    }
}

#[test]
fn goodput() {
    let took = whole(&mut bulk_world(1, path()), vec![request(10 << 20)], 60);
    let rate = (10 << 20) as f64 * 8.0 / took / 1e6;
    println!("{rate:.2} of 10 Mbit/s");
    assert!(rate > 8.5, "{rate}");
}

#[test]
fn crosstraffic() {
    let cross = Some(Cross { rate: 5_000_000, on: SECOND * 2, off: SECOND });
    let link = Link { cross, ..path() };
    let took = whole(&mut bulk_world(1, link), vec![request(10 << 20)], 90);
    let rate = (10 << 20) as f64 * 8.0 / took / 1e6;
    println!("{rate:.2} of the 6.7 Mbit/s that others leave");
    assert!(rate > 4.0, "{rate}");
}

#[test]
fn multiplexing() {
    let files = (0..2000).map(|_| request(32)).collect();
    let took = whole(&mut World::new(1, path()), files, 30);
    assert!(took < 5.0, "{took}");
    // More than the peer lets be open at once.
    let mut config = Config::default();
    config.streams.streams = 20;
    let files = (0..500).map(|_| request(32)).collect();
    whole(&mut World::with(1, path(), config, server_config()), files, 60);
}

#[test]
fn retry() {
    let server = || ServerConfig { retry: Retry::Always, ..server_config() };
    whole(&mut World::with(1, path(), Config::default(), server()), vec![request(100_000)], 10);
    for seed in 0..20 {
        let link = path().bursts(0.2, 2);
        whole(&mut World::with(seed, link, Config::default(), server()), vec![request(100_000)], 60);
    }
}

#[test]
fn zerortt() {
    let mut world = World::new(1, path());
    let files = (0..16).map(|_| request(32)).collect();
    let took = whole(&mut world, files, 10);
    assert!(took < 0.08, "{took} s: a round trip of 30 ms and the ACKs");
    assert!(world.client.has(|event| *event == Event::Connected { early_accepted: true }));
}

#[test]
fn resumption() {
    let server = ServerConfig { retry: Retry::Always, ..server_config() };
    let mut world = World::with(1, path(), Config::default(), server);
    whole(&mut world, vec![request(1000)], 10);
    let token = |event: &Event| if let Event::NewToken(token) = event { Some(token.clone()) } else { None };
    let token: Bytes = world.client.events.iter().find_map(|(_, event)| token(event)).unwrap();
    [&mut world.client, &mut world.server].into_iter().for_each(|host| {
        host.events.clear();
        host.connections.clear();
    });
    let (began, keys) = (world.ms(), ClientKeys::pinned(server_key().public()));
    world.connect_with(keys, token);
    assert!(world.run(SECOND, |world| world.client.is_connected()));
    assert!(world.ms() - began < 35.0, "the token spares a round trip");
    work(&mut world, vec![request(1000)], 10);
}

#[test]
fn keyupdate() {
    let mut world = bulk_world(1, path().loss(0.01));
    world.connect();
    let mut workload = Workload::new(vec![request(3 << 20)], Vec::new());
    let mut updates = 0;
    while !world.work(&mut workload, Duration::from_millis(300)) {
        let now = world.now;
        updates += u64::from(world.client.connection().update_keys(now));
        assert!(world.ms() < 60_000.0 && !world.is_broken());
    }
    assert!(updates >= 2, "{updates}");
    assert_eq!(world.server.connection().stats().key_updates, updates);
    assert!(world.close(SECOND * 10));
}

#[test]
fn ecn() {
    let link = Link { mark_above: Some(Duration::from_millis(20)), ..Link::new(15).rate(10.0, 1000) };
    let mut world = bulk_world(1, link);
    let took = whole(&mut world, vec![request(4 << 20)], 60);
    assert!(took < 20.0, "{took}");
    assert!(world.marked > 0, "nothing was marked");
    let unmarked = Config { ecn: false, ..Config::default() };
    let link = Link { mark_above: Some(Duration::ZERO), ..path() };
    let mut world = World::with(1, link, unmarked, server_config());
    whole(&mut world, vec![request(100_000)], 60);
    assert_eq!((world.marked, Ecn::Ce as u8), (0, 3));
}

#[test]
fn both_ways_at_once() {
    let jobs = vec![Job::new(Side::Client, 3 << 20), Job::new(Side::Server, 3 << 20)];
    let took = whole(&mut bulk_world(1, path()), jobs, 60);
    assert!(took < 6.0, "{took} s for 25 Mbit each way at 10 Mbit/s");
}
