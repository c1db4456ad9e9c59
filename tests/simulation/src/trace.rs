//! What happened under a seed, told line by line with simulated time, if somebody wants to read it.

use std::{
    fmt::Display,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::time::Instant;

/// Where what happens is told. Clones tell to the same place.
#[derive(Clone)]
pub(crate) struct Trace(Arc<Told>);

struct Told {
    aloud: bool,
    began: Instant,
    violations: Mutex<Vec<String>>,
    faults: AtomicU64,
}

impl Trace {
    /// Tells on standard error, if `aloud`.
    pub(crate) fn new(aloud: bool) -> Self {
        let told =
            Told { aloud, began: Instant::now(), violations: Mutex::default(), faults: AtomicU64::new(0) };
        Self(Arc::new(told))
    }

    /// Something happened. What is only told is only made if somebody listens.
    pub(crate) fn tell(&self, who: impl Display, what: impl FnOnce() -> String) {
        if self.0.aloud {
            let at = self.0.began.elapsed().as_millis();
            eprintln!("{:>4}.{:03} {who:<12} {}", at / 1000, at % 1000, what());
        }
    }

    /// Something was made to go wrong.
    pub(crate) fn fault(&self, who: impl Display, what: impl FnOnce() -> String) {
        self.0.faults.fetch_add(1, Ordering::Relaxed);
        self.tell(who, || format!("~ {}", what()));
    }

    /// Something does not hold.
    pub(crate) fn violation(&self, what: String) {
        self.tell("check", || format!("VIOLATION: {what}"));
        self.0.violations.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// What did not hold.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.0.violations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// So many things were made to go wrong.
    pub(crate) fn faults(&self) -> u64 {
        self.0.faults.load(Ordering::Relaxed)
    }
}
