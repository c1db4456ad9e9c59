//! A world of two hosts and a path between them, under a clock that goes as fast as there is nothing to wait for. Everything follows from
//! one seed.

#![allow(dead_code, unreachable_pub)]

mod link;
pub mod memory;
pub mod seed;
pub mod workload;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use lowland_acnp::proto::{
    Ecn, Meta, Time,
    close::Code,
    connection::{Config, Connection, Demand, Event},
    handshake::{ClientKeys, ServerKeys, StaticKey, TokenKey},
    listener::{Handle, Listener, Retry, Routed, ServerConfig},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use link::Passed;
pub use link::{Cross, Link};

/// Milliseconds since 1970 when the world begins.
pub const EPOCH_MS: u64 = 1_700_000_000_000;
/// Datagrams that are sent together.
const BATCH: usize = 16;
/// Steps that the world takes at most while its clock stands still.
const STEPS_AT_ONCE_MAX: u32 = 20_000;

/// The newest connection that is established: an Initial that was changed on its way leaves one that never will be.
pub fn established(connections: &mut BTreeMap<Handle, Connection>) -> Option<(Handle, &mut Connection)> {
    let mut found = connections.iter_mut().rev().map(|(handle, connection)| (*handle, connection));
    found.find(|(_, connection)| connection.is_established())
}

/// One end.
pub struct Host {
    pub address: SocketAddr,
    pub listener: Listener,
    pub connections: BTreeMap<Handle, Connection>,
    pub events: Vec<(Handle, Event)>,
    pub sent: u64,
    pub received: u64,
}

impl Host {
    /// Its only connection, or the newest.
    pub fn connection(&mut self) -> &mut Connection {
        self.connections.values_mut().next_back().expect("there is a connection")
    }

    /// Whether a connection ended that was established.
    pub fn has_lost(&self) -> bool {
        let lost = |(of, event): &(Handle, Event)| {
            matches!(event, Event::Closed(_))
                && self
                    .events
                    .iter()
                    .any(|(other, event)| of == other && matches!(event, Event::Connected { .. }))
        };
        self.events.iter().any(lost)
    }

    pub fn has(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(|(_, event)| wanted(event))
    }

    pub fn is_connected(&self) -> bool {
        self.has(|event| matches!(event, Event::Connected { .. }))
    }

    pub fn is_closed(&self) -> bool {
        self.has(|event| matches!(event, Event::Closed(_)))
    }

    fn meta(remote: SocketAddr, ecn: Option<Ecn>) -> Meta {
        Meta { remote, local: None, ecn }
    }

    fn receive(
        &mut self,
        now: Time,
        from: SocketAddr,
        ecn: Option<Ecn>,
        mut datagram: Vec<u8>,
    ) -> Option<Vec<u8>> {
        self.received += 1;
        let (meta, mut out) = (Self::meta(from, ecn), Vec::new());
        match self.listener.handle(now, &meta, &mut datagram, &mut out) {
            Routed::To(handle) => {
                if let Some(connection) = self.connections.get_mut(&handle) {
                    connection.handle(now, &meta, &mut datagram);
                }
            }
            Routed::New(handle, connection) => {
                self.connections.insert(handle, *connection);
            }
            Routed::Reply(_) => return Some(out),
            Routed::Dropped => {}
        }
        None
    }

    /// Everything that its connections have to send and to say.
    fn flush(&mut self, now: Time) -> Vec<(SocketAddr, Option<Ecn>, Vec<u8>)> {
        let (mut sent, mut out) = (Vec::new(), Vec::new());
        for (handle, connection) in &mut self.connections {
            let mut patience = 100_000;
            loop {
                patience -= 1;
                assert!(patience > 0, "a connection never stops sending");
                while let Some(demand) = connection.poll_demand() {
                    let ids = self.listener.serve(*handle, &demand);
                    if let Demand::Ids { path, .. } = demand {
                        connection.supply_ids(path, ids);
                    }
                }
                let Some(transmit) = connection.poll_transmit(now, BATCH, &mut out) else { break };
                assert!(!out.is_empty());
                let stride = transmit.segment_size.unwrap_or(out.len());
                assert!(out.chunks(stride).count() <= BATCH);
                sent.extend(
                    out.chunks(stride).map(|datagram| (transmit.remote, transmit.ecn, datagram.to_vec())),
                );
            }
            while let Some(event) = connection.poll_event() {
                self.events.push((*handle, event));
            }
        }
        self.sent += sent.len() as u64;
        sent
    }

    fn timeout(&self) -> Option<Time> {
        self.connections.values().filter_map(Connection::poll_timeout).min()
    }

    fn handle_timeouts(&mut self, now: Time) {
        for connection in self.connections.values_mut() {
            if connection.poll_timeout().is_some_and(|at| at <= now) {
                connection.handle_timeout(now);
            }
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flying {
    at: Time,
    order: u64,
    to: SocketAddr,
    from: SocketAddr,
    ecn: Option<u8>,
    datagram: Vec<u8>,
}

/// Two hosts and the path between them.
pub struct World {
    pub now: Time,
    pub client: Host,
    pub server: Host,
    /// From the client to the server.
    pub up: Link,
    pub down: Link,
    pub rng: ChaCha20Rng,
    flying: BinaryHeap<Reverse<Flying>>,
    order: u64,
    pub steps: u64,
    /// When an application wants to do something.
    pub wake: Option<Time>,
    steps_at_once: u32,
    /// From these times on the client's datagrams come from another address, as a NAT makes them.
    pub rebinds: VecDeque<(Duration, SocketAddr)>,
    /// Datagrams that were marked on their way.
    pub marked: u64,
    /// What was sent, for those who want to repeat it: (from the client, bytes).
    pub tape: Option<Vec<(bool, Vec<u8>)>>,
}

pub fn server_key() -> StaticKey {
    StaticKey::from_private([11; 32])
}

pub fn server_config() -> ServerConfig {
    ServerConfig {
        keys: ServerKeys { own: server_key(), shared: None, client_key_required: false },
        retry: Retry::WhenBusy,
        early: Some(Duration::from_secs(10)),
        connections_max: 10_000,
        token_key: TokenKey::new([12; 32]),
    }
}

impl World {
    pub fn new(seed: u64, link: Link) -> Self {
        Self::with(seed, link, Config::default(), server_config())
    }

    pub fn with(seed: u64, link: Link, config: Config, server: ServerConfig) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let config = Arc::new(config);
        let mut host = |address: &str, server| Host {
            address: address.parse().unwrap(),
            listener: Listener::new(Arc::clone(&config), server, EPOCH_MS, rng.random(), &rng.random()),
            connections: BTreeMap::new(),
            events: Vec::new(),
            sent: 0,
            received: 0,
        };
        let (client, server) = (host("10.0.0.1:1000", None), host("10.0.0.2:2000", Some(server)));
        Self {
            now: Time::ZERO,
            client,
            server,
            up: link.clone(),
            down: link,
            rng,
            flying: BinaryHeap::new(),
            order: 0,
            steps: 0,
            wake: None,
            steps_at_once: 0,
            rebinds: VecDeque::new(),
            marked: 0,
            tape: None,
        }
    }

    /// Begins a connection from the client.
    pub fn connect(&mut self) -> Handle {
        self.connect_with(ClientKeys::pinned(server_key().public()), Bytes::new())
    }

    pub fn connect_with(&mut self, keys: ClientKeys, token: Bytes) -> Handle {
        let to = Host::meta(self.server.address, None);
        let (handle, connection) = self.client.listener.connect(self.now, keys, to, token).unwrap();
        self.client.connections.insert(handle, connection);
        handle
    }

    pub fn send(&mut self, from_client: bool, to: SocketAddr, ecn: Option<Ecn>, datagram: Vec<u8>) {
        if let Some(tape) = &mut self.tape {
            tape.push((from_client, datagram.clone()));
        }
        let (link, from) = if from_client {
            (&mut self.up, self.client.address)
        } else {
            (&mut self.down, self.server.address)
        };
        let copies = 1 + usize::from(link.duplicate > 0.0 && self.rng.random_bool(link.duplicate));
        for _ in 0..copies {
            let Some(Passed { at, marked }) = link.pass(self.now, datagram.len(), &mut self.rng) else {
                continue;
            };
            let ecn = if marked && ecn.is_some() {
                self.marked += 1;
                Some(Ecn::Ce)
            } else {
                ecn
            };
            let mut datagram = datagram.clone();
            if link.corrupt > 0.0 && self.rng.random_bool(link.corrupt) {
                let byte = self.rng.random_range(0..datagram.len());
                datagram[byte] ^= 1 << self.rng.random_range(0..8);
            }
            self.order += 1;
            let ecn = ecn.map(|ecn| ecn as u8);
            self.flying.push(Reverse(Flying { at, order: self.order, to, from, ecn, datagram }));
        }
    }

    /// Lets both hosts send what they have to.
    pub fn flush(&mut self) {
        for (to, ecn, datagram) in self.client.flush(self.now) {
            self.send(true, to, ecn, datagram);
        }
        for (to, ecn, datagram) in self.server.flush(self.now) {
            self.send(false, to, ecn, datagram);
        }
    }

    /// The clock goes on.
    fn tick(&mut self, next: Time) {
        self.steps_at_once = if next > self.now { 0 } else { self.steps_at_once + 1 };
        assert!(
            self.steps_at_once < STEPS_AT_ONCE_MAX,
            "the world goes round and round at {} ms: timeouts {:?} {:?}, wake {:?}",
            self.ms(),
            self.client.timeout(),
            self.server.timeout(),
            self.wake,
        );
        self.now = self.now.max(next);
        while self.rebinds.front().is_some_and(|(at, _)| Time::ZERO + *at <= self.now) {
            self.client.address = self.rebinds.pop_front().expect("it was looked at").1;
        }
    }

    /// Goes on to the next thing that happens, if that is not after `end`; says whether there was any.
    fn step(&mut self, end: Time) -> bool {
        self.steps += 1;
        self.flush();
        let arrival = self.flying.peek().map(|Reverse(flying)| flying.at);
        let rebind = self.rebinds.front().map(|(at, _)| Time::ZERO + *at);
        let next = [arrival, rebind, self.wake, self.client.timeout(), self.server.timeout()];
        let next = next.into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= end) else {
            self.now = end;
            return false;
        };
        self.tick(next);
        while self.flying.peek().is_some_and(|Reverse(flying)| flying.at <= self.now) {
            let Reverse(Flying { to, from, ecn, datagram, .. }) =
                self.flying.pop().expect("it was looked at");
            let ecn = match ecn {
                Some(2) => Some(Ecn::Ect0),
                Some(3) => Some(Ecn::Ce),
                _ => None,
            };
            let to_server = to == self.server.address;
            let host = if to_server { &mut self.server } else { &mut self.client };
            if to != host.address {
                continue;
            }
            if let Some(reply) = host.receive(self.now, from, ecn, datagram) {
                self.send(!to_server, from, None, reply);
            }
        }
        self.client.handle_timeouts(self.now);
        self.server.handle_timeouts(self.now);
        self.flush();
        true
    }

    /// Goes on until `done`, but not beyond `limit` from now; says whether it came to that.
    pub fn run(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        while !done(self) {
            if !self.step(end) {
                return done(self);
            }
        }
        true
    }

    /// Milliseconds since the world began.
    pub fn ms(&self) -> f64 {
        self.now.since(Time::ZERO).as_secs_f64() * 1000.0
    }

    /// Goes on until a workload is done; says whether it came to that.
    pub fn work(&mut self, workload: &mut workload::Workload, limit: Duration) -> bool {
        self.run(limit, |world| {
            workload.drive(world);
            workload.is_done() || world.is_broken()
        });
        workload.is_done()
    }

    /// Whether the connection ended.
    pub fn is_broken(&self) -> bool {
        self.client.is_closed() || self.server.has_lost()
    }

    /// The client closes; both ends must come to know, and nothing must stay behind.
    pub fn close(&mut self, limit: Duration) -> bool {
        let now = self.now;
        self.client.connection().close(now, Code::NO_ERROR, Bytes::new());
        self.run(limit, |world| world.client.listener.is_empty() && world.server.listener.is_empty())
    }

    /// Connects, and waits until both ends are.
    pub fn establish(&mut self) {
        self.connect();
        let done = self
            .run(Duration::from_secs(20), |world| world.client.is_connected() && world.server.is_connected());
        assert!(done, "no connection came to be: {:?} {:?}", self.client.events, self.server.events);
    }
}
