//! Streams: what is written at one end is read at the other, in order, each stream by itself.

mod assembler;
mod control;
mod flow;
mod open;
mod priority;
mod receive;
mod room;
mod schedule;
mod send;
mod send_buffer;
mod set;
mod spans;
#[cfg(test)]
mod tests;
mod transmit;

pub use control::Control;
pub use priority::Priority;
pub use receive::ReadError;
pub use send::WriteError;
pub use set::{StreamConfig, StreamEvent, Streams};
pub use transmit::SentStream;
