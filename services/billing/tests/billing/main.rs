//! Billing over the in-memory log: scenes that read "given these events, when billing looks, then these events", races
//! between two billings, and the service as it runs.

mod charges;
mod holds;
mod oracle;
mod racing;
mod reports;
mod service;
mod topups;
mod world;
