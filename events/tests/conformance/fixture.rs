//! What a case is given: a log, a way to restart it, and helpers to write to it.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use lowland_events::{
    EventId, Filter, Subject, Time,
    envelope::Headers,
    log::{
        AppendError, Appended, Consume, Delivery, Entry, Expect, Follow, Record, SharedLog,
        jetstream::{Connection, JetStreamLog},
        memory::{Faults, MemoryLog},
    },
    stream::StreamSpec,
    testing::NatsServer,
};

use crate::proxy::Proxy;

/// Longest wait for anything that has to happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// A wait for what must not happen.
pub(crate) const MOMENT: Duration = Duration::from_millis(400);

/// A log under test.
#[async_trait]
pub(crate) trait Fixture: Send {
    /// The log.
    fn log(&self) -> SharedLog;
    /// Ends the log as a crash does, and starts it again.
    async fn restart(&mut self);
    /// Loses the answer to the next append, which is stored.
    fn lose_acknowledgement(&mut self);
}

pub(crate) struct MemoryFixture {
    log: MemoryLog,
}

impl MemoryFixture {
    pub(crate) fn new() -> Self {
        Self { log: MemoryLog::starting_at(Time(1_790_000_000_000_000)) }
    }
}

#[async_trait]
impl Fixture for MemoryFixture {
    fn log(&self) -> SharedLog {
        Arc::new(self.log.clone())
    }
    async fn restart(&mut self) {
        self.log.restart();
    }
    fn lose_acknowledgement(&mut self) {
        self.log.inject(Faults { acks_lost: 1, ..Faults::default() });
    }
}

/// JetStream behind a proxy that can lose what the server says.
pub(crate) struct JetStreamFixture {
    server: NatsServer,
    proxy: Proxy,
    log: JetStreamLog,
}

impl JetStreamFixture {
    pub(crate) async fn new() -> Self {
        let server = NatsServer::start();
        let proxy = Proxy::start(server.port()).await;
        let connection =
            Connection { url: proxy.url(), name: "conformance".to_owned(), ..Connection::default() };
        let log = JetStreamLog::connect(&connection).await.unwrap();
        Self { server, proxy, log }
    }
}

#[async_trait]
impl Fixture for JetStreamFixture {
    fn log(&self) -> SharedLog {
        Arc::new(self.log.clone())
    }
    async fn restart(&mut self) {
        self.server.restart();
    }
    fn lose_acknowledgement(&mut self) {
        self.proxy.lose_acknowledgement();
    }
}

/// A message for `lowland.<rest>` whose id and body follow from the subject and `key`.
pub(crate) fn entry(rest: &str, key: &str) -> Entry {
    let subject: Subject = format!("lowland.{rest}").parse().unwrap();
    let subject = subject.to_string();
    Entry {
        id: EventId::derived(key, &subject, 0),
        payload: Bytes::from(format!("{rest} {key}")),
        subject,
        headers: Headers::default(),
        expect: None,
    }
}

/// The same, guarded by its aggregate's last sequence.
pub(crate) fn guarded(rest: &str, key: &str, last: u64) -> Entry {
    let entry = entry(rest, key);
    let subject: Subject = entry.subject.parse().unwrap();
    Entry { expect: Some(Expect { filter: subject.aggregate_filter(), last }), ..entry }
}

/// The log with `specs` ensured.
pub(crate) async fn with_streams(fixture: &impl Fixture, specs: &[StreamSpec]) -> SharedLog {
    let log = fixture.log();
    for spec in specs {
        log.ensure(spec).await.unwrap();
    }
    log
}

/// Appends `count` messages to one job each, and gives their sequences.
pub(crate) async fn fill(log: &SharedLog, count: u64) -> Vec<u64> {
    let mut sequences = Vec::new();
    for n in 0..count {
        sequences
            .push(log.append(entry(&format!("job.acme.j{n}.submitted"), "fill")).await.unwrap().sequence);
    }
    sequences
}

/// Appends until the log has answered.
pub(crate) async fn append_until_answered(
    log: &SharedLog,
    entries: &[Entry],
) -> Result<Appended, AppendError> {
    loop {
        match log.append_batch(entries.to_vec()).await {
            Err(AppendError::Unanswered(_)) => {}
            answered => return answered,
        }
    }
}

/// Everything in `stream`.
pub(crate) async fn all(log: &SharedLog, stream: &str) -> Vec<Record> {
    log.read(stream, &[], 0, usize::MAX).await.unwrap()
}

/// What `future` gives, within [`LIMIT`].
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("it happens in time")
}

/// The next `count` records of a follower, within [`LIMIT`].
pub(crate) async fn take(follow: &mut Box<dyn Follow>, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        records.push(soon(follow.next()).await.unwrap());
    }
    records
}

/// The next delivery, within [`LIMIT`].
pub(crate) async fn delivery(consume: &mut Box<dyn Consume>) -> Delivery {
    soon(consume.next()).await.unwrap()
}

/// Asserts that nothing is delivered for a moment.
pub(crate) async fn nothing(consume: &mut Box<dyn Consume>) {
    if let Ok(delivered) = tokio::time::timeout(MOMENT, consume.next()).await {
        panic!("{:?} was delivered", delivered.unwrap().record);
    }
}

/// Waits until `met` holds, within [`LIMIT`].
pub(crate) async fn eventually<F: Future<Output = bool>>(mut met: impl FnMut() -> F) {
    soon(async {
        while !met().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Sequences of records.
pub(crate) fn sequences(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.sequence).collect()
}

/// The filter of one aggregate.
pub(crate) fn aggregate(entry: &Entry) -> Filter {
    entry.subject.parse::<Subject>().unwrap().aggregate_filter()
}
