//! ACNP: a reliable, encrypted transport over UDP for paths that are long and lossy.
//!
//! [`proto`] is the protocol, pure: datagrams and the time go in, datagrams and a deadline come out. [`wire`] carries datagrams. Its
//! specification is `docs/acnp.md`.

#[cfg(feature = "command")]
pub mod command;
pub mod endpoint;
pub mod proto;
pub mod tunnel;
pub mod wire;
