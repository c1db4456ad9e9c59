//! What the application asks of a connection.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{Connection, DatagramError, Keys, mending::REPAIR_ROOM, sent::Own, state::State};
use crate::proto::{
    Direction, PathId, StreamId, Time,
    congestion::Estimate,
    frame::datagram_overhead,
    packet::{TAG_LEN, number::NUMBER_LEN_MAX},
    stream::{Priority, ReadError, WriteError},
};

impl Connection {
    /// Opens a stream; `None` while the peer allows no more.
    pub fn open(&mut self, direction: Direction) -> Option<StreamId> {
        self.streams.open(direction)
    }

    /// The next stream that the peer opened.
    pub fn accept_stream(&mut self, direction: Direction) -> Option<StreamId> {
        self.streams.accept(direction)
    }

    /// Takes data to send; gives how many bytes there was room for.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn write(&mut self, stream: StreamId, data: Bytes) -> Result<usize, WriteError> {
        self.streams.write(stream, data)
    }

    /// Ends a stream behind what was written.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn finish(&mut self, stream: StreamId) -> Result<(), WriteError> {
        self.streams.finish(stream)
    }

    /// Gives up the sending part of a stream.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn reset(&mut self, stream: StreamId, code: u64) -> Result<(), WriteError> {
        self.streams.reset(stream, code)
    }

    /// Reads the next data of a stream, at most `max` bytes; `None` at its end.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&mut self, stream: StreamId, max: usize) -> Result<Option<Bytes>, ReadError> {
        self.streams.read(stream, max)
    }

    /// Asks the peer to send no more of a stream.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn stop(&mut self, stream: StreamId, code: u64) -> Result<(), ReadError> {
        self.streams.stop(stream, code)
    }

    /// Sets what a stream's data is worth among the others.
    pub fn set_priority(&mut self, stream: StreamId, priority: Priority) {
        self.streams.set_priority(stream, priority);
    }

    /// Allows a stream to be sent before the server has answered. An attacker may repeat it to the server, once for each of the server's
    /// replay caches: mark only what does no harm twice.
    pub fn set_repeatable(&mut self, stream: StreamId) {
        self.streams.set_repeatable(stream);
    }

    /// Largest content that a datagram may have on the path now, bytes; `None` if the peer takes none.
    #[must_use]
    pub fn datagram_len_max(&self) -> Option<usize> {
        let peer = usize::try_from(self.peer.datagram_len_max).unwrap_or(usize::MAX);
        let space = self.datagram_space();
        (peer > 0).then(|| peer.min(space - datagram_overhead(space)))
    }

    /// Bytes of frames that a packet holds, whatever its number.
    pub(super) fn datagram_space(&self) -> usize {
        let path = &self.paths[0];
        let room = if path.mending.is_some() { REPAIR_ROOM } else { 0 };
        path.mtu.current() - room - 1 - path.remote_ids.active().len() - NUMBER_LEN_MAX - TAG_LEN
    }

    /// Sends a datagram, once. When too many wait already the oldest is dropped.
    ///
    /// # Errors
    /// See [`DatagramError`].
    pub fn send_datagram(&mut self, data: Bytes) -> Result<(), DatagramError> {
        let max = self.datagram_len_max().ok_or(DatagramError::Refused)?;
        if data.len() > max {
            return Err(DatagramError::TooLarge);
        }
        self.datagrams.send(data, self.config.datagram_buffer);
        Ok(())
    }

    /// The next datagram that came.
    pub fn read_datagram(&mut self) -> Option<Bytes> {
        self.datagrams.read()
    }

    /// Bytes written to streams that are not acknowledged yet.
    #[must_use]
    pub const fn buffered(&self) -> u64 {
        self.streams.buffered()
    }

    /// The peer's address of the first path.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.paths[0].remote
    }

    /// Sends a PING, so that something is heard.
    pub fn ping(&mut self) {
        self.own.insert(Own::Ping);
    }

    /// This side's address has changed: another id of the peer's is used, so that nobody can tell that it is the same connection, and the
    /// peer hears of it.
    pub fn on_moved(&mut self) {
        if !matches!(self.state, State::Established) {
            return;
        }
        let back = self.paths[0].remote_ids.change();
        self.own.extend(back.map(|sequence| Own::RetireCid(PathId::FIRST, sequence)));
        self.paths[0].local = None;
        self.ping();
    }

    /// Tells what an earlier connection over the same path learnt (`PathStats::estimate`); counts until this one has learnt by itself.
    pub fn assume(&mut self, known: Estimate) {
        let mode = self.congestion;
        self.paths.iter_mut().for_each(|path| path.flight.assume(mode, known));
    }

    /// Changes what the connection is for, while it runs.
    pub fn set_congestion(&mut self, mode: crate::proto::congestion::Mode) {
        self.paths.iter_mut().for_each(|path| path.flight.set_controller(mode));
        self.congestion = mode;
        if self.is_established() {
            self.begin_mending();
        }
    }

    /// Moves to new keys. Says whether that is possible yet (ACNP-32).
    pub fn update_keys(&mut self, now: Time) -> bool {
        let pause = self.paths[0].flight.pto() * 3;
        let established = self.is_established();
        let Some(keys) = self.keys.as_mut().filter(|_| established) else { return false };
        let rested = now.since(keys.updated_at) >= pause;
        if !keys.phase_acked || !rested || keys.receiving.phase() != keys.sending.phase {
            return false;
        }
        self.move_to_next_keys(now);
        true
    }

    pub(super) fn move_to_next_keys(&mut self, now: Time) {
        let Some(keys) = &mut self.keys else { return };
        keys.sending.update();
        let Keys { sending, updated_at, phase_acked, .. } = keys;
        (*updated_at, *phase_acked) = (now, false);
        let phase = sending.phase;
        self.stats.key_updates += 1;
        self.observe(now, crate::proto::observe::Observed::KeysUpdated { phase });
    }
}
