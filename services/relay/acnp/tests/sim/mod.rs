//! A world of two hosts and a path between them, under a clock that goes as fast as there is nothing to wait for. Everything follows from
//! one seed.

#![allow(dead_code, unreachable_pub)]

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use lowland_acnp::proto::{
    Ecn, Meta, Time,
    connection::{Config, Connection, Demand, Event},
    handshake::{ClientKeys, ServerKeys, StaticKey, TokenKey},
    listener::{Handle, Listener, Retry, Routed, ServerConfig},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// Milliseconds since 1970 when the world begins.
pub const EPOCH_MS: u64 = 1_700_000_000_000;
/// Datagrams that are sent together.
const BATCH: usize = 16;

/// What one direction of the path does to datagrams.
#[derive(Debug, Clone)]
pub struct Link {
    pub delay: Duration,
    /// Each datagram is late by up to this much more.
    pub jitter: Duration,
    /// Probability that a datagram is lost.
    pub loss: f64,
    /// Once one is lost, so many in a row are.
    pub burst: u32,
    pub duplicate: f64,
    pub corrupt: f64,
    /// Bits a second; 0: no limit.
    pub rate: u64,
    /// Bytes that wait for the rate; more is dropped.
    pub queue: u64,
    /// Larger datagrams vanish.
    pub mtu: usize,
    /// Nothing passes in these spans.
    pub blackouts: Vec<(Duration, Duration)>,
    burst_left: u32,
    free_at: Time,
}

impl Link {
    pub fn new(delay_ms: u64) -> Self {
        Self {
            delay: Duration::from_millis(delay_ms),
            jitter: Duration::ZERO,
            loss: 0.0,
            burst: 1,
            duplicate: 0.0,
            corrupt: 0.0,
            rate: 0,
            queue: 1 << 20,
            mtu: 1500,
            blackouts: Vec::new(),
            burst_left: 0,
            free_at: Time::ZERO,
        }
    }

    pub fn loss(self, loss: f64) -> Self {
        Self { loss, ..self }
    }

    fn loses(&mut self, now: Time, len: usize, rng: &mut ChaCha20Rng) -> bool {
        let since = now.since(Time::ZERO);
        if len > self.mtu || self.blackouts.iter().any(|(from, to)| (*from..*to).contains(&since)) {
            return true;
        }
        if self.burst_left > 0 {
            self.burst_left -= 1;
            return true;
        }
        let begins = rng.random_bool(self.loss / f64::from(self.burst));
        if begins {
            self.burst_left = self.burst - 1;
        }
        begins
    }

    /// When a datagram arrives; `None`: never.
    fn pass(&mut self, now: Time, len: usize, rng: &mut ChaCha20Rng) -> Option<Time> {
        if self.loses(now, len, rng) {
            return None;
        }
        let mut at = now;
        if self.rate > 0 {
            let waiting = self.free_at.since(now).as_secs_f64() * self.rate as f64 / 8.0;
            if waiting > self.queue as f64 {
                return None;
            }
            at = self.free_at.max(now) + Duration::from_secs_f64(len as f64 * 8.0 / self.rate as f64);
            self.free_at = at;
        }
        let jitter = self.jitter.as_nanos() as u64;
        let late = if jitter == 0 { 0 } else { rng.random_range(0..jitter) };
        Some(at + self.delay + Duration::from_nanos(late))
    }
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
            let Some(at) = link.pass(self.now, datagram.len(), &mut self.rng) else { continue };
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

    /// Goes on to the next thing that happens, if that is not after `end`; says whether there was any.
    fn step(&mut self, end: Time) -> bool {
        self.steps += 1;
        self.flush();
        let arrival = self.flying.peek().map(|Reverse(flying)| flying.at);
        let next = [arrival, self.client.timeout(), self.server.timeout()].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
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

    /// Connects, and waits until both ends are.
    pub fn establish(&mut self) {
        self.connect();
        let done = self
            .run(Duration::from_secs(20), |world| world.client.is_connected() && world.server.is_connected());
        assert!(done, "no connection came to be: {:?} {:?}", self.client.events, self.server.events);
    }
}
