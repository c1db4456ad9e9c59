//! Which instances this process runs and which jobs each has: a pure table of what to do about an event.

use std::collections::BTreeMap;

use lowland_events::{
    Event, Stored,
    id::InstanceId,
    instance::Event as InstanceEvent,
    job::{CancelRequested, Event as JobEvent},
};

use crate::{
    heartbeat::HEARTBEAT_MS,
    job::{Assignment, Key},
};

/// What a job is told while it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Order {
    /// Go on.
    #[default]
    Proceed,
    /// The worker stops: publish what there is, and say that others may go on.
    Stop,
    /// The job is no longer wanted: end it, and say so.
    End {
        /// Sequence of the event that says so.
        sequence: u64,
        /// Why.
        reason: String,
    },
    /// The job is somebody else's by now: stop computing, say nothing.
    Leave,
}

impl Order {
    /// Whether this order overrules `other`.
    #[must_use]
    pub fn overrules(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Proceed => 0,
            Self::Stop => 1,
            Self::End { .. } => 2,
            Self::Leave => 3,
        }
    }
}

/// What is to be done about an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Begin with a job.
    Begin(Box<Assignment>),
    /// Tell a job.
    Tell(Key, Order),
    /// The instance is taken for lost, though it lives: announce it under another name.
    Announce(InstanceId),
    /// The instance is taken for lost while it was being heard: another process runs as the same worker.
    Yield(InstanceId),
}

/// A process whose last heartbeat is not older than this, in milliseconds, was not taken for lost for its silence.
const HEARD_MS: u64 = 2 * HEARTBEAT_MS;

/// Instances and their jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    instances: BTreeMap<InstanceId, BTreeMap<Key, u32>>,
}

impl Roster {
    /// The instance takes jobs from now on.
    pub fn add(&mut self, instance: InstanceId) {
        self.instances.entry(instance).or_default();
    }

    /// Jobs that run.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.instances.values().map(BTreeMap::len).sum()
    }

    /// The instances, in order.
    pub fn instances(&self) -> impl Iterator<Item = &InstanceId> {
        self.instances.keys()
    }

    /// A job's attempt has ended.
    pub fn ended(&mut self, key: &Key, attempt: u32) {
        for jobs in self.instances.values_mut() {
            if jobs.get(key) == Some(&attempt) {
                jobs.remove(key);
            }
        }
    }

    /// Takes an event of the log, and says what to do about it. What is meant for another process, or comes twice, is
    /// ignored.
    pub fn take(&mut self, event: &Stored) -> Vec<Command> {
        match &event.event {
            Event::Job(JobEvent::Assigned(_)) => {
                Assignment::of(event).map_or_else(Vec::new, |of| self.assigned(of))
            }
            Event::Job(JobEvent::CancelRequested(asked)) => {
                self.unwanted(event, asked).map_or_else(Vec::new, |command| vec![command])
            }
            Event::Instance(InstanceEvent::Lost(lost)) => {
                self.lost(event.subject.aggregate(), lost.silent_ms)
            }
            _ => Vec::new(),
        }
    }

    fn assigned(&mut self, of: Assignment) -> Vec<Command> {
        if !self.instances.contains_key(&of.assigned.instance)
            || self.attempt_of(&of.key) >= Some(of.attempt())
        {
            return Vec::new();
        }
        let mut commands = Vec::new();
        for jobs in self.instances.values_mut() {
            if jobs.remove(&of.key).is_some() {
                commands.push(Command::Tell(of.key.clone(), Order::Leave));
            }
        }
        if let Some(jobs) = self.instances.get_mut(&of.assigned.instance) {
            jobs.insert(of.key.clone(), of.attempt());
        }
        commands.push(Command::Begin(Box::new(of)));
        commands
    }

    fn unwanted(&self, event: &Stored, asked: &CancelRequested) -> Option<Command> {
        let key = (event.subject.account_id()?, event.subject.job_id()?);
        let ours = self.instances.get(&asked.instance)?.get(&key) == Some(&asked.attempt);
        let order = Order::End { sequence: event.sequence, reason: asked.reason.clone() };
        ours.then_some(Command::Tell(key, order))
    }

    fn lost(&mut self, instance: &str, silent_ms: u64) -> Vec<Command> {
        let Some(instance) = self.instances.keys().find(|ours| ours.as_str() == instance).cloned() else {
            return Vec::new();
        };
        let jobs = self.instances.remove(&instance).unwrap_or_default();
        let leave = jobs.into_keys().map(|key| Command::Tell(key, Order::Leave));
        let last = if silent_ms <= HEARD_MS { Command::Yield } else { Command::Announce };
        leave.chain([last(instance)]).collect()
    }

    fn attempt_of(&self, key: &Key) -> Option<u32> {
        self.instances.values().find_map(|jobs| jobs.get(key).copied())
    }
}

#[cfg(test)]
mod tests;
