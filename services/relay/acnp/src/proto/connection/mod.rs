//! A connection: datagrams and the time go in, datagrams, events and a deadline come out.

mod ack_wish;
mod acks;
mod app;
mod close;
mod config;
mod datagrams;
mod event;
mod fates;
mod flight;
mod frames;
mod greet;
mod ids;
mod mending;
mod mtu;
mod packet;
mod path;
mod receive;
mod received;
mod repair;
mod room;
mod sent;
mod state;
mod stats;
mod timers;
mod transmit;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use rand_chacha::ChaCha20Rng;

pub use config::{Config, Fec};
pub use datagrams::DatagramError;
pub use event::{CloseReason, Demand, Event};
pub use greet::{Accepted, Connect};
pub use path::PathStats;
pub use stats::Stats;

use ack_wish::AckWish;
use datagrams::Datagrams;
use flight::Outcome;
use path::Path;
use sent::Own;
use state::State;

use super::{
    ConnectionId, PathId, Side, Time,
    congestion::Mode,
    crypto::{HeaderKey, PacketKey, Receiving, Sending},
    fec::Recovered,
    handshake::{Parameters, PublicKey},
    observe::{Observed, Observer},
    stream::Streams,
};

/// Keys of packets that follow the handshake.
#[derive(Debug)]
struct Keys {
    sending: Sending,
    receiving: Receiving,
    /// When this side last moved to new keys, and whether a packet of the phase was acknowledged.
    updated_at: Time,
    phase_acked: bool,
}

/// Keys of Early packets.
#[derive(Debug)]
struct EarlyKeys {
    packet: PacketKey,
    header: HeaderKey,
}

/// One end of a connection.
///
/// Its owner calls [`Self::handle`] with what comes, [`Self::handle_timeout`] when [`Self::poll_timeout`] says, and after either, or after any
/// call of the application's, [`Self::poll_transmit`] and [`Self::poll_event`] until they give nothing, and [`Self::poll_demand`].
pub struct Connection {
    side: Side,
    config: Arc<Config>,
    peer: Parameters,
    peer_key: Option<PublicKey>,
    state: State,
    rng: ChaCha20Rng,
    /// The id that the peer writes to in the handshake.
    own_id: ConnectionId,
    keys: Option<Keys>,
    early: Option<EarlyKeys>,
    early_accepted: bool,
    paths: Vec<Path>,
    streams: Streams,
    datagrams: Datagrams,
    own: BTreeSet<Own>,
    ack_wish: AckWish,
    congestion: Mode,
    /// A token for the peer's next connection.
    token: Bytes,
    events: VecDeque<Event>,
    demands: VecDeque<Demand>,
    handshake_until: Time,
    last_heard: Time,
    /// When a packet that wants an ACK was first sent since something was heard.
    asked_at: Option<Time>,
    /// Packets that did not open (ACNP-33).
    forged: u64,
    stats: Stats,
    /// Where packets are opened into: what they carry shares its blocks.
    arena: BytesMut,
    outcome: Outcome,
    /// Packets recovered of late, to be taken when the packet is that made it possible.
    recovered: Vec<Recovered>,
    observer: Option<Box<dyn Observer>>,
}

impl Connection {
    /// Has somebody watch.
    pub fn set_observer(&mut self, observer: Box<dyn Observer>) {
        self.observer = Some(observer);
    }

    fn observe(&mut self, now: Time, event: Observed) {
        if let Some(observer) = &mut self.observer {
            observer.observe(now, &event);
        }
    }

    /// Which end it is.
    #[must_use]
    pub const fn side(&self) -> Side {
        self.side
    }

    /// Whether the handshake is over and nothing has ended it yet.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        matches!(self.state, State::Established)
    }

    /// Whether it is closed, or about to be.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closing(_) | State::Draining { .. } | State::Drained)
    }

    /// The key that the peer showed: a client's, if it has one.
    #[must_use]
    pub const fn peer_key(&self) -> Option<PublicKey> {
        self.peer_key
    }

    /// The next thing that the owner should know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front().or_else(|| self.streams.poll_event().map(Event::Stream))
    }

    /// The next thing that whoever sorts datagrams has to do.
    pub fn poll_demand(&mut self) -> Option<Demand> {
        self.demands.pop_front()
    }

    fn path(&self, id: PathId) -> Option<usize> {
        self.paths.iter().position(|path| path.id == id)
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("side", &self.side)
            .field("id", &self.own_id)
            .finish_non_exhaustive()
    }
}
