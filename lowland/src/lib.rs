//! What the command is made of: fetching what cargo does not build, the bus's configuration, the supervisor, and the
//! subcommands over them. A library so that the tests can hold each part by itself.

pub mod artifacts;
pub mod bench;
pub mod cli;
pub mod client;
pub mod containers;
pub mod folders;
pub mod models;
pub mod nats;
pub mod paint;
pub mod supervise;
