//! ACNP: a reliable, encrypted transport over UDP for paths that are long and lossy.
//!
//! [`proto`] is the protocol, pure: datagrams and the time go in, datagrams and a deadline come out. [`wire`] carries datagrams, [`qlog`] writes down what
//! happens. Its
//! specification is `docs/acnp.md`.

pub mod proto;
pub mod qlog;
pub mod wire;
