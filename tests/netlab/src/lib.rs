//! A lab of emulated paths: two network namespaces, a path between them in user space, transports side by side.
//!
//! A [`path`] says how its packets fare; a [`model`] decides it, from a seed, without a clock; the [`emulator`] carries real
//! packets between two TUN devices as the model says and reports how late it was. A [`peer`] is a transport at its best
//! settings, a [`job`] what is asked of it. The [`runner`] starts both ends of every peer on every path, repeats what was
//! disturbed, and [`report`] writes what came out.

pub mod cli;
pub mod content;
pub mod emulator;
pub mod job;
pub mod model;
pub mod outcome;
pub mod path;
pub mod peer;
pub mod report;
pub mod runner;
pub mod wire;
