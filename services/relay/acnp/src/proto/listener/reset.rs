//! Answers that need no connection: stateless resets (ACNP-10), and the versions that are spoken (ACNP-9).

use std::time::Duration;

use aws_lc_rs::hmac;
use rand::Rng;

use super::{Listener, Routed};
use crate::proto::{
    ConnectionId, Meta, Time, Transmit,
    cid::{RESET_TOKEN_LEN, ResetToken},
    packet::{DATAGRAM_LEN_MIN, LongHeader, VERSION},
};

/// Least size of a stateless reset, bytes.
const RESET_LEN_MIN: usize = 21;
/// Most bytes of one: about what a short packet with an ACK has.
const RESET_LEN_MAX: usize = 40;
/// Answers of this kind in a second.
const ANSWERS_A_SECOND: u32 = 200;

/// Makes the tokens of ids.
#[derive(Debug)]
pub(super) struct ResetKey(hmac::Key);

impl ResetKey {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, seed))
    }

    pub(super) fn token(&self, id: &ConnectionId) -> ResetToken {
        let tag = hmac::sign(&self.0, id);
        ResetToken(*tag.as_ref().first_chunk().expect("a tag has 32 bytes"))
    }
}

/// So many a second.
#[derive(Debug, Default)]
pub(super) struct Budget {
    second: Option<Time>,
    spent: u32,
}

impl Budget {
    fn take(&mut self, now: Time) -> bool {
        if self.second.is_none_or(|second| now.since(second) >= Duration::from_secs(1)) {
            (self.second, self.spent) = (Some(now), 0);
        }
        self.spent += 1;
        self.spent <= ANSWERS_A_SECOND
    }
}

const fn reply(meta: &Meta) -> Routed {
    Routed::Reply(Transmit { remote: meta.remote, local: meta.local, ecn: None, segment_size: None })
}

impl Listener {
    /// Nobody has this id: whoever wrote to it should know.
    pub(super) fn reset(
        &mut self,
        now: Time,
        meta: &Meta,
        id: &ConnectionId,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Routed {
        // Shorter than its cause, so that two who know nothing of each other don't go on for ever.
        let size = (len - 1).min(RESET_LEN_MAX);
        if size < RESET_LEN_MIN || id.is_empty() || !self.resets.take(now) {
            return Routed::Dropped;
        }
        out.resize(size, 0);
        self.rng.fill_bytes(out);
        out[0] = 0x40 | out[0] & 0x3f;
        out[size - RESET_TOKEN_LEN..].copy_from_slice(&self.reset_key.token(id).0);
        reply(meta)
    }

    pub(super) fn negotiate(
        &self,
        meta: &Meta,
        header: &LongHeader,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Routed {
        if len < DATAGRAM_LEN_MIN || self.server.is_none() {
            return Routed::Dropped;
        }
        let header = LongHeader { version: 0, destination: header.source, source: header.destination };
        header.write_version_negotiation(&[VERSION], out);
        reply(meta)
    }
}
