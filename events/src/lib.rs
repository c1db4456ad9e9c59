//! The contract that every Lowland process shares: event types, their envelope and encoding, the subjects and streams
//! they travel on, and the log itself.
//!
//! Nothing else in the tree derives serde for what crosses the bus, and nothing else spells a subject. An event's path
//! through this crate: [`event::Event`] (a typed fact) with [`envelope::Meta`] is a [`envelope::Draft`]; [`codec`] turns
//! it into a [`log::Entry`]'s bytes and headers; a [`log::Log`] stores it and gives back a [`log::Record`], which
//! [`codec`] turns into an [`envelope::Stored`] event again.

pub mod account;
pub mod codec;
pub mod envelope;
pub mod event;
pub mod id;
pub mod instance;
pub mod job;
pub mod log;
pub mod meter;
pub mod metric;
pub mod money;
pub mod request;
pub mod retention;
pub mod schema;
pub mod snapshot;
pub mod stream;
pub mod subject;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod token;
pub mod trace;
mod upcast;

pub use envelope::{Draft, EventId, Meta, Stored};
pub use event::Event;
pub use money::Money;
pub use subject::{Domain, Filter, Subject};
pub use time::Time;
pub use trace::TraceContext;
