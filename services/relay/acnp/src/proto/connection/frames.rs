//! What the frames of a packet change, and what becomes of those that were sent.

use rand::Rng;

use super::{
    Connection, Event,
    config::REMOTE_IDS_MAX,
    flight::Outcome,
    path::Challenge,
    receive::Opened,
    sent::{Content, Own, SentFrame},
};
use crate::proto::{
    Meta, PathId, Side, Time,
    close::{Code, Violation},
    frame::{Ack, Frame, Frames},
    observe::Observed,
};

/// Probe time-outs after which an address that does not answer is given up (ACNP-70).
const VALIDATION_PTOS: u32 = 3;

impl Connection {
    /// Takes the frames of a packet; says whether it has to be acknowledged, or nothing if it has to be treated as lost (ACNP-64).
    pub(super) fn on_frames(
        &mut self,
        now: Time,
        meta: &Meta,
        opened: &Opened,
    ) -> Result<Option<bool>, Violation> {
        if opened.content.is_empty() {
            // ACNP-40
            return Err(Violation::new(Code::PROTOCOL, "a packet without frames"));
        }
        if !self.streams.has_room() {
            return Ok(None);
        }
        let mut wants_ack = false;
        for frame in Frames::new(opened.content.clone()) {
            let frame =
                frame.map_err(|_| Violation::new(Code::FRAME_ENCODING, "a frame that cannot be read"))?;
            // ACNP-44
            if opened.early && !frame.fits_early() {
                return Err(Violation::new(Code::FRAME_ENCODING, "a frame that may not be early"));
            }
            wants_ack |= frame.wants_ack();
            if opened.recovered && !may_recover(&frame)? {
                continue;
            }
            self.on_frame(now, meta, opened, frame)?;
            if self.is_closed() {
                break;
            }
        }
        Ok(Some(wants_ack))
    }

    fn on_frame(&mut self, now: Time, meta: &Meta, opened: &Opened, frame: Frame) -> Result<(), Violation> {
        let at = opened.at;
        match frame {
            Frame::Padding(_) | Frame::Ping => {}
            // They say why the peer does not send; what there is to do about it is done.
            Frame::DataBlocked(_) | Frame::StreamDataBlocked { .. } | Frame::StreamsBlocked { .. } => {}
            Frame::Close(close) => self.on_close(now, close),
            Frame::Stream(frame) => self.streams.on_stream(frame)?,
            Frame::Reset { stream, code, final_size } => self.streams.on_reset(stream, code, final_size)?,
            Frame::Stop { stream, code } => self.streams.on_stop(stream, code)?,
            Frame::MaxData(limit) => self.streams.on_max_data(limit),
            Frame::MaxStreamData { stream, limit } => self.streams.on_max_stream_data(stream, limit)?,
            Frame::MaxStreams { direction, count } => self.streams.on_max_streams(direction, count),
            Frame::Ack(ack) => self.on_ack(now, &ack)?,
            Frame::Datagram(data) => self.on_datagram(data)?,
            Frame::PathChallenge(data) => self.paths[at].owe_response(data, meta),
            Frame::PathResponse(data) => self.on_path_response(now, data),
            Frame::NewCid(new) => self.on_new_cid(&new)?,
            Frame::RetireCid { path, sequence } => self.on_retire_cid(path, sequence)?,
            Frame::NewToken(token) => {
                if self.side == Side::Server {
                    return Err(Violation::new(Code::PROTOCOL, "a token from a client"));
                }
                self.events.push_back(Event::NewToken(token));
            }
            Frame::AckFrequency(frequency) => {
                self.paths.iter_mut().for_each(|path| path.acks.on_frequency(&frequency));
            }
            Frame::ImmediateAck => self.paths[at].acks.hurry(now),
            Frame::Repair(repair) => self.on_repair(now, opened, repair)?,
            Frame::PathStatus { .. } => {
                return Err(Violation::new(Code::PROTOCOL, "several paths were not agreed"));
            }
        }
        Ok(())
    }

    fn on_datagram(&mut self, data: bytes::Bytes) -> Result<(), Violation> {
        if data.len() > self.config.datagram_len_max {
            return Err(Violation::new(Code::PROTOCOL, "a datagram larger than agreed"));
        }
        self.stats.datagrams_received += 1;
        self.datagrams.receive(data, self.config.datagram_buffer);
        self.events.push_back(Event::Datagram);
        Ok(())
    }

    fn on_new_cid(&mut self, new: &crate::proto::frame::NewCid) -> Result<(), Violation> {
        let Some(at) = self.path(new.path) else { return Ok(()) };
        let back = self.paths[at].remote_ids.add(new, REMOTE_IDS_MAX)?;
        self.demands.push_back(super::Demand::Expect(new.reset_token));
        self.own.extend(back.into_iter().map(|sequence| Own::RetireCid(new.path, sequence)));
        Ok(())
    }

    fn on_retire_cid(&mut self, path: PathId, sequence: u64) -> Result<(), Violation> {
        let Some(at) = self.path(path) else { return Ok(()) };
        if let Some(id) = self.paths[at].local_ids.retire(sequence)? {
            self.demands.push_back(super::Demand::Retired(id));
            self.demand_ids();
        }
        Ok(())
    }

    /// The peer writes from another address (ACNP-70).
    pub(super) fn on_peer_moved(&mut self, now: Time, at: usize, meta: &Meta, len: usize) {
        let mut data = [0; 8];
        self.rng.fill_bytes(&mut data);
        let path = &mut self.paths[at];
        path.move_to(meta, len, &self.config);
        path.challenge = Some(Challenge { data, at: now, until: now + path.flight.pto() * VALIDATION_PTOS });
        let id = path.id;
        self.observe(now, Observed::PathMoved { path: id, remote: meta.remote });
    }

    fn on_path_response(&mut self, now: Time, data: [u8; 8]) {
        let asked = |path: &super::Path| path.challenge.is_some_and(|challenge| challenge.data == data);
        let Some(at) = self.paths.iter().position(asked) else { return };
        let ceiling = self.config.payload_ceiling(&self.peer);
        let path = &mut self.paths[at];
        (path.challenge, path.fallback, path.validated) = (None, None, true);
        path.mtu.resume(now, ceiling);
        self.events.push_back(Event::Moved { path: path.id, remote: path.remote });
    }

    fn on_ack(&mut self, now: Time, ack: &Ack) -> Result<(), Violation> {
        let Some(at) = self.path(ack.path) else { return Ok(()) };
        let mut outcome = std::mem::take(&mut self.outcome);
        let result = self.paths[at].flight.on_ack(now, ack, &mut outcome);
        if result.is_ok() {
            self.on_outcome(now, at, &mut outcome);
        }
        self.outcome = outcome;
        let path = &self.paths[at];
        let metrics = Observed::Metrics {
            path: path.id,
            smoothed: path.flight.smoothed(),
            latest: path.flight.latest(),
            window: path.flight.window(),
            in_flight: path.flight.in_flight(),
            pacing: path.flight.pacing(),
        };
        self.observe(now, metrics);
        self.wish_acks(at);
        result
    }

    /// Packets of a path were found to have arrived, or to be lost.
    pub(super) fn on_outcome(&mut self, now: Time, at: usize, outcome: &mut Outcome) {
        let phase = self.keys.as_ref().map(|keys| keys.sending.phase);
        self.tell_mending(now, at, outcome);
        for (number, content) in outcome.recovered.drain(..) {
            self.on_packet_recovered(now, at, number, &content);
        }
        for (number, content) in outcome.acked.drain(..) {
            let path = &mut self.paths[at];
            if path.mtu.on_acked(now, number, content.len) {
                let event = Observed::MtuChanged { path: path.id, len: path.mtu.current() };
                self.observe(now, event);
            }
            if let Some(keys) = self.keys.as_mut().filter(|_| !content.early && Some(content.phase) == phase)
            {
                keys.phase_acked = true;
            }
            self.on_content_acked(&content);
        }
        for (number, content) in outcome.lost.drain(..) {
            self.on_packet_lost(now, at, number, &content);
        }
    }

    fn on_packet_lost(&mut self, now: Time, at: usize, number: u64, content: &Content) {
        if content.is_mtu_probe {
            self.paths[at].mtu.on_lost(now, number);
            return;
        }
        self.note_loss(now, at, number, content);
        self.on_content_lost(content);
    }

    /// What the path did not carry, whether it was repaired or not.
    pub(super) fn note_loss(&mut self, now: Time, at: usize, number: u64, content: &Content) {
        let path = &mut self.paths[at];
        let id = path.id;
        path.stats.packets_lost += 1;
        self.stats.packets_lost += 1;
        let next = path.flight.next_number();
        let fell = path.mtu.on_data_lost(now, number, content.len, next);
        path.stats.black_holes += u64::from(fell);
        let len = path.mtu.current();
        self.observe(now, Observed::PacketLost { path: id, number });
        if fell {
            self.observe(now, Observed::MtuChanged { path: id, len });
        }
    }

    pub(super) fn on_content_acked(&mut self, content: &Content) {
        for frame in &content.frames {
            match frame {
                SentFrame::Stream(sent) => self.streams.on_data_acked(*sent),
                SentFrame::Control(control) => self.streams.on_control_acked(*control),
                SentFrame::Ack(path, largest) => {
                    if let Some(at) = self.path(*path) {
                        self.paths[at].acks.on_ack_acked(*largest);
                    }
                }
                SentFrame::Own(_) | SentFrame::Datagram | SentFrame::Repair => {}
            }
        }
    }

    /// What was lost and still matters is queued again.
    pub(super) fn on_content_lost(&mut self, content: &Content) {
        for frame in &content.frames {
            match frame {
                SentFrame::Stream(sent) => self.streams.on_data_lost(*sent),
                SentFrame::Control(control) => self.streams.on_control_lost(*control),
                SentFrame::Own(Own::Ping) | SentFrame::Ack(..) | SentFrame::Datagram | SentFrame::Repair => {}
                SentFrame::Own(Own::AckFrequency(sequence)) if *sequence != self.ack_wish.sequence() => {}
                SentFrame::Own(own) => {
                    self.own.insert(*own);
                }
            }
        }
    }
}

/// Whether a frame of a recovered packet counts: an ACK would tell of times that are not true (ACNP-51), and there is no repair of repairs
/// (ACNP-50).
fn may_recover(frame: &Frame) -> Result<bool, Violation> {
    match frame {
        Frame::Ack(_) => Ok(false),
        Frame::Repair(_) => Err(Violation::new(Code::PROTOCOL, "repair of a repair")),
        _ => Ok(true),
    }
}
