//! Reading frames out of a packet that was opened.

use bytes::Bytes;

use super::{AckFrequency, Frame, NewCid, PathStatus, Repair, StreamFrame, ack, kind};
use crate::proto::{
    ConnectionId, Direction, PathId, StreamId,
    cid::{LOCAL_CID_LEN_MAX, ResetToken},
    close::{Close, Code, REASON_LEN_MAX},
    packet::long::TOKEN_LEN_MAX,
    varint::{Malformed, Reader},
};

/// The frames of a packet's content, in order. What they carry is shared with it, not copied. Ends behind the first malformed one.
#[derive(Debug, Clone)]
pub struct Frames {
    payload: Bytes,
    at: usize,
}

impl Frames {
    /// The frames of `payload`.
    #[must_use]
    pub const fn new(payload: Bytes) -> Self {
        Self { payload, at: 0 }
    }
}

impl Iterator for Frames {
    type Item = Result<Frame, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = Reader::new(&self.payload[self.at..]);
        if reader.is_empty() {
            return None;
        }
        let frame = read(&mut reader, &self.payload);
        self.at = if frame.is_ok() { self.payload.len() - reader.rest().len() } else { self.payload.len() };
        Some(frame)
    }
}

pub(super) fn path(reader: &mut Reader<'_>) -> Result<PathId, Malformed> {
    u32::try_from(reader.varint()?).map(PathId).map_err(|_| Malformed)
}

fn stream(reader: &mut Reader<'_>) -> Result<StreamId, Malformed> {
    reader.varint().map(StreamId)
}

fn read(reader: &mut Reader<'_>, payload: &Bytes) -> Result<Frame, Malformed> {
    Ok(match reader.u8()? {
        kind::PADDING => Frame::Padding(1 + skip_padding(reader)),
        kind::PING => Frame::Ping,
        kind::CLOSE => Frame::Close(close(reader, payload)?),
        kind::RESET => {
            Frame::Reset { stream: stream(reader)?, code: reader.varint()?, final_size: reader.varint()? }
        }
        kind::STOP => Frame::Stop { stream: stream(reader)?, code: reader.varint()? },
        kind::MAX_DATA => Frame::MaxData(reader.varint()?),
        kind::MAX_STREAM_DATA => Frame::MaxStreamData { stream: stream(reader)?, limit: reader.varint()? },
        kind::MAX_STREAMS_BI => Frame::MaxStreams { direction: Direction::Bi, count: count(reader)? },
        kind::MAX_STREAMS_UNI => Frame::MaxStreams { direction: Direction::Uni, count: count(reader)? },
        kind::DATA_BLOCKED => Frame::DataBlocked(reader.varint()?),
        kind::STREAM_DATA_BLOCKED => {
            Frame::StreamDataBlocked { stream: stream(reader)?, limit: reader.varint()? }
        }
        kind::STREAMS_BLOCKED_BI => Frame::StreamsBlocked { direction: Direction::Bi, count: count(reader)? },
        kind::STREAMS_BLOCKED_UNI => {
            Frame::StreamsBlocked { direction: Direction::Uni, count: count(reader)? }
        }
        kind::PATH_CHALLENGE => Frame::PathChallenge(reader.array()?),
        kind::PATH_RESPONSE => Frame::PathResponse(reader.array()?),
        kind::NEW_CID => Frame::NewCid(new_cid(reader)?),
        kind @ kind::ACK..=kind::ACK_LAST => Frame::Ack(ack::read(kind, reader, payload)?),
        kind::RETIRE_CID => Frame::RetireCid { path: path(reader)?, sequence: reader.varint()? },
        kind::NEW_TOKEN => Frame::NewToken(token(reader, payload)?),
        kind::ACK_FREQUENCY => Frame::AckFrequency(ack_frequency(reader)?),
        kind::FEC_REPAIR => Frame::Repair(Repair::read(reader, payload)?),
        kind::IMMEDIATE_ACK => Frame::ImmediateAck,
        kind::PATH_STATUS => Frame::PathStatus {
            path: path(reader)?,
            sequence: reader.varint()?,
            status: path_status(reader)?,
        },
        kind @ kind::STREAM..=kind::STREAM_LAST => Frame::Stream(stream_frame(kind, reader, payload)?),
        kind::DATAGRAM => Frame::Datagram(payload.slice_ref(reader.take_rest())),
        kind::DATAGRAM_LENGTH => Frame::Datagram(payload.slice_ref(reader.prefixed()?)),
        // ACNP-40, ACNP-45
        _ => return Err(Malformed),
    })
}

fn skip_padding(reader: &mut Reader<'_>) -> usize {
    let zeros = reader.rest().iter().take_while(|byte| **byte == kind::PADDING).count();
    let _ = reader.take(zeros);
    zeros
}

fn close(reader: &mut Reader<'_>, payload: &Bytes) -> Result<Close, Malformed> {
    let code = Code(reader.varint()?);
    let reason = payload.slice_ref(reader.prefixed()?);
    if reason.len() > REASON_LEN_MAX {
        return Err(Malformed);
    }
    Ok(Close { code, reason })
}

/// A count of streams: their ids have two bits less than a varint.
fn count(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    reader.varint().and_then(|count| if count > 1 << 60 { Err(Malformed) } else { Ok(count) })
}

fn new_cid(reader: &mut Reader<'_>) -> Result<NewCid, Malformed> {
    let (path, sequence, retire_before) = (path(reader)?, reader.varint()?, reader.varint()?);
    let len = usize::from(reader.u8()?);
    if len > LOCAL_CID_LEN_MAX || retire_before > sequence {
        return Err(Malformed);
    }
    let id = ConnectionId::new(reader.take(len)?).ok_or(Malformed)?;
    Ok(NewCid { path, sequence, retire_before, id, reset_token: ResetToken(reader.array()?) })
}

fn token(reader: &mut Reader<'_>, payload: &Bytes) -> Result<Bytes, Malformed> {
    let token = reader.prefixed()?;
    if token.is_empty() || token.len() > TOKEN_LEN_MAX {
        return Err(Malformed);
    }
    Ok(payload.slice_ref(token))
}

fn ack_frequency(reader: &mut Reader<'_>) -> Result<AckFrequency, Malformed> {
    let (sequence, packets) = (reader.varint()?, reader.varint()?);
    if packets == 0 {
        return Err(Malformed);
    }
    Ok(AckFrequency { sequence, packets, delay_us: reader.varint()?, reordering: reader.varint()? })
}

fn path_status(reader: &mut Reader<'_>) -> Result<PathStatus, Malformed> {
    Ok(match reader.varint()? {
        0 => PathStatus::Abandoned,
        1 => PathStatus::Standby,
        2 => PathStatus::InUse,
        _ => return Err(Malformed),
    })
}

fn stream_frame(kind: u8, reader: &mut Reader<'_>, payload: &Bytes) -> Result<StreamFrame, Malformed> {
    let stream = stream(reader)?;
    let offset = if kind & kind::STREAM_OFFSET == 0 { 0 } else { reader.varint()? };
    let data = if kind & kind::STREAM_LENGTH == 0 { reader.take_rest() } else { reader.prefixed()? };
    if offset + data.len() as u64 > crate::proto::varint::VARINT_MAX {
        return Err(Malformed);
    }
    Ok(StreamFrame { stream, offset, end: kind & kind::STREAM_END != 0, data: payload.slice_ref(data) })
}
