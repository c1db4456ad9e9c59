//! The gateway over the in-memory log, spoken to by a real HTTP client, with a backend that each test plays itself.

mod answers;
mod departures;
mod embeddings;
mod jobs;
mod limits;
mod refusals;
mod resuming;
mod streams;
mod world;
