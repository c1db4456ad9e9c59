//! Sorts datagrams to connections, and decides which become new ones. It holds no connection, so that each can live where its owner likes.

mod accept;
mod ids;
mod reset;

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::{
    ConnectionId, Meta, Time, Transmit,
    cid::{RESET_TOKEN_LEN, ResetToken},
    connection::{Config, Connect, Connection, Demand},
    handshake::{ClientKeys, HandshakeFailed, ReplayCache, ServerKeys, TokenKey},
    packet::{Long, is_long, is_short, long, short},
};
use reset::{Budget, ResetKey};

/// Which connection, among those of one listener; never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u64);

/// When a client has to show that it receives at its address before a connection is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Retry {
    /// When many handshakes are unfinished.
    #[default]
    WhenBusy,
    /// Always.
    Always,
}

/// What makes a listener accept connections.
#[derive(Debug)]
pub struct ServerConfig {
    /// The server's keys.
    pub keys: ServerKeys,
    /// When clients are asked to come again.
    pub retry: Retry,
    /// Whether early data is taken, and how far a client's clock may be from ours for it; `None`: it is not.
    pub early: Option<Duration>,
    /// Connections at once; beyond, Initials are dropped.
    pub connections_max: usize,
    /// Seals tokens. Servers behind one address share it.
    pub token_key: TokenKey,
}

/// Unfinished handshakes from which on clients have to show that they receive at their addresses.
pub const UNFINISHED_RETRY: usize = 256;
/// Unfinished handshakes beyond which Initials are dropped.
pub const UNFINISHED_MAX: usize = 4096;

/// What is to be done with a datagram.
#[derive(Debug)]
pub enum Routed {
    /// It is this connection's: hand it over.
    To(Handle),
    /// It began a connection, which has taken it already.
    New(Handle, Box<Connection>),
    /// An answer lies in the buffer.
    Reply(Transmit),
    /// Nothing.
    Dropped,
}

/// Reset tokens of a peer that are kept: more than ids of it are in use at once.
const TOKENS_MAX: usize = 8;

#[derive(Debug, Default)]
struct Entry {
    ids: Vec<ConnectionId>,
    initial: Option<(ConnectionId, SocketAddr)>,
    /// Tokens of its peer, the latest [`TOKENS_MAX`].
    tokens: VecDeque<[u8; RESET_TOKEN_LEN]>,
    unfinished: bool,
}

/// Sorts datagrams by connection ids.
#[derive(Debug)]
pub struct Listener {
    config: Arc<Config>,
    server: Option<ServerConfig>,
    rng: ChaCha20Rng,
    /// Milliseconds from 1970 to the beginning of [`Time`].
    epoch_ms: u64,
    reset_key: ResetKey,
    resets: Budget,
    replays: ReplayCache,
    next: u64,
    entries: HashMap<Handle, Entry>,
    ids: HashMap<ConnectionId, Handle>,
    initials: HashMap<(ConnectionId, SocketAddr), Handle>,
    tokens: HashMap<[u8; RESET_TOKEN_LEN], Handle>,
    unfinished: usize,
}

impl Listener {
    /// A listener that accepts connections if `server` says how, and can make them. `seed` is fresh randomness: all keys and ids come from it.
    /// `reset_seed` makes stateless resets work after a restart, if it is the same then. `epoch_ms` is the time of [`Time::ZERO`], in ms since 1970.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        server: Option<ServerConfig>,
        epoch_ms: u64,
        seed: [u8; 32],
        reset_seed: &[u8; 32],
    ) -> Self {
        let window = server.as_ref().and_then(|server| server.early).unwrap_or_default();
        Self {
            config,
            server,
            rng: ChaCha20Rng::from_seed(seed),
            epoch_ms,
            reset_key: ResetKey::new(reset_seed),
            resets: Budget::default(),
            replays: ReplayCache::new(window),
            next: 0,
            entries: HashMap::new(),
            ids: HashMap::new(),
            initials: HashMap::new(),
            tokens: HashMap::new(),
            unfinished: 0,
        }
    }

    fn now_ms(&self, now: Time) -> u64 {
        self.epoch_ms + now.as_nanos() / 1_000_000
    }

    /// Connections that it knows of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it knows of no connection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Begins a connection to a server.
    ///
    /// # Errors
    /// The keys don't make a handshake.
    pub fn connect(
        &mut self,
        now: Time,
        keys: ClientKeys,
        to: Meta,
        token: Bytes,
    ) -> Result<(Handle, Connection), HandshakeFailed> {
        let own_id = self.fresh_id();
        let connect = Connect { keys, own_id, to, token, time_ms: self.now_ms(now) };
        let connection = Connection::connect(
            now,
            Arc::clone(&self.config),
            &connect,
            ChaCha20Rng::from_rng(&mut self.rng),
        )?;
        let handle = self.add(Entry { ids: vec![own_id], ..Entry::default() });
        Ok((handle, connection))
    }

    /// Says whose a datagram is. An answer, if there has to be one, is written to `out`.
    pub fn handle(&mut self, now: Time, meta: &Meta, datagram: &mut [u8], out: &mut Vec<u8>) -> Routed {
        out.clear();
        if is_long(datagram) {
            self.handle_long(now, meta, datagram, out)
        } else if is_short(datagram) {
            self.handle_short(now, meta, datagram, out)
        } else {
            Routed::Dropped
        }
    }

    fn handle_short(&mut self, now: Time, meta: &Meta, datagram: &[u8], out: &mut Vec<u8>) -> Routed {
        let Ok(id) = short::destination(datagram, self.config.cid_len) else { return Routed::Dropped };
        let of_token = || datagram.last_chunk().and_then(|token| self.tokens.get(token));
        match self.ids.get(&id).or_else(of_token) {
            Some(handle) => Routed::To(*handle),
            None => self.reset(now, meta, &id, datagram.len(), out),
        }
    }

    fn handle_long(&mut self, now: Time, meta: &Meta, datagram: &mut [u8], out: &mut Vec<u8>) -> Routed {
        let Ok((header, packet, _)) = long::read(datagram) else { return Routed::Dropped };
        let of_first = self.initials.get(&(header.destination, meta.remote));
        if let Some(handle) = of_first.or_else(|| self.ids.get(&header.destination)) {
            return Routed::To(*handle);
        }
        match packet {
            Long::UnknownVersion => self.negotiate(meta, &header, datagram.len(), out),
            Long::Initial { .. } => self.accept(now, meta, datagram, out),
            _ => Routed::Dropped,
        }
    }

    /// Does for a connection what it needs of whoever sorts its datagrams. Gives ids that it has to be supplied with.
    pub fn serve(&mut self, handle: Handle, demand: &Demand) -> Vec<(ConnectionId, ResetToken)> {
        match demand {
            Demand::Established => self.on_finished(handle),
            Demand::Ids { count, .. } => return (0..*count).map(|_| self.issue(handle)).collect(),
            Demand::Expect(token) => self.expect(handle, token),
            Demand::Retired(id) => self.forget_id(handle, id),
            Demand::Drained => self.forget(handle),
        }
        Vec::new()
    }

    fn on_finished(&mut self, handle: Handle) {
        if let Some(entry) = self.entries.get_mut(&handle)
            && std::mem::take(&mut entry.unfinished)
        {
            self.unfinished -= 1;
        }
    }
}
