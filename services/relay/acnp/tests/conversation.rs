//! Two ends talk over a simulated path.

mod sim;

use std::time::Duration;

use bytes::Bytes;
use lowland_acnp::proto::{
    Direction, PathId, StreamId,
    close::Code,
    connection::{CloseReason, Config, Connection, Demand, Event},
    handshake::{ClientKeys, StaticKey},
    listener::{Retry, ServerConfig},
    stream::{ReadError, WriteError},
};
use rand::RngExt;
use sim::{Link, World, server_config, server_key};

const SECOND: Duration = Duration::from_secs(1);

fn content(len: usize) -> Bytes {
    (0..len).map(|at| (at * 7 % 251) as u8).collect::<Vec<_>>().into()
}

/// A transfer in the making: what is left to write, and what was read.
struct Transfer {
    stream: StreamId,
    left: Bytes,
    finished: bool,
    read: Vec<u8>,
    over: bool,
}

impl Transfer {
    fn new(stream: StreamId, content: Bytes) -> Self {
        Self { stream, left: content, finished: false, read: Vec::new(), over: false }
    }

    fn write(&mut self, connection: &mut Connection) {
        while !self.left.is_empty() {
            match connection.write(self.stream, self.left.clone()) {
                Ok(len) => drop(self.left.split_to(len)),
                Err(WriteError::Blocked) => return,
                Err(error) => panic!("{error}"),
            }
        }
        if !self.finished {
            connection.finish(self.stream).unwrap();
            self.finished = true;
        }
    }

    fn read(&mut self, connection: &mut Connection) {
        while !self.over {
            match connection.read(self.stream, 1 << 16) {
                Ok(Some(data)) => self.read.extend_from_slice(&data),
                Ok(None) => self.over = true,
                Err(ReadError::Blocked | ReadError::Closed) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Sends `len` bytes from the client to the server; gives the seconds that it took.
fn transfer(world: &mut World, len: usize, limit: Duration) -> f64 {
    let stream = world.client.connection().open(Direction::Uni).unwrap();
    let mut transfer = Transfer::new(stream, content(len));
    let began = world.ms();
    let done = world.run(limit, |world| {
        transfer.write(world.client.connection());
        if !world.server.connections.is_empty() {
            transfer.read(world.server.connection());
        }
        transfer.over
    });
    assert!(
        done,
        "{} of {len} bytes after {limit:?}: {:?} {:?}",
        transfer.read.len(),
        world.client.connection().path_stats(PathId(0)),
        world.client.events.last()
    );
    assert!(transfer.read == content(len));
    (world.ms() - began) / 1000.0
}

#[test]
fn a_handshake_takes_one_round_trip_and_a_request_two() {
    let mut world = World::new(1, Link::new(50));
    world.connect();
    let stream = world.client.connection().open(Direction::Bi).unwrap();
    world.client.connection().write(stream, Bytes::from_static(b"question")).unwrap();
    world.client.connection().finish(stream).unwrap();
    assert!(world.run(SECOND, |world| world.client.is_connected()));
    assert!((100.0..101.0).contains(&world.ms()), "{}", world.ms());
    assert!(world.run(SECOND, |world| world.server.is_connected()));
    assert!((150.0..151.0).contains(&world.ms()), "{}", world.ms());
    let server = world.server.connection();
    assert_eq!(server.accept_stream(Direction::Bi), Some(stream));
    assert_eq!(server.read(stream, 100), Ok(Some(Bytes::from_static(b"question"))));
    server.write(stream, Bytes::from_static(b"answer")).unwrap();
    let read = |world: &mut World| {
        world.client.connection().read(stream, 100) == Ok(Some(Bytes::from_static(b"answer")))
    };
    assert!(world.run(SECOND, read));
    assert!((200.0..202.0).contains(&world.ms()), "{}", world.ms());
}

#[test]
fn repeatable_data_takes_one_round_trip_and_is_taken_once() {
    let mut world = World::new(1, Link::new(50));
    world.tape = Some(Vec::new());
    world.connect();
    let stream = world.client.connection().open(Direction::Bi).unwrap();
    world.client.connection().set_repeatable(stream);
    world.client.connection().write(stream, Bytes::from_static(b"question")).unwrap();
    world.client.connection().finish(stream).unwrap();
    assert!(world.run(SECOND, |world| !world.server.connections.is_empty()));
    let server = world.server.connection();
    assert_eq!(server.read(stream, 100), Ok(Some(Bytes::from_static(b"question"))));
    server.write(stream, Bytes::from_static(b"answer")).unwrap();
    let read = |world: &mut World| {
        world.client.connection().read(stream, 100) == Ok(Some(Bytes::from_static(b"answer")))
    };
    assert!(world.run(SECOND, read));
    assert!((100.0..101.0).contains(&world.ms()), "{}", world.ms());
    assert!(world.client.has(|event| *event == Event::Connected { early_accepted: true }));
    // Somebody sends what he heard again, from another address, to be served twice.
    let first = world.tape.as_ref().unwrap().iter().find(|(from_client, _)| *from_client).unwrap().1.clone();
    world.client.address = "10.0.0.9:999".parse().unwrap();
    let to = world.server.address;
    world.send(true, to, None, first);
    assert!(world.run(SECOND, |world| world.server.connections.len() == 2));
    assert_eq!(
        world.server.connection().read(stream, 100),
        Err(ReadError::Closed),
        "early data was taken twice"
    );
}

#[test]
fn early_data_that_the_server_refuses_goes_again() {
    let server = ServerConfig { early: None, ..server_config() };
    let mut world = World::with(1, Link::new(50), Config::default(), server);
    world.connect();
    let stream = world.client.connection().open(Direction::Uni).unwrap();
    world.client.connection().set_repeatable(stream);
    world.client.connection().write(stream, content(20_000)).unwrap();
    world.client.connection().finish(stream).unwrap();
    let mut transfer = Transfer::new(stream, Bytes::new());
    let done = world.run(SECOND * 2, |world| {
        if !world.server.connections.is_empty() {
            transfer.read(world.server.connection());
        }
        transfer.over
    });
    assert!(done && transfer.read == content(20_000));
    assert!(world.client.has(|event| *event == Event::Connected { early_accepted: false }));
    assert!(world.ms() < 200.0, "{}", world.ms());
}

#[test]
fn data_arrives_whole_over_paths_that_lose_reorder_repeat_and_corrupt() {
    for seed in 0..30 {
        let mut link = Link::new(20).loss(0.05);
        (link.jitter, link.duplicate, link.corrupt) = (Duration::from_millis(15), 0.02, 0.02);
        let mut world = World::new(seed, link);
        world.connect();
        transfer(&mut world, 300_000, SECOND * 60);
        let now = world.now;
        world.client.connection().close(now, Code::NO_ERROR, Bytes::new());
        let closed = |world: &mut World| world.server.is_closed() && world.client.listener.is_empty();
        assert!(world.run(SECOND * 60, closed), "seed {seed}");
    }
}

#[test]
fn handshakes_survive_bursts_of_loss() {
    let mut worst = 0.0_f64;
    for seed in 0..50 {
        let mut link = Link::new(50).loss(0.3);
        link.burst = 3;
        let mut world = World::new(seed, link);
        world.establish();
        worst = worst.max(world.ms());
    }
    assert!(worst < 10_000.0);
}

#[test]
fn a_server_that_asks_gets_an_address_shown_first() {
    let server = ServerConfig { retry: Retry::Always, ..server_config() };
    let mut world = World::with(1, Link::new(50), Config::default(), server);
    world.connect();
    assert!(world.run(SECOND, |world| world.client.is_connected()));
    assert!((200.0..201.0).contains(&world.ms()), "{}", world.ms());
    // With the token that it gets, the next time takes no longer than without.
    let token = |event: &Event| if let Event::NewToken(token) = event { Some(token.clone()) } else { None };
    assert!(world.run(SECOND, |world| world.client.has(|event| token(event).is_some())));
    let token = world.client.events.iter().find_map(|(_, event)| token(event)).unwrap();
    let began = world.ms();
    let second = world.connect_with(ClientKeys::pinned(server_key().public()), token);
    let connected = |world: &mut World| {
        world.client.events.contains(&(second, Event::Connected { early_accepted: true }))
    };
    assert!(world.run(SECOND, connected));
    assert!((100.0..101.0).contains(&(world.ms() - began)), "{}", world.ms() - began);
}

#[test]
fn a_client_without_the_right_key_is_left_without_an_answer() {
    let mut world = World::new(1, Link::new(50));
    world.connect_with(ClientKeys::pinned(StaticKey::from_private([99; 32]).public()), Bytes::new());
    let timed_out =
        |world: &mut World| world.client.has(|event| *event == Event::Closed(CloseReason::HandshakeTimeout));
    assert!(world.run(SECOND * 15, timed_out));
    assert_eq!(world.server.sent, 0);
    assert!(world.server.connections.is_empty());
}

#[test]
fn silence_ends_a_connection_and_keep_alive_does_not_let_it() {
    let idle = Config { idle: SECOND * 5, ..Config::default() };
    let mut world = World::with(1, Link::new(50), idle.clone(), server_config());
    world.establish();
    let idle_out = |world: &mut World| world.client.is_closed() && world.server.is_closed();
    assert!(world.run(SECOND * 8, idle_out));
    assert!(world.client.has(|event| *event == Event::Closed(CloseReason::Idle)));
    let alive = Config { keep_alive: Some(SECOND * 2), ..idle };
    let mut world = World::with(1, Link::new(50), alive, server_config());
    world.establish();
    assert!(!world.run(SECOND * 60, |world| world.client.is_closed() || world.server.is_closed()));
}

#[test]
fn a_close_is_heard_with_its_code_and_reason() {
    let mut world = World::new(1, Link::new(50));
    world.establish();
    let now = world.now;
    world.server.connection().close(now, Code(0x123), Bytes::from_static(b"enough"));
    assert!(
        world.run(SECOND * 5, |world| world.client.listener.is_empty() && world.server.listener.is_empty())
    );
    let heard = |event: &Event| matches!(event, Event::Closed(CloseReason::Peer(close)) if close.code == Code(0x123) && &close.reason[..] == b"enough");
    assert!(world.client.has(heard));
}

#[test]
fn a_server_that_has_forgotten_says_so() {
    let mut world = World::new(1, Link::new(50));
    world.establish();
    world.run(SECOND, |_| false);
    let handles: Vec<_> = world.server.connections.keys().copied().collect();
    world.server.connections.clear();
    for handle in handles {
        world.server.listener.serve(handle, &Demand::Drained);
    }
    let stream = world.client.connection().open(Direction::Uni).unwrap();
    world.client.connection().write(stream, content(100)).unwrap();
    assert!(world.run(SECOND, |world| world.client.has(|event| *event == Event::Closed(CloseReason::Reset))));
}

#[test]
fn keys_change_in_the_middle_of_a_transfer() {
    let mut world = World::new(3, Link::new(20).loss(0.02));
    world.establish();
    transfer(&mut world, 200_000, SECOND * 20);
    world.run(SECOND, |_| false);
    let now = world.now;
    assert!(world.client.connection().update_keys(now));
    assert!(!world.client.connection().update_keys(now), "not before the new ones were acknowledged");
    transfer(&mut world, 400_000, SECOND * 20);
    assert_eq!(world.server.connection().stats().key_updates, 1);
    world.server.connection().ping();
    world.run(SECOND, |_| false);
    let now = world.now;
    assert!(world.server.connection().update_keys(now));
    transfer(&mut world, 400_000, SECOND * 20);
    assert_eq!(world.client.connection().stats().key_updates, 2);
}

#[test]
fn a_client_whose_address_changes_loses_nothing() {
    let mut world = World::new(1, Link::new(20).loss(0.01));
    world.establish();
    let stream = world.client.connection().open(Direction::Uni).unwrap();
    let mut transfer = Transfer::new(stream, content(1_000_000));
    let mut moved = false;
    let done = world.run(SECOND * 60, |world| {
        transfer.write(world.client.connection());
        transfer.read(world.server.connection());
        if transfer.read.len() > 300_000 && !moved {
            moved = true;
            world.client.address = "10.0.0.77:7777".parse().unwrap();
        }
        transfer.over
    });
    assert!(done && transfer.read == content(1_000_000));
    assert!(world.server.has(|event| matches!(event, Event::Moved { .. })));
    assert_eq!(world.server.connection().remote(), world.client.address);
}

#[test]
fn datagrams_grow_to_what_the_path_carries_and_shrink_when_it_narrows() {
    for mtu in [1300, 1500] {
        let mut link = Link::new(10);
        link.mtu = mtu;
        let mut world = World::new(1, link);
        world.establish();
        transfer(&mut world, 500_000, SECOND * 20);
        world.run(SECOND * 10, |_| false);
        let found = world.client.connection().path_stats(PathId(0)).unwrap().mtu;
        assert!(found <= mtu && found + 8 >= mtu.min(1452), "{found} of {mtu}");
    }
    let mut world = World::new(1, Link::new(10));
    world.establish();
    transfer(&mut world, 500_000, SECOND * 20);
    (world.up.mtu, world.down.mtu) = (1250, 1250);
    transfer(&mut world, 500_000, SECOND * 20);
    let stats = world.client.connection().path_stats(PathId(0)).unwrap();
    assert_eq!((stats.mtu, stats.black_holes), (1200, 1));
}

#[test]
fn datagrams_are_carried_and_lost_ones_stay_lost() {
    let mut world = World::new(5, Link::new(20).loss(0.1));
    world.establish();
    for i in 0..200_u32 {
        world
            .client
            .connection()
            .send_datagram(Bytes::copy_from_slice(&[&i.to_be_bytes()[..], &[0; 500]].concat()))
            .unwrap();
    }
    world.run(SECOND * 2, |_| false);
    let mut got: Vec<u32> = std::iter::from_fn(|| world.server.connection().read_datagram())
        .map(|data| u32::from_be_bytes([data[0], data[1], data[2], data[3]]))
        .collect();
    got.sort_unstable();
    got.dedup();
    assert!((140..200).contains(&got.len()), "{}", got.len());
    let too_large = Bytes::from(vec![0; 1500]);
    assert!(world.client.connection().send_datagram(too_large).is_err());
}

#[test]
fn an_unvalidated_address_gets_three_times_what_it_sent_at_most() {
    let mut world = World::new(1, Link::new(50));
    world.up.blackouts = vec![(Duration::from_millis(1), SECOND * 30)];
    world.connect();
    let stream = world.client.connection().open(Direction::Bi).unwrap();
    world.client.connection().set_repeatable(stream);
    world.client.connection().write(stream, Bytes::from_static(b"much please")).unwrap();
    let mut asked = false;
    world.run(SECOND * 12, |world| {
        if !asked && !world.server.connections.is_empty() {
            asked = true;
            world.server.connection().write(stream, content(100_000)).unwrap();
        }
        false
    });
    assert!(asked);
    let stats = world.server.connections.values().next().unwrap().path_stats(PathId(0)).unwrap();
    assert_eq!(stats.bytes_received, 1200);
    assert!((2400..=3600).contains(&stats.bytes_sent), "{}", stats.bytes_sent);
}

#[test]
fn a_world_repeats_itself_from_its_seed() {
    let run = |seed| {
        let mut world = World::new(seed, Link::new(20).loss(0.1));
        world.connect();
        transfer(&mut world, 100_000, SECOND * 60);
        (world.now, world.steps, world.client.sent, world.server.sent)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn noise_harms_nobody() {
    let mut world = World::new(9, Link::new(20).loss(0.01));
    world.establish();
    let stream = world.client.connection().open(Direction::Uni).unwrap();
    let mut transfer = Transfer::new(stream, content(200_000));
    let recorded: Vec<Vec<u8>> = {
        let mut other = World::new(10, Link::new(20));
        other.tape = Some(Vec::new());
        other.establish();
        other.tape.unwrap().into_iter().map(|(_, datagram)| datagram).collect()
    };
    let (client, server) = (world.client.address, world.server.address);
    let mut turn = 0_usize;
    let done = world.run(SECOND * 60, |world| {
        turn += 1;
        // Random bytes with plausible first ones, and packets of another connection with changed ones.
        let mut noise = if turn.is_multiple_of(2) {
            let len = world.rng.random_range(1..1400);
            (0..len).map(|_| world.rng.random()).collect()
        } else {
            recorded[turn / 2 % recorded.len()].clone()
        };
        noise[0] |= 0x40;
        let at = world.rng.random_range(0..noise.len());
        noise[at] ^= world.rng.random::<u8>();
        let to_server = turn % 4 < 2;
        world.send(to_server, if to_server { server } else { client }, None, noise);
        transfer.write(world.client.connection());
        transfer.read(world.server.connections.values_mut().next().unwrap());
        transfer.over
    });
    assert!(done && transfer.read == content(200_000));
    assert!(!world.client.is_closed());
}
