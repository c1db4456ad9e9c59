//! What may go from the log: jobs and instances that are over, old, and part of every snapshot. Money never goes.
//!
//! Nothing here decides what is over: whoever folds the log gives the first sequence that is still needed. A state that is
//! folded anew from what is left lacks the jobs that went, and nothing else; their charges stand in the accounts' events.

use std::time::Duration;

use crate::{
    log::{Error, Log},
    stream::LOG,
    subject::{Domain, Filter},
    time::Time,
};

/// What holds events back, as first sequences that must stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Positions of the newest snapshot of every service that folds the log; empty if one has none.
    pub snapshots: Vec<u64>,
    /// First sequence of the oldest job that has not ended; none if all have.
    pub open_jobs: Option<u64>,
    /// First sequence of the oldest instance that is still there; none if there is none.
    pub live_instances: Option<u64>,
    /// First sequence younger than the retention age.
    pub young: u64,
}

/// One step of a plan: what `filter` selects goes, below sequence `below`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// What goes.
    pub filter: Filter,
    /// First sequence that stays.
    pub below: u64,
}

/// What may go.
#[must_use]
pub fn plan(needed: &Needed) -> Vec<Purge> {
    let Some(covered) = needed.snapshots.iter().min() else { return Vec::new() };
    let floor = needed.young.min(covered.saturating_add(1));
    let purge = |domain, first_needed: Option<u64>| Purge {
        filter: Filter::domain(domain),
        below: floor.min(first_needed.unwrap_or(u64::MAX)),
    };
    [purge(Domain::Job, needed.open_jobs), purge(Domain::Instance, needed.live_instances)]
        .into_iter()
        .filter(|purge| purge.below > 1)
        .collect()
}

/// The first sequence of the log that was stored less than `age` before `now`; the next one to come, if all are older.
pub async fn first_young(log: &dyn Log, now: Time, age: Duration) -> Result<u64, Error> {
    let age_us = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    first_since(log, Time(now.0.saturating_sub(age_us))).await
}

/// The first sequence of the log that was stored at `time` or later; the next one to come, if all are older.
pub async fn first_since(log: &dyn Log, time: Time) -> Result<u64, Error> {
    first_since_in(log, LOG, time).await
}

/// The first sequence of `stream` that was stored at `time` or later; the next one to come, if all are older.
pub async fn first_since_in(log: &dyn Log, stream: &str, time: Time) -> Result<u64, Error> {
    let extent = log.extent(stream).await?;
    let (mut low, mut high) = (extent.first.max(1), extent.last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match log.read(stream, &[], middle, 1).await?.first() {
            Some(record) if record.stored_at < time => low = record.sequence + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// Carries out a plan; gives the number of messages that went.
pub async fn carry_out(log: &dyn Log, plan: &[Purge]) -> Result<u64, Error> {
    let mut gone = 0;
    for purge in plan {
        gone += log.purge(LOG, &purge.filter, purge.below).await?;
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(snapshots: &[u64], open_jobs: Option<u64>, live_instances: Option<u64>, young: u64) -> Needed {
        Needed { snapshots: snapshots.to_vec(), open_jobs, live_instances, young }
    }

    fn below(plan: &[Purge], domain: Domain) -> Option<u64> {
        plan.iter().find(|purge| purge.filter == Filter::domain(domain)).map(|purge| purge.below)
    }

    #[test]
    fn nothing_goes_before_everybody_has_a_snapshot() {
        assert_eq!(plan(&needed(&[], None, None, 1000)), []);
        assert_eq!(plan(&needed(&[500, 0], None, None, 1000)), []);
    }

    #[test]
    fn the_lowest_need_counts() {
        let plan_of = |needed: Needed| {
            let plan = plan(&needed);
            (below(&plan, Domain::Job), below(&plan, Domain::Instance))
        };
        assert_eq!(plan_of(needed(&[90, 70], None, None, 1000)), (Some(71), Some(71)));
        assert_eq!(plan_of(needed(&[90, 70], None, None, 50)), (Some(50), Some(50)));
        assert_eq!(plan_of(needed(&[90], Some(40), None, 80)), (Some(40), Some(80)));
        assert_eq!(plan_of(needed(&[90], None, Some(1), 80)), (Some(80), None));
    }

    #[test]
    fn money_is_in_no_plan() {
        let plan = plan(&needed(&[u64::MAX], None, None, u64::MAX));
        assert_eq!(plan.len(), 2);
        for purge in plan {
            assert!(!purge.filter.matches("lowland.account.acme.acme.charged"), "{purge:?}");
        }
    }
}
