//! Following: order, no gap, no repetition, whatever happens to the server.

use std::time::Duration;

use lowland_events::{
    Domain, Filter,
    log::{AppendError, Error, Follow, SharedLog, Start},
    stream,
};

use crate::fixture::{Fixture, LIMIT, MOMENT, entry, fill, sequences, soon, take, with_streams};

async fn from(log: &SharedLog, start: Start) -> Box<dyn Follow> {
    log.follow(stream::LOG, &[], start).await.unwrap()
}

pub(crate) async fn following_begins_where_it_is_told(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    fill(&log, 6).await;
    for start in [0, 1] {
        let mut all = from(&log, Start::At(start)).await;
        assert!(!all.caught_up());
        assert_eq!(sequences(&take(&mut all, 6).await), [1, 2, 3, 4, 5, 6]);
        assert!(all.caught_up());
    }
    let mut some = from(&log, Start::At(4)).await;
    let mut new = from(&log, Start::New).await;
    assert!(new.caught_up());
    assert_eq!(sequences(&take(&mut some, 3).await), [4, 5, 6]);
    log.append(entry("job.acme.late.submitted", "a")).await.unwrap();
    assert_eq!(sequences(&take(&mut some, 1).await), [7]);
    assert_eq!(sequences(&take(&mut new, 1).await), [7]);
}

pub(crate) async fn following_selects(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    fill(&log, 3).await;
    log.append(entry("account.acme.acme.charged", "a")).await.unwrap();
    fill(&log, 0).await;
    log.append(entry("instance.m.i1.ready", "a")).await.unwrap();
    log.append(entry("job.acme.j9.submitted", "a")).await.unwrap();
    let filters = [Filter::domain(Domain::Account), Filter::event(Domain::Instance, "ready")];
    let mut follow = log.follow(stream::LOG, &filters, Start::At(0)).await.unwrap();
    assert_eq!(sequences(&take(&mut follow, 2).await), [4, 5]);
    assert!(follow.caught_up());
    log.append(entry("account.acme.acme.charged", "b")).await.unwrap();
    assert_eq!(sequences(&take(&mut follow, 1).await), [7]);
    let none = [Filter::event(Domain::Instance, "lost")];
    assert!(log.follow(stream::LOG, &none, Start::At(0)).await.unwrap().caught_up());
}

pub(crate) async fn following_gives_everything_under_concurrent_appends(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let mut follow = from(&log, Start::New).await;
    let mut jobs = log.follow(stream::LOG, &[Filter::domain(Domain::Job)], Start::At(0)).await.unwrap();
    let writers = (0..8).map(|writer| {
        let log = log.clone();
        tokio::spawn(async move {
            for n in 0..200 {
                let domain = if n % 2 == 0 { "job" } else { "instance" };
                log.append(entry(&format!("{domain}.w{writer}.n{n}.changed"), "a")).await.unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    assert_eq!(sequences(&take(&mut follow, 1600).await), (1..=1600).collect::<Vec<_>>());
    let selected = sequences(&take(&mut jobs, 800).await);
    assert!(selected.windows(2).all(|pair| pair[0] < pair[1]));
    for writer in writers {
        writer.await.unwrap();
    }
}

pub(crate) async fn following_survives_a_restart(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let mut follow = from(&log, Start::At(0)).await;
    let mut given = Vec::new();
    for round in 0..3 {
        for n in 0..20 {
            append(&log, &format!("job.acme.r{round}.n{n}")).await;
        }
        given.extend(sequences(&take(&mut follow, 10).await));
        fixture.restart().await;
        append(&log, &format!("job.acme.r{round}.after")).await;
    }
    given.extend(sequences(&take(&mut follow, 33).await));
    assert_eq!(given, (1..=63).collect::<Vec<_>>());
}

/// Appends until the log has answered.
async fn append(log: &SharedLog, rest: &str) {
    while let Err(error) = log.append(entry(rest, "a")).await {
        assert!(matches!(error, AppendError::Unanswered(_)), "{error}");
    }
}

pub(crate) async fn a_vanished_stream_is_followed_from_its_beginning(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::tokens()]).await;
    let mut follow = log.follow(stream::TOKENS, &[], Start::New).await.unwrap();
    for key in ["a", "b", "c"] {
        log.append(entry("token.acme.j1.1", key)).await.unwrap();
    }
    take(&mut follow, 3).await;
    fixture.restart().await;
    let gone = soon(follow.next()).await;
    assert!(matches!(&gone, Err(Error::NoStream(name)) if name == stream::TOKENS), "{gone:?}");
    log.ensure(&stream::tokens()).await.unwrap();
    for key in ["d", "e"] {
        log.append(entry("token.acme.j1.1", key)).await.unwrap();
    }
    let mut given = Vec::new();
    while given.len() < 2 {
        match soon(follow.next()).await {
            Ok(record) => given.push((record.sequence, record.payload)),
            Err(error) => assert!(matches!(error, Error::NoStream(_)), "{error}"),
        }
    }
    let wanted = |sequence, key| (sequence, entry("token.acme.j1.1", key).payload);
    assert_eq!(given, [wanted(1, "d"), wanted(2, "e")]);
}

pub(crate) async fn a_stream_that_was_made_anew_is_followed_from_its_beginning(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::tokens()]).await;
    let mut follow = log.follow(stream::TOKENS, &[], Start::At(0)).await.unwrap();
    for key in ["a", "b", "c"] {
        log.append(entry("token.acme.j1.1", key)).await.unwrap();
    }
    take(&mut follow, 3).await;
    fixture.restart().await;
    soon(log.ensure(&stream::tokens())).await.unwrap();
    for key in ["d", "e", "f", "g"] {
        log.append(entry("token.acme.j1.1", key)).await.unwrap();
    }
    let given: Vec<_> = take(&mut follow, 4).await.into_iter().map(|record| record.payload).collect();
    assert_eq!(given, ["d", "e", "f", "g"].map(|key| entry("token.acme.j1.1", key).payload));
}

pub(crate) async fn a_slow_follower_misses_nothing(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let batch = |n: u64| (0..500).map(move |m| entry(&format!("job.acme.b{n}.m{m}"), "a")).collect();
    for n in 0..4 {
        log.append_batch(batch(n)).await.unwrap();
    }
    let mut follow = from(&log, Start::At(0)).await;
    let mut given = sequences(&take(&mut follow, 700).await);
    tokio::time::sleep(MOMENT).await;
    for n in 4..8 {
        log.append_batch(batch(n)).await.unwrap();
    }
    given.extend(sequences(&take(&mut follow, 3300).await));
    assert_eq!(given, (1..=4000).collect::<Vec<_>>());
}

pub(crate) async fn an_empty_stream_is_caught_up(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let mut follow = from(&log, Start::At(0)).await;
    assert!(follow.caught_up());
    assert!(tokio::time::timeout(MOMENT, follow.next()).await.is_err());
    fill(&log, 1).await;
    assert_eq!(sequences(&take(&mut follow, 1).await), [1]);
}

pub(crate) async fn a_missing_stream_is_said(fixture: &mut impl Fixture) {
    let log = fixture.log();
    let follow = log.follow(stream::LOG, &[], Start::New).await;
    assert!(matches!(follow, Err(Error::NoStream(_))));
    assert!(matches!(log.extent(stream::LOG).await, Err(Error::NoStream(_))));
    assert!(matches!(log.read(stream::LOG, &[], 0, 1).await, Err(Error::NoStream(_))));
    let filter = Filter::domain(Domain::Job);
    assert!(matches!(log.last(stream::LOG, &filter).await, Err(Error::NoStream(_))));
    assert!(matches!(log.purge(stream::LOG, &filter, 9).await, Err(Error::NoStream(_))));
    let consume =
        log.consume(stream::LOG, "reader", &[], lowland_events::log::ConsumeSettings::default()).await;
    assert!(matches!(consume, Err(Error::NoStream(_))));
}

pub(crate) async fn a_call_that_is_dropped_loses_nothing(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let mut follow = from(&log, Start::At(0)).await;
    let mut given = Vec::new();
    let deadline = tokio::time::Instant::now() + LIMIT;
    let mut n = 0;
    while given.len() < 100 && tokio::time::Instant::now() < deadline {
        if n < 100 {
            log.append(entry(&format!("job.acme.j{n}.submitted"), "a")).await.unwrap();
        }
        if let Ok(record) = tokio::time::timeout(Duration::from_micros(10 * (n % 50)), follow.next()).await {
            given.push(record.unwrap().sequence);
        }
        n += 1;
    }
    assert_eq!(given, (1..=100).collect::<Vec<_>>());
}
