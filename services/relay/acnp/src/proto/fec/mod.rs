//! Forward error correction: a sliding-window code over GF(256), and how much of it to spend.
//!
//! The code is a systematic sliding-window random linear code as in RFC 8681: packets go out as they are, and a repair symbol is a linear
//! combination of those in a window, which may span messages and streams. [`Encoder`] makes repairs and [`Decoder`] uses them.

mod decoder;
mod encoder;
pub mod gf256;
mod header;
pub mod loss;
pub mod planner;
mod residual;
#[cfg(test)]
mod tests;

pub use decoder::{Counters, Decoder, Recovered};
pub use encoder::{Encoder, Keep};
pub use header::{HEADER_BYTES_MAX, Header, Malformed, SPAN_MAX};

/// The longest payload that a source symbol holds, in bytes: its length is a u16.
pub const PAYLOAD_BYTES_MAX: usize = u16::MAX as usize;

/// Bytes of the length before a source symbol's payload.
const LENGTH_BYTES: usize = 2;

/// Adds `c` times the source symbol of `payload` (its length as big-endian u16, the payload, zeros without end) to `symbol`, which grows to hold it.
fn add_source(symbol: &mut Vec<u8>, payload: &[u8], c: u8) {
    let length = (payload.len() as u16).to_be_bytes();
    symbol.resize(symbol.len().max(LENGTH_BYTES + payload.len()), 0);
    gf256::mul_add(&mut symbol[..LENGTH_BYTES], &length, c);
    gf256::mul_add(&mut symbol[LENGTH_BYTES..], payload, c);
}
