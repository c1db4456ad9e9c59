//! What comes in: sorted by kind, unmasked, opened.

use bytes::Bytes;

use super::{
    CloseReason, Connection,
    state::{State, UNOPENED_MAX},
};
use crate::proto::{
    Meta, Side, Time,
    cid::{RESET_TOKEN_LEN, ResetToken},
    close::{Close, Code, Violation},
    frame::Frame,
    observe::{Dropped, Observed},
    packet::{
        Long, LongHeader, TAG_LEN, is_long,
        long::{self, EARLY_PROTECTED},
        number, short,
    },
};

/// Bytes of a block that packets are opened into.
const ARENA_BLOCK: usize = 16 * 1024;
/// Packets that did not open, after which a connection ends (ACNP-33).
const FORGED_MAX: u64 = 1 << 36;

/// A packet that was opened, and not yet looked into.
#[derive(Debug)]
pub(super) struct Opened {
    /// The index of its path.
    pub(super) at: usize,
    pub(super) number: u64,
    pub(super) early: bool,
    /// It did not come, but was made from others (ACNP-51).
    pub(super) recovered: bool,
    pub(super) content: Bytes,
    pub(super) len: usize,
}

impl Connection {
    /// Takes a datagram, whose headers are unmasked in place.
    pub fn handle(&mut self, now: Time, meta: &Meta, datagram: &mut [u8]) {
        if matches!(self.state, State::Draining { .. } | State::Drained) {
            return;
        }
        // Servers don't move.
        if self.side == Side::Client && meta.remote != self.paths[0].remote {
            return self.drop_packet(now, Dropped::Unexpected, datagram.len());
        }
        if self.paths.len() == 1 && meta.remote == self.paths[0].remote {
            self.paths[0].on_datagram(datagram.len());
        }
        let mut rest = datagram;
        while is_long(rest) {
            let len = self.handle_long(now, meta, rest);
            rest = &mut rest[len..];
        }
        if rest.first().is_some_and(|byte| *byte != 0) {
            self.handle_short(now, meta, rest);
        }
    }

    pub(super) fn drop_packet(&mut self, now: Time, reason: Dropped, len: usize) {
        match reason {
            Dropped::Duplicate => self.stats.duplicates += 1,
            _ => self.stats.dropped += 1,
        }
        self.observe(now, Observed::PacketDropped { reason, len });
    }

    /// Takes a long packet; gives how many bytes it was.
    fn handle_long(&mut self, now: Time, meta: &Meta, datagram: &mut [u8]) -> usize {
        let len = datagram.len();
        let Ok((header, packet, taken)) = long::read(datagram) else {
            self.drop_packet(now, Dropped::Malformed, len);
            return len;
        };
        match packet {
            Long::Early { number_at, packet } => {
                let number_at = number_at - packet.start;
                self.handle_early(now, meta, &mut datagram[packet], number_at);
            }
            packet => {
                if let Err(violation) = self.handle_handshake(now, &header, &packet) {
                    self.on_violation(now, violation);
                }
            }
        }
        taken
    }

    fn handle_handshake(
        &mut self,
        now: Time,
        header: &LongHeader,
        packet: &Long<'_>,
    ) -> Result<(), Violation> {
        match packet {
            Long::Initial { .. } => {
                // It came before, and its sender has not heard the answer (ACNP-22).
                if let State::Accepting(accepting) = &mut self.state {
                    accepting.repeat.now(now);
                }
            }
            _ if self.side == Side::Server || header.destination != self.own_id => {
                self.drop_packet(now, Dropped::Unexpected, 0);
            }
            Long::Response { message } => self.on_response(now, header.source, message)?,
            Long::Retry { token } => self.on_retry(now, header.source, token),
            Long::VersionNegotiation { versions } => {
                let ours =
                    matches!(&self.state, State::Connecting(connecting) if connecting.retry_source.is_none());
                if ours && header.source == self.remote_id(0) {
                    self.on_versions(now, versions);
                }
            }
            Long::Early { .. } | Long::UnknownVersion => {}
        }
        Ok(())
    }

    fn handle_early(&mut self, now: Time, meta: &Meta, packet: &mut [u8], number_at: usize) {
        let len = packet.len();
        // Once the client has the Response it sends no more of them.
        let Some(early) = self.early.as_ref().filter(|_| self.side == Side::Server) else {
            return self.drop_packet(now, Dropped::NoKeys, len);
        };
        let Ok(number_len) = early.header.unprotect(packet, number_at, EARLY_PROTECTED) else {
            return self.drop_packet(now, Dropped::Malformed, len);
        };
        let (header, sealed) = packet.split_at(number_at + number_len);
        let number = number::expand(
            number::truncated(&header[number_at..]),
            number_len,
            self.paths[0].acks.expected(),
        );
        if self.paths[0].acks.is_known(number) {
            return self.drop_packet(now, Dropped::Duplicate, len);
        }
        let Some(content_len) = sealed.len().checked_sub(TAG_LEN) else { return };
        reserve(&mut self.arena, content_len);
        if early.packet.open(self.paths[0].id, number, header, sealed, &mut self.arena).is_err() {
            self.arena.clear();
            return self.on_forged(now, len);
        }
        let content = self.arena.split().freeze();
        self.on_opened(now, meta, Opened { at: 0, number, early: true, recovered: false, content, len });
    }

    fn handle_short(&mut self, now: Time, meta: &Meta, packet: &mut [u8]) {
        let len = packet.len();
        let Ok(destination) = short::destination(packet, self.own_id.len()) else {
            return self.drop_packet(now, Dropped::Malformed, len);
        };
        let Some(at) = self.paths.iter().position(|path| path.local_ids.contains(&destination)) else {
            return self.on_unknown(now, packet);
        };
        if let State::Connecting(connecting) = &mut self.state {
            // ACNP-26
            if connecting.unopened.len() < UNOPENED_MAX {
                connecting.unopened.push((*meta, packet.to_vec()));
            } else {
                self.drop_packet(now, Dropped::NoRoom, len);
            }
            return;
        }
        match self.open_short(now, at, packet) {
            Ok(opened) => self.on_opened(now, meta, opened),
            Err(Dropped::DoesNotOpen) => self.on_unknown(now, packet),
            Err(reason) => self.drop_packet(now, reason, len),
        }
    }

    fn open_short(&mut self, now: Time, at: usize, packet: &mut [u8]) -> Result<Opened, Dropped> {
        let (len, number_at) = (packet.len(), 1 + self.own_id.len());
        let path = &self.paths[at];
        let keys = self.keys.as_mut().ok_or(Dropped::NoKeys)?;
        let number_len = keys
            .receiving
            .header
            .unprotect(packet, number_at, short::PROTECTED)
            .map_err(|_| Dropped::Malformed)?;
        let (header, sealed) = packet.split_at(number_at + number_len);
        let number =
            number::expand(number::truncated(&header[number_at..]), number_len, path.acks.expected());
        let recovered = path.acks.is_recovered(number);
        if path.acks.is_known(number) && !recovered {
            return Err(Dropped::Duplicate);
        }
        let content_len = sealed.len().checked_sub(TAG_LEN).ok_or(Dropped::Malformed)?;
        reserve(&mut self.arena, content_len);
        let keep_until = now + path.flight.pto();
        let id = (path.id, number, header[0] & short::KEY_PHASE != 0);
        let moved =
            keys.receiving.open(now, keep_until, id, header, sealed, &mut self.arena).map_err(|_| {
                self.arena.clear();
                Dropped::DoesNotOpen
            })?;
        let content = self.arena.split().freeze();
        // ACNP-1: what the mask hid is authentic now, and may still be wrong.
        if header[0] & short::RESERVED != 0 {
            return Err(Dropped::Malformed);
        }
        if moved && keys.receiving.phase() != keys.sending.phase {
            self.move_to_next_keys(now);
        }
        if recovered {
            self.paths[at].acks.on_came_after_all(number);
            return Err(Dropped::Duplicate);
        }
        Ok(Opened { at, number, early: false, recovered: false, content, len })
    }

    /// It is for nobody here, or does not open: perhaps the peer has forgotten us (ACNP-10).
    fn on_unknown(&mut self, now: Time, packet: &[u8]) {
        if let Some(token) = packet.last_chunk::<RESET_TOKEN_LEN>()
            && self.paths.iter().any(|path| path.is_reset(&ResetToken(*token)))
        {
            return self.end(now, CloseReason::Reset);
        }
        self.on_forged(now, packet.len());
    }

    fn on_forged(&mut self, now: Time, len: usize) {
        self.forged += 1;
        self.drop_packet(now, Dropped::DoesNotOpen, len);
        if self.forged > FORGED_MAX {
            self.on_violation(now, Violation::new(Code::AEAD_LIMIT, "too many packets that do not open"));
        }
    }

    fn on_opened(&mut self, now: Time, meta: &Meta, opened: Opened) {
        self.stats.packets_received += 1;
        let path = self.paths[opened.at].id;
        self.observe(now, Observed::PacketReceived { path, number: opened.number, len: opened.len });
        if let State::Closing(closing) = &mut self.state {
            closing.on_packet();
            return self.look_for_close(now, opened.content);
        }
        (self.last_heard, self.asked_at) = (now, None);
        if matches!(self.state, State::Accepting(_)) && !opened.early {
            self.on_confirmed(now);
        }
        match self.on_frames(now, meta, &opened) {
            Ok(Some(wants_ack)) => {
                self.on_taken(now, meta, &opened, wants_ack);
                self.recover(now, meta, &opened);
            }
            Ok(None) => self.drop_packet(now, Dropped::NoRoom, opened.len),
            Err(violation) => self.on_violation(now, violation),
        }
    }

    fn on_taken(&mut self, now: Time, meta: &Meta, opened: &Opened, wants_ack: bool) {
        let path = &mut self.paths[opened.at];
        let newest = path.acks.largest().is_none_or(|largest| opened.number > largest);
        path.acks.on_received(now, opened.number, wants_ack, meta.ecn);
        if meta.remote != path.remote {
            if newest && self.side == Side::Server {
                self.on_peer_moved(now, opened.at, meta, opened.len);
            }
        } else if meta.local.is_some() {
            path.local = meta.local;
        }
    }

    fn look_for_close(&mut self, now: Time, content: Bytes) {
        let closes = |frame| if let Ok(Frame::Close(close)) = frame { Some(close) } else { None };
        let close: Option<Close> = crate::proto::frame::Frames::new(content).find_map(closes);
        if let Some(close) = close {
            self.on_close(now, close);
        }
    }
}

/// Makes the arena hold exactly `len` bytes, to be opened into and split off.
fn reserve(arena: &mut bytes::BytesMut, len: usize) {
    debug_assert!(arena.is_empty());
    if arena.capacity() < len {
        arena.reserve(ARENA_BLOCK.max(len));
    }
    arena.resize(len, 0);
}
