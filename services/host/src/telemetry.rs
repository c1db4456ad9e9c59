//! The figures that a process keeps of itself.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use lowland_events::metric::Sampled;

/// The figures that a process keeps of itself. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Figures(Arc<Mutex<Tables>>);

#[derive(Debug, Default)]
struct Tables {
    counters: BTreeMap<String, Arc<AtomicU64>>,
    gauges: BTreeMap<String, Arc<AtomicI64>>,
}

/// Counts up.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Counts `by` more.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

/// A value that goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl Figures {
    /// The counter `name`; the same one each time.
    #[must_use]
    pub fn counter(&self, name: &str) -> Counter {
        Counter(self.tables().counters.entry(name.to_owned()).or_default().clone())
    }

    /// The gauge `name`; the same one each time.
    #[must_use]
    pub fn gauge(&self, name: &str) -> Gauge {
        Gauge(self.tables().gauges.entry(name.to_owned()).or_default().clone())
    }

    /// All of them now, as event data.
    #[must_use]
    pub fn sample(&self, uptime_ms: u64) -> Sampled {
        let tables = self.tables();
        Sampled {
            uptime_ms,
            counters: tables.counters.iter().map(|(k, v)| (k.clone(), v.load(Ordering::Relaxed))).collect(),
            gauges: tables.gauges.iter().map(|(k, v)| (k.clone(), v.load(Ordering::Relaxed))).collect(),
            histograms: BTreeMap::new(),
        }
    }

    fn tables(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_figure() {
        let figures = Figures::default();
        figures.counter("jobs").add(2);
        figures.counter("jobs").add(3);
        figures.gauge("free").set(-1);
        let sample = figures.sample(10);
        assert_eq!(sample.counters["jobs"], 5);
        assert_eq!(sample.gauges["free"], -1);
    }
}
