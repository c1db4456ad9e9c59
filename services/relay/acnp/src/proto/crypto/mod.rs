//! Keys: how they are derived, how packets are sealed and opened, how headers are masked. Every primitive is aws-lc's.

mod header;
mod packet;
mod phases;
mod secret;
mod suite;

pub use header::HeaderKey;
pub use packet::{DoesNotOpen, PacketKey};
pub use phases::{Receiving, Sending};
pub use secret::{SECRET_LEN, Secret};
pub use suite::Suite;
