//! Losses are repaired, once and no more, whatever the path does.

mod sim;

use std::time::Duration;

use bytes::Bytes;
use lowland_acnp::proto::{
    Direction, PathId,
    congestion::Mode,
    connection::{Config, Fec, PathStats, Stats},
    stream::ReadError,
};
use proptest::prelude::*;
use sim::{Link, World, server_config};

fn content(len: usize, salt: usize) -> Bytes {
    (0..len).map(|at| (at * 31 + salt * 17 + at / 251) as u8).collect::<Vec<_>>().into()
}

fn world(seed: u64, link: Link, config: Config) -> World {
    let mut world = World::with(seed, link, config, server_config());
    world.establish();
    world
}

fn counters(world: &mut World) -> [(Stats, PathStats); 2] {
    [&mut world.client, &mut world.server]
        .map(|host| (host.connection().stats(), host.connection().path_stats(PathId(0)).unwrap()))
}

/// Sends so many messages of `len` bytes from the client, `gap` apart, and checks that each arrives as it was sent.
fn messages(world: &mut World, count: usize, len: usize, gap: Duration) {
    let mut streams = Vec::new();
    for salt in 0..count {
        let client = world.client.connection();
        let stream = client.open(Direction::Uni).expect("streams are granted in time");
        assert_eq!(client.write(stream, content(len, salt)).unwrap(), len);
        client.finish(stream).unwrap();
        streams.push((stream, Vec::new(), false));
        world.run(gap, |_| false);
        read(world, &mut streams);
    }
    let done = world.run(Duration::from_secs(30), |world| {
        read(world, &mut streams);
        streams.iter().all(|(.., over)| *over)
    });
    assert!(done, "not all arrived");
    for (salt, (_, got, _)) in streams.iter().enumerate() {
        assert!(*got == content(len, salt), "message {salt} is another");
    }
}

fn read(world: &mut World, streams: &mut [(lowland_acnp::proto::StreamId, Vec<u8>, bool)]) {
    let Some(server) = world.server.connections.values_mut().next_back() else { return };
    for (stream, got, over) in streams.iter_mut().filter(|(.., over)| !over) {
        loop {
            match server.read(*stream, usize::MAX) {
                Ok(Some(data)) => got.extend_from_slice(&data),
                Ok(None) => break *over = true,
                Err(ReadError::Blocked | ReadError::Closed) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn losses_are_repaired_without_being_sent_again() {
    let mut world = world(1, Link::new(90).loss(0.02), Config::default());
    messages(&mut world, 300, 4096, Duration::from_millis(20));
    world.run(Duration::from_secs(1), |_| false);
    let [(sent, path), (received, _)] = counters(&mut world);
    assert!(sent.packets_lost >= 10, "{sent:?}");
    assert!(received.packets_recovered * 10 >= sent.packets_lost * 5, "{received:?} of {sent:?}");
    assert_eq!(path.repairs.used, received.packets_recovered, "each is reported once");
    assert!(path.repairs.wasted() == path.repairs.sent - path.repairs.used);
    let again = sent.stream_bytes_sent - 300 * 4096;
    assert!(again < 5 * 1400, "{again} bytes were sent again, {} packets lost", sent.packets_lost);
    assert!((5_000..50_000).contains(&path.loss_ppm), "{}", path.loss_ppm);
}

#[test]
fn nothing_is_repaired_where_one_side_does_not_want_it() {
    for config in [
        Config { fec: Fec::OFF, ..Config::default() },
        Config { congestion: Mode::Cubic, ..Config::default() },
        Config { fec: Fec { share_max: 0.0, ..Fec::default() }, ..Config::default() },
    ] {
        let mut world = world(2, Link::new(20).loss(0.02), config);
        messages(&mut world, 50, 4096, Duration::from_millis(20));
        for (stats, path) in counters(&mut world) {
            assert_eq!((path.repairs.sent, stats.packets_recovered), (0, 0));
        }
    }
}

#[test]
fn repairs_stay_within_their_share() {
    let config = Config { fec: Fec { share_max: 0.2, ..Fec::default() }, ..Config::default() };
    let mut world = world(3, Link::new(90).loss(0.1), config);
    messages(&mut world, 400, 4096, Duration::from_millis(20));
    let [(_, path), _] = counters(&mut world);
    assert!(path.repairs.sent > 0);
    // What a path begins with comes on top.
    let most = path.repairs.content_bytes as f64 * 0.2 + 6_000.0 + 1_500.0;
    assert!(path.repairs.sent_bytes as f64 <= most, "{:?}", path.repairs);
}

#[test]
fn what_was_recovered_and_comes_late_is_a_duplicate_and_no_loss() {
    let mut link = Link::new(65);
    link.jitter = Duration::from_millis(60);
    let mut world = world(4, link, Config::default());
    messages(&mut world, 200, 4096, Duration::from_millis(20));
    world.run(Duration::from_secs(1), |_| false);
    let [(_, path), (received, _)] = counters(&mut world);
    assert!(received.packets_recovered > 0 && received.duplicates > 0, "{received:?}");
    assert!(path.loss_ppm < 20_000, "late is not lost: {}", path.loss_ppm);
}

#[test]
fn bulk_covers_what_is_sent_again() {
    let config = Config { congestion: Mode::HIGH_BANDWIDTH, ..Config::default() };
    let mut link = Link::new(50).loss(0.02);
    link.rate = 50_000_000;
    let mut world = world(5, link, config);
    messages(&mut world, 20, 200_000, Duration::from_millis(50));
    let [(_, path), _] = counters(&mut world);
    assert!(path.repairs.sent > 0, "tails are covered");
    assert!(path.repairs.sent_bytes * 5 < path.repairs.content_bytes, "{:?}", path.repairs);
}

#[test]
fn it_works_while_datagrams_grow_and_shrink() {
    let mut world = world(6, Link::new(40).loss(0.03), Config::default());
    messages(&mut world, 100, 6000, Duration::from_millis(10));
    (world.up.mtu, world.down.mtu) = (1250, 1250);
    messages(&mut world, 150, 6000, Duration::from_millis(10));
    let [(_, path), (received, _)] = counters(&mut world);
    assert!(path.black_holes > 0 && path.mtu <= 1250, "{path:?}");
    assert!(received.packets_recovered > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn everything_arrives_as_it_was_sent(
        seed: u64, loss in 0.0..0.3, burst in 1_u32..6, jitter in 0_u64..40, duplicate in 0.0..0.2, corrupt in 0.0..0.02, len in 1_usize..9000, bulk: bool,
    ) {
        let mut link = Link::new(30).loss(loss);
        (link.burst, link.jitter) = (burst, Duration::from_millis(jitter));
        (link.duplicate, link.corrupt) = (duplicate, corrupt);
        let congestion = if bulk { Mode::HIGH_BANDWIDTH } else { Mode::LowLatency };
        let mut world = world(seed, link, Config { congestion, ..Config::default() });
        messages(&mut world, 30, len, Duration::from_millis(15));
        prop_assert!(!world.client.is_closed() && !world.server.is_closed());
    }
}
