//! Keeping the processes of one data folder running: nats-server and every service, each a child process, each started
//! again when it dies, all of them gone when the supervisor goes, however it goes.
//!
//! [`child`] is one process, [`tend`] keeps one alive, [`state`] is what others may know (`lowland status`, `down`), and
//! [`backoff`] is pure.

pub mod backoff;
pub mod child;
pub mod disk;
pub mod health;
pub mod output;
pub mod plan;
pub mod ports;
pub mod prepare;
pub mod run;
pub mod stale;
pub mod state;
pub mod tend;
