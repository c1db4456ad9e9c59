//! What either side says of itself in the handshake.

use std::time::Duration;

use crate::proto::{
    ConnectionId, Direction,
    cid::ResetToken,
    crypto::{SECRET_LEN, Suite},
    packet::DATAGRAM_LEN_MIN,
    varint::{Malformed, Reader, VARINT_MAX, put_varint, varint_len},
};

/// Most fields that are read of a hello.
const FIELDS_MAX: usize = 64;

/// What one side grants the other for the life of the connection, or to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// Silence after which the connection is gone; zero: never.
    pub idle: Duration,
    /// Largest UDP payload that is received, bytes.
    pub payload_len_max: u64,
    /// Stream data in all that may be sent to begin with, bytes.
    pub data: u64,
    /// Data a stream that may be sent to begin with, bytes.
    pub stream_data: u64,
    /// Bidirectional streams that the peer may open to begin with.
    pub streams_bi: u64,
    /// Unidirectional streams that the peer may open to begin with.
    pub streams_uni: u64,
    /// Longest time for which an ACK is held back.
    pub ack_delay: Duration,
    /// Largest datagram content that is taken, bytes; 0: none are.
    pub datagram_len_max: u64,
    /// Ids of the peer's that are kept a path.
    pub cids: u64,
    /// Paths that are kept at once.
    pub paths: u64,
    /// Bytes of packets that are kept so that repair can be used; 0: repair is not understood.
    pub fec_bytes: u64,
}

/// What a client may assume before the server has spoken (ACNP-27), and what is meant by what a hello leaves out.
pub const EARLY_LIMITS: Parameters = Parameters {
    idle: Duration::ZERO,
    payload_len_max: 65527,
    data: 1 << 16,
    stream_data: 1 << 16,
    streams_bi: 16,
    streams_uni: 16,
    ack_delay: Duration::from_millis(25),
    datagram_len_max: 0,
    cids: 2,
    paths: 1,
    fec_bytes: 0,
};

impl Parameters {
    /// Streams of a direction that the peer may open to begin with.
    #[must_use]
    pub const fn streams(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Bi => self.streams_bi,
            Direction::Uni => self.streams_uni,
        }
    }

    /// Whether they are within their bounds, and grant what ACNP-27 promises.
    fn valid(&self) -> bool {
        self.payload_len_max >= DATAGRAM_LEN_MIN as u64
            && self.cids >= EARLY_LIMITS.cids
            && self.paths >= 1
            && self.streams_bi <= 1 << 60
            && self.streams_uni <= 1 << 60
    }

    /// Whether a server's grant what its client was allowed to assume (ACNP-27).
    #[must_use]
    pub const fn keep_early_limits(&self) -> bool {
        self.data >= EARLY_LIMITS.data
            && self.stream_data >= EARLY_LIMITS.stream_data
            && self.streams_bi >= EARLY_LIMITS.streams_bi
            && self.streams_uni >= EARLY_LIMITS.streams_uni
    }
}

/// A hello of either side; what only one side says is empty in the other's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// What is granted.
    pub parameters: Parameters,
    /// AEADs offered, best first; in the server's, the one chosen.
    pub suites: Vec<Suite>,
    /// From which early packets are keyed (client).
    pub early_secret: Option<[u8; SECRET_LEN]>,
    /// Milliseconds since 1970 (client).
    pub time_ms: Option<u64>,
    /// Whether early packets are taken (server).
    pub early_accepted: bool,
    /// The destination of the client's first Initial (server).
    pub first_destination: Option<ConnectionId>,
    /// The source of the Retry, if there was one (server).
    pub retry_source: Option<ConnectionId>,
    /// The reset token of the first id (server).
    pub reset_token: Option<ResetToken>,
}

impl Hello {
    /// One that says nothing but its parameters and suites.
    #[must_use]
    pub const fn new(parameters: Parameters, suites: Vec<Suite>) -> Self {
        Self {
            parameters,
            suites,
            early_secret: None,
            time_ms: None,
            early_accepted: false,
            first_destination: None,
            retry_source: None,
            reset_token: None,
        }
    }

    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        for (id, value, default) in self.numbers() {
            if value != default {
                put_varint(&mut out, id);
                put_varint(&mut out, varint_len(value) as u64);
                put_varint(&mut out, value);
            }
        }
        let suites: Vec<u8> = self.suites.iter().map(|suite| *suite as u8).collect();
        put(0x10, Some(&suites), &mut out);
        put(0x0c, self.reset_token.as_ref().map(|token| &token.0[..]), &mut out);
        put(0x11, self.early_secret.as_ref().map(|secret| &secret[..]), &mut out);
        put(0x13, self.early_accepted.then_some(&[][..]), &mut out);
        put(0x14, self.first_destination.as_deref(), &mut out);
        put(0x15, self.retry_source.as_deref(), &mut out);
        out
    }

    /// Fields that are one number each: id, value, and what is meant when it is left out.
    fn numbers(&self) -> [(u64, u64, u64); 12] {
        let (ours, usual) = (&self.parameters, &EARLY_LIMITS);
        let ms = |time: Duration| (time.as_millis() as u64).min(VARINT_MAX);
        let us = |time: Duration| (time.as_micros() as u64).min(VARINT_MAX);
        [
            (0x01, ms(ours.idle), ms(usual.idle)),
            (0x02, ours.payload_len_max, usual.payload_len_max),
            (0x03, ours.data, usual.data),
            (0x04, ours.stream_data, usual.stream_data),
            (0x05, ours.streams_bi, usual.streams_bi),
            (0x06, ours.streams_uni, usual.streams_uni),
            (0x07, us(ours.ack_delay), us(usual.ack_delay)),
            (0x08, ours.datagram_len_max, usual.datagram_len_max),
            (0x09, ours.cids, usual.cids),
            (0x0a, ours.paths, usual.paths),
            (0x0b, ours.fec_bytes, usual.fec_bytes),
            // A time of zero is as good as none.
            (0x12, self.time_ms.unwrap_or(0), 0),
        ]
    }

    /// Reads one.
    ///
    /// # Errors
    /// It cannot be read, says something twice, or what is out of bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut hello = Self::new(EARLY_LIMITS, Vec::new());
        let mut reader = Reader::new(bytes);
        let mut seen = 0_u64;
        for _ in 0..FIELDS_MAX {
            if reader.is_empty() {
                break;
            }
            let id = reader.varint()?;
            let value = reader.prefixed()?;
            // Known ids are below 64.
            let bit = if id < 64 { 1 << id } else { 0 };
            if seen & bit != 0 {
                return Err(Malformed);
            }
            seen |= bit;
            hello.set(id, value)?;
        }
        if reader.is_empty() && hello.parameters.valid() { Ok(hello) } else { Err(Malformed) }
    }

    fn set(&mut self, id: u64, value: &[u8]) -> Result<(), Malformed> {
        let parameters = &mut self.parameters;
        match id {
            0x01 => parameters.idle = Duration::from_millis(number(value)?),
            0x02 => parameters.payload_len_max = number(value)?,
            0x03 => parameters.data = number(value)?,
            0x04 => parameters.stream_data = number(value)?,
            0x05 => parameters.streams_bi = number(value)?,
            0x06 => parameters.streams_uni = number(value)?,
            0x07 => parameters.ack_delay = Duration::from_micros(number(value)?),
            0x08 => parameters.datagram_len_max = number(value)?,
            0x09 => parameters.cids = number(value)?,
            0x0a => parameters.paths = number(value)?,
            0x0b => parameters.fec_bytes = number(value)?,
            0x0c => self.reset_token = Some(ResetToken(array(value)?)),
            0x10 => self.suites = value.iter().filter_map(|suite| Suite::from_wire(*suite)).take(3).collect(),
            0x11 => self.early_secret = Some(array(value)?),
            0x12 => self.time_ms = Some(number(value)?),
            0x13 => self.early_accepted = true,
            0x14 => self.first_destination = Some(ConnectionId::new(value).ok_or(Malformed)?),
            0x15 => self.retry_source = Some(ConnectionId::new(value).ok_or(Malformed)?),
            _ => {}
        }
        Ok(())
    }
}

fn put(id: u64, value: Option<&[u8]>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        put_varint(out, id);
        put_varint(out, value.len() as u64);
        out.extend_from_slice(value);
    }
}

fn number(value: &[u8]) -> Result<u64, Malformed> {
    let mut reader = Reader::new(value);
    let number = reader.varint()?;
    if reader.is_empty() { Ok(number) } else { Err(Malformed) }
}

fn array<const N: usize>(value: &[u8]) -> Result<[u8; N], Malformed> {
    value.try_into().map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_said_is_heard(
            numbers in prop::array::uniform11(0..1_u64 << 50), secret: Option<[u8; 32]>, time in 1..1_u64 << 50,
            accepted: bool, id in prop::option::of(prop::collection::vec(any::<u8>(), 0..=20)), token: Option<[u8; 16]>
        ) {
            let [idle, payload, data, stream_data, streams_bi, streams_uni, delay, datagram, cids, paths, fec_bytes] = numbers;
            let parameters = Parameters {
                idle: Duration::from_millis(idle), payload_len_max: payload + 1200, data, stream_data, streams_bi, streams_uni,
                ack_delay: Duration::from_micros(delay), datagram_len_max: datagram, cids: cids + 2, paths: paths + 1, fec_bytes,
            };
            let id = id.and_then(|id| ConnectionId::new(&id));
            let hello = Hello {
                early_secret: secret, time_ms: Some(time), early_accepted: accepted, first_destination: id, retry_source: id,
                reset_token: token.map(ResetToken), ..Hello::new(parameters, Suite::ALL.to_vec())
            };
            prop_assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
        }

        #[test]
        fn no_input_panics(bytes: Vec<u8>) {
            let _ = Hello::decode(&bytes);
        }
    }

    #[test]
    fn what_is_said_twice_or_out_of_bounds_is_refused() {
        for bad in [
            &[1, 1, 5, 1, 1, 5][..],
            &[2, 2, 0x40, 100],
            &[9, 1, 1],
            &[10, 1, 0],
            &[0x0c, 1, 0],
            &[1, 2, 5, 5],
        ] {
            assert_eq!(Hello::decode(bad), Err(Malformed), "{bad:?}");
        }
        assert!(Hello::decode(&[0x3f, 2, 0, 0, 0x40, 0x99, 0]).is_ok(), "unknown fields are skipped");
    }
}
