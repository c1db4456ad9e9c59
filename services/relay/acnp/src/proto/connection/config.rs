//! What a connection is allowed and asked to do.

use std::time::Duration;

use crate::proto::{
    cid::LOCAL_CID_LEN_DEFAULT,
    congestion::{Estimate, Mode},
    crypto::Suite,
    fec::loss::Loss,
    handshake::Parameters,
    packet::DATAGRAM_LEN_MIN,
    stream::StreamConfig,
};

/// Largest UDP payload that an Ethernet path carries with IPv6, bytes.
const PAYLOAD_ETHERNET: usize = 1452;

/// Settings of a connection.
#[derive(Debug, Clone)]
pub struct Config {
    /// How much streams may hold.
    pub streams: StreamConfig,
    /// Silence after which the connection is gone; zero: never.
    pub idle: Duration,
    /// Silence after which a PING is sent, so that it is not; `None`: it may.
    pub keep_alive: Option<Duration>,
    /// How long the handshake may take.
    pub handshake_timeout: Duration,
    /// The round trip that is assumed until one was measured: the first retransmission comes after three of them.
    pub initial_rtt: Duration,
    /// How long an ACK may be held back.
    pub ack_delay: Duration,
    /// Largest datagram content that is taken, bytes; 0: none are.
    pub datagram_len_max: usize,
    /// Datagrams that wait to be sent, and to be read, bytes of each; the oldest go first when it is full.
    pub datagram_buffer: usize,
    /// Largest UDP payload that is sent, once the path has shown that it carries it, bytes.
    pub payload_len_max: usize,
    /// AEADs that may be used, best first.
    pub suites: Vec<Suite>,
    /// Length of our connection ids, bytes, at most 8: 4 billion ids are enough unless ids are made by several machines.
    pub cid_len: usize,
    /// Whether datagrams are marked as ECN-capable.
    pub ecn: bool,
    /// Paths that may be kept at once.
    pub paths: u64,
    /// How congestion is controlled.
    pub congestion: Mode,
    /// What an earlier connection learnt of the path (`PathStats::estimate`), to begin with.
    pub known: Option<Estimate>,
    /// What it learnt of the path's losses (`Connection::losses`).
    pub known_losses: Option<Loss>,
    /// How losses are repaired.
    pub fec: Fec,
}

/// How losses are repaired before they are noticed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fec {
    /// Bytes of packets, and as many again of repairs, that are kept a path to recover what was lost; 0: repair is not understood.
    pub bytes: usize,
    /// Bytes of repairs that are sent for each byte of content, at most; 0: none. Nor are any under [`Mode::Cubic`].
    pub share_max: f64,
    /// Probability with which packets that are covered together may stay incomplete.
    pub target: f64,
}

impl Default for Fec {
    fn default() -> Self {
        Self { bytes: 1 << 19, share_max: 0.8, target: 1e-3 }
    }
}

impl Fec {
    /// Neither sends repairs nor takes them.
    pub const OFF: Self = Self { bytes: 0, share_max: 0.0, target: 1e-3 };
}

impl Default for Config {
    fn default() -> Self {
        Self {
            streams: StreamConfig::default(),
            idle: Duration::from_secs(30),
            keep_alive: None,
            handshake_timeout: Duration::from_secs(10),
            initial_rtt: Duration::from_millis(100),
            ack_delay: Duration::from_millis(5),
            datagram_len_max: 65_000,
            datagram_buffer: 1 << 20,
            payload_len_max: PAYLOAD_ETHERNET,
            suites: Suite::ALL.to_vec(),
            cid_len: LOCAL_CID_LEN_DEFAULT,
            ecn: true,
            paths: 1,
            congestion: Mode::default(),
            known: None,
            known_losses: None,
            fec: Fec::default(),
        }
    }
}

/// Ids of the peer's that are kept a path.
pub(super) const REMOTE_IDS_MAX: usize = 4;

impl Config {
    /// What the peer is told.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        Parameters {
            idle: self.idle,
            payload_len_max: 65_527,
            data: self.streams.window,
            stream_data: self.streams.stream_window,
            streams_bi: self.streams.streams,
            streams_uni: self.streams.streams,
            ack_delay: self.ack_delay,
            datagram_len_max: self.datagram_len_max as u64,
            cids: REMOTE_IDS_MAX as u64,
            paths: self.paths,
            fec_bytes: self.fec.bytes as u64,
        }
    }

    /// The largest datagram that may be tried, bytes.
    pub(super) fn payload_ceiling(&self, peer: &Parameters) -> usize {
        let peer = usize::try_from(peer.payload_len_max).unwrap_or(usize::MAX);
        self.payload_len_max.min(peer).max(DATAGRAM_LEN_MIN)
    }
}
