//! Appending several messages as one.

use futures::future::join_all;
use lowland_events::{
    log::{AppendError, Appended, BATCH_MAX, Entry},
    stream,
};

use crate::{
    append::forgetful,
    fixture::{Fixture, MOMENT, all, append_until_answered, entry, fill, guarded, sequences, with_streams},
};

/// A job ends, its account is charged, the rest of the hold goes back.
fn settlement() -> Vec<Entry> {
    vec![
        guarded("job.acme.j1.completed", "a", 0),
        guarded("account.acme.acme.charged", "a", 0),
        entry("account.acme.acme.hold_released", "a"),
    ]
}

fn is_conflict(outcome: &Result<Appended, AppendError>) -> bool {
    matches!(outcome, Err(AppendError::Conflict { .. }))
}

pub(crate) async fn a_batch_spans_aggregates(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    fill(&log, 0).await;
    assert_eq!(log.append_batch(settlement()).await.unwrap(), Appended { sequence: 3, repeated: false });
    let stored: Vec<String> = all(&log, stream::LOG).await.into_iter().map(|record| record.subject).collect();
    let sent: Vec<String> = settlement().into_iter().map(|entry| entry.subject).collect();
    assert_eq!(stored, sent);
    log.append(guarded("account.acme.acme.charged", "b", 3)).await.unwrap();
}

pub(crate) async fn expectations_of_equal_length_are_told_apart(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let batch = (1..=9).map(|n| guarded(&format!("job.acme.j{n}.submitted"), "a", 0)).collect();
    assert_eq!(log.append_batch(batch).await.unwrap().sequence, 9);
    let next = (1..=9).map(|n| guarded(&format!("job.acme.j{n}.held"), "a", n)).collect();
    assert_eq!(log.append_batch(next).await.unwrap().sequence, 18);
}

pub(crate) async fn one_stale_expectation_refuses_all(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    log.append(guarded("account.acme.acme.topped_up", "a", 0)).await.unwrap();
    let outcome = log.append_batch(settlement()).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    assert_eq!(all(&log, stream::LOG).await.len(), 1);
    log.append(guarded("job.acme.j1.completed", "b", 0)).await.unwrap();
}

pub(crate) async fn a_batch_may_be_repeated(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    log.append_batch(settlement()).await.unwrap();
    let again = log.append_batch(settlement()).await.unwrap();
    assert_eq!(again, Appended { sequence: 3, repeated: true });
    assert_eq!(all(&log, stream::LOG).await.len(), 3);
}

pub(crate) async fn a_batch_may_be_repeated_after_others_wrote(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    log.append_batch(settlement()).await.unwrap();
    log.append(guarded("account.acme.acme.charged", "other", 3)).await.unwrap();
    let again = log.append_batch(settlement()).await.unwrap();
    assert_eq!(again, Appended { sequence: 3, repeated: true });
    assert_eq!(all(&log, stream::LOG).await.len(), 4);
}

pub(crate) async fn a_batch_may_be_repeated_after_ids_are_forgotten(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[forgetful()]).await;
    log.append_batch(settlement()).await.unwrap();
    log.append(guarded("account.acme.acme.charged", "other", 3)).await.unwrap();
    tokio::time::sleep(MOMENT).await;
    let again = log.append_batch(settlement()).await.unwrap();
    assert_eq!(again, Appended { sequence: 3, repeated: true });
    assert_eq!(all(&log, stream::LOG).await.len(), 4);
}

pub(crate) async fn a_batch_that_is_stored_in_part_is_a_conflict(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    log.append(entry("job.acme.j2.submitted", "a")).await.unwrap();
    let batch = vec![entry("job.acme.j1.submitted", "a"), entry("job.acme.j2.submitted", "a")];
    let outcome = log.append_batch(batch).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    let twice = vec![entry("job.acme.j3.submitted", "a"), entry("job.acme.j3.submitted", "a")];
    let outcome = log.append_batch(twice).await;
    assert!(is_conflict(&outcome), "{outcome:?}");
    assert_eq!(all(&log, stream::LOG).await.len(), 1);
}

pub(crate) async fn a_lost_acknowledgement_doubles_no_batch(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    fixture.lose_acknowledgement();
    let appended = append_until_answered(&log, &settlement()).await.unwrap();
    assert_eq!(appended, Appended { sequence: 3, repeated: true });
    assert_eq!(all(&log, stream::LOG).await.len(), 3);
}

pub(crate) async fn batches_are_not_interleaved(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let batch = |n: usize| -> Vec<Entry> {
        (0..5).map(|part| entry(&format!("job.acme.b{n}.part{part}"), "a")).collect()
    };
    let batches = (0..60).map(|n| log.append_batch(batch(n)));
    let singles = (0..60).map(|n| log.append(entry(&format!("job.acme.s{n}.submitted"), "a")));
    let (batches, singles) = futures::join!(join_all(batches), join_all(singles));
    assert!(singles.iter().all(Result::is_ok));
    let records = all(&log, stream::LOG).await;
    assert_eq!(records.len(), 60 * 6);
    for (n, appended) in batches.into_iter().enumerate() {
        let last = appended.unwrap().sequence;
        let place = usize::try_from(last).unwrap();
        let stored: Vec<&str> =
            records[place - 5..place].iter().map(|record| record.subject.as_str()).collect();
        let sent = batch(n);
        assert_eq!(stored, sent.iter().map(|entry| entry.subject.as_str()).collect::<Vec<_>>());
    }
}

pub(crate) async fn what_is_no_batch_is_refused(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log(), stream::tokens()]).await;
    let refused = [
        vec![],
        vec![entry("token.acme.j1.1", "a"), entry("token.acme.j1.1", "b")],
        vec![entry("job.acme.j1.submitted", "a"), entry("token.acme.j1.1", "a")],
        (0..=BATCH_MAX).map(|n| entry("job.acme.j1.submitted", &n.to_string())).collect(),
    ];
    for batch in refused {
        let size = batch.len();
        let outcome = log.append_batch(batch).await;
        assert!(matches!(outcome, Err(AppendError::Refused(_))), "{size}: {outcome:?}");
    }
    let most: Vec<Entry> = (0..BATCH_MAX).map(|n| entry("job.acme.j1.submitted", &n.to_string())).collect();
    assert_eq!(log.append_batch(most).await.unwrap().sequence, BATCH_MAX as u64);
    assert_eq!(sequences(&all(&log, stream::LOG).await).len(), BATCH_MAX);
}
