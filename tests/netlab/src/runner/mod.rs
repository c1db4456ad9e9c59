//! Every contestant through every task on every path: both ends started, the path between them, the figures gathered.

mod child;
mod contestant;
mod listening;
mod record;
mod schedule;
mod stage;
mod task;

pub use contestant::{Contestant, Kind, builtin, described};
pub use record::{Record, Wire};
pub use schedule::{Plan, Progress, run_all};
pub use stage::{Bench, run_once};
pub use task::{Sizes, TASKS, Task};
