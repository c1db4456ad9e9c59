//! Ids of jobs that have ended: so many of the latest as are worth memory. Whether an older id was used is asked of the
//! log itself, which refuses to let it begin again.

use std::collections::{BTreeMap, VecDeque};

use lowland_events::EventId;
use serde::{Deserialize, Serialize};

use crate::key::JobKey;

/// Ended jobs whose ids are remembered: about 20 MB.
pub const ENDED_JOBS_MAX: usize = 100_000;

/// The latest jobs that have ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    origins: BTreeMap<JobKey, EventId>,
    order: VecDeque<JobKey>,
}

impl Ended {
    /// Remembers a job and the request that it came from.
    pub fn remember(&mut self, key: JobKey, origin: EventId) {
        if self.origins.insert(key.clone(), origin).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > ENDED_JOBS_MAX {
            let oldest = self.order.pop_front();
            oldest.and_then(|oldest| self.origins.remove(&oldest));
        }
    }

    /// Id of the request that an ended job came from.
    #[must_use]
    pub fn origin(&self, key: &JobKey) -> Option<EventId> {
        self.origins.get(key).copied()
    }

    /// Jobs remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use lowland_events::id::{AccountId, JobId};

    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let key = |n: usize| JobKey {
            account: AccountId::new("a").unwrap(),
            job: JobId::new(format!("j{n}")).unwrap(),
        };
        let mut ended = Ended::default();
        (0..=ENDED_JOBS_MAX).for_each(|n| ended.remember(key(n), EventId::of_record("REQUESTS", n as u64)));
        assert_eq!(ended.len(), ENDED_JOBS_MAX);
        assert_eq!(ended.origin(&key(0)), None);
        assert_eq!(ended.origin(&key(1)), Some(EventId::of_record("REQUESTS", 1)));
    }
}
