//! Workers that die, freeze, are written off, stop; a bus that loses its memory.

mod stage;

use lowland_events::{
    Domain, Filter,
    job::{self, ProblemCode},
    meter::Meter,
    stream,
};
use lowland_host::{Host, Service};
use lowland_worker::{Source, Worker};
use stage::{Stage, chat, echo, embedder, until, words};

#[tokio::test]
async fn another_worker_goes_on_where_one_died() {
    let stage = Stage::new().await;
    let dies = stage.worker("w1", vec![echo(1)]).await;
    let lives = stage.worker("w2", vec![echo(1)]).await;
    stage.assign(&dies, "j1", chat(&words(40)), 1).await;
    stage.wait_for_tokens("j1", 20).await;
    dies.task.abort();
    dies.gate.shut();
    stage.write_off("j1", 1).await;
    let before = stage.read("j1").await;
    stage.assign(&lives, "j1", chat(&words(40)), 2).await;
    let completed = stage.completed("j1").await;
    lives.idle().await;
    assert_eq!((completed.output.text.as_str(), completed.attempt), (words(40).as_str(), 2));
    assert_eq!(completed.output.tokens.len(), words(40).chars().count());
    let job::Event::Started(started) = stage.wait("j1", "started").await else { panic!("another event") };
    assert!(started.resumed_tokens as usize >= before.tokens.len(), "{started:?}");
    // The prompt is counted once, though two workers read it.
    assert_eq!(completed.usage.quantity(Meter::InputTokens), words(40).chars().count() as u64);
    assert_eq!(completed.usage.output_tokens(), words(40).chars().count() as u64);
    assert_eq!(stage.read("j1").await.text, words(40));
    let records = stage.records("j1").await;
    let seal = records.iter().position(|(_, record)| record.attempt == 2).unwrap();
    assert_eq!(records[seal].1.first, 0, "the seal tells the text once more");
    assert!(records[seal..].iter().all(|(_, record)| record.attempt == 2));
}

#[tokio::test]
async fn a_worker_that_was_written_off_adds_nothing() {
    let stage = Stage::new().await;
    let zombie = stage.worker("w1", vec![echo(1)]).await;
    let other = stage.worker("w2", vec![echo(1)]).await;
    stage.assign(&zombie, "j1", chat(&words(60)), 1).await;
    stage.wait_for_tokens("j1", 20).await;
    zombie.gate.shut();
    stage.write_off("j1", 1).await;
    stage.assign(&other, "j1", chat(&words(60)), 2).await;
    stage.completed("j1").await;
    other.idle().await;
    let (chain, records) = (stage.chain("j1").await, stage.records("j1").await);
    // It wakes up with tokens in hand that nobody waits for any more.
    zombie.gate.open();
    zombie.idle().await;
    assert_eq!(stage.chain("j1").await, chain);
    assert_eq!(stage.records("j1").await, records);
    assert_eq!(chain, ["assigned", "started", "attempt_failed", "assigned", "started", "completed"]);
    assert_eq!(stage.read("j1").await.text, words(60));
    // And is of use again.
    stage.assign(&zombie, "j2", chat("hello"), 1).await;
    assert_eq!(stage.completed("j2").await.output.text, "hello");
}

#[tokio::test]
async fn a_worker_that_was_written_off_in_mid_stream_stops_computing() {
    let stage = Stage::new().await;
    // At this step the text would take longer than any test waits.
    let zombie = stage.worker("w1", vec![echo(500)]).await;
    let other = stage.worker("w2", vec![echo(0)]).await;
    stage.assign(&zombie, "j1", chat(&words(200)), 1).await;
    stage.wait_for_tokens("j1", 2).await;
    stage.write_off("j1", 1).await;
    stage.assign(&other, "j1", chat(&words(200)), 2).await;
    let completed = stage.completed("j1").await;
    assert_eq!((completed.output.text, completed.attempt), (words(200), 2));
    other.idle().await;
    zombie.idle().await;
    let attempts: Vec<u32> = stage.records("j1").await.iter().map(|(_, record)| record.attempt).collect();
    assert!(attempts.is_sorted(), "{attempts:?}");
}

#[tokio::test]
async fn a_bus_that_loses_its_memory_is_told_the_text_again() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![echo(1)]).await;
    stage.assign(&worker, "j1", chat(&words(80)), 1).await;
    let before = stage.wait_for_tokens("j1", 30).await;
    stage.memory().restart();
    let again = stage.wait_for_tokens("j1", before.tokens.len()).await;
    assert!(again.text.starts_with(&before.text));
    assert_eq!(stage.records("j1").await[0].1.first, 0);
    assert_eq!(stage.completed("j1").await.output.text, words(80));
    worker.idle().await;
    assert_eq!(stage.read("j1").await.text, words(80));
}

#[tokio::test]
async fn a_text_survives_the_bus_and_then_its_worker() {
    let stage = Stage::new().await;
    let first = stage.worker("w1", vec![echo(1)]).await;
    let second = stage.worker("w2", vec![echo(1)]).await;
    stage.assign(&first, "j1", chat(&words(80)), 1).await;
    let before = stage.wait_for_tokens("j1", 30).await;
    stage.memory().restart();
    stage.wait_for_tokens("j1", before.tokens.len()).await;
    first.gate.shut();
    stage.write_off("j1", 1).await;
    stage.assign(&second, "j1", chat(&words(80)), 2).await;
    assert_eq!(stage.completed("j1").await.output.text, words(80));
    let job::Event::Started(started) = stage.wait("j1", "started").await else { panic!("another event") };
    assert!(started.resumed_tokens as usize >= before.tokens.len());
}

#[tokio::test]
async fn a_job_that_comes_back_to_the_same_worker_goes_on() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![echo(1)]).await;
    stage.assign(&worker, "j1", chat(&words(80)), 1).await;
    stage.wait_for_tokens("j1", 30).await;
    stage.write_off("j1", 1).await;
    stage.assign(&worker, "j1", chat(&words(80)), 2).await;
    let completed = stage.completed("j1").await;
    assert_eq!((completed.output.text, completed.attempt), (words(80), 2));
    worker.idle().await;
    assert_eq!(stage.read("j1").await.text, words(80));
}

#[tokio::test]
async fn a_worker_that_stops_hands_its_jobs_on() {
    let stage = Stage::new().await;
    let stops = stage.worker("w1", vec![echo(1), embedder()]).await;
    let other = stage.worker("w2", vec![echo(0)]).await;
    stage.assign(&stops, "j1", chat(&words(200)), 1).await;
    stage.wait_for_tokens("j1", 10).await;
    let id = stops.worker.clone();
    stops.stop().await;
    let job::Event::AttemptFailed(failed) = stage.wait("j1", "attempt_failed").await else {
        panic!("another event")
    };
    assert_eq!((failed.problem.code, failed.retry), (ProblemCode::WorkerStopped, true));
    assert_eq!(stage.instances(&id).await, []);
    let instances = stage.events(stream::LOG, Filter::event(Domain::Instance, "stopped")).await;
    let ended = stage.job("j1").await.pop().unwrap().sequence;
    assert!(instances.len() == 2 && instances.iter().all(|stopped| stopped.sequence > ended));
    stage.assign(&other, "j1", chat(&words(200)), 2).await;
    assert_eq!(stage.completed("j1").await.output.text, words(200));
}

#[tokio::test]
async fn an_instance_that_is_taken_for_lost_comes_back_under_another_name() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![echo(5), embedder()]).await;
    let before = stage.instances(&worker.worker).await;
    stage.assign(&worker, "j1", chat(&words(400)), 1).await;
    stage.wait_for_tokens("j1", 5).await;
    stage.lose(&before[0].0, "echo").await;
    let after = until("another name", async || {
        let now = stage.instances(&worker.worker).await;
        (now.len() == 2).then_some(now)
    })
    .await;
    worker.idle().await;
    assert_eq!(stage.chain("j1").await, ["assigned", "started"], "what it had is somebody else's");
    assert_eq!(after[0], before[1]);
    assert_ne!(after[1].0, before[0].0);
    assert_eq!(after[1].1, before[0].1);
    let (instance, _) = after[1].clone();
    stage.assign_to(&worker.worker, instance, "j2", chat("hi"), Some(stage::sampling()), 1).await;
    assert_eq!(stage.completed("j2").await.output.text, "hi");
}

#[tokio::test]
async fn what_is_meant_for_another_process_is_left_alone() {
    let stage = Stage::new().await;
    let earlier = stage.worker("w1", vec![echo(0)]).await;
    let (instance, _) = stage.instances(&earlier.worker).await.remove(0);
    earlier.task.abort();
    let later = stage.worker("w1", vec![echo(0)]).await;
    stage.assign_to(&later.worker, instance, "j1", chat("a"), Some(stage::sampling()), 1).await;
    let (instance, ready) = stage.instances(&later.worker).await.pop().unwrap();
    assert_eq!(ready.process, later.host.instance);
    stage.assign_to(&later.worker, instance, "j2", chat("b"), Some(stage::sampling()), 1).await;
    stage.completed("j2").await;
    assert_eq!(stage.chain("j1").await, ["assigned"]);
}

#[tokio::test]
async fn signs_of_life_go_on_after_the_bus_lost_its_memory() {
    let stage = Stage::new().await;
    let worker = stage.worker("w1", vec![echo(0)]).await;
    let heard = Filter::aggregate(Domain::Metric, "worker", worker.host.instance.as_str());
    for _ in 0..2 {
        until("a heartbeat", async || {
            (!stage.events(stream::METRICS, heard.clone()).await.is_empty()).then_some(())
        })
        .await;
        stage.memory().restart();
    }
}

#[tokio::test]
async fn a_model_that_does_not_load_ends_the_worker_and_is_named() {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let broken = ["one", "two"].map(|name| Source::Folder(folder.path().join(name)));
    let models = [vec![echo(0)], broken.to_vec()].concat();
    let host = Host::over(stage.log.clone(), Worker::NAME);
    let config = stage.config("w1", models);
    let error = Worker::serve(host, config.clone()).await.unwrap_err().to_string();
    assert!(error.contains("/one") && error.contains("/two"), "{error}");
    assert_eq!(stage.instances(&config.worker).await, [], "the model that did load takes no more jobs");
}
