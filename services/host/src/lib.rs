//! What every service does at start and stop, and while it runs: settings, telemetry, figures, health, signals, folding
//! the log and committing decisions. No domain noun stands here.
//!
//! A service is a [`Service`]; `run::<S>()` is its `main`. Inside, the loop is the same everywhere: fold the log into a
//! [`State`], decide on it, [`commit()`] what was decided, fold again.

pub mod clock;
pub mod commit;
pub mod error;
pub mod figures;
pub mod fold;
pub mod health;
pub mod inspect;
pub mod keep;
pub mod logging;
pub mod measured;
pub mod sampler;
pub mod settings;
pub mod signals;
pub mod trace;

mod service;

pub use clock::Clock;
pub use commit::{Decision, commit};
pub use error::Error;
pub use figures::Figures;
pub use fold::{Fold, State};
pub use inspect::Inspection;
pub use keep::Keep;
pub use service::{Host, Service, run, run_with};
pub use settings::Settings;
pub use trace::Tracer;
