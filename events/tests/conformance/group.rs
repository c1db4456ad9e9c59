//! Appending many units at once: each whole or not at all, each with an outcome of its own, however they travel.

use std::collections::BTreeSet;

use futures::future::join_all;
use lowland_events::{
    log::{AppendError, Appended, BATCH_MAX, Entry, Record, SharedLog},
    stream,
};

use crate::fixture::{Fixture, all, guarded, with_streams};

type Outcome = Result<Appended, AppendError>;

/// Enough for a log to put them together.
const MANY: usize = 60;

/// A job's hold, and what it takes from an account of its own.
fn hold(n: usize, key: &str) -> Vec<Entry> {
    vec![
        guarded(&format!("account.a{n}.a{n}.hold_placed"), key, 0),
        guarded(&format!("job.a{n}.j{n}.held"), key, 0),
    ]
}

fn submitted(n: usize, key: &str) -> Vec<Entry> {
    vec![guarded(&format!("job.b{n}.j{n}.submitted"), key, 0)]
}

/// Single messages and batches, in turn.
fn mixed(key: &str) -> Vec<Vec<Entry>> {
    (0..MANY).map(|n| if n % 2 == 0 { submitted(n, key) } else { hold(n, key) }).collect()
}

/// Asserts that each unit stands where its outcome says, whole and in order.
fn assert_placed(records: &[Record], units: &[Vec<Entry>], outcomes: &[Outcome]) {
    for (unit, outcome) in units.iter().zip(outcomes) {
        let last = outcome.as_ref().unwrap().sequence;
        let first = last + 1 - unit.len() as u64;
        for (entry, sequence) in unit.iter().zip(first..) {
            let record = records.iter().find(|record| record.sequence == sequence).unwrap();
            assert_eq!((&record.subject, &record.payload), (&entry.subject, &entry.payload));
        }
    }
}

fn conflicts(outcomes: &[Outcome]) -> Vec<usize> {
    let conflict = |outcome: &Outcome| matches!(outcome, Err(AppendError::Conflict { .. }));
    (0..outcomes.len()).filter(|n| conflict(&outcomes[*n])).collect()
}

async fn log_of(fixture: &mut impl Fixture) -> SharedLog {
    with_streams(fixture, &[stream::log()]).await
}

pub(crate) async fn many_at_once_are_stored_and_told_apart(fixture: &mut impl Fixture) {
    let log = log_of(fixture).await;
    let outcomes = log.append_all(mixed("a")).await;
    let records = all(&log, stream::LOG).await;
    assert_eq!(records.len(), MANY / 2 * 3);
    assert_placed(&records, &mixed("a"), &outcomes);
    assert!(outcomes.iter().all(|outcome| !outcome.as_ref().unwrap().repeated));
    assert!(log.append_all(Vec::new()).await.is_empty());
}

pub(crate) async fn a_conflict_in_the_middle_is_its_own(fixture: &mut impl Fixture) {
    let log = log_of(fixture).await;
    log.append(guarded("job.a31.j31.submitted", "rival", 0)).await.unwrap();
    log.append(guarded("job.b40.j40.submitted", "rival", 0)).await.unwrap();
    let outcomes = log.append_all(mixed("a")).await;
    assert_eq!(conflicts(&outcomes), [31, 40]);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), MANY - 2);
    let records = all(&log, stream::LOG).await;
    assert_eq!(records.len(), 2 + MANY / 2 * 3 - 3, "no part of what conflicted is stored");
    let (units, outcomes): (Vec<_>, Vec<_>) =
        mixed("a").into_iter().zip(outcomes).filter(|(_, outcome)| outcome.is_ok()).unzip();
    assert_placed(&records, &units, &outcomes);
}

pub(crate) async fn a_repetition_among_others_is_recognised(fixture: &mut impl Fixture) {
    let log = log_of(fixture).await;
    let earlier = log.append_batch(hold(7, "a")).await.unwrap();
    let single = log.append_batch(submitted(20, "a")).await.unwrap();
    let outcomes = log.append_all(mixed("a")).await;
    let repeated = |of: Appended| Appended { repeated: true, ..of };
    assert_eq!(outcomes[7].as_ref().unwrap(), &repeated(earlier));
    assert_eq!(outcomes[20].as_ref().unwrap(), &repeated(single));
    let records = all(&log, stream::LOG).await;
    assert_eq!(records.len(), MANY / 2 * 3);
    assert_placed(&records, &mixed("a"), &outcomes);
    let again = log.append_all(mixed("a")).await;
    assert!(again.iter().all(|outcome| outcome.as_ref().unwrap().repeated));
    assert_placed(&records, &mixed("a"), &again);
    assert_eq!(all(&log, stream::LOG).await.len(), records.len());
}

pub(crate) async fn a_lost_acknowledgement_doubles_no_group(fixture: &mut impl Fixture) {
    let log = log_of(fixture).await;
    fixture.lose_acknowledgement();
    let mut outcomes = log.append_all(mixed("a")).await;
    while outcomes.iter().any(|outcome| matches!(outcome, Err(AppendError::Unanswered(_)))) {
        outcomes = log.append_all(mixed("a")).await;
    }
    let records = all(&log, stream::LOG).await;
    assert_eq!(records.len(), MANY / 2 * 3);
    assert_placed(&records, &mixed("a"), &outcomes);
}

pub(crate) async fn of_rivals_in_one_call_the_first_wins(fixture: &mut impl Fixture) {
    let log = log_of(fixture).await;
    let mut units = mixed("a");
    units.push(vec![guarded("job.a1.j1.cancelled", "late", 0)]);
    units.push(vec![guarded("job.c.j.submitted", "a", 0)]);
    let outcomes = log.append_all(units).await;
    assert_eq!(conflicts(&outcomes), [MANY]);
    assert_eq!(all(&log, stream::LOG).await.len(), MANY / 2 * 3 + 1);
}

pub(crate) async fn a_refusal_in_the_middle_is_its_own(fixture: &mut impl Fixture) {
    let log = log_of(fixture).await;
    let mut units = mixed("a");
    units[9][1].payload = vec![0; (1 << 20) + 1].into();
    let outcomes = log.append_all(units).await;
    let refused = |n: &usize| matches!(outcomes[*n], Err(AppendError::Refused(_)));
    assert_eq!((0..MANY).filter(refused).collect::<Vec<_>>(), [9]);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), MANY - 1);
    assert_eq!(all(&log, stream::LOG).await.len(), MANY / 2 * 3 - 2);
}

pub(crate) async fn more_than_a_batch_takes_is_stored_in_order(fixture: &mut impl Fixture) {
    let log = log_of(fixture).await;
    let units: Vec<_> = (0..BATCH_MAX + 100).map(|n| submitted(n, "a")).collect();
    let outcomes = log.append_all(units.clone()).await;
    let records = all(&log, stream::LOG).await;
    assert_eq!(records.len(), units.len());
    assert_placed(&records, &units, &outcomes);
}

pub(crate) async fn appends_of_many_tasks_are_told_apart(fixture: &mut impl Fixture) {
    let log = log_of(fixture).await;
    let units = mixed("a");
    let outcomes = join_all(units.iter().map(|unit| log.append_batch(unit.clone()))).await;
    let records = all(&log, stream::LOG).await;
    assert_placed(&records, &units, &outcomes);
    let last: BTreeSet<u64> = outcomes.iter().map(|outcome| outcome.as_ref().unwrap().sequence).collect();
    assert_eq!(last.len(), MANY, "each has a place of its own");
    assert_eq!(records.len(), MANY / 2 * 3);
}
