//! Durable consumers: acknowledgement, redelivery, sharing, survival.

use std::{collections::BTreeSet, time::Duration};

use lowland_events::{
    Domain, Filter,
    log::{Consume, ConsumeSettings, Error, SharedLog},
    stream,
};

use crate::fixture::{Fixture, MOMENT, delivery, entry, fill, nothing, soon, with_streams};

const DURABLE: &str = "reader";
/// Less than [`MOMENT`].
const BRIEF: ConsumeSettings = ConsumeSettings { ack_wait_ms: 250, unacked_max: 16 };
/// Far more than any case takes.
const PATIENT: ConsumeSettings = ConsumeSettings { ack_wait_ms: 60_000, unacked_max: 16 };

async fn open(log: &SharedLog, settings: ConsumeSettings) -> Box<dyn Consume> {
    log.consume(stream::LOG, DURABLE, &[], settings).await.unwrap()
}

pub(crate) async fn what_is_acknowledged_does_not_come_again(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let appended = fill(&log, 40).await;
    let mut consume = open(&log, BRIEF).await;
    let mut seen = Vec::new();
    for _ in &appended {
        let delivery = delivery(&mut consume).await;
        seen.push(delivery.record.sequence);
        assert_eq!(delivery.delivered, 1);
        delivery.ack.ack().await.unwrap();
    }
    assert_eq!(seen, appended);
    nothing(&mut consume).await;
}

pub(crate) async fn what_is_not_acknowledged_comes_again(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    fill(&log, 1).await;
    let mut consume = open(&log, BRIEF).await;
    for times in 1..=3 {
        let delivery = delivery(&mut consume).await;
        assert_eq!((delivery.record.sequence, delivery.delivered), (1, times));
    }
}

pub(crate) async fn progress_keeps_a_message(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    fill(&log, 1).await;
    let mut consume = open(&log, ConsumeSettings { ack_wait_ms: 1500, ..BRIEF }).await;
    let kept = delivery(&mut consume).await;
    for _ in 0..8 {
        nothing(&mut consume).await;
        kept.ack.progress().await.unwrap();
    }
    kept.ack.ack().await.unwrap();
}

pub(crate) async fn a_message_comes_again_when_asked_for(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    fill(&log, 1).await;
    let mut consume = open(&log, PATIENT).await;
    delivery(&mut consume).await.ack.again(0).await.unwrap();
    let second = delivery(&mut consume).await;
    assert_eq!(second.delivered, 2);
    second.ack.again(1000).await.unwrap();
    nothing(&mut consume).await;
    assert_eq!(delivery(&mut consume).await.delivered, 3);
}

pub(crate) async fn a_durable_continues_after_it_is_opened_again(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    fill(&log, 4).await;
    let mut consume = open(&log, PATIENT).await;
    for _ in 0..2 {
        delivery(&mut consume).await.ack.ack().await.unwrap();
    }
    drop(consume);
    let mut consume = open(&log, PATIENT).await;
    let mut rest = BTreeSet::new();
    for _ in 0..2 {
        let delivery = delivery(&mut consume).await;
        rest.insert(delivery.record.sequence);
        delivery.ack.ack().await.unwrap();
    }
    assert_eq!(rest, BTreeSet::from([3, 4]));
    nothing(&mut consume).await;
}

pub(crate) async fn a_durable_selects(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    fill(&log, 3).await;
    log.append(entry("account.acme.acme.charged", "a")).await.unwrap();
    log.append(entry("instance.m.i1.ready", "a")).await.unwrap();
    let filters = [Filter::domain(Domain::Account), Filter::event(Domain::Instance, "ready")];
    let mut consume = log.consume(stream::LOG, DURABLE, &filters, PATIENT).await.unwrap();
    for wanted in [4, 5] {
        let delivery = delivery(&mut consume).await;
        assert_eq!(delivery.record.sequence, wanted);
        delivery.ack.ack().await.unwrap();
    }
    nothing(&mut consume).await;
    let mut one = log.consume(stream::LOG, "one", &filters[..1], PATIENT).await.unwrap();
    assert_eq!(delivery(&mut one).await.record.sequence, 4);
    nothing(&mut one).await;
}

pub(crate) async fn readers_share_a_durable(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    fill(&log, 60).await;
    let mut seen = BTreeSet::new();
    let mut readers = [open(&log, PATIENT).await, open(&log, PATIENT).await, open(&log, PATIENT).await];
    let mut counts = [0; 3];
    while seen.len() < 60 {
        for (reader, count) in readers.iter_mut().zip(&mut counts) {
            let Ok(delivery) = tokio::time::timeout(MOMENT, reader.next()).await else { continue };
            let delivery = delivery.unwrap();
            assert!(seen.insert(delivery.record.sequence), "{} came twice", delivery.record.sequence);
            delivery.ack.ack().await.unwrap();
            *count += 1;
        }
    }
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

pub(crate) async fn unacknowledged_messages_are_bounded(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    fill(&log, 5).await;
    let mut consume = open(&log, ConsumeSettings { unacked_max: 2, ..PATIENT }).await;
    let first = delivery(&mut consume).await;
    delivery(&mut consume).await;
    nothing(&mut consume).await;
    first.ack.ack().await.unwrap();
    assert_eq!(delivery(&mut consume).await.record.sequence, 3);
}

pub(crate) async fn a_durable_survives_a_restart(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    fill(&log, 3).await;
    let mut consume = open(&log, ConsumeSettings { ack_wait_ms: 1000, ..BRIEF }).await;
    delivery(&mut consume).await.ack.ack().await.unwrap();
    fixture.restart().await;
    let mut seen = BTreeSet::new();
    log.append(entry("job.acme.j9.submitted", "a")).await.unwrap();
    while !seen.is_superset(&BTreeSet::from([2, 3, 4])) {
        let delivery = delivery(&mut consume).await;
        delivery.ack.ack().await.unwrap();
        seen.insert(delivery.record.sequence);
    }
}

pub(crate) async fn a_durable_of_a_vanished_stream_begins_anew(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::tokens()]).await;
    log.append(entry("token.acme.j1.1", "a")).await.unwrap();
    let mut consume = log.consume(stream::TOKENS, DURABLE, &[], PATIENT).await.unwrap();
    delivery(&mut consume).await.ack.ack().await.unwrap();
    fixture.restart().await;
    let gone = soon(consume.next()).await;
    assert!(matches!(&gone, Err(Error::NoStream(name)) if name == stream::TOKENS), "{:?}", gone.err());
    log.ensure(&stream::tokens()).await.unwrap();
    log.append(entry("token.acme.j1.1", "b")).await.unwrap();
    let record = loop {
        match soon(consume.next()).await {
            Ok(delivery) => break delivery.record,
            Err(error) => assert!(matches!(error, Error::NoStream(_)), "{error}"),
        }
    };
    assert_eq!(record.payload, entry("token.acme.j1.1", "b").payload);
}

pub(crate) async fn a_call_that_is_dropped_loses_nothing(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let mut consume = open(&log, PATIENT).await;
    let mut seen = Vec::new();
    for n in 0..30 {
        let dropped = tokio::time::timeout(Duration::from_micros(100 * n), consume.next()).await;
        if let Ok(delivery) = dropped {
            let delivery = delivery.unwrap();
            seen.push(delivery.record.sequence);
            delivery.ack.ack().await.unwrap();
        }
        log.append(entry(&format!("job.acme.j{n}.submitted"), "a")).await.unwrap();
    }
    while seen.len() < 30 {
        let delivery = delivery(&mut consume).await;
        seen.push(delivery.record.sequence);
        delivery.ack.ack().await.unwrap();
    }
    assert_eq!(seen, (1..=30).collect::<Vec<_>>());
}
