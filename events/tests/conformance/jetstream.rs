//! What only a real server can do to us: users without permissions, and a crash under load.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{StreamExt, stream as futures_stream};
use lowland_events::{
    Domain, Filter, Subject,
    log::{
        AppendError, ConsumeSettings, Error, SharedLog, Start,
        jetstream::{Connection, Credentials, JetStreamLog},
    },
    stream,
    testing::NatsServer,
};

use crate::fixture::{all, entry, eventually, fill, sequences, soon, take};

const USERS: &str = r#"
accounts { LOWLAND { jetstream: enabled, users: [
    { user: admin, password: all }
    { user: reader, password: some, permissions: {
        publish: { allow: ["$JS.API.STREAM.INFO.LOG", "$JS.API.DIRECT.GET.LOG", "lowland.request.>"] }
        subscribe: { allow: ["_INBOX_reader.>"] }
    } }
] } }
"#;

fn user(server: &NatsServer, user: &str, password: &str, inbox_prefix: Option<&str>) -> Connection {
    Connection {
        url: server.url(),
        credentials: Credentials::Password { user: user.to_owned(), password: password.to_owned() },
        name: "conformance".to_owned(),
        inbox_prefix: inbox_prefix.map(str::to_owned),
    }
}

async fn connect(connection: &Connection) -> SharedLog {
    Arc::new(JetStreamLog::connect(connection).await.unwrap())
}

/// Asserts that it was refused at once, and that the text says what.
fn refused(text: &str, names: &str) {
    assert!(text.contains(names), "{text:?} does not name {names}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_user_may_not_is_refused_by_name() {
    let server = NatsServer::start_with(USERS);
    let admin = connect(&user(&server, "admin", "all", None)).await;
    admin.ensure(&stream::log()).await.unwrap();
    fill(&admin, 2).await;
    let reader = connect(&user(&server, "reader", "some", Some("_INBOX_reader"))).await;
    reader.ensure(&stream::log()).await.expect("nothing is to be changed, so it may");
    assert_eq!(all(&reader, stream::LOG).await.len(), 2);
    let Err(AppendError::Refused(text)) = reader.append(entry("job.acme.j1.submitted", "forged")).await
    else {
        panic!("a forged event was not refused");
    };
    refused(&text, "lowland.job.acme.j1.submitted");
    let batch = vec![entry("request.acme.j1.posted", "a"), entry("account.acme.acme.charged", "a")];
    let Err(AppendError::Refused(text)) = reader.append_batch(batch).await else { panic!("a forged batch") };
    refused(&text, "lowland.account.acme.acme.charged");
    let Err(Error::Refused(text)) = reader.ensure(&stream::requests()).await else { panic!("a stream") };
    refused(&text, "$JS.API.STREAM.INFO.REQUESTS");
    let Err(Error::Refused(text)) = reader.follow(stream::LOG, &[], Start::New).await.map(drop) else {
        panic!("a follower")
    };
    refused(&text, "$JS.API.CONSUMER.CREATE.LOG");
    assert_eq!(all(&admin, stream::LOG).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inbox_that_may_not_be_heard_is_said() {
    let server = NatsServer::start_with(USERS);
    let deaf = connect(&user(&server, "reader", "some", None)).await;
    for _ in 0..2 {
        let Err(Error::Refused(text)) = soon(deaf.extent(stream::LOG)).await else { panic!("it heard") };
        refused(&text, "_INBOX");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_connect_is_told() {
    let server = NatsServer::start_with(USERS);
    let wrong = JetStreamLog::connect(&user(&server, "reader", "wrong", None)).await;
    assert!(matches!(wrong.map(drop), Err(Error::Refused(_))));
    let nobody = Connection { url: "nats://127.0.0.1:1".to_owned(), ..Connection::default() };
    assert!(matches!(JetStreamLog::connect(&nobody).await.map(drop), Err(Error::Unanswered(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_of_ones_own_serves() {
    let mut server = NatsServer::start();
    let client = async_nats::connect(server.url()).await.unwrap();
    let log: SharedLog = Arc::new(JetStreamLog::from_client(client));
    log.ensure(&stream::log()).await.unwrap();
    fill(&log, 3).await;
    let mut follow = log.follow(stream::LOG, &[], Start::At(0)).await.unwrap();
    take(&mut follow, 3).await;
    server.restart();
    eventually(|| async { log.append(entry("job.acme.late.submitted", "a")).await.is_ok() }).await;
    assert_eq!(sequences(&take(&mut follow, 1).await), [4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_under_load_lose_and_double_nothing() {
    const MESSAGES: u64 = 3000;
    let mut server = NatsServer::start();
    let log = connect(&Connection { url: server.url(), ..Connection::default() }).await;
    log.ensure(&stream::log()).await.unwrap();
    let mut follow = log.follow(stream::LOG, &[], Start::At(0)).await.unwrap();
    let writer = log.clone();
    let writing = tokio::spawn(async move {
        futures_stream::iter(0..MESSAGES)
            .map(|n| append(writer.clone(), n))
            .buffer_unordered(64)
            .collect::<Vec<u64>>()
            .await
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.kill();
        server.restart();
    }
    let mut acknowledged = writing.await.unwrap();
    acknowledged.sort_unstable();
    acknowledged.dedup();
    assert_eq!(acknowledged.len() as u64, MESSAGES, "each message has a sequence of its own");
    let stored = all(&log, stream::LOG).await;
    assert_eq!(sequences(&stored), acknowledged, "what is acknowledged is stored, once");
    let given = take(&mut follow, stored.len()).await;
    assert_eq!(sequences(&given), acknowledged, "and given out, once");
}

async fn append(log: SharedLog, n: u64) -> u64 {
    let entry = crate::fixture::guarded(&format!("job.acme.j{n}.submitted"), "a", 0);
    loop {
        match log.append(entry.clone()).await {
            Ok(appended) => return appended.sequence,
            Err(AppendError::Unanswered(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_reader_is_not_given_what_it_cannot_take() {
    let server = NatsServer::start();
    let log = connect(&Connection { url: server.url(), ..Connection::default() }).await;
    log.ensure(&stream::log()).await.unwrap();
    fill(&log, 3).await;
    let settings = ConsumeSettings { ack_wait_ms: 60_000, unacked_max: 100 };
    let mut busy = log.consume(stream::LOG, "reader", &[], settings).await.unwrap();
    let mut idle = log.consume(stream::LOG, "reader", &[], settings).await.unwrap();
    let long = soon(busy.next()).await.unwrap();
    for _ in 0..2 {
        soon(idle.next()).await.unwrap().ack.ack().await.unwrap();
    }
    long.ack.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_grew_old_unseen_goes_back_and_comes_again() {
    let server = NatsServer::start();
    let log = connect(&Connection { url: server.url(), ..Connection::default() }).await;
    log.ensure(&stream::log()).await.unwrap();
    fill(&log, 200).await;
    let settings = ConsumeSettings { ack_wait_ms: 1000, unacked_max: 500 };
    let mut consume = log.consume(stream::LOG, "reader", &[], settings).await.unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 200 {
        let delivery = soon(consume.next()).await.unwrap();
        if seen.len() == 50 {
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        seen.insert(delivery.record.sequence);
        delivery.ack.ack().await.unwrap();
    }
    assert_eq!(seen, (1..=200).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_is_published_again_for_plain_subscribers() {
    let server = NatsServer::start();
    let log =
        JetStreamLog::connect(&Connection { url: server.url(), ..Connection::default() }).await.unwrap();
    let mut live = log.client().subscribe("live.>").await.unwrap();
    let log: SharedLog = Arc::new(log);
    for spec in stream::all() {
        log.ensure(&spec).await.unwrap();
    }
    for rest in
        ["job.acme.j1.submitted", "token.acme.j1.1", "metric.worker.w1.sampled", "request.acme.j1.rejected"]
    {
        log.append(entry(rest, "a")).await.unwrap();
        let message = soon(live.next()).await.unwrap();
        let subject: Subject = format!("lowland.{rest}").parse().unwrap();
        assert_eq!(message.subject.as_str(), subject.live());
        assert_eq!(message.headers.unwrap().get("Nats-Sequence").unwrap().as_str(), "1");
    }
    log.append(entry("request.acme.j2.posted", "a")).await.unwrap();
    log.append(entry("token.acme.j2.1", "a")).await.unwrap();
    let next = soon(live.next()).await.unwrap();
    assert_eq!(next.subject.as_str(), "live.token.acme.j2.1", "requests themselves are nobody's to hear");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_somebody_else_made_is_read_or_said() {
    let server = NatsServer::start();
    let client = async_nats::connect(server.url()).await.unwrap();
    let theirs = async_nats::jetstream::stream::Config {
        name: stream::LOG.to_owned(),
        subjects: vec![Filter::domain(Domain::Job).to_string()],
        ..Default::default()
    };
    async_nats::jetstream::new(client.clone()).create_stream(theirs).await.unwrap();
    let log: SharedLog = Arc::new(JetStreamLog::from_client(client));
    let mut noisy = entry("job.acme.j1.submitted", "a");
    noisy.headers.set("ce-type", "lowland.job.submitted.v1");
    log.append(noisy.clone()).await.unwrap();
    let jobs = Filter::domain(Domain::Job);
    let last = log.last(stream::LOG, &jobs).await.unwrap().unwrap();
    assert_eq!(
        (last.payload, last.headers.value("ce-type")),
        (noisy.payload, Some("lowland.job.submitted.v1"))
    );
    assert_eq!(log.last(stream::LOG, &Filter::domain(Domain::Account)).await.unwrap(), None);
    let Err(Error::Refused(text)) = log.read(stream::LOG, &[], 0, 9).await else { panic!("it was read") };
    refused(&text, stream::LOG);
    log.ensure(&stream::log()).await.unwrap();
    assert_eq!(all(&log, stream::LOG).await.len(), 1);
}
