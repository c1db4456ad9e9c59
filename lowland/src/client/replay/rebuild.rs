//! Reading the log once, for every state that is wanted, each to its own position.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use lowland_events::{
    log::{Error, Extent, SharedLog, Start},
    snapshot::{Found, find},
    stream::LOG,
};
use serde::Serialize;

use super::fold::{Fold, Rebuilt, Service};

/// A service, and the last sequence that its state is to include.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The service.
    pub service: Service,
    /// The last sequence.
    pub until: u64,
}

/// What came of a replay.
#[derive(Debug, Serialize)]
pub struct Replayed {
    /// Messages that the log once held and that were pruned from it.
    pub pruned: u64,
    /// Records that were read.
    pub records: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The states.
    pub services: Vec<Rebuilt>,
    /// What to know about the states, where the log is not whole.
    pub notes: Vec<String>,
}

/// How to go about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// Begin with snapshots even if the log is whole.
    pub from_snapshot: bool,
    /// Give out the whole states.
    pub whole_states: bool,
}

/// Rebuilds every state of `wanted`; tells `progress` each sequence that was reached.
pub async fn rebuild(
    log: &SharedLog,
    wanted: &[Wanted],
    how: How,
    progress: impl Fn(u64),
) -> Result<Replayed> {
    let began = Instant::now();
    let extent = log.extent(LOG).await?;
    let mut notes = Vec::new();
    let mut folds = Vec::new();
    for wanted in wanted {
        let mut fold = wanted.service.begin();
        if extent.removed() > 0 || how.from_snapshot {
            notes.push(take_up(log, &mut *fold, *wanted, extent).await?);
        }
        folds.push((fold, wanted.until));
    }
    let records = read(log, &mut folds, progress).await?;
    Ok(Replayed {
        pruned: extent.removed(),
        records,
        took_ms: millis(began.elapsed()),
        services: folds.iter().map(|(fold, _)| fold.finish(how.whole_states)).collect(),
        notes,
    })
}

/// Takes up the newest snapshot if there is a fitting one; says what the state begins with, either way.
async fn take_up(log: &SharedLog, fold: &mut dyn Fold, wanted: Wanted, extent: Extent) -> Result<String> {
    let name = wanted.service.name();
    let whole = extent.removed() == 0;
    let otherwise = |why: &str| {
        if whole {
            format!("{name} is folded from the log's beginning: {why}")
        } else {
            format!(
                "{name} is folded from what is left of the log ({why}): jobs and instances that were pruned are not in it, \
                 so its hash may differ from the one that the service had"
            )
        }
    };
    let found = find(&**log, &wanted.service.id(), LOG, wanted.service.logic_version()).await?;
    let snapshot = match found {
        Found::Usable(snapshot) => snapshot,
        Found::Nothing => return Ok(otherwise("it has set no snapshot aside")),
        Found::Unusable(why) => return Ok(otherwise(&why)),
    };
    if snapshot.position > wanted.until {
        return Ok(otherwise(&format!(
            "its only snapshot is of sequence {}, later than {}",
            snapshot.position, wanted.until
        )));
    }
    if let Err(why) = fold.resume(&snapshot.state, snapshot.position) {
        return Ok(otherwise(&format!("its snapshot cannot be read: {why}")));
    }
    Ok(format!(
        "{name} is taken up from its snapshot at sequence {}, and folded from there",
        snapshot.position
    ))
}

/// Reads on until every fold has what it wants.
async fn read(log: &SharedLog, folds: &mut [(Box<dyn Fold>, u64)], progress: impl Fn(u64)) -> Result<u64> {
    let first = folds.iter().map(|(fold, _)| fold.position() + 1).min().unwrap_or(1);
    let last = folds.iter().map(|(_, until)| *until).max().unwrap_or(0);
    let mut records = 0;
    if first > last {
        return Ok(records);
    }
    let mut follow = log.follow(LOG, &[], Start::At(first)).await?;
    while !follow.caught_up() {
        let record = follow.next().await?;
        if record.sequence > last {
            break;
        }
        for (fold, _) in folds.iter_mut().filter(|(_, until)| record.sequence <= *until) {
            fold.take(&record);
        }
        records += 1;
        progress(record.sequence);
        if record.sequence == last {
            break;
        }
    }
    Ok(records)
}

/// The end of the log; an error where there is no log.
pub async fn end(log: &SharedLog) -> Result<u64> {
    match log.extent(LOG).await {
        Ok(extent) => Ok(extent.last),
        Err(Error::NoStream(_)) => bail!("there is no log on this NATS server yet: no service has run on it"),
        Err(error) => Err(error).context("looking at the log"),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use lowland_events::{
        Draft, Money, Subject, Time,
        account::ToppedUp,
        id::{AccountId, JobId},
        log::memory::MemoryLog,
        snapshot::{Snapshot, keep},
        stream,
        subject::{Domain, Filter},
    };
    use lowland_host::{Keep, State as _, fold::event_of};

    const ALL: How = How { from_snapshot: false, whole_states: false };

    /// A log of three top-ups.
    async fn log() -> SharedLog {
        let log: SharedLog = Arc::new(MemoryLog::default());
        for spec in stream::all() {
            log.ensure(&spec).await.unwrap();
        }
        let account = AccountId::new("acme").unwrap();
        for number in 1..=3_i128 {
            let topup = JobId::new(format!("t{number}")).unwrap();
            let amount = Money(number);
            let postings = lowland_billing::ledger::topup(&account, amount);
            let event = ToppedUp { topup, amount, reference: None, postings };
            let subject = Subject::account(&account, "topped_up");
            let draft = Draft::new(subject, event, &number.to_string(), "test/1", Time(0));
            log.append(draft.entry()).await.unwrap();
        }
        log
    }

    async fn billing(log: &SharedLog, until: u64) -> Replayed {
        rebuild(log, &[Wanted { service: Service::Billing, until }], ALL, |_| {}).await.unwrap()
    }

    async fn set_aside(log: &SharedLog, position: u64) {
        let mut state = lowland_billing::State::default();
        for record in log.read(LOG, &[], 1, 100).await.unwrap() {
            if record.sequence <= position {
                state.evolve(&event_of(&record).unwrap());
            }
        }
        let version = lowland_billing::State::LOGIC_VERSION;
        let snapshot = Snapshot::of(Service::Billing.id(), LOG, position, version, &state);
        keep(&**log, &snapshot).await.unwrap();
    }

    #[tokio::test]
    async fn a_whole_log_is_folded_from_its_beginning() {
        let log = log().await;
        set_aside(&log, 2).await;
        let replayed = billing(&log, 3).await;
        let rebuilt = &replayed.services[0];
        assert_eq!((replayed.pruned, rebuilt.position, rebuilt.events), (0, 3, 3));
        assert_eq!((rebuilt.from_snapshot, replayed.notes.len()), (None, 0));
        let earlier = billing(&log, 2).await;
        assert_eq!(earlier.services[0].position, 2);
        assert_ne!(earlier.services[0].hash, rebuilt.hash);
    }

    #[tokio::test]
    async fn a_pruned_log_says_what_the_state_begins_with() {
        let log = log().await;
        let whole = billing(&log, 3).await.services.remove(0);
        set_aside(&log, 2).await;
        log.purge(LOG, &Filter::domain(Domain::Account), 2).await.unwrap();
        let replayed = billing(&log, 3).await;
        let rebuilt = &replayed.services[0];
        assert_eq!((replayed.pruned, rebuilt.from_snapshot, rebuilt.events), (1, Some(2), 1));
        assert_eq!(rebuilt.hash, whole.hash, "the snapshot stands for what is gone");
        assert!(replayed.notes[0].contains("its snapshot at sequence 2"), "{:?}", replayed.notes);

        let earlier = billing(&log, 1).await;
        assert_eq!(earlier.services[0].from_snapshot, None);
        assert!(earlier.notes[0].contains("what is left of the log"), "{:?}", earlier.notes);
    }
}
