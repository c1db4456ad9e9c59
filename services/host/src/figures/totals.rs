//! What many processes counted together: the latest sample of each, added up exactly.

use std::collections::BTreeMap;

use hdrhistogram::Histogram as Cells;
use lowland_events::{id::InstanceId, metric::Sampled};

use super::encoding::{self, NoHistogram};

/// Instances whose samples are kept; whoever has been silent for longest goes first.
pub const INSTANCES_MAX: usize = 1000;

/// The latest sample of each instance.
#[derive(Debug, Clone, Default)]
pub struct Latest {
    samples: BTreeMap<InstanceId, (u64, Sampled)>,
    taken: u64,
}

/// Figures of many instances, added up by series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// Counts.
    pub counters: BTreeMap<String, u64>,
    /// Values now.
    pub gauges: BTreeMap<String, i64>,
    /// Distributions.
    pub histograms: BTreeMap<String, Cells<u64>>,
}

impl Latest {
    /// Takes a sample in, unless a later one of the instance is known. A mere sign of life leaves its figures as they are,
    /// and one that has no room for its histograms leaves these as they are.
    pub fn take(&mut self, instance: &InstanceId, sampled: Sampled) {
        self.taken += 1;
        let taken = self.taken;
        match self.samples.get_mut(instance) {
            Some((last, known)) => {
                *last = taken;
                if !sampled.is_bare() && sampled.uptime_ms >= known.uptime_ms {
                    let told = std::mem::replace(known, sampled).histograms;
                    if known.histograms.is_empty() {
                        known.histograms = told;
                    }
                }
            }
            None => {
                self.samples.insert(instance.clone(), (taken, sampled));
                self.make_room();
            }
        }
    }

    /// The instances with their latest samples that have figures.
    pub fn samples(&self) -> impl Iterator<Item = (&InstanceId, &Sampled)> {
        self.samples.iter().map(|(instance, (_, sampled))| (instance, sampled))
    }

    /// Everything added up.
    pub fn totals(&self) -> Result<Totals, NoHistogram> {
        let mut totals = Totals::default();
        self.samples().try_for_each(|(_, sampled)| totals.add(sampled))?;
        Ok(totals)
    }

    fn make_room(&mut self) {
        while self.samples.len() > INSTANCES_MAX {
            let silent = self.samples.iter().min_by_key(|(_, (taken, _))| *taken);
            let Some(silent) = silent.map(|(instance, _)| instance.clone()) else { return };
            self.samples.remove(&silent);
        }
    }
}

impl Totals {
    /// Adds an instance's figures.
    pub fn add(&mut self, sampled: &Sampled) -> Result<(), NoHistogram> {
        for (series, count) in &sampled.counters {
            let total = self.counters.entry(series.clone()).or_default();
            *total = total.saturating_add(*count);
        }
        for (series, value) in &sampled.gauges {
            let total = self.gauges.entry(series.clone()).or_default();
            *total = total.saturating_add(*value);
        }
        for (series, bytes) in &sampled.histograms {
            self.add_cells(series, encoding::decode(bytes)?);
        }
        Ok(())
    }

    fn add_cells(&mut self, series: &str, cells: Cells<u64>) {
        match self.histograms.get_mut(series) {
            Some(total) => {
                // Only a later build's range is another one; it then becomes ours.
                total.auto(true);
                total.add(cells).expect("a histogram that resizes takes any other");
            }
            None => drop(self.histograms.insert(series.to_owned(), cells)),
        }
    }
}
