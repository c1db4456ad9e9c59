//! A TCP tunnel: each TCP connection becomes one stream of a connection that is made again when it breaks.

mod client;
mod flow;
mod mode;
mod relay;
mod server;

pub use client::Client;
pub use mode::Mode;
pub use server::Server;
