//! The protocol: no socket, no clock, no task, no randomness but what is given.

pub mod cid;
pub mod close;
pub mod congestion;
pub mod connection;
pub mod crypto;
pub mod fec;
pub mod frame;
pub mod fuzz;
pub mod handshake;
pub mod listener;
pub mod observe;
pub mod packet;
mod path_id;
pub mod recovery;
pub mod stream;
mod stream_id;
mod time;
mod transmit;
pub mod varint;

pub use cid::ConnectionId;
pub use path_id::PathId;
pub use stream_id::{Direction, Side, StreamId};
pub use time::Time;
pub use transmit::{Ecn, Meta, Transmit};
