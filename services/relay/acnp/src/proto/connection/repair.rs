//! Repairs of a connection: sent when there is nothing else to send, and used when they come.

use bytes::Bytes;

use super::{
    Connection,
    flight::{Allowance, Outcome},
    mending::{Mending, REPAIR_ROOM},
    receive::Opened,
    sent::{Content, SentFrame},
    transmit::{CONTROL_SPACE, Load},
};
use crate::proto::{
    Meta, Time, Transmit,
    close::{Code, Violation},
    fec::{Header, Recovered, planner::Fate},
    frame::{Frame, Frames, Repair},
    observe::Observed,
};

impl Connection {
    /// Sends repairs from now on, if the peer takes them and the purpose asks for them.
    pub(super) fn begin_mending(&mut self) {
        let (fec, mode, bytes) = (self.config.fec, self.congestion, self.peer.fec_bytes);
        for path in &mut self.paths {
            let learnt = path.mending.as_ref().map(|mending| mending.losses().clone());
            let known = learnt.or_else(|| self.config.known_losses.clone()).unwrap_or_default();
            path.mending = Mending::new(&fec, mode, bytes, known).map(Box::new);
        }
    }

    /// Bytes of a datagram with data: what is left of the path's once a repair of it fits too, as far as it may be sent to.
    pub(super) fn payload_max(&self, at: usize) -> usize {
        let path = &self.paths[at];
        path.segment().min(path.mtu.current() - if path.mending.is_some() { REPAIR_ROOM } else { 0 })
    }

    /// Whether a repair may leave; if not yet, notes when to ask again.
    pub(super) fn has_room_to_mend(&mut self, now: Time, at: usize) -> bool {
        let path = &mut self.paths[at];
        let Some(mending) = path.mending.as_ref().filter(|mending| mending.has_content()) else {
            return false;
        };
        let wakeup = mending.next_wakeup();
        match path.flight.allowance(now, path.mtu.current()) {
            Allowance::Now => {
                path.mend_at = wakeup.filter(|at| *at > now);
                true
            }
            Allowance::At(time) => {
                path.mend_at = wakeup.map(|at| at.max(time));
                false
            }
            Allowance::Full => false,
        }
    }

    /// Sends the repair that is due, or what else may go without room.
    pub(super) fn transmit_repair(&mut self, now: Time, at: usize, out: &mut Vec<u8>) -> Option<Transmit> {
        let path = &mut self.paths[at];
        let repair = path.mending.as_mut().and_then(|mending| mending.poll(now));
        path.mend_at = path.mending.as_ref().and_then(|mending| mending.next_wakeup()).filter(|at| *at > now);
        if let Some((header, symbol)) = repair
            && self.write_repair(now, at, header, symbol, out)
        {
            return Some(self.transmit(at, out, None));
        }
        None
    }

    fn write_repair(
        &mut self,
        now: Time,
        at: usize,
        header: Header,
        symbol: Vec<u8>,
        out: &mut Vec<u8>,
    ) -> bool {
        let (path, len_max) = (self.paths[at].id, self.paths[at].mtu.current());
        let frame = Repair { path, header, symbol: symbol.into() };
        let len = frame.header_len() + frame.symbol.len();
        let Some(draft) = self.begin_packet(at, len_max, out) else { return false };
        // Datagrams have become smaller since those were sent that it covers.
        if draft.space(out) < len {
            out.clear();
            return false;
        }
        let mut content = Content::default();
        if draft.space(out) >= len + 2 * CONTROL_SPACE {
            self.write_acks(now, &draft.without(len), Load::Nothing, &mut content, out);
        }
        Frame::Repair(frame).write(out);
        content.frames.push(SentFrame::Repair);
        self.end_packet(now, at, draft, content, out);
        self.paths[at].flight.on_repair_sent(now, header.terms().map(|(number, _)| number));
        true
    }

    /// Tells those who plan repairs what became of packets.
    pub(super) fn tell_mending(&mut self, now: Time, at: usize, outcome: &Outcome) {
        let path = &mut self.paths[at];
        let Some(mending) = &mut path.mending else { return };
        let open_until = now + path.flight.reorder_window();
        outcome.acked.iter().for_each(|(number, _)| mending.on_fate(*number, Fate::Arrived, now));
        outcome
            .recovered
            .iter()
            .for_each(|(number, _)| mending.on_fate(*number, Fate::Recovered, open_until));
        outcome.lost.iter().for_each(|(number, _)| mending.on_fate(*number, Fate::Lost, now));
        outcome.spurious.iter().for_each(|spurious| mending.on_fate(spurious.number, Fate::Arrived, now));
        mending.learn(now, path.flight.smoothed());
    }

    /// The peer has what a packet carried, though it was lost (ACNP-51). ACKs in it were not heard.
    pub(super) fn on_packet_recovered(&mut self, now: Time, at: usize, number: u64, content: &Content) {
        self.note_loss(now, at, number, content);
        let mut heard = content.clone();
        heard.frames.retain(|frame| !frame.is_ack());
        self.on_content_acked(&heard);
    }

    /// A repair came.
    pub(super) fn on_repair(&mut self, now: Time, opened: &Opened, repair: Repair) -> Result<(), Violation> {
        // ACNP-50
        if self.path(repair.path) != Some(opened.at) || repair.header.last() >= opened.number {
            return Err(Violation::new(Code::PROTOCOL, "repair of what was not sent"));
        }
        let Some(decoder) = &mut self.paths[opened.at].decoder else {
            return Err(Violation::new(Code::PROTOCOL, "repair was not agreed"));
        };
        let recovered = decoder.repair(now, &repair.header, &repair.symbol);
        self.recovered.extend(recovered);
        Ok(())
    }

    /// Takes what a packet has made known of others, after it was taken itself.
    pub(super) fn recover(&mut self, now: Time, meta: &Meta, opened: &Opened) {
        if opened.early {
            return;
        }
        if is_source(&opened.content)
            && let Some(decoder) = &mut self.paths[opened.at].decoder
        {
            let more = decoder.source(now, opened.number, opened.content.clone());
            self.recovered.extend(more);
        }
        for Recovered { pn, payload } in std::mem::take(&mut self.recovered) {
            if self.is_closed() || self.paths[opened.at].acks.is_known(pn) {
                continue;
            }
            let (at, len) = (opened.at, payload.len());
            let packet = Opened { at, number: pn, early: false, recovered: true, content: payload, len };
            match self.on_frames(now, meta, &packet) {
                Ok(Some(_)) => {
                    self.stats.packets_recovered += 1;
                    self.paths[at].acks.on_recovered(now, pn);
                    let path = self.paths[at].id;
                    self.observe(now, Observed::PacketRecovered { path, number: pn });
                }
                // As if it had not been recovered: it is sent again.
                Ok(None) => {}
                Err(violation) => return self.on_violation(now, violation),
            }
        }
    }
}

/// Whether a packet may be covered by repair (ACNP-52).
fn is_source(content: &Bytes) -> bool {
    let is_data = |frame| matches!(frame, Ok(Frame::Stream(_) | Frame::Datagram(_)));
    Frames::new(content.clone()).any(is_data)
}
