//! The one place that reads the clock. What it gives enters decisions as an argument and events as data.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use lowland_events::Time;

/// The time now.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// What a service tells the time by: the machine's clock, or a simulation's. Clones are the same clock.
#[derive(Clone)]
pub struct Clock {
    read: Arc<dyn Fn() -> Time + Send + Sync>,
    simulated: bool,
}

impl Clock {
    /// A simulation's clock, which `read` reads.
    pub fn of(read: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read), simulated: true }
    }

    /// Whether time is simulated: then nothing may depend on other threads, so that every run is the same.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.simulated
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        (self.read)()
    }
}

impl Default for Clock {
    /// The machine's.
    fn default() -> Self {
        Self { read: Arc::new(now), simulated: false }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
