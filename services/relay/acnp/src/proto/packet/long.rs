//! Long packets: the handshake's.

use std::ops::Range;

use super::{FIXED, LONG, SAMPLE_LEN, SAMPLE_OFFSET, VERSION};
use crate::proto::{
    ConnectionId,
    cid::CID_LEN_MAX,
    varint::{Malformed, Reader, put_varint},
};

/// Bits of an Early packet's first byte that header protection masks.
pub(crate) const EARLY_PROTECTED: u8 = 0x03;
/// Most versions that are read of a Version negotiation.
const VERSIONS_MAX: usize = 64;
/// Longest token that is read, bytes.
pub const TOKEN_LEN_MAX: usize = 256;
/// Longest handshake message that is read, bytes: more than any datagram of a path without jumbo frames holds.
pub const MESSAGE_LEN_MAX: usize = 4096;

/// What every long packet begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongHeader {
    /// Version; 0 in a Version negotiation.
    pub version: u32,
    /// The receiver's id.
    pub destination: ConnectionId,
    /// The sender's id.
    pub source: ConnectionId,
}

/// A long packet, borrowed from the datagram that it lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Long<'a> {
    /// A client's first message.
    Initial {
        /// What an earlier Retry or NEW_TOKEN gave; empty without one.
        token: &'a [u8],
        /// The number of the Noise pattern.
        pattern: u8,
        /// Noise message 1.
        message: &'a [u8],
    },
    /// The server's answer.
    Response {
        /// Noise message 2.
        message: &'a [u8],
    },
    /// Come again with this token.
    Retry {
        /// The token.
        token: &'a [u8],
    },
    /// The versions that the server speaks.
    VersionNegotiation {
        /// Them.
        versions: Vec<u32>,
    },
    /// A sealed packet under early keys; where the number begins, and the packet as a whole, in the datagram that was read.
    Early {
        /// Where its packet number begins.
        number_at: usize,
        /// Where it lies.
        packet: Range<usize>,
    },
    /// A version that is not spoken here: nothing past the header is understood.
    UnknownVersion,
}

const INITIAL: u8 = 0;
const RESPONSE: u8 = 1;
const RETRY: u8 = 2;
const VERSION_NEGOTIATION: u8 = 3;
const EARLY: u8 = 4;

impl LongHeader {
    fn write(&self, kind: u8, low_bits: u8, out: &mut Vec<u8>) {
        out.push(LONG | FIXED | kind << 3 | low_bits);
        out.extend_from_slice(&self.version.to_be_bytes());
        for id in [&self.destination, &self.source] {
            out.push(id.len() as u8);
            out.extend_from_slice(id);
        }
    }

    /// Appends an Initial.
    pub fn write_initial(&self, token: &[u8], pattern: u8, message: &[u8], out: &mut Vec<u8>) {
        self.write(INITIAL, 0, out);
        put_varint(out, token.len() as u64);
        out.extend_from_slice(token);
        out.push(pattern);
        put_message(message, out);
    }

    /// Appends a Response.
    pub fn write_response(&self, message: &[u8], out: &mut Vec<u8>) {
        self.write(RESPONSE, 0, out);
        put_message(message, out);
    }

    /// Appends a Retry, which fills its datagram.
    pub fn write_retry(&self, token: &[u8], out: &mut Vec<u8>) {
        self.write(RETRY, 0, out);
        out.extend_from_slice(token);
    }

    /// Appends a Version negotiation, which fills its datagram.
    pub fn write_version_negotiation(&self, versions: &[u32], out: &mut Vec<u8>) {
        Self { version: 0, ..*self }.write(VERSION_NEGOTIATION, 0, out);
        versions.iter().for_each(|version| out.extend_from_slice(&version.to_be_bytes()));
    }

    /// Appends an Early packet's header without its number, whose bytes on the wire are `number_len`; `len` is what follows the
    /// length field: number, content and tag.
    pub fn write_early(&self, number_len: usize, len: u16, out: &mut Vec<u8>) {
        self.write(EARLY, (number_len - 1) as u8, out);
        out.extend_from_slice(&len.to_be_bytes());
    }

    /// Bytes of an Early packet's header without its number.
    #[must_use]
    pub const fn early_len(&self) -> usize {
        1 + 4 + 1 + self.destination.len() + 1 + self.source.len() + 2
    }
}

fn put_message(message: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(message.len() as u16).to_be_bytes());
    out.extend_from_slice(message);
}

fn id(reader: &mut Reader<'_>) -> Result<ConnectionId, Malformed> {
    let len = usize::from(reader.u8()?);
    if len > CID_LEN_MAX {
        return Err(Malformed);
    }
    ConnectionId::new(reader.take(len)?).ok_or(Malformed)
}

/// Reads the long packet at the beginning of `datagram`; gives its header, itself, and how many bytes it took.
///
/// # Errors
/// It is not a long packet, or malformed (ACNP-1).
pub fn read(datagram: &[u8]) -> Result<(LongHeader, Long<'_>, usize), Malformed> {
    let mut reader = Reader::new(datagram);
    let flags = reader.u8()?;
    if flags & (LONG | FIXED) != LONG | FIXED {
        return Err(Malformed);
    }
    let header =
        LongHeader { version: reader.u32()?, destination: id(&mut reader)?, source: id(&mut reader)? };
    let packet = match header.version {
        0 => read_versions(flags, &mut reader)?,
        VERSION => read_body(flags, datagram.len(), &mut reader)?,
        _ => {
            reader.take_rest();
            Long::UnknownVersion
        }
    };
    Ok((header, packet, datagram.len() - reader.rest().len()))
}

fn read_versions<'a>(flags: u8, reader: &mut Reader<'a>) -> Result<Long<'a>, Malformed> {
    if flags >> 3 & 7 != VERSION_NEGOTIATION {
        return Err(Malformed);
    }
    let versions = reader.take_rest().chunks_exact(4).take(VERSIONS_MAX);
    Ok(Long::VersionNegotiation {
        versions: versions
            .map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect(),
    })
}

fn read_body<'a>(flags: u8, datagram_len: usize, reader: &mut Reader<'a>) -> Result<Long<'a>, Malformed> {
    // Only an Early packet has bits of its own there, and those are masked (ACNP-1, ACNP-5).
    let (kind, reserved) = (flags >> 3 & 7, flags & 7);
    if reserved & if kind == EARLY { !EARLY_PROTECTED } else { 7 } != 0 {
        return Err(Malformed);
    }
    Ok(match kind {
        INITIAL => {
            let token = reader.prefixed()?;
            let pattern = reader.u8()?;
            let message = read_message(reader)?;
            if token.len() > TOKEN_LEN_MAX {
                return Err(Malformed);
            }
            Long::Initial { token, pattern, message }
        }
        RESPONSE => Long::Response { message: read_message(reader)? },
        RETRY => {
            let token = reader.take_rest();
            if token.is_empty() || token.len() > TOKEN_LEN_MAX {
                return Err(Malformed);
            }
            Long::Retry { token }
        }
        EARLY => {
            let len = usize::from(reader.u16()?);
            let number_at = datagram_len - reader.rest().len();
            if len < SAMPLE_OFFSET + SAMPLE_LEN {
                return Err(Malformed);
            }
            reader.take(len)?;
            Long::Early { number_at, packet: 0..number_at + len }
        }
        _ => return Err(Malformed),
    })
}

fn read_message<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let len = usize::from(reader.u16()?);
    if len > MESSAGE_LEN_MAX {
        return Err(Malformed);
    }
    reader.take(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = LongHeader> {
        let id = || prop::collection::vec(any::<u8>(), 0..=20).prop_map(|id| ConnectionId::new(&id).unwrap());
        (id(), id()).prop_map(|(destination, source)| LongHeader { version: VERSION, destination, source })
    }

    proptest! {
        #[test]
        fn an_initial_is_read_as_written(
            header in header(), token in prop::collection::vec(any::<u8>(), 0..=256), pattern: u8,
            message in prop::collection::vec(any::<u8>(), 0..500), tail in 0usize..50
        ) {
            let mut out = Vec::new();
            header.write_initial(&token, pattern, &message, &mut out);
            let len = out.len();
            out.resize(len + tail, 0);
            let expected = Long::Initial { token: &token, pattern, message: &message };
            prop_assert_eq!(read(&out), Ok((header, expected, len)));
            prop_assert_eq!(read(&out[..len - 1]), Err(Malformed));
        }

        #[test]
        fn the_others_are_read_as_written(
            header in header(), bytes in prop::collection::vec(any::<u8>(), 1..=256), versions in prop::collection::vec(any::<u32>(), 0..9)
        ) {
            let mut out = Vec::new();
            header.write_response(&bytes, &mut out);
            prop_assert_eq!(read(&out), Ok((header, Long::Response { message: &bytes }, out.len())));
            out.clear();
            header.write_retry(&bytes, &mut out);
            prop_assert_eq!(read(&out), Ok((header, Long::Retry { token: &bytes }, out.len())));
            out.clear();
            header.write_version_negotiation(&versions, &mut out);
            let none = LongHeader { version: 0, ..header };
            prop_assert_eq!(read(&out), Ok((none, Long::VersionNegotiation { versions }, out.len())));
        }

        #[test]
        fn an_early_packet_ends_where_its_length_says(header in header(), len in 20u16..900, tail in 0usize..50) {
            let mut out = Vec::new();
            header.write_early(3, len, &mut out);
            let number_at = out.len();
            prop_assert_eq!(number_at, header.early_len());
            out.resize(number_at + usize::from(len) + tail, 7);
            let end = number_at + usize::from(len);
            prop_assert_eq!(read(&out), Ok((header, Long::Early { number_at, packet: 0..end }, end)));
        }

        #[test]
        fn no_input_panics(bytes: Vec<u8>, flags in 0xc0u8..) {
            let _ = read(&bytes);
            let _ = read(&[&[flags][..], &VERSION.to_be_bytes(), &bytes].concat());
            let _ = read(&[&[flags][..], &[0; 6], &bytes].concat());
        }
    }
}
