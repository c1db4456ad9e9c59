//! Every service in a container of its own, kept running by somebody else's engine (compose.yaml): what each is handed
//! before it starts, and how one of many equal workers comes to be one in particular.
//!
//! The keys and the bus's users are those of `lowland up`, made by the same functions; only the supervisor is missing.

pub mod handout;
pub mod reach;
pub mod seat;
