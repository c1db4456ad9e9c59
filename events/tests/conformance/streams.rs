//! Streams: configuration, extent, retention, reading.

use std::time::Duration;

use futures::future::try_join_all;
use lowland_events::{
    Domain, Filter,
    log::{Error, Extent},
    stream::{self, Storage, StreamSpec},
};

use crate::fixture::{Fixture, aggregate, all, entry, eventually, fill, sequences, with_streams};

pub(crate) async fn ensuring_is_idempotent(fixture: &mut impl Fixture) {
    let log = fixture.log();
    let specs = stream::all();
    try_join_all((0..8).flat_map(|_| specs.iter().map(|spec| log.ensure(spec)))).await.unwrap();
    fill(&log, 2).await;
    for spec in &specs {
        log.ensure(spec).await.unwrap();
    }
    assert_eq!(all(&log, stream::LOG).await.len(), 2);
}

pub(crate) async fn ensuring_changes_what_can_be_changed(fixture: &mut impl Fixture) {
    let narrow = StreamSpec { subjects: vec![Filter::domain(Domain::Job)], atomic: false, ..stream::log() };
    let log = with_streams(fixture, &[narrow]).await;
    fill(&log, 1).await;
    let batch = || vec![entry("job.acme.j7.submitted", "a"), entry("account.acme.acme.charged", "a")];
    assert!(log.append_batch(batch()).await.is_err());
    log.ensure(&stream::log()).await.unwrap();
    log.append_batch(batch()).await.unwrap();
    assert_eq!(all(&log, stream::LOG).await.len(), 3);
}

pub(crate) async fn a_clash_names_what_differs(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let clash = log.ensure(&StreamSpec { storage: Storage::Memory, ..stream::log() }).await;
    let Err(Error::Clash { stream, detail }) = clash else { panic!("{clash:?}") };
    assert_eq!(stream, stream::LOG);
    assert!(detail.contains("storage"), "{detail}");
    fill(&log, 1).await;
}

pub(crate) async fn a_clash_of_subjects_names_the_stream(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let clash =
        log.ensure(&StreamSpec { subjects: vec![Filter::domain(Domain::Job)], ..stream::requests() }).await;
    let Err(Error::Clash { stream, .. }) = clash else { panic!("{clash:?}") };
    assert_eq!(stream, stream::REQUESTS);
}

pub(crate) async fn purging_takes_what_is_selected(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    for n in 0..3 {
        log.append(entry(&format!("job.acme.j{n}.submitted"), "a")).await.unwrap();
        log.append(entry("account.acme.acme.charged", &n.to_string())).await.unwrap();
    }
    let jobs = Filter::domain(Domain::Job);
    assert_eq!(log.purge(stream::LOG, &jobs, 0).await.unwrap(), 0);
    assert_eq!(log.purge(stream::LOG, &jobs, 1).await.unwrap(), 0);
    assert_eq!(log.purge(stream::LOG, &jobs, 5).await.unwrap(), 2);
    assert_eq!(sequences(&all(&log, stream::LOG).await), [2, 4, 5, 6]);
    assert_eq!(log.purge(stream::LOG, &jobs, 5).await.unwrap(), 0);
    let one = aggregate(&entry("job.acme.j2.submitted", "a"));
    assert_eq!(log.purge(stream::LOG, &one, 100).await.unwrap(), 1);
    assert_eq!(sequences(&all(&log, stream::LOG).await), [2, 4, 6]);
}

pub(crate) async fn the_extent_tells_first_and_last(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    assert_eq!(log.extent(stream::LOG).await.unwrap(), Extent { first: 0, last: 0, messages: 0 });
    fill(&log, 5).await;
    assert_eq!(log.extent(stream::LOG).await.unwrap(), Extent { first: 1, last: 5, messages: 5 });
    log.purge(stream::LOG, &Filter::domain(Domain::Job), 4).await.unwrap();
    assert_eq!(log.extent(stream::LOG).await.unwrap(), Extent { first: 4, last: 5, messages: 2 });
    log.purge(stream::LOG, &Filter::domain(Domain::Job), 6).await.unwrap();
    assert_eq!(log.extent(stream::LOG).await.unwrap(), Extent { first: 6, last: 5, messages: 0 });
}

pub(crate) async fn the_last_of_a_filter_is_found(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    let job = aggregate(&entry("job.acme.j1.submitted", "a"));
    assert_eq!(log.last(stream::LOG, &job).await.unwrap(), None);
    for rest in [
        "job.acme.j1.submitted",
        "job.acme.j1.assigned.w1",
        "job.acme.j11.submitted",
        "job.other.j1.submitted",
    ] {
        log.append(entry(rest, "a")).await.unwrap();
    }
    let last = |filter: Filter| {
        let log = log.clone();
        async move { log.last(stream::LOG, &filter).await.unwrap().map(|record| record.sequence) }
    };
    assert_eq!(last(job).await, Some(2));
    assert_eq!(last(Filter::domain(Domain::Job)).await, Some(4));
    assert_eq!(last(Filter::scope(Domain::Job, "acme")).await, Some(3));
    assert_eq!(last(Filter::event(Domain::Job, "submitted")).await, Some(4));
    assert_eq!(last(Filter::for_any_worker(Domain::Job, "assigned")).await, Some(2));
    assert_eq!(last(Filter::domain(Domain::Account)).await, None);
}

pub(crate) async fn reading_selects_and_stops(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log()]).await;
    for hundred in 0..25 {
        let triple = |n: u64| {
            [("job", "submitted"), ("account", "charged"), ("instance", "ready")]
                .map(|(domain, event)| entry(&format!("{domain}.acme.a{n}.{event}"), "a"))
        };
        log.append_batch((0..100).flat_map(|n| triple(hundred * 100 + n)).collect()).await.unwrap();
    }
    let read = |filters: Vec<Filter>, from, most| {
        let log = log.clone();
        async move { sequences(&log.read(stream::LOG, &filters, from, most).await.unwrap()) }
    };
    let (jobs, accounts) = (Filter::domain(Domain::Job), Filter::domain(Domain::Account));
    assert_eq!(read(vec![], 0, 3).await, [1, 2, 3]);
    assert_eq!(read(vec![], 7499, 9).await, [7499, 7500]);
    assert_eq!(read(vec![], 7501, 9).await, Vec::<u64>::new());
    assert_eq!(read(vec![], 1, 0).await, Vec::<u64>::new());
    assert_eq!(read(vec![], 0, usize::MAX).await, (1..=7500).collect::<Vec<_>>());
    assert_eq!(read(vec![jobs.clone()], 2, 2).await, [4, 7]);
    let both = read(vec![jobs, accounts], 2, usize::MAX).await;
    assert_eq!(both, (2..=7500).filter(|sequence| sequence % 3 != 0).collect::<Vec<_>>());
    assert_eq!(read(vec![Filter::domain(Domain::Job), Filter::everything()], 1, 4).await, [1, 2, 3, 4]);
}

pub(crate) async fn messages_kept_a_subject_are_bounded(fixture: &mut impl Fixture) {
    let spec = StreamSpec { max_per_subject: Some(2), ..stream::log() };
    let log = with_streams(fixture, &[spec]).await;
    for n in 0..5 {
        log.append(entry("job.acme.j1.submitted", &n.to_string())).await.unwrap();
    }
    log.append(entry("job.acme.j2.submitted", "a")).await.unwrap();
    assert_eq!(sequences(&all(&log, stream::LOG).await), [4, 5, 6]);
}

pub(crate) async fn bytes_are_bounded(fixture: &mut impl Fixture) {
    let spec = StreamSpec { max_bytes: Some(100_000), ..stream::log() };
    let log = with_streams(fixture, &[spec]).await;
    for n in 0..10 {
        let mut entry = entry(&format!("job.acme.j{n}.submitted"), "a");
        entry.payload = vec![0; 30_000].into();
        log.append(entry).await.unwrap();
    }
    assert_eq!(sequences(&all(&log, stream::LOG).await), [8, 9, 10]);
}

pub(crate) async fn old_messages_go(fixture: &mut impl Fixture) {
    let age = Duration::from_secs(2);
    let spec = StreamSpec { max_age: Some(age), duplicate_window: age, ..stream::log() };
    let log = with_streams(fixture, &[spec]).await;
    fill(&log, 3).await;
    eventually(|| async { all(&log, stream::LOG).await.is_empty() }).await;
    assert_eq!(log.extent(stream::LOG).await.unwrap(), Extent { first: 4, last: 3, messages: 0 });
    assert_eq!(fill(&log, 1).await, [4]);
}

pub(crate) async fn a_stream_on_disk_survives_a_restart(fixture: &mut impl Fixture) {
    let log = with_streams(fixture, &[stream::log(), stream::tokens()]).await;
    fill(&log, 10).await;
    log.append(entry("token.acme.j1.1", "a")).await.unwrap();
    fixture.restart().await;
    eventually(|| async { log.extent(stream::LOG).await.is_ok() }).await;
    assert_eq!(all(&log, stream::LOG).await.len(), 10);
    assert!(matches!(log.extent(stream::TOKENS).await, Err(Error::NoStream(_))));
    let repeated = log.append(entry("job.acme.j3.submitted", "fill")).await.unwrap();
    assert_eq!((repeated.sequence, repeated.repeated), (4, true), "ids are remembered over a restart");
}
