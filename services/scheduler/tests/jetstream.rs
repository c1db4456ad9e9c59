//! The same scheduler over a real nats-server that is killed under it.

mod rig;

use std::sync::Arc;

use lowland_events::{
    Domain, Filter,
    log::jetstream::{Connection, Credentials, JetStreamLog},
    stream,
    testing::NatsServer,
};
use lowland_host::clock;
use rig::{Behaviour, Clock, Rig};

#[tokio::test]
async fn a_restart_of_the_server_loses_nobody_and_a_death_afterwards_is_noticed() {
    let mut server = NatsServer::start();
    let connection = Connection {
        url: server.url(),
        credentials: Credentials::None,
        name: "lowland test".into(),
        inbox_prefix: None,
    };
    let log = Arc::new(JetStreamLog::connect(&connection).await.unwrap());
    let rig = Rig::over(log, Clock::start_at(clock::now())).await;
    let first = rig.worker("w1", 1, Behaviour::GoOn).await;
    rig.post("acme/j1").await;
    rig.reaches("acme/j1", "started").await;
    server.kill();
    rig.pass(3000).await;
    server.restart();
    rig.pass(4000).await;
    let lost = Filter::event(Domain::Instance, "lost");
    assert!(rig.records(stream::LOG, lost.clone()).await.is_empty());
    rig.cancel("acme/j1").await;
    assert_eq!(rig.reaches("acme/j1", "cancelled").await.meta.source, "worker/test");
    rig.post("acme/j2").await;
    rig.reaches("acme/j2", "started").await;
    first.kill();
    rig.worker("w2", 1, Behaviour::Complete).await;
    rig.reaches("acme/j2", "completed").await;
    assert_eq!(rig.records(stream::LOG, lost).await.len(), 1);
    assert_eq!(
        rig.chain("acme/j2").await,
        ["submitted", "assigned", "started", "attempt_failed", "assigned", "started", "completed"]
    );
}
