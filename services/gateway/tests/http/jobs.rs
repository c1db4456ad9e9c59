//! What became of a job, and its cancellation.

use lowland_events::{
    job::{Cancelled, Finish},
    meter::Usage,
};
use serde_json::{Value, json};

use crate::world::{World, ask, soon};

async fn status(world: &World, job: &str) -> Value {
    world.get(&format!("/v1/jobs/{job}")).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_job_is_told_from_its_events() {
    let mut world = World::new().await;
    let answer = tokio::spawn(world.chat(&ask(json!({}))).send());
    let mut job = world.backend.job().await;
    let posted = status(&world, job.id.as_str()).await;
    assert_eq!((&posted["status"], &posted["ended"]), (&json!("posted"), &json!(false)));
    job.start().await;
    let started = status(&world, job.id.as_str()).await;
    assert_eq!((&started["status"], &started["worker"]), (&json!("started"), &json!("w1")));
    assert_eq!((&started["kind"], &started["attempts"]), (&json!("chat"), &json!(1)));
    job.write("ab").await;
    job.complete(Finish::Stop).await;
    soon(answer).await.unwrap().unwrap();
    let completed = status(&world, job.id.as_str()).await;
    assert_eq!((&completed["status"], &completed["ended"]), (&json!("completed"), &json!(true)));
    assert_eq!(
        (&completed["finish_reason"], &completed["usage"]["total_tokens"]),
        (&json!("stop"), &json!(9))
    );
    assert_eq!(status(&world, "nothing").await["error"]["code"], "job_not_found");
    assert_eq!(status(&world, "a.b").await["error"]["code"], "job_not_found");
}

#[tokio::test]
async fn a_job_is_cancelled_by_its_caller() {
    let mut world = World::new().await;
    let answer = tokio::spawn(world.chat(&ask(json!({}))).send());
    let job = world.backend.job().await;
    job.start().await;
    let cancel = world.post(&format!("/v1/jobs/{}/cancel", job.id), &json!({}));
    assert_eq!(soon(cancel.send()).await.unwrap().status(), 202);
    assert_eq!(world.backend.cancellation().await, job.id);
    job.happens("cancelled", Cancelled { reason: "asked for".into(), usage: Usage::default() }).await;
    let answer = soon(answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 410);
    assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], "job_cancelled");
    assert_eq!(status(&world, job.id.as_str()).await["status"], "cancelled");
}
