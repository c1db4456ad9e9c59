//! What a connection sends, and in what order.

use std::net::{IpAddr, SocketAddr};

use super::{
    Connection,
    flight::Allowance,
    packet::Draft,
    sent::{Content, Own, SentFrame},
    state::State,
};
use crate::proto::{
    Ecn, Time, Transmit,
    frame::{AckFrequency, Frame, NewCid},
    observe::Observed,
    packet::{DATAGRAM_LEN_MIN, LongHeader, VERSION},
};

/// Least space for which a frame other than data is begun, bytes: the largest of them, but for NEW_TOKEN, fits.
pub(super) const CONTROL_SPACE: usize = 48;
/// Ranges that an ACK repeats before a PING goes with it, so that the peer says that it has heard them.
const RANGES_BEFORE_PING: usize = 16;

/// What a packet may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Anything.
    Anything,
    /// Anything, and at least something that asks for an ACK, whatever the window says.
    Probe,
    /// ACKs.
    Acks,
    /// Nothing else is to be sent, and there is room for a repair.
    Nothing,
}

impl Connection {
    /// Writes datagrams to send into `out`, which it clears: several of one size, at most `max_datagrams`, to one address. `None` when there is nothing
    /// to send now.
    pub fn poll_transmit(&mut self, now: Time, max_datagrams: usize, out: &mut Vec<u8>) -> Option<Transmit> {
        out.clear();
        match &self.state {
            State::Draining { .. } | State::Drained => None,
            State::Closing(closing) => {
                if closing.due {
                    self.transmit_close(now, out)
                } else {
                    None
                }
            }
            State::Connecting(connecting) => {
                if connecting.repeat.is_due(now) {
                    self.transmit_initial(now, out)
                } else {
                    self.transmit_burst(now, 0, max_datagrams, out)
                }
            }
            State::Accepting(accepting) => {
                if accepting.repeat.is_due(now) && self.paths[0].may_send(accepting.datagram_len()) {
                    self.transmit_response(now, out)
                } else {
                    self.transmit_burst(now, 0, max_datagrams, out)
                }
            }
            State::Established => (0..self.paths.len()).find_map(|at| {
                self.transmit_validation(now, at, out)
                    .or_else(|| self.transmit_mtu_probe(now, at, out))
                    .or_else(|| self.transmit_burst(now, at, max_datagrams, out))
            }),
        }
    }

    pub(super) fn transmit(&mut self, at: usize, out: &[u8], segment_size: Option<usize>) -> Transmit {
        let path = &mut self.paths[at];
        let stride = segment_size.unwrap_or(out.len()).max(1);
        out.chunks(stride).for_each(|datagram| path.on_transmit(datagram.len()));
        let ecn = (self.config.ecn && self.keys.is_some()).then_some(Ecn::Ect0);
        Transmit { remote: path.remote, local: path.local, ecn, segment_size }
    }

    /// The Initial, with early data behind it, padded (ACNP-6).
    fn transmit_initial(&mut self, now: Time, out: &mut Vec<u8>) -> Option<Transmit> {
        let destination = self.remote_id(0);
        let State::Connecting(connecting) = &mut self.state else { return None };
        let header = LongHeader { version: VERSION, destination, source: self.own_id };
        let handshake = &connecting.handshake;
        header.write_initial(&connecting.token, handshake.pattern() as u8, handshake.message(), out);
        let attempt = connecting.repeat.attempts;
        connecting.repeat.on_sent(now);
        connecting.first_sent.get_or_insert(now);
        if attempt > 0 {
            self.repeat_early();
        }
        if self.streams.has_data() && out.len() < DATAGRAM_LEN_MIN {
            self.write_packet(now, 0, DATAGRAM_LEN_MIN - out.len(), Load::Anything, out);
        }
        if out.len() < DATAGRAM_LEN_MIN {
            out.resize(DATAGRAM_LEN_MIN, 0);
        }
        self.observe(now, Observed::HandshakeSent { kind: "initial", attempt });
        Some(self.transmit(0, out, None))
    }

    /// The Response, with what else is due behind it.
    fn transmit_response(&mut self, now: Time, out: &mut Vec<u8>) -> Option<Transmit> {
        let destination = self.remote_id(0);
        let State::Accepting(accepting) = &mut self.state else { return None };
        LongHeader { version: VERSION, destination, source: self.own_id }
            .write_response(&accepting.response, out);
        let attempt = accepting.repeat.attempts;
        accepting.repeat.on_sent(now);
        let size = DATAGRAM_LEN_MIN;
        if out.len() + CONTROL_SPACE < size && self.paths[0].may_send(size) {
            // Not before the ACK of early data, and never without room for it.
            if let Some(load) = self.load(now, 0, size - out.len()) {
                self.write_packet(now, 0, size - out.len(), load, out);
            }
        }
        self.observe(now, Observed::HandshakeSent { kind: "response", attempt });
        Some(self.transmit(0, out, None))
    }

    fn transmit_close(&mut self, now: Time, out: &mut Vec<u8>) -> Option<Transmit> {
        let draft = self.begin_packet(0, DATAGRAM_LEN_MIN, out)?;
        let State::Closing(closing) = &mut self.state else { return None };
        closing.due = false;
        Frame::Close(closing.close.clone()).write(out);
        if !self.paths[0].may_send(out.len() + CONTROL_SPACE) {
            return None;
        }
        self.end_packet(now, 0, draft, Content::default(), out);
        Some(self.transmit(0, out, None))
    }

    /// Challenges and their answers, each in a datagram of its own.
    fn transmit_validation(&mut self, now: Time, at: usize, out: &mut Vec<u8>) -> Option<Transmit> {
        if let Some((data, meta)) = self.paths[at].responses.pop() {
            return self.transmit_alone(now, at, &Frame::PathResponse(data), (meta.remote, meta.local), out);
        }
        let path = &mut self.paths[at];
        if !path.may_challenge() {
            return None;
        }
        let pto = path.flight.pto();
        let challenge = path.challenge.as_mut().filter(|challenge| challenge.at <= now)?;
        challenge.at = now + pto;
        let (data, to) = (challenge.data, (path.remote, path.local));
        self.transmit_alone(now, at, &Frame::PathChallenge(data), to, out)
    }

    fn transmit_alone(
        &mut self,
        now: Time,
        at: usize,
        frame: &Frame,
        (remote, local): (SocketAddr, Option<IpAddr>),
        out: &mut Vec<u8>,
    ) -> Option<Transmit> {
        let draft = self.begin_packet(at, DATAGRAM_LEN_MIN, out)?;
        frame.write(out);
        // Full size, to see that the path carries it; as far as the address may be sent to.
        if self.paths[at].may_send(DATAGRAM_LEN_MIN) {
            out.resize(draft.end, 0);
        }
        // Its loss is noticed by what it asks for.
        self.end_packet(now, at, draft, Content::default(), out);
        let transmit = self.transmit(at, out, None);
        Some(Transmit { remote, local, ..transmit })
    }

    fn transmit_mtu_probe(&mut self, now: Time, at: usize, out: &mut Vec<u8>) -> Option<Transmit> {
        let path = &mut self.paths[at];
        if !path.validated {
            return None;
        }
        let size = path.mtu.due(now)?;
        if path.flight.allowance(now, size) != Allowance::Now {
            return None;
        }
        path.mtu.on_probe_sent(path.flight.next_number());
        let draft = self.begin_packet(at, size, out)?;
        Frame::Ping.write(out);
        out.resize(draft.end, 0);
        self.end_packet(now, at, draft, Content { is_mtu_probe: true, ..Content::default() }, out);
        Some(self.transmit(at, out, None))
    }

    /// As many packets of one size as there is something for.
    fn transmit_burst(
        &mut self,
        now: Time,
        at: usize,
        max_datagrams: usize,
        out: &mut Vec<u8>,
    ) -> Option<Transmit> {
        if self.keys.is_none() && self.early.is_none() {
            return None;
        }
        if self.keys.as_ref().is_some_and(|keys| keys.sending.worn()) {
            self.update_keys(now);
        }
        (self.paths[at].paced_until, self.paths[at].mend_at) = (None, None);
        if !self.paths[at].is_open() {
            return None;
        }
        let mut segment = self.payload_max(at);
        let mut datagrams = 0;
        while datagrams < max_datagrams && self.paths[at].may_send(out.len() + segment) {
            let Some(mut load) = self.load(now, at, segment) else { break };
            if load == Load::Nothing {
                if datagrams > 0 {
                    // A repair is longer than what it covers, and begins a batch of its own.
                    break;
                }
                if let Some(transmit) = self.transmit_repair(now, at, out) {
                    return Some(transmit);
                }
                if !self.owes_acks(now) {
                    break;
                }
                load = Load::Acks;
            }
            // The second probe in a row is small: perhaps what is large does not pass any more (ACNP-72).
            let small = load == Load::Probe && self.paths[at].flight.backoff() > 1;
            let len_max = if small { segment.min(DATAGRAM_LEN_MIN) } else { segment };
            let start = out.len();
            if !self.write_packet(now, at, len_max, load, out) {
                break;
            }
            datagrams += 1;
            let len = out.len() - start;
            let full = len == segment;
            if datagrams == 1 {
                segment = len;
            }
            // The first sets the size, and a shorter one is the last.
            if !full {
                break;
            }
        }
        (datagrams > 0).then(|| self.transmit(at, out, (datagrams > 1).then_some(segment)))
    }

    /// What the next packet may hold; `None`: there need not be one.
    fn load(&mut self, now: Time, at: usize, len: usize) -> Option<Load> {
        let established = !matches!(self.state, State::Connecting(_));
        let wanted = self.streams.has_data()
            || established
                && (self.datagrams.has_data() || self.streams.has_control() || !self.own.is_empty());
        let path = &mut self.paths[at];
        if established && path.flight.owes_probe() {
            return Some(Load::Probe);
        }
        if path.flight.is_exhausted() {
            return None;
        }
        if wanted {
            match path.flight.allowance(now, len) {
                Allowance::Now => return Some(Load::Anything),
                Allowance::At(time) => path.paced_until = Some(time),
                Allowance::Full => {}
            }
        } else {
            path.flight.on_idle();
            if self.has_room_to_mend(now, at) {
                return Some(Load::Nothing);
            }
        }
        self.owes_acks(now).then_some(Load::Acks)
    }

    fn owes_acks(&self, now: Time) -> bool {
        !matches!(self.state, State::Connecting(_)) && self.paths.iter().any(|path| path.acks.is_due(now))
    }

    /// Writes a packet of at most `len_max` bytes; says whether there was anything to write.
    fn write_packet(&mut self, now: Time, at: usize, len_max: usize, load: Load, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let Some(draft) = self.begin_packet(at, len_max, out) else {
            out.truncate(start);
            return false;
        };
        let mut content = Content::default();
        let early = self.keys.is_none();
        if !early {
            self.write_acks(now, &draft, load, &mut content, out);
        }
        if load != Load::Acks {
            if !early {
                self.write_own(&draft, &mut content, out);
                self.write_stream_control(&draft, &mut content, out);
                self.write_datagrams(&draft, out, &mut content);
            }
            self.write_stream_data(&draft, &mut content, out);
            if load == Load::Probe && content.frames.iter().all(SentFrame::is_ack) {
                self.write_probe(at, &draft, &mut content, out);
            }
        }
        if out.len() == draft.content_at {
            out.truncate(start);
            return false;
        }
        self.end_packet(now, at, draft, content, out);
        true
    }

    pub(super) fn write_acks(
        &mut self,
        now: Time,
        draft: &Draft,
        load: Load,
        content: &mut Content,
        out: &mut Vec<u8>,
    ) {
        for path in &mut self.paths {
            if !path.acks.has_news() || draft.space(out) < 2 * CONTROL_SPACE {
                continue;
            }
            if let Some(largest) = path.acks.write(now, path.id, draft.space(out), out) {
                content.frames.push(SentFrame::Ack(path.id, largest));
                if load == Load::Acks
                    && path.acks.ranges() > RANGES_BEFORE_PING
                    && path.acks.may_ping(now, path.flight.smoothed())
                {
                    Frame::Ping.write(out);
                    content.frames.push(SentFrame::Own(Own::Ping));
                }
            }
        }
    }

    fn write_own(&mut self, draft: &Draft, content: &mut Content, out: &mut Vec<u8>) {
        while let Some(own) = self.own.first().copied() {
            let Some(frame) = self.own_frame(own) else {
                self.own.pop_first();
                continue;
            };
            let len = if let Frame::NewToken(token) = &frame { token.len() + 4 } else { CONTROL_SPACE };
            if draft.space(out) < len {
                break;
            }
            self.own.pop_first();
            frame.write(out);
            content.frames.push(SentFrame::Own(own));
        }
    }

    fn own_frame(&self, own: Own) -> Option<Frame> {
        Some(match own {
            Own::NewCid(path, sequence) => {
                let id = self.paths[self.path(path)?].local_ids.find(sequence)?;
                Frame::NewCid(NewCid { path, sequence, retire_before: 0, id: id.id, reset_token: id.token? })
            }
            Own::RetireCid(path, sequence) => Frame::RetireCid { path, sequence },
            Own::NewToken => Frame::NewToken(self.token.clone()),
            Own::AckFrequency(sequence) => Frame::AckFrequency(AckFrequency {
                sequence,
                packets: self.ack_wish.packets,
                delay_us: self.ack_wish.delay.as_micros() as u64,
                reordering: 1,
            }),
            Own::Ping => Frame::Ping,
        })
    }

    fn write_stream_control(&mut self, draft: &Draft, content: &mut Content, out: &mut Vec<u8>) {
        while draft.space(out) >= CONTROL_SPACE
            && let Some((control, frame)) = self.streams.poll_control()
        {
            frame.write(out);
            content.frames.push(SentFrame::Control(control));
        }
    }

    fn write_datagrams(&mut self, draft: &Draft, out: &mut Vec<u8>, content: &mut Content) {
        if !self.datagrams.has_data() {
            return;
        }
        let space = self.datagram_space();
        self.datagrams.drop_oversized(space);
        while self.datagrams.write(draft.space(out), out) {
            self.stats.datagrams_sent += 1;
            content.frames.push(SentFrame::Datagram);
        }
    }

    fn write_stream_data(&mut self, draft: &Draft, content: &mut Content, out: &mut Vec<u8>) {
        let mut before = self.streams.sent();
        while let Some(sent) = self.streams.write_data(draft.space(out), out) {
            let new = self.streams.sent() - before;
            content.again |= new < u64::from(sent.len);
            before += new;
            self.stats.stream_bytes_sent += u64::from(sent.len);
            content.frames.push(SentFrame::Stream(sent));
        }
        self.streams.note_blocked();
    }

    /// There is nothing new for a probe: what may be lost goes again, or a PING.
    fn write_probe(&mut self, at: usize, draft: &Draft, content: &mut Content, out: &mut Vec<u8>) {
        if let Some(again) = self.paths[at].flight.probe_content().cloned() {
            self.on_content_lost(&again);
            self.write_stream_control(draft, content, out);
            self.write_stream_data(draft, content, out);
        }
        if content.frames.iter().all(SentFrame::is_ack) {
            Frame::Ping.write(out);
            content.frames.push(SentFrame::Own(Own::Ping));
        }
    }
}
