//! The command's parts against the real things: a real nats-server, real child processes, the real pip (with a folder of
//! wheels in place of an index). Every port is free, every folder temporary.

mod bench;
mod bus;
mod fetching;
mod supervising;
mod up;
