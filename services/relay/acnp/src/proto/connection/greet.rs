//! How a connection begins, at either end, and how the handshake ends.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::{
    CloseReason, Config, Connection, Demand, EarlyKeys, Event, Keys,
    path::Path,
    sent::Own,
    state::{Accepting, Connecting, Repeat, State},
    stats::Stats,
};
use crate::proto::{
    ConnectionId, Meta, PathId, Side, Time,
    cid::{FIRST_CID_LEN, ResetToken},
    close::{Code, Violation},
    crypto::{Receiving, SECRET_LEN, Secret, Sending, Suite},
    handshake::{ClientHandshake, ClientKeys, ClientMessage, EARLY_LIMITS, HandshakeFailed, Hello, Secrets},
    observe::Observed,
    stream::Streams,
};

/// What a client needs to begin.
#[derive(Debug, Clone)]
pub struct Connect {
    /// Its keys.
    pub keys: ClientKeys,
    /// The id that it wants to be written to, of the length that its owner sorts by.
    pub own_id: ConnectionId,
    /// The server, and the address to write from.
    pub to: Meta,
    /// A token that this server gave before; empty without one.
    pub token: Bytes,
    /// Milliseconds since 1970, for the server to judge early data by.
    pub time_ms: u64,
}

/// What a server has found out about a client before the connection begins.
pub struct Accepted {
    /// The client's message.
    pub message: ClientMessage,
    /// Where from.
    pub from: Meta,
    /// The id that the client wants to be written to.
    pub client_id: ConnectionId,
    /// The id that the server wants to be written to, and its token.
    pub own_id: ConnectionId,
    /// Its reset token.
    pub reset_token: ResetToken,
    /// The destination of the client's first Initial.
    pub first_destination: ConnectionId,
    /// The source of the Retry, if there was one.
    pub retry_source: Option<ConnectionId>,
    /// Whether the client has shown that it receives at its address.
    pub validated: bool,
    /// Whether early data may be taken.
    pub early: bool,
    /// A token for its next connection.
    pub later_token: Bytes,
}

impl Connection {
    /// A client's end. `rng` is for this connection alone.
    ///
    /// # Errors
    /// The keys don't make a handshake.
    pub fn connect(
        now: Time,
        config: Arc<Config>,
        connect: &Connect,
        mut rng: ChaCha20Rng,
    ) -> Result<Self, HandshakeFailed> {
        let mut fresh = [0; SECRET_LEN];
        rng.fill_bytes(&mut fresh);
        let hello = Hello {
            early_secret: Some(fresh),
            time_ms: Some(connect.time_ms),
            ..Hello::new(config.parameters(), config.suites.clone())
        };
        let suite = *config.suites.first().ok_or(HandshakeFailed)?;
        let own_rng = ChaCha20Rng::from_rng(&mut rng);
        let handshake = ClientHandshake::new(&connect.keys, &connect.own_id, &hello, own_rng)?;
        let first_destination = ConnectionId::random(&mut rng, FIRST_CID_LEN);
        let state = State::Connecting(Box::new(Connecting {
            handshake,
            token: connect.token.clone(),
            repeat: Repeat::new(now, config.initial_rtt),
            first_sent: None,
            first_destination,
            retry_source: None,
            unopened: Vec::new(),
        }));
        let mut connection = Self::new(
            now,
            Side::Client,
            config,
            state,
            (connect.own_id, first_destination),
            &connect.to,
            rng,
        );
        connection.early = Some(early_keys(suite, fresh));
        connection.paths[0].validated = true;
        Ok(connection)
    }

    /// A server's end. `rng` is for this connection alone.
    ///
    /// # Errors
    /// The client offers no AEAD that is spoken here.
    pub fn accept(
        now: Time,
        config: Arc<Config>,
        accepted: Accepted,
        rng: ChaCha20Rng,
    ) -> Result<Self, HandshakeFailed> {
        let offered = &accepted.message.hello;
        let suite =
            offered.suites.iter().find(|suite| config.suites.contains(suite)).ok_or(HandshakeFailed)?;
        let early = offered.early_secret.filter(|_| accepted.early).zip(offered.suites.first());
        let hello = Hello {
            early_accepted: early.is_some(),
            first_destination: Some(accepted.first_destination),
            retry_source: accepted.retry_source,
            reset_token: Some(accepted.reset_token),
            ..Hello::new(config.parameters(), vec![*suite])
        };
        let peer = offered.parameters.clone();
        let peer_key = accepted.message.client_key;
        let early = early.map(|(secret, suite)| early_keys(*suite, secret));
        let (response, secrets) = accepted.message.handshake.answer(&hello)?;
        let state = State::Accepting(Accepting { response, repeat: Repeat::new(now, config.initial_rtt) });
        let ids = (accepted.own_id, accepted.client_id);
        let mut connection = Self::new(now, Side::Server, config, state, ids, &accepted.from, rng);
        connection.keys = Some(Keys::new(now, Side::Server, *suite, &secrets));
        connection.early_accepted = early.is_some();
        (connection.early, connection.peer_key) = (early, peer_key);
        connection.token = accepted.later_token;
        connection.paths[0].validated = accepted.validated;
        connection.streams.establish(&peer);
        connection.peer = peer;
        Ok(connection)
    }

    fn new(
        now: Time,
        side: Side,
        config: Arc<Config>,
        state: State,
        (own_id, remote_id): (ConnectionId, ConnectionId),
        meta: &Meta,
        rng: ChaCha20Rng,
    ) -> Self {
        let mut path = Path::new(PathId::FIRST, meta, remote_id, &config);
        path.local_ids.add(own_id, None);
        Self {
            side,
            peer: EARLY_LIMITS,
            peer_key: None,
            state,
            rng,
            own_id,
            keys: None,
            early: None,
            early_accepted: false,
            paths: vec![path],
            streams: Streams::new(side, config.streams.clone()),
            datagrams: super::Datagrams::default(),
            own: BTreeSet::new(),
            ack_wish: super::AckWish::unasked(),
            congestion: config.congestion,
            token: Bytes::new(),
            events: VecDeque::new(),
            demands: VecDeque::new(),
            handshake_until: now + config.handshake_timeout,
            last_heard: now,
            asked_at: None,
            forged: 0,
            stats: Stats::default(),
            arena: BytesMut::new(),
            outcome: super::Outcome::default(),
            recovered: Vec::new(),
            observer: None,
            config,
        }
    }

    /// A client has read the Response: its source is where to write from now on.
    pub(super) fn on_response(
        &mut self,
        now: Time,
        source: ConnectionId,
        message: &[u8],
    ) -> Result<(), Violation> {
        let State::Connecting(connecting) = &mut self.state else { return Ok(()) };
        // ACNP-28
        let Ok((hello, secrets)) = connecting.handshake.read(message) else { return Ok(()) };
        check_hello(&hello, connecting, &self.config)?;
        if connecting.repeat.attempts == 1
            && let Some(sent) = connecting.first_sent
        {
            self.paths[0].flight.sample(now, now.since(sent));
        }
        let unopened = std::mem::take(&mut connecting.unopened);
        self.state = State::Established;
        self.keys = Some(Keys::new(now, Side::Client, hello.suites[0], &secrets));
        self.early = None;
        self.early_accepted = hello.early_accepted;
        self.peer = hello.parameters.clone();
        self.paths[0].remote_ids.set_first(source, hello.reset_token);
        self.demands.extend(hello.reset_token.map(Demand::Expect));
        self.streams.establish(&hello.parameters);
        if !hello.early_accepted {
            // ACNP-23: refused early data goes again.
            let early = self.paths[0].flight.take_all();
            early.iter().for_each(|content| self.on_content_lost(content));
        }
        self.begin(now);
        for (meta, mut packet) in unopened {
            self.handle(now, &meta, &mut packet);
        }
        Ok(())
    }

    /// A server has opened a packet that only the client could have sealed: the handshake is over.
    pub(super) fn on_confirmed(&mut self, now: Time) {
        self.state = State::Established;
        self.paths[0].validated = true;
        if !self.token.is_empty() {
            self.own.insert(Own::NewToken);
        }
        self.begin(now);
    }

    fn begin(&mut self, now: Time) {
        self.paths[0].flight.set_ack_delay(self.peer.ack_delay);
        self.begin_mending();
        let ceiling = self.config.payload_ceiling(&self.peer);
        self.paths[0].mtu.begin(now, ceiling);
        self.demands.push_back(Demand::Established);
        self.demand_ids();
        self.events.push_back(Event::Connected { early_accepted: self.early_accepted });
        self.observe(now, Observed::Established);
    }

    /// Asks for as many ids as the peer may have.
    pub(super) fn demand_ids(&mut self) {
        // Who sorts by no id needs no more of them.
        if self.own_id.is_empty() {
            return;
        }
        for path in &self.paths {
            let count = path.local_ids.wanted(self.peer.cids);
            if count > 0 {
                self.demands.push_back(Demand::Ids { path: path.id, count });
            }
        }
    }

    /// Takes ids that were asked for.
    pub fn supply_ids(&mut self, path: PathId, ids: impl IntoIterator<Item = (ConnectionId, ResetToken)>) {
        let Some(at) = self.path(path) else { return };
        for (id, token) in ids {
            let sequence = self.paths[at].local_ids.add(id, Some(token));
            self.own.insert(Own::NewCid(path, sequence));
        }
    }

    /// The server asks to come again with a token.
    pub(super) fn on_retry(&mut self, now: Time, source: ConnectionId, token: &[u8]) {
        let State::Connecting(connecting) = &mut self.state else { return };
        // ACNP-25
        if connecting.retry_source.is_some() {
            return;
        }
        connecting.retry_source = Some(source);
        connecting.token = Bytes::copy_from_slice(token);
        connecting.repeat = Repeat::new(now, self.config.initial_rtt);
        self.paths[0].remote_ids.set_first(source, None);
        self.repeat_early();
    }

    /// An Initial goes again: what went with it was not heard either.
    pub(super) fn repeat_early(&mut self) {
        let early = self.paths[0].flight.take_all();
        early.iter().for_each(|content| self.on_content_lost(content));
    }

    /// The server lists the versions that it speaks.
    pub(super) fn on_versions(&mut self, now: Time, versions: &[u32]) {
        // ACNP-9
        if matches!(self.state, State::Connecting(_)) && !versions.contains(&crate::proto::packet::VERSION) {
            self.end(now, CloseReason::Version);
        }
    }
}

fn early_keys(suite: Suite, fresh: [u8; SECRET_LEN]) -> EarlyKeys {
    let secret = Secret::early(fresh);
    EarlyKeys { packet: secret.packet_key(suite), header: secret.header_key(suite) }
}

fn check_hello(hello: &Hello, connecting: &Connecting, config: &Config) -> Result<(), Violation> {
    let wrong = |reason| Err(Violation::new(Code::PARAMETERS, reason));
    if !matches!(hello.suites[..], [suite] if config.suites.contains(&suite)) {
        return wrong("an AEAD that was not offered");
    }
    // ACNP-25
    if hello.first_destination != Some(connecting.first_destination)
        || hello.retry_source != connecting.retry_source
    {
        return wrong("the server answers another's handshake");
    }
    if !hello.parameters.keep_early_limits() {
        return wrong("less than every server grants");
    }
    Ok(())
}

impl Keys {
    fn new(now: Time, side: Side, suite: Suite, secrets: &Secrets) -> Self {
        let (ours, theirs) = match side {
            Side::Client => (&secrets.client, &secrets.server),
            Side::Server => (&secrets.server, &secrets.client),
        };
        let (sending, receiving) = (Sending::new(suite, ours.clone()), Receiving::new(suite, theirs));
        Self { sending, receiving, updated_at: now, phase_acked: false }
    }
}
