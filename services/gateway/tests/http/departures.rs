//! Callers that go away.

use std::time::Duration;

use lowland_events::job::Finish;
use serde_json::json;

use crate::{
    events::{Events, text},
    world::{World, ask, soon},
};

#[tokio::test]
async fn leaving_a_stream_cancels_the_job() {
    let mut world = World::new().await;
    let events = tokio::spawn(Events::of(world.chat(&ask(json!({"stream": true})))));
    let mut job = world.backend.job().await;
    job.start().await;
    job.write("a").await;
    let mut events = soon(events).await.unwrap();
    events.next().await.unwrap();
    drop(events);
    assert_eq!(world.backend.cancellation().await, job.id);
}

#[tokio::test]
async fn leaving_before_an_answer_cancels_the_job() {
    for stream in [false, true] {
        let mut world = World::new().await;
        let answer = tokio::spawn(world.chat(&ask(json!({"stream": stream}))).send());
        let job = world.backend.job().await;
        answer.abort();
        assert_eq!(world.backend.cancellation().await, job.id);
    }
}

#[tokio::test]
async fn an_ended_job_is_left_alone() {
    let mut world = World::new().await;
    let answer = tokio::spawn(world.chat(&ask(json!({}))).send());
    let job = world.backend.job().await;
    job.start().await;
    job.complete(Finish::Stop).await;
    assert_eq!(soon(answer).await.unwrap().unwrap().status(), 200);
    let left = tokio::spawn(world.chat(&ask(json!({}))).send());
    let other = world.backend.job().await;
    left.abort();
    assert_eq!(world.backend.cancellation().await, other.id, "the first cancellation is of the second job");
}

#[tokio::test]
async fn an_embedding_is_left_alone_once_it_has_begun() {
    let mut world = World::new().await;
    let body = json!({"model": "e", "input": "a"});
    let begun = tokio::spawn(world.post("/v1/embeddings", &body).send());
    let job = world.backend.job().await;
    let seen = tokio::spawn(world.get(&format!("/v1/jobs/{}/stream", job.id)).send());
    job.start().await;
    assert_eq!(soon(seen).await.unwrap().unwrap().status(), 400, "an embedding has no stream");
    // The hub has handed out `started` once a later event of another job has come through.
    let probe = tokio::spawn(world.chat(&ask(json!({}))).send());
    let other = world.backend.job().await;
    other.start().await;
    other.complete(Finish::Stop).await;
    assert_eq!(soon(probe).await.unwrap().unwrap().status(), 200);
    begun.abort();
    let waiting = tokio::spawn(world.post("/v1/embeddings", &body).send());
    let second = world.backend.job().await;
    second.submit().await;
    waiting.abort();
    assert_eq!(world.backend.cancellation().await, second.id, "the first cancellation is of the second one");
}

#[tokio::test]
async fn whoever_announced_it_has_time_to_come_back() {
    let mut world = World::with(|config| config.resume_grace = Duration::from_secs(3600)).await;
    let request = world.chat(&ask(json!({"stream": true}))).header("x-lowland-resumable", "true");
    let events = tokio::spawn(Events::of(request));
    let mut job = world.backend.job().await;
    job.start().await;
    job.write("here").await;
    drop(soon(events).await.unwrap());
    let plain = tokio::spawn(world.chat(&ask(json!({}))).send());
    let other = world.backend.job().await;
    plain.abort();
    assert_eq!(world.backend.cancellation().await, other.id, "the first cancellation is of the plain one");
    job.complete(Finish::Stop).await;
    let path = format!("/v1/jobs/{}/stream", job.id);
    assert_eq!(text(&Events::of(world.get(&path)).await.all().await), "here");
}

#[tokio::test]
async fn whoever_does_not_come_back_in_time_is_gone() {
    let mut world = World::with(|config| config.resume_grace = Duration::from_millis(50)).await;
    for (name, value) in [("x-lowland-resumable", "true"), ("idempotency-key", "k")] {
        let answer = tokio::spawn(world.chat(&ask(json!({"stream": true}))).header(name, value).send());
        let job = world.backend.job().await;
        answer.abort();
        assert_eq!(world.backend.cancellation().await, job.id);
    }
}

#[tokio::test]
async fn a_job_that_another_caller_waits_for_goes_on() {
    let mut world = World::new().await;
    let first = tokio::spawn(Events::of(world.chat(&ask(json!({"stream": true})))));
    let mut job = world.backend.job().await;
    job.start().await;
    job.write("shared").await;
    let first = soon(first).await.unwrap();
    let mut second = Events::of(world.get(&format!("/v1/jobs/{}/stream", job.id))).await;
    second.next().await.unwrap();
    drop(first);
    let plain = tokio::spawn(world.chat(&ask(json!({}))).send());
    let other = world.backend.job().await;
    plain.abort();
    assert_eq!(world.backend.cancellation().await, other.id);
    job.complete(Finish::Stop).await;
    assert_eq!(text(&second.all().await), "shared");
}

#[tokio::test]
async fn an_onlooker_leaves_without_consequence_and_a_resumed_caller_does_not() {
    let mut world = World::with(|config| config.resume_grace = Duration::ZERO).await;
    let mut job = world.backend.post_over_the_bus("acme", "by-nats").await;
    job.start().await;
    job.write("seen").await;
    let path = format!("/v1/jobs/{}/stream", job.id);
    let mut onlooker = Events::of(world.get(&path)).await;
    onlooker.next().await.unwrap();
    drop(onlooker);
    let plain = tokio::spawn(world.chat(&ask(json!({}))).send());
    let other = world.backend.job().await;
    plain.abort();
    assert_eq!(world.backend.cancellation().await, other.id, "the first cancellation is of the plain one");
    job.write(" again").await;
    let resumed = world.get(&path).header("last-event-id", format!("{}:1:1", job.id));
    drop(Events::of(resumed).await);
    assert_eq!(world.backend.cancellation().await, job.id);
}
