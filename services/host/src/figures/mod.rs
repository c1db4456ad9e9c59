//! The figures that a process keeps of itself: counters, gauges and histograms, each described once.
//!
//! Whoever counts asks for its handle once and keeps it; recording then costs nanoseconds and allocates nothing. The same
//! figures are published as events ([`Figures::sample`], [`crate::sampler`]) and shown to Prometheus
//! ([`Figures::exposition`]), so that the two agree.

pub mod description;
pub mod encoding;
pub mod histogram;
pub mod number;
pub mod own;
pub mod totals;

mod exposition;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lowland_events::metric::{Sampled, Series};

pub use description::{Description, Kind, Scale, Unit};
pub use exposition::Format;
pub use histogram::{Histogram, Recorded};
pub use number::{Counter, Gauge, Held};
pub use totals::{Latest, Totals};

/// Most series of one metric: a label whose values come from outside must not fill the memory, here or at Prometheus.
pub const SERIES_MAX: usize = 100;
/// The value of every label of the series that takes what came after the last that there was room for.
pub const OTHER: &str = "other";

/// The figures that a process keeps of itself. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Figures(Arc<Mutex<Families>>);

/// Metrics by name.
type Families = BTreeMap<&'static str, Family>;

#[derive(Debug, Clone)]
struct Family {
    of: &'static Description,
    /// Values of the labels, and what is counted under them, in the order of the values.
    series: BTreeMap<Vec<String>, Figure>,
}

#[derive(Debug, Clone)]
enum Figure {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Figures {
    /// The counter of these label values; the same one each time.
    ///
    /// # Panics
    /// If `of` is no counter, or has another number of labels. The same holds for the other kinds.
    #[must_use]
    pub fn counter(&self, of: &'static Description, labels: &[&str]) -> Counter {
        match self.figure(of, labels) {
            Figure::Counter(counter) => counter,
            other => wrong(of, &other),
        }
    }

    /// The gauge of these label values; the same one each time.
    #[must_use]
    pub fn gauge(&self, of: &'static Description, labels: &[&str]) -> Gauge {
        match self.figure(of, labels) {
            Figure::Gauge(gauge) => gauge,
            other => wrong(of, &other),
        }
    }

    /// The histogram of these label values; the same one each time.
    #[must_use]
    pub fn histogram(&self, of: &'static Description, labels: &[&str]) -> Histogram {
        match self.figure(of, labels) {
            Figure::Histogram(histogram) => histogram,
            other => wrong(of, &other),
        }
    }

    /// Counts how often a bound is hit, by the bound's name.
    #[must_use]
    pub fn bound(&self, name: &str) -> Counter {
        self.counter(&own::BOUNDS_HIT, &[name])
    }

    /// All of them now, as event data.
    #[must_use]
    pub fn sample(&self, uptime_ms: u64) -> Sampled {
        let mut sampled = Sampled { uptime_ms, ..Sampled::default() };
        // A copy of the handles: nobody waits for an encoding.
        for family in self.families().clone().into_values() {
            for (values, figure) in family.series {
                let key = family.of.series(&values).to_string();
                match figure {
                    Figure::Counter(counter) => drop(sampled.counters.insert(key, counter.value())),
                    Figure::Gauge(gauge) => drop(sampled.gauges.insert(key, gauge.value())),
                    Figure::Histogram(histogram) => {
                        drop(sampled.histograms.insert(key, histogram.encoded()));
                    }
                }
            }
        }
        sampled
    }

    fn figure(&self, of: &'static Description, labels: &[&str]) -> Figure {
        assert_eq!(labels.len(), of.labels.len(), "{} has the labels {:?}", of.name, of.labels);
        let values: Vec<String> = labels.iter().map(|value| (*value).to_owned()).collect();
        if let Some(figure) = family(&mut self.families(), of).series.get(&values) {
            return figure.clone();
        }
        // Made outside the lock, since a histogram is told where to count what is beyond its range.
        let new = self.make(of);
        let full = {
            let mut families = self.families();
            let series = &mut family(&mut families, of).series;
            if series.len() < SERIES_MAX || of.labels.is_empty() {
                return series.entry(values).or_insert(new).clone();
            }
            series.entry(of.labels.iter().map(|_| OTHER.to_owned()).collect()).or_insert(new).clone()
        };
        if of.name != own::BOUNDS_HIT.name {
            self.bound("series").add(1);
        }
        full
    }

    fn make(&self, of: &Description) -> Figure {
        match of.kind {
            Kind::Counter => Figure::Counter(Counter::default()),
            Kind::Gauge => Figure::Gauge(Gauge::default()),
            Kind::Histogram(scale) => Figure::Histogram(Histogram::new(scale, self.bound("histogram_range"))),
        }
    }

    fn families(&self) -> MutexGuard<'_, Families> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Description {
    /// The series of these label values.
    fn series(&self, values: &[String]) -> Series {
        let labels =
            self.labels.iter().map(|label| (*label).to_owned()).zip(values.iter().cloned()).collect();
        Series { name: self.name.to_owned(), labels }
    }
}

fn family<'a>(families: &'a mut Families, of: &'static Description) -> &'a mut Family {
    let family = families.entry(of.name).or_insert_with(|| Family { of, series: BTreeMap::new() });
    assert_eq!(family.of, of, "two metrics are called {}", of.name);
    family
}

fn wrong(of: &Description, figure: &Figure) -> ! {
    panic!("{} is a {figure:?}", of.name)
}

#[cfg(test)]
mod tests {
    use super::{description::TOKENS, *};

    static JOBS: Description = Description::counter("jobs_total", &[], "Jobs.");
    static BY_NAME: Description = Description::counter("by_name_total", &["name", "place"], "By name.");
    static FREE: Description = Description::gauge("free", &[], "Free.");
    static SIZES: Description = Description::histogram("sizes", TOKENS, &["name"], "Sizes.");

    #[test]
    fn the_same_labels_are_one_figure() {
        let figures = Figures::default();
        figures.counter(&JOBS, &[]).add(2);
        figures.counter(&JOBS, &[]).add(3);
        figures.counter(&BY_NAME, &["a", "x"]).add(1);
        figures.counter(&BY_NAME, &["b", "x"]).add(2);
        figures.gauge(&FREE, &[]).set(-1);
        figures.histogram(&SIZES, &["a"]).record(7);
        let sample = figures.sample(10);
        assert_eq!((sample.counters["jobs_total"], sample.gauges["free"]), (5, -1));
        assert_eq!(sample.counters[r#"by_name_total{name="b",place="x"}"#], 2);
        assert_eq!(encoding::decode(&sample.histograms[r#"sizes{name="a"}"#]).unwrap().len(), 1);
    }

    #[test]
    fn series_are_bounded_and_the_bound_is_counted() {
        let figures = Figures::default();
        for n in 0..SERIES_MAX + 3 {
            figures.counter(&BY_NAME, &[&n.to_string(), "x"]).add(1);
        }
        figures.counter(&BY_NAME, &["0", "x"]).add(1);
        let counters = figures.sample(0).counters;
        assert_eq!(counters[r#"by_name_total{name="other",place="other"}"#], 3);
        assert_eq!(counters[r#"by_name_total{name="0",place="x"}"#], 2);
        assert_eq!(counters[r#"lowland_bounds_hit_total{bound="series"}"#], 3);
        for n in 0..SERIES_MAX + 3 {
            figures.bound(&n.to_string()).add(1);
        }
        assert!(figures.sample(0).counters[r#"lowland_bounds_hit_total{bound="other"}"#] >= 3);
    }

    #[test]
    #[should_panic(expected = "two metrics are called jobs_total")]
    fn a_name_is_one_metric() {
        static OTHER_JOBS: Description = Description::counter("jobs_total", &["x"], "Others.");
        let figures = Figures::default();
        let _ = (figures.counter(&JOBS, &[]), figures.counter(&OTHER_JOBS, &["y"]));
    }
}
