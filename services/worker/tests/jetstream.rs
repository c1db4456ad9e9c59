//! Workers on a real nats-server, which loses its memory streams whenever it dies.

mod stage;

use std::sync::Arc;

use lowland_events::{
    log::{
        SharedLog,
        jetstream::{Connection, JetStreamLog},
    },
    testing::NatsServer,
};
use stage::{Stage, chat, echo, embedder, words};

async fn connect(server: &NatsServer) -> SharedLog {
    Arc::new(JetStreamLog::connect(&Connection { url: server.url(), ..Connection::default() }).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_jobs_run_at_once() {
    let server = NatsServer::start();
    let stage = Stage::on(connect(&server).await).await;
    let worker = stage.worker_on(connect(&server).await, "w1", vec![echo(0), embedder()]).await;
    let jobs: Vec<String> = (0..100).map(|n| format!("j{n}")).collect();
    for job in &jobs {
        stage.assign(&worker, job, chat(&words(20)), 1).await;
    }
    for job in &jobs {
        assert_eq!(stage.completed(job).await.output.text, words(20));
        assert_eq!(stage.chain(job).await, ["assigned", "started", "completed"]);
    }
    worker.idle().await;
    assert_eq!(stage.read("j99").await.text, words(20));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_under_a_job_is_told_the_text_again() {
    let mut server = NatsServer::start();
    let stage = Stage::on(connect(&server).await).await;
    let worker = stage.worker_on(connect(&server).await, "w1", vec![echo(5)]).await;
    stage.assign(&worker, "j1", chat(&words(200)), 1).await;
    let mut before = stage.wait_for_tokens("j1", 30).await;
    for _ in 0..2 {
        server.restart();
        let again = stage.wait_for_tokens("j1", before.tokens.len() + 1).await;
        assert!(again.text.starts_with(&before.text));
        before = again;
    }
    let completed = stage.completed("j1").await;
    assert_eq!(completed.output.text, words(200));
    assert_eq!(completed.usage.output_tokens(), words(200).chars().count() as u64);
    assert_eq!(stage.chain("j1").await, ["assigned", "started", "completed"]);
    worker.idle().await;
    assert_eq!(stage.read("j1").await.text, words(200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_worker_takes_over_and_the_first_is_fenced() {
    let server = NatsServer::start();
    let stage = Stage::on(connect(&server).await).await;
    let zombie = stage.worker_on(connect(&server).await, "w1", vec![echo(5)]).await;
    let other = stage.worker_on(connect(&server).await, "w2", vec![echo(5)]).await;
    stage.assign(&zombie, "j1", chat(&words(100)), 1).await;
    stage.wait_for_tokens("j1", 20).await;
    stage.write_off("j1", 1).await;
    stage.assign(&other, "j1", chat(&words(100)), 2).await;
    let completed = stage.completed("j1").await;
    assert_eq!((completed.output.text, completed.attempt), (words(100), 2));
    zombie.idle().await;
    other.idle().await;
    assert_eq!(stage.read("j1").await.text, words(100));
    let attempts: Vec<u32> = stage.records("j1").await.iter().map(|(_, record)| record.attempt).collect();
    assert!(attempts.is_sorted() && attempts.contains(&1) && attempts.contains(&2), "{attempts:?}");
}
