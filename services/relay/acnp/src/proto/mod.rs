//! The protocol: no socket, no clock, no task, no randomness but what is given.

pub mod congestion;
pub mod fec;
pub mod ranges;
pub mod recovery;
mod time;

pub use time::Time;
