//! Where a job goes. First the mask (allowed region, alive, a free slot), then the choice: places where the job has not
//! failed before others, then the lowest ask, then the most free slots, then the id. Every candidate's verdict is given
//! with the choice, so that it can be explained later.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use lowland_events::{
    id::{InstanceId, ModelId, RegionId, WorkerId},
    job::{Candidate, Verdict},
};

use crate::{
    facts::View,
    queue::Regions,
    state::{Instance, Job},
};

/// Candidates that an assignment lists, the chosen one included.
pub const CONSIDERED_MAX: usize = 16;

/// The places for one model's jobs, as a round uses them up.
pub struct Places<'a> {
    places: Vec<Place<'a>>,
    free_by_region: BTreeMap<&'a RegionId, usize>,
}

struct Place<'a> {
    id: &'a InstanceId,
    instance: &'a Instance,
    free: u32,
    is_alive: bool,
}

/// Where a job goes, and what else was considered.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The worker.
    pub worker: WorkerId,
    /// The instance.
    pub instance: InstanceId,
    /// The candidates and what became of each, the chosen one first, then the cheapest.
    pub considered: Vec<Candidate>,
    /// Candidates beyond those listed.
    pub considered_more: u32,
}

impl<'a> Places<'a> {
    /// The instances of `model`, cheapest first.
    #[must_use]
    pub fn of(view: &View<'a>, model: &ModelId) -> Self {
        let fleet = view.state.fleet();
        let ids = fleet.model(model).into_iter().flat_map(|model| &model.instances);
        let mut places: Vec<Place<'a>> = ids
            .filter_map(|id| fleet.instance(id).map(|instance| (id, instance)))
            .map(|(id, instance)| {
                let process = &instance.ready.process;
                let is_alive =
                    view.facts.liveness.is_alive(process, view.now) && !fleet.superseded().contains(process);
                Place { id, instance, free: instance.free_slots(), is_alive }
            })
            .collect();
        places.sort_by_key(|place| (place.instance.ready.ask, place.id));
        let mut free_by_region = BTreeMap::new();
        for place in places.iter().filter(|place| place.is_alive && place.free > 0) {
            *free_by_region.entry(&place.instance.ready.region).or_default() += place.free as usize;
        }
        Self { places, free_by_region }
    }

    /// Jobs that can be placed.
    #[must_use]
    pub fn free_slots(&self) -> usize {
        self.free_by_region.values().sum()
    }

    /// Whether a job that is allowed in `regions` (anywhere, if none is named) can be placed.
    #[must_use]
    pub fn admits(&self, regions: &Regions) -> bool {
        let mut free = self.free_by_region.iter().filter(|(_, free)| **free > 0);
        if regions.is_empty() {
            free.next().is_some()
        } else {
            free.any(|(region, _)| regions.contains(region))
        }
    }

    /// Chooses a place for `job` and takes its slot.
    pub fn choose(&mut self, job: &Job) -> Option<Choice> {
        let failed_on: BTreeSet<&InstanceId> = job.failed_on.iter().collect();
        let could = self.places.iter().enumerate().filter(|(_, place)| place.refusal(&job.regions).is_none());
        let rank = |place: &Place<'_>| {
            (failed_on.contains(place.id), place.instance.ready.ask, Reverse(place.free), place.id.clone())
        };
        let (chosen, _) = could.min_by_key(|(_, place)| rank(place))?;
        let choice = self.explain(chosen, job, &failed_on);
        self.take(chosen);
        Some(choice)
    }

    fn explain(&self, chosen: usize, job: &Job, failed_on: &BTreeSet<&InstanceId>) -> Choice {
        let others = self.places.iter().enumerate().filter(|(i, _)| *i != chosen).map(|(_, place)| {
            let refusal = place.refusal(&job.regions);
            let failed = failed_on.contains(place.id).then_some(Verdict::FailedBefore);
            place.candidate(refusal.or(failed).unwrap_or(Verdict::Eligible))
        });
        let place = &self.places[chosen];
        let first = std::iter::once(place.candidate(Verdict::Chosen));
        let more = self.places.len().saturating_sub(CONSIDERED_MAX);
        Choice {
            worker: place.instance.ready.worker.clone(),
            instance: place.id.clone(),
            considered: first.chain(others).take(CONSIDERED_MAX).collect(),
            considered_more: u32::try_from(more).unwrap_or(u32::MAX),
        }
    }

    fn take(&mut self, chosen: usize) {
        let place = &mut self.places[chosen];
        place.free -= 1;
        if let Some(free) = self.free_by_region.get_mut(&place.instance.ready.region) {
            *free -= 1;
        }
    }
}

impl Place<'_> {
    /// Why a job that is allowed in `regions` cannot be here, if it cannot.
    fn refusal(&self, regions: &Regions) -> Option<Verdict> {
        if !regions.is_empty() && !regions.contains(&self.instance.ready.region) {
            Some(Verdict::RegionNotAllowed)
        } else if !self.is_alive {
            Some(Verdict::Silent)
        } else if self.free == 0 {
            Some(Verdict::NoFreeSlot)
        } else {
            None
        }
    }

    fn candidate(&self, verdict: Verdict) -> Candidate {
        let ready = &self.instance.ready;
        Candidate {
            instance: self.id.clone(),
            worker: ready.worker.clone(),
            region: ready.region.clone(),
            free_slots: self.free,
            ask: ready.ask,
            verdict,
        }
    }
}
