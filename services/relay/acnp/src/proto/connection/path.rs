//! A path: two addresses, a packet-number space in each direction, and what is known of what lies between.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{
    acks::Acks,
    config::Config,
    flight::Flight,
    ids::{LocalIds, RemoteIds},
    mending::Mending,
    mtu::Mtu,
};
use crate::proto::{
    ConnectionId, Meta, PathId, Time,
    cid::ResetToken,
    congestion::Estimate,
    fec::{self, Decoder, planner},
    handshake::EARLY_LIMITS,
};

/// Bytes that may be sent to an address that is not validated, for each received from it (ACNP-7).
const AMPLIFICATION: u64 = 3;
/// Bytes of a packet in which there is room for an ACK and more; smaller ones are not begun.
const PACKET_USEFUL: usize = 160;
/// Bytes of a packet with a challenge and nothing else: flags, id, number, frame, tag.
const CHALLENGE_LEN_MAX: usize = 1 + 20 + 4 + 9 + 16;
/// Challenges of the peer's that wait to be answered.
const RESPONSES_MAX: usize = 8;
/// Packets that are kept to recover others by, and how long.
const SOURCES_MAX: usize = 512;
const SOURCE_AGE_MAX: Duration = Duration::from_secs(1);

/// Counters of a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PathStats {
    /// Repairs sent, and what the peer could do with them.
    pub repairs: planner::Counters,
    /// Packets in a million that the path loses, as those are told who plan repairs; 0 where none are sent.
    pub loss_ppm: u32,
    /// Packets recovered, and what became of the peer's other repairs.
    pub repaired: fec::Counters,
    /// What was learnt of the path, for a later connection over it.
    pub estimate: Option<Estimate>,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Packets found lost.
    pub packets_lost: u64,
    /// Probes sent because nothing came back.
    pub probes: u64,
    /// Times that datagrams became small again.
    pub black_holes: u64,
    /// Bytes of UDP payload that a datagram may have.
    pub mtu: usize,
    /// Smoothed round trip.
    pub rtt: Duration,
    /// Bytes that may be under way.
    pub window: u64,
    /// Bytes that are.
    pub in_flight: u64,
    /// Bytes a second at which they may leave; `None`: at once.
    pub pacing: Option<u64>,
    /// How late a packet may come before it is taken for lost.
    pub reorder_window: Duration,
    /// What the congestion controller is doing.
    pub congestion: &'static str,
}

/// A challenge that was sent, or is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Challenge {
    pub(super) data: [u8; 8],
    /// When to send it (again).
    pub(super) at: Time,
    /// When to give up.
    pub(super) until: Time,
}

#[derive(Debug)]
pub(super) struct Path {
    pub(super) id: PathId,
    pub(super) remote: SocketAddr,
    pub(super) local: Option<IpAddr>,
    pub(super) validated: bool,
    /// Bytes exchanged with an address that is not validated.
    received: u64,
    sent: u64,
    /// The last validated address, while another is tried.
    pub(super) fallback: Option<(SocketAddr, Option<IpAddr>)>,
    pub(super) challenge: Option<Challenge>,
    pub(super) responses: Vec<([u8; 8], Meta)>,
    pub(super) flight: Flight,
    pub(super) acks: Acks,
    /// Sends repairs, if the peer understands them and the purpose asks for them.
    pub(super) mending: Option<Box<Mending>>,
    /// Uses those of the peer's, if they were offered to be taken.
    pub(super) decoder: Option<Box<Decoder>>,
    /// When a repair may be due.
    pub(super) mend_at: Option<Time>,
    pub(super) mtu: Mtu,
    pub(super) local_ids: LocalIds,
    pub(super) remote_ids: RemoteIds,
    /// When a packet may leave that pacing held back.
    pub(super) paced_until: Option<Time>,
    pub(super) stats: PathStats,
}

impl Path {
    pub(super) fn new(id: PathId, meta: &Meta, remote_id: ConnectionId, config: &Config) -> Self {
        Self {
            id,
            remote: meta.remote,
            local: meta.local,
            validated: false,
            received: 0,
            sent: 0,
            fallback: None,
            challenge: None,
            responses: Vec::new(),
            flight: Flight::new(config, EARLY_LIMITS.ack_delay),
            acks: Acks::new(config.ack_delay),
            mending: None,
            decoder: (config.fec.bytes > 0)
                .then(|| Box::new(Decoder::new(SOURCES_MAX, config.fec.bytes, SOURCE_AGE_MAX))),
            mend_at: None,
            mtu: Mtu::new(),
            local_ids: LocalIds::default(),
            remote_ids: RemoteIds::new(remote_id, None),
            paced_until: None,
            stats: PathStats::default(),
        }
    }

    /// Counts a datagram that came.
    pub(super) fn on_datagram(&mut self, len: usize) {
        self.received += len as u64;
        self.stats.datagrams_received += 1;
        self.stats.bytes_received += len as u64;
    }

    /// Counts a datagram that goes.
    pub(super) fn on_transmit(&mut self, len: usize) {
        self.sent += len as u64;
        self.stats.datagrams_sent += 1;
        self.stats.bytes_sent += len as u64;
    }

    /// Bytes that may go to its address (ACNP-7).
    const fn room(&self) -> u64 {
        if self.validated { u64::MAX } else { (AMPLIFICATION * self.received).saturating_sub(self.sent) }
    }

    /// Whether `len` bytes may go to its address.
    pub(super) const fn may_send(&self, len: usize) -> bool {
        len as u64 <= self.room()
    }

    /// Whether a challenge may go there: the least that a peer sends from a new address lets it.
    pub(super) const fn may_challenge(&self) -> bool {
        self.may_send(CHALLENGE_LEN_MAX)
    }

    /// Whether a packet of some use may go there.
    pub(super) const fn is_open(&self) -> bool {
        self.may_send(PACKET_USEFUL)
    }

    /// Bytes of the next datagram with data or ACKs: what the path carries, as far as it may be sent to.
    pub(super) fn segment(&self) -> usize {
        usize::try_from(self.room()).unwrap_or(usize::MAX).min(self.mtu.current())
    }

    /// Takes another address, which has yet to show that it receives (ACNP-70).
    pub(super) fn move_to(&mut self, meta: &Meta, len: usize, config: &Config) {
        if self.validated {
            self.fallback = Some((self.remote, self.local));
        }
        let same_host = self.remote.ip() == meta.remote.ip();
        (self.remote, self.local, self.validated) = (meta.remote, meta.local, false);
        (self.received, self.sent) = (len as u64, 0);
        // ACNP-71
        if !same_host {
            self.flight.restart(config);
            self.mtu = Mtu::new();
        }
    }

    /// Takes up the last address that was validated.
    pub(super) fn fall_back(&mut self) {
        self.challenge = None;
        if let Some((remote, local)) = self.fallback.take() {
            (self.remote, self.local, self.validated) = (remote, local, true);
        }
    }

    /// Notes a challenge that has to be answered to where it came from.
    pub(super) fn owe_response(&mut self, data: [u8; 8], meta: &Meta) {
        if self.responses.len() < RESPONSES_MAX {
            self.responses.push((data, *meta));
        }
    }

    /// Whether a packet's end is a reset token of the peer's.
    pub(super) fn is_reset(&self, token: &ResetToken) -> bool {
        self.remote_ids.is_reset(token)
    }

    pub(super) fn stats(&self) -> PathStats {
        let repairs = self.mending.as_ref().map(|mending| mending.counters()).unwrap_or_default();
        PathStats {
            repairs,
            loss_ppm: self.mending.as_ref().map_or(0, |mending| (mending.losses().rate() * 1e6) as u32),
            repaired: self.decoder.as_ref().map(|decoder| decoder.counters()).unwrap_or_default(),
            estimate: self.flight.estimate(),
            mtu: self.mtu.current(),
            rtt: self.flight.smoothed(),
            window: self.flight.window(),
            in_flight: self.flight.in_flight(),
            pacing: self.flight.pacing(),
            reorder_window: self.flight.reorder_window(),
            congestion: self.flight.state(),
            ..self.stats
        }
    }
}
