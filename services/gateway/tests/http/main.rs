//! The gateway over the in-memory log, spoken to by a real HTTP client, with a backend that each test plays itself.

mod answers;
mod backend;
mod breakdowns;
mod departures;
mod embeddings;
mod events;
mod jobs;
mod limits;
mod refusals;
mod resuming;
mod streams;
mod unreliable;
mod world;
