//! Appending one message: order, guards, repetition.

use bytes::Bytes;
use futures::future::join_all;
use lowland_events::{
    log::{AppendError, Appended},
    stream::{self, StreamSpec},
};

use crate::fixture::{
    Fixture, MOMENT, aggregate, all, append_until_answered, entry, fill, guarded, sequences, with_streams,
};

/// The log, forgetting ids as soon as a server can.
pub(crate) fn forgetful() -> StreamSpec {
    StreamSpec { duplicate_window: MOMENT / 4, ..stream::log() }
}

pub(crate) async fn what_is_appended_is_read_in_order(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let appended = fill(&log, 20).await;
    assert_eq!(appended, (1..=20).collect::<Vec<_>>());
    let records = all(&log, stream::LOG).await;
    assert_eq!(sequences(&records), appended);
    for (n, record) in records.iter().enumerate() {
        let wanted = entry(&format!("job.acme.j{n}.submitted"), "fill");
        assert_eq!((&record.subject, &record.payload), (&wanted.subject, &wanted.payload));
        assert_eq!(record.stream, stream::LOG);
    }
    assert!(records.windows(2).all(|pair| pair[0].stored_at <= pair[1].stored_at));
}

pub(crate) async fn any_bytes_are_kept(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let every_byte: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let bodies =
        [Bytes::new(), Bytes::from_static(b"\0"), Bytes::from_static(b"\r\n\r\nMSG"), every_byte.into()];
    for (n, body) in bodies.iter().enumerate() {
        let mut entry = entry(&format!("job.acme.j{n}.submitted"), "noise");
        entry.payload = body.clone();
        log.append(entry).await.unwrap();
    }
    let kept: Vec<Bytes> = all(&log, stream::LOG).await.into_iter().map(|record| record.payload).collect();
    assert_eq!(kept, bodies);
}

pub(crate) async fn headers_are_kept(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let mut entry = guarded("job.acme.j1.submitted", "a", 0);
    entry.headers.set("ce-type", "lowland.job.submitted.v1");
    entry.headers.set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let mut shown = entry.headers.clone();
    shown.set("Nats-Msg-Id", entry.id.to_string());
    log.append(entry.clone()).await.unwrap();
    let mut follow = log.follow(stream::LOG, &[], lowland_events::log::Start::At(0)).await.unwrap();
    assert_eq!(follow.next().await.unwrap().headers, shown);
    assert_eq!(all(&log, stream::LOG).await[0].headers, shown);
    assert_eq!(log.last(stream::LOG, &aggregate(&entry)).await.unwrap().unwrap().headers, shown);
}

pub(crate) async fn an_expectation_guards_the_whole_aggregate(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    log.append(guarded("job.acme.j1.submitted", "a", 0)).await.unwrap();
    log.append(guarded("job.acme.j2.submitted", "a", 0)).await.unwrap();
    log.append(guarded("job.acme.j1.assigned.w1", "a", 1)).await.unwrap();
    for stale in [0, 1, 2, 9] {
        let refused = log.append(guarded("job.acme.j1.started", &format!("{stale}"), stale)).await;
        assert!(matches!(refused, Err(AppendError::Conflict { .. })), "{stale}: {refused:?}");
    }
    log.append(guarded("job.acme.j1.started", "a", 3)).await.unwrap();
    assert_eq!(all(&log, stream::LOG).await.len(), 4);
}

pub(crate) async fn one_of_many_rivals_wins(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let rivals = (0..50).map(|n| log.append(guarded("job.acme.j1.submitted", &format!("rival {n}"), 0)));
    let outcomes = join_all(rivals).await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let lost = outcomes.iter().filter(|outcome| matches!(outcome, Err(AppendError::Conflict { .. }))).count();
    assert_eq!((won, lost), (1, 49));
    assert_eq!(all(&log, stream::LOG).await.len(), 1);
}

pub(crate) async fn an_id_is_stored_once(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let first = log.append(entry("job.acme.j1.submitted", "a")).await.unwrap();
    assert_eq!(first, Appended { sequence: 1, repeated: false });
    log.append(entry("job.acme.j1.submitted", "b")).await.unwrap();
    let again = log.append(entry("job.acme.j1.submitted", "a")).await.unwrap();
    assert_eq!(again, Appended { sequence: 1, repeated: true });
    assert_eq!(all(&log, stream::LOG).await.len(), 2);
}

pub(crate) async fn a_guarded_append_may_be_repeated(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    log.append(guarded("job.acme.j1.submitted", "a", 0)).await.unwrap();
    log.append(guarded("job.acme.j1.held", "a", 1)).await.unwrap();
    let again = log.append(guarded("job.acme.j1.held", "a", 1)).await.unwrap();
    assert_eq!(again, Appended { sequence: 2, repeated: true });
    assert_eq!(all(&log, stream::LOG).await.len(), 2);
}

pub(crate) async fn a_guarded_append_may_be_repeated_after_others_wrote(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    log.append(guarded("job.acme.j1.submitted", "a", 0)).await.unwrap();
    log.append(guarded("job.acme.j1.held", "b", 1)).await.unwrap();
    log.append(guarded("job.acme.j1.started", "c", 2)).await.unwrap();
    let again = log.append(guarded("job.acme.j1.submitted", "a", 0)).await.unwrap();
    assert_eq!(again, Appended { sequence: 1, repeated: true });
}

pub(crate) async fn a_guarded_append_may_be_repeated_with_another_expectation(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    log.append(guarded("job.acme.j1.submitted", "a", 0)).await.unwrap();
    log.append(guarded("job.acme.j1.held", "b", 1)).await.unwrap();
    for expected in [1, 2, 7] {
        let again = log.append(guarded("job.acme.j1.submitted", "a", expected)).await.unwrap();
        assert_eq!(again, Appended { sequence: 1, repeated: true }, "expected {expected}");
    }
    assert_eq!(all(&log, stream::LOG).await.len(), 2);
}

pub(crate) async fn a_guarded_append_may_be_repeated_after_ids_are_forgotten(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[forgetful()]).await;
    log.append(guarded("job.acme.j1.submitted", "a", 0)).await.unwrap();
    log.append(guarded("job.acme.j1.held", "b", 1)).await.unwrap();
    tokio::time::sleep(MOMENT).await;
    let again = log.append(guarded("job.acme.j1.submitted", "a", 0)).await.unwrap();
    assert_eq!(again, Appended { sequence: 1, repeated: true });
}

pub(crate) async fn another_message_is_no_repetition(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    log.append(guarded("job.acme.j1.submitted", "a", 0)).await.unwrap();
    let other = log.append(guarded("job.acme.j1.submitted", "b", 0)).await;
    assert!(matches!(other, Err(AppendError::Conflict { .. })), "{other:?}");
    assert_eq!(all(&log, stream::LOG).await.len(), 1);
}

pub(crate) async fn a_lost_acknowledgement_doubles_nothing(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    for (n, entry) in
        [entry("job.acme.j1.submitted", "a"), guarded("job.acme.j2.submitted", "a", 0)].iter().enumerate()
    {
        fixture.lose_acknowledgement();
        let appended = append_until_answered(&log, std::slice::from_ref(entry)).await.unwrap();
        assert_eq!(appended, Appended { sequence: n as u64 + 1, repeated: true });
    }
    assert_eq!(all(&log, stream::LOG).await.len(), 2);
}

pub(crate) async fn a_subject_without_stream_is_said(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let outcome = log.append(entry("token.acme.j1.1", "a")).await;
    assert!(
        matches!(&outcome, Err(AppendError::NoStream(subject)) if subject == "lowland.token.acme.j1.1"),
        "{outcome:?}"
    );
}

pub(crate) async fn a_body_that_is_too_large_is_refused(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let mut entry = entry("job.acme.j1.submitted", "a");
    entry.payload = vec![0; (1 << 20) + 1].into();
    let outcome = log.append(entry).await;
    assert!(matches!(outcome, Err(AppendError::Refused(_))), "{outcome:?}");
    fill(&log, 1).await;
}
