//! Building a sealed packet: header, frames, seal, mask.

use bytes::Bytes;

use super::{Connection, sent::Content};
use crate::proto::{
    ConnectionId, PathId, Time,
    observe::Observed,
    packet::{
        LongHeader, SAMPLE_OFFSET, ShortHeader, TAG_LEN, VERSION, long::EARLY_PROTECTED, number,
        short::PROTECTED,
    },
};

/// A packet whose header is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft {
    early: bool,
    header_at: usize,
    number_at: usize,
    pub(super) content_at: usize,
    /// Where frames have to end, in the buffer.
    pub(super) end: usize,
    number: u64,
}

impl Draft {
    /// The same with so many bytes kept free at the end.
    pub(super) const fn without(mut self, len: usize) -> Self {
        self.end = self.end.saturating_sub(len);
        self
    }

    /// Bytes that frames may still take.
    pub(super) fn space(&self, out: &[u8]) -> usize {
        self.end.saturating_sub(out.len())
    }
}

impl Connection {
    /// Begins a packet of at most `len_max` bytes on the path at `at`: an Early one while there are no other keys.
    pub(super) fn begin_packet(&self, at: usize, len_max: usize, out: &mut Vec<u8>) -> Option<Draft> {
        let path = &self.paths[at];
        let header_at = out.len();
        let number = path.flight.next_number();
        let number_len = number::wire_len(number, path.flight.largest_acked());
        let destination = path.remote_ids.active();
        let early = self.keys.is_none();
        if early {
            let header = LongHeader { version: VERSION, destination, source: self.own_id };
            // The length is not known yet, and written when it is.
            header.write_early(number_len, 0, out);
            number::put(out, number, number_len);
        } else {
            let key_phase = self.keys.as_ref()?.sending.phase;
            ShortHeader { destination, key_phase, number, number_len }.write(out);
        }
        let content_at = out.len();
        let end = (header_at + len_max).checked_sub(TAG_LEN)?;
        Some(Draft { early, header_at, number_at: content_at - number_len, content_at, end, number })
    }

    /// Seals a packet and notes that it is under way.
    pub(super) fn end_packet(
        &mut self,
        now: Time,
        at: usize,
        draft: Draft,
        mut content: Content,
        out: &mut Vec<u8>,
    ) {
        // ACNP-5: the sample has to lie within.
        let least = draft.number_at + SAMPLE_OFFSET;
        if out.len() < least {
            out.resize(least, 0);
        }
        let path = self.paths[at].id;
        content.early = draft.early;
        let payload = self.source(at, &draft, &content, out);
        if draft.early {
            self.seal_early(draft, path, out);
        } else {
            self.seal_short(draft, path, out);
        }
        content.len = out.len() - draft.header_at;
        content.phase = self.keys.as_ref().is_some_and(|keys| keys.sending.phase);
        let wants_ack = content.is_mtu_probe || content.frames.iter().any(|frame| !frame.is_ack());
        self.stats.packets_sent += 1;
        if wants_ack && self.asked_at.is_none() {
            self.asked_at = Some(now);
        }
        let observed = Observed::PacketSent { path, number: draft.number, len: content.len, wants_ack };
        self.observe(now, observed);
        if let Some(mending) = self.paths[at].mending.as_mut().filter(|_| wants_ack) {
            mending.on_sent(now, draft.number, content.len, content.class(), payload);
        }
        self.paths[at].flight.on_sent(now, wants_ack, content);
    }

    /// A copy of what may have to be repaired.
    fn source(&self, at: usize, draft: &Draft, content: &Content, out: &[u8]) -> Option<Bytes> {
        let covers = self.paths[at].mending.is_some() && content.is_source();
        covers.then(|| Bytes::copy_from_slice(&out[draft.content_at..]))
    }

    fn seal_early(&self, draft: Draft, path: PathId, out: &mut Vec<u8>) {
        let Some(early) = &self.early else { return };
        let len = (out.len() + TAG_LEN - draft.number_at) as u16;
        out[draft.number_at - 2..draft.number_at].copy_from_slice(&len.to_be_bytes());
        early.packet.seal(path, draft.number, out, draft.header_at, draft.content_at);
        early.header.protect(&mut out[draft.header_at..], draft.number_at - draft.header_at, EARLY_PROTECTED);
    }

    fn seal_short(&mut self, draft: Draft, path: PathId, out: &mut Vec<u8>) {
        let Some(keys) = &mut self.keys else { return };
        keys.sending.sealed += 1;
        keys.sending.key.seal(path, draft.number, out, draft.header_at, draft.content_at);
        keys.sending.header.protect(
            &mut out[draft.header_at..],
            draft.number_at - draft.header_at,
            PROTECTED,
        );
    }

    /// The id that the peer is written to on the path at `at`.
    pub(super) fn remote_id(&self, at: usize) -> ConnectionId {
        self.paths[at].remote_ids.active()
    }
}
