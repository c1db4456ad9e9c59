//! The instances that are there, the processes they live in, and the models that ever were on offer.

use std::collections::{BTreeMap, BTreeSet};

use lowland_events::{
    EventId, Stored,
    id::{InstanceId, ModelId, RegionId, WorkerId},
    instance::{Ability, Event, Ready},
};
use serde::{Deserialize, Serialize};

use crate::key::JobKey;

/// A model loaded on a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// The model.
    pub model: ModelId,
    /// What it announced.
    pub ready: Ready,
    /// Sequence of its last event.
    pub last: u64,
    /// Id of its last event.
    pub last_id: EventId,
    /// Jobs that it has, each taking a slot.
    pub jobs: BTreeSet<JobKey>,
}

impl Instance {
    /// Jobs that it can take now.
    #[must_use]
    pub fn free_slots(&self) -> u32 {
        self.ready.slots.saturating_sub(u32::try_from(self.jobs.len()).unwrap_or(u32::MAX))
    }
}

/// A model that is or was on offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// What it can do, by the latest instance.
    pub ability: Ability,
    /// Its longest sequence in tokens, by the latest instance.
    pub context_tokens: u32,
    /// Regions that ever had an instance of it.
    pub regions: BTreeSet<RegionId>,
    /// Its instances that are there.
    pub instances: BTreeSet<InstanceId>,
}

/// Everything that can run jobs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    models: BTreeMap<ModelId, Model>,
    instances: BTreeMap<InstanceId, Instance>,
    processes: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    workers: BTreeMap<WorkerId, BTreeSet<InstanceId>>,
    superseded: BTreeSet<InstanceId>,
}

impl Fleet {
    /// Changes the fleet by an event of `instance`; gives out the jobs of an instance that is no longer there, and
    /// whether the event fitted.
    pub fn evolve(
        &mut self,
        model: &ModelId,
        instance: &InstanceId,
        stored: &Stored,
        event: &Event,
    ) -> Fitted {
        match event {
            Event::Ready(ready) if self.instances.contains_key(instance) || ready.slots == 0 => Fitted::Not,
            Event::Ready(ready) => {
                self.arrive(model, instance, stored, ready);
                Fitted::Well(BTreeSet::new())
            }
            _ if self.instances.get(instance).is_some_and(|known| known.model != *model) => Fitted::Not,
            Event::Stopped(_) | Event::Lost(_) => self.depart(instance).map_or(Fitted::Not, Fitted::Well),
        }
    }

    /// An event of `instance` that changes nothing but its sequence.
    pub fn touch(&mut self, instance: &InstanceId, stored: &Stored) {
        let of_this_model = |instance: &&mut Instance| instance.model.as_str() == stored.subject.scope();
        if let Some(instance) = self.instances.get_mut(instance).filter(of_this_model) {
            (instance.last, instance.last_id) = (stored.sequence, stored.meta.id);
        }
    }

    /// Every model that is or was on offer.
    pub fn models(&self) -> impl Iterator<Item = (&ModelId, &Model)> {
        self.models.iter()
    }

    /// A model that is or was on offer.
    #[must_use]
    pub fn model(&self, model: &ModelId) -> Option<&Model> {
        self.models.get(model)
    }

    /// An instance that is there.
    #[must_use]
    pub fn instance(&self, instance: &InstanceId) -> Option<&Instance> {
        self.instances.get(instance)
    }

    /// The instances of a process.
    pub fn of_process(&self, process: &InstanceId) -> impl Iterator<Item = (&InstanceId, &Instance)> {
        let ids = self.processes.get(process).into_iter().flatten();
        ids.filter_map(|id| self.instances.get(id).map(|instance| (id, instance)))
    }

    /// Every process with an instance.
    pub fn processes(&self) -> impl Iterator<Item = &InstanceId> {
        self.processes.keys()
    }

    /// Whether `process` has an instance.
    #[must_use]
    pub fn has_process(&self, process: &InstanceId) -> bool {
        self.processes.contains_key(process)
    }

    /// Processes whose worker has announced another process since.
    pub fn superseded(&self) -> &BTreeSet<InstanceId> {
        &self.superseded
    }

    /// A job takes a slot.
    pub(super) fn take(&mut self, instance: &InstanceId, job: &JobKey) {
        if let Some(instance) = self.instances.get_mut(instance) {
            instance.jobs.insert(job.clone());
        }
    }

    /// A job gives its slot back.
    pub(super) fn give_back(&mut self, instance: &InstanceId, job: &JobKey) {
        if let Some(instance) = self.instances.get_mut(instance) {
            instance.jobs.remove(job);
        }
    }

    fn arrive(&mut self, model: &ModelId, id: &InstanceId, stored: &Stored, ready: &Ready) {
        let of_worker = self.workers.entry(ready.worker.clone()).or_default();
        self.superseded.extend(of_worker.iter().filter(|process| **process != ready.process).cloned());
        self.superseded.remove(&ready.process);
        of_worker.insert(ready.process.clone());
        self.processes.entry(ready.process.clone()).or_default().insert(id.clone());
        self.offer(model, id, ready);
        let instance = Instance {
            model: model.clone(),
            ready: ready.clone(),
            last: stored.sequence,
            last_id: stored.meta.id,
            jobs: BTreeSet::new(),
        };
        self.instances.insert(id.clone(), instance);
    }

    fn offer(&mut self, model: &ModelId, id: &InstanceId, ready: &Ready) {
        let offered = self.models.entry(model.clone()).or_insert_with(|| Model {
            ability: ready.ability,
            context_tokens: ready.context_tokens,
            regions: BTreeSet::new(),
            instances: BTreeSet::new(),
        });
        (offered.ability, offered.context_tokens) = (ready.ability, ready.context_tokens);
        offered.regions.insert(ready.region.clone());
        offered.instances.insert(id.clone());
    }

    fn depart(&mut self, id: &InstanceId) -> Option<BTreeSet<JobKey>> {
        let instance = self.instances.remove(id)?;
        if let Some(model) = self.models.get_mut(&instance.model) {
            model.instances.remove(id);
        }
        let process = &instance.ready.process;
        let left = self.processes.get_mut(process)?;
        left.remove(id);
        if left.is_empty() {
            self.end_process(&instance.ready.worker, process);
        }
        Some(instance.jobs)
    }

    fn end_process(&mut self, worker: &WorkerId, process: &InstanceId) {
        self.processes.remove(process);
        self.superseded.remove(process);
        if let Some(processes) = self.workers.get_mut(worker) {
            processes.remove(process);
            if processes.is_empty() {
                self.workers.remove(worker);
            }
        }
    }
}

/// Whether an event fitted what was known.
#[derive(Debug, PartialEq)]
pub enum Fitted {
    /// It did; these jobs are with an instance that is no longer there.
    Well(BTreeSet<JobKey>),
    /// It did not, and changed nothing.
    Not,
}
