//! ACNP: a reliable, encrypted transport over UDP for paths that are long and lossy.
//!
//! [`proto`] is the protocol, pure: datagrams and the time go in, datagrams and a deadline come out. [`wire`] carries datagrams;
//! [`endpoint`] is both under an asynchronous API, [`tunnel`] carries TCP over that, and [`qlog`] writes down what happens. The
//! protocol's specification is `docs/acnp.md`.

#[cfg(feature = "command")]
pub mod command;
pub mod endpoint;
pub mod proto;
pub mod qlog;
pub mod tunnel;
pub mod wire;
