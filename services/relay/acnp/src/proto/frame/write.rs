//! Writing frames into a packet that will be sealed.

use super::{Ack, AckFrequency, Frame, NewCid, PathStatus, StreamFrame, kind, write_ack};
use crate::proto::{
    Direction, StreamId,
    close::Close,
    varint::{put_varint, varint_len},
};

/// Most bytes that a STREAM frame takes beside its data, when its length is written as one of `data_len`.
#[must_use]
pub const fn stream_overhead(stream: StreamId, offset: u64, data_len: usize) -> usize {
    1 + varint_len(stream.0) + if offset == 0 { 0 } else { varint_len(offset) } + varint_len(data_len as u64)
}

/// Bytes that a DATAGRAM frame takes beside its data.
#[must_use]
pub const fn datagram_overhead(data_len: usize) -> usize {
    1 + varint_len(data_len as u64)
}

/// Appends a STREAM frame up to its data; without a length, the data goes to the end of the packet.
pub fn write_stream_header(stream: StreamId, offset: u64, len: Option<usize>, end: bool, out: &mut Vec<u8>) {
    out.push(
        kind::STREAM
            | if end { kind::STREAM_END } else { 0 }
            | if len.is_some() { kind::STREAM_LENGTH } else { 0 }
            | if offset == 0 { 0 } else { kind::STREAM_OFFSET },
    );
    put_varint(out, stream.0);
    if offset != 0 {
        put_varint(out, offset);
    }
    if let Some(len) = len {
        put_varint(out, len as u64);
    }
}

fn put(out: &mut Vec<u8>, kind: u8, fields: &[u64]) {
    out.push(kind);
    fields.iter().for_each(|field| put_varint(out, *field));
}

const fn by_direction(direction: Direction, bi: u8, uni: u8) -> u8 {
    match direction {
        Direction::Bi => bi,
        Direction::Uni => uni,
    }
}

impl Frame {
    /// Appends it. Data of STREAM and DATAGRAM is written with its length.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Padding(len) => out.resize(out.len() + len, kind::PADDING),
            Self::Ping => out.push(kind::PING),
            Self::Close(close) => write_close(close, out),
            Self::Reset { stream, code, final_size } => {
                put(out, kind::RESET, &[stream.0, *code, *final_size]);
            }
            Self::Stop { stream, code } => put(out, kind::STOP, &[stream.0, *code]),
            Self::MaxData(limit) => put(out, kind::MAX_DATA, &[*limit]),
            Self::MaxStreamData { stream, limit } => put(out, kind::MAX_STREAM_DATA, &[stream.0, *limit]),
            Self::MaxStreams { direction, count } => {
                put(out, by_direction(*direction, kind::MAX_STREAMS_BI, kind::MAX_STREAMS_UNI), &[*count]);
            }
            Self::DataBlocked(limit) => put(out, kind::DATA_BLOCKED, &[*limit]),
            Self::StreamDataBlocked { stream, limit } => {
                put(out, kind::STREAM_DATA_BLOCKED, &[stream.0, *limit]);
            }
            Self::StreamsBlocked { direction, count } => {
                put(
                    out,
                    by_direction(*direction, kind::STREAMS_BLOCKED_BI, kind::STREAMS_BLOCKED_UNI),
                    &[*count],
                );
            }
            Self::PathChallenge(data) => put_raw(out, kind::PATH_CHALLENGE, data),
            Self::PathResponse(data) => put_raw(out, kind::PATH_RESPONSE, data),
            Self::NewCid(new) => write_new_cid(new, out),
            Self::Ack(ack) => write_whole_ack(ack, out),
            Self::RetireCid { path, sequence } => put(out, kind::RETIRE_CID, &[u64::from(path.0), *sequence]),
            Self::NewToken(token) => {
                put(out, kind::NEW_TOKEN, &[token.len() as u64]);
                out.extend_from_slice(token);
            }
            Self::AckFrequency(AckFrequency { sequence, packets, delay_us, reordering }) => {
                put(out, kind::ACK_FREQUENCY, &[*sequence, *packets, *delay_us, *reordering]);
            }
            Self::Repair(repair) => {
                out.push(kind::FEC_REPAIR);
                repair.write(out);
            }
            Self::ImmediateAck => out.push(kind::IMMEDIATE_ACK),
            Self::PathStatus { path, sequence, status } => {
                put(out, kind::PATH_STATUS, &[u64::from(path.0), *sequence, status_code(*status)]);
            }
            Self::Stream(StreamFrame { stream, offset, end, data }) => {
                write_stream_header(*stream, *offset, Some(data.len()), *end, out);
                out.extend_from_slice(data);
            }
            Self::Datagram(data) => {
                put(out, kind::DATAGRAM_LENGTH, &[data.len() as u64]);
                out.extend_from_slice(data);
            }
        }
    }
}

fn put_raw(out: &mut Vec<u8>, kind: u8, data: &[u8]) {
    out.push(kind);
    out.extend_from_slice(data);
}

fn write_close(close: &Close, out: &mut Vec<u8>) {
    put(out, kind::CLOSE, &[close.code.0, close.reason.len() as u64]);
    out.extend_from_slice(&close.reason);
}

fn write_new_cid(new: &NewCid, out: &mut Vec<u8>) {
    put(out, kind::NEW_CID, &[u64::from(new.path.0), new.sequence, new.retire_before]);
    out.push(new.id.len() as u8);
    out.extend_from_slice(&new.id);
    out.extend_from_slice(&new.reset_token.0);
}

const fn status_code(status: PathStatus) -> u64 {
    match status {
        PathStatus::Abandoned => 0,
        PathStatus::Standby => 1,
        PathStatus::InUse => 2,
    }
}

fn write_whole_ack(ack: &Ack, out: &mut Vec<u8>) {
    let recovered: Vec<u64> = ack.recovered.iter().collect();
    let more = ack.reordering.map(|reordering| (reordering, &recovered[..]));
    write_ack(ack.path, ack.delay, ack.ranges.iter(), ack.ecn, more, usize::MAX >> 1, out);
}
