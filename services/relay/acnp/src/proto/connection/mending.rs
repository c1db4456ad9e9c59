//! Repair of a path's packets, as their sender sees it: which are covered, when repairs go, and what they were good for.

use bytes::Bytes;

use super::{config::Fec, fates::Fates};
use crate::proto::{
    Time,
    congestion::Mode,
    fec::{
        Encoder, HEADER_BYTES_MAX, Header,
        loss::Loss,
        planner::{self, Class, Counters, Fate, Planner},
    },
};

/// Bytes that a covered packet leaves free, so that its repair fits a datagram of the same size: frame type, path, header, the symbol's length.
pub(super) const REPAIR_ROOM: usize = 1 + 1 + HEADER_BYTES_MAX + 2;
/// Packets that may be covered at once.
const SYMBOLS_MAX: usize = 128;
/// Bytes of packets that are kept to be covered, whatever the peer would keep.
const BYTES_MAX: u64 = 1 << 18;

/// The sending half of a path's repair.
#[derive(Debug)]
pub(super) struct Mending {
    encoder: Encoder,
    planner: Planner,
    fates: Fates,
}

impl Mending {
    /// Repair as the peer's budget and the purpose allow; `None`: none.
    pub(super) fn new(config: &Fec, mode: Mode, peer_bytes: u64, known: Loss) -> Option<Self> {
        let mode = match mode {
            Mode::LowLatency => planner::Mode::LowLatency,
            Mode::HighBandwidth { .. } => planner::Mode::Bandwidth,
            Mode::Cubic => return None,
        };
        if peer_bytes == 0 || config.share_max <= 0.0 {
            return None;
        }
        let plan = planner::Config { mode, target: config.target, share_max: config.share_max };
        let encoder = Encoder::new(SYMBOLS_MAX, peer_bytes.min(BYTES_MAX) as usize);
        Some(Self { encoder, planner: Planner::new(plan).with_loss(known), fates: Fates::default() })
    }

    /// A packet left that asks for an ACK; `payload` if it is one that may be covered.
    pub(super) fn on_sent(
        &mut self,
        now: Time,
        number: u64,
        len: usize,
        class: Class,
        payload: Option<Bytes>,
    ) {
        self.fates.on_sent(now, number);
        self.planner.on_sent(now, number, payload.as_ref().map_or(len, Bytes::len), class);
        if let Some(payload) = payload {
            self.encoder.push(number, payload);
        }
    }

    /// A packet's fate has become known. It needs no repair any more: what was lost is sent anew.
    pub(super) fn on_fate(&mut self, number: u64, fate: Fate, open_until: Time) {
        self.encoder.acknowledged(number);
        self.fates.on_fate(number, fate, open_until);
    }

    /// Tells the planner what is certain by now.
    pub(super) fn learn(&mut self, now: Time, rtt: std::time::Duration) {
        self.planner.on_rtt(rtt);
        let Self { planner, fates, .. } = self;
        planner.on_outcomes(std::iter::from_fn(|| fates.next(now)));
    }

    /// The repair that is due, there being room for it.
    pub(super) fn poll(&mut self, now: Time) -> Option<(Header, Vec<u8>)> {
        loop {
            let order = self.planner.poll(now, true)?;
            // What it was meant for may have arrived meanwhile.
            if let Some(repair) = self.encoder.repair(order.seed, order.pns, order.keep) {
                return Some(repair);
            }
        }
    }

    /// Whether there is anything to cover.
    pub(super) fn has_content(&self) -> bool {
        !self.encoder.is_empty()
    }

    /// When the next repair may be due.
    pub(super) fn next_wakeup(&self) -> Option<Time> {
        self.planner.next_wakeup()
    }

    pub(super) const fn counters(&self) -> Counters {
        self.planner.counters()
    }

    /// What was learnt of the path's losses.
    pub(super) const fn losses(&self) -> &Loss {
        self.planner.loss()
    }
}
