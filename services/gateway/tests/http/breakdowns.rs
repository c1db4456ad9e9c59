//! What the gateway needs is out of reach, or never answers.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use lowland_events::job::Finish;
use serde_json::{Value, json};

use crate::{
    events::{Events, text},
    unreliable::{Reach, Unreliable},
    world::{World, ask, soon},
};

async fn world() -> (World, Arc<Reach>) {
    let reach = Arc::new(Reach::default());
    let wrap = reach.clone();
    let change =
        |config: &mut lowland_gateway::config::Config| config.post_within = Duration::from_millis(100);
    (World::over(change, |log| Arc::new(Unreliable::new(log, wrap))).await, reach)
}

#[tokio::test]
async fn a_log_out_of_reach_is_503_and_what_it_may_have_taken_is_cancelled() {
    let (mut world, reach) = world().await;
    reach.down(true);
    let refused = soon(world.chat(&ask(json!({}))).send()).await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    let job = refused.headers()["x-lowland-job"].to_str().unwrap().to_owned();
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "log_unavailable");
    let status = soon(world.get("/v1/jobs/j").send()).await.unwrap();
    assert_eq!(status.status(), 503);
    reach.down(false);
    assert_eq!(world.backend.cancellation().await.as_str(), job);
}

#[tokio::test]
async fn a_stream_survives_the_loss_of_its_readers() {
    let (mut world, reach) = world().await;
    let events = tokio::spawn(Events::of(world.chat(&ask(json!({"stream": true})))));
    let mut job = world.backend.job().await;
    job.start().await;
    job.write("before").await;
    let events = soon(events).await.unwrap();
    reach.down(true);
    soon(async {
        while reach.readers_told.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    job.write(", during").await;
    reach.down(false);
    job.write(" and after").await;
    job.complete(Finish::Stop).await;
    let events = events.all().await;
    assert_eq!(text(&events), "before, during and after");
    assert_eq!(events.last().unwrap().data, "[DONE]");
    soon(async {
        while world.problem().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn where_nobody_decides_the_deadline_still_holds() {
    let mut world = World::with(|config| config.answer_grace = Duration::from_millis(50)).await;
    for stream in [false, true] {
        let asked = world.chat(&ask(json!({"stream": stream, "deadline_ms": 50})));
        let answer = tokio::spawn(asked.send());
        let job = world.backend.job().await;
        assert_eq!(job.posted.deadline_ms, Some(50));
        let answer = soon(answer).await.unwrap().unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-should-retry"]),
            (504, &"false".parse().unwrap())
        );
        assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], "deadline_exceeded");
        assert_eq!(world.backend.cancellation().await, job.id);
    }
}

#[tokio::test]
async fn the_jobs_own_deadline_counts_once_it_is_known() {
    let mut world = World::with(|config| config.answer_grace = Duration::from_millis(50)).await;
    let answer = tokio::spawn(world.chat(&ask(json!({"deadline_ms": 86_400_000}))).send());
    let job = world.backend.job().await;
    job.submit_late().await;
    assert_eq!(soon(answer).await.unwrap().unwrap().status(), 504);
    assert_eq!(world.backend.cancellation().await, job.id);
}

#[tokio::test]
async fn a_key_whose_first_try_was_cancelled_before_it_arrived_can_be_used() {
    let (mut world, reach) = world().await;
    let post = |world: &World| world.chat(&ask(json!({}))).header("idempotency-key", "k1");
    reach.down(true);
    assert_eq!(soon(post(&world).send()).await.unwrap().status(), 503);
    reach.down(false);
    world.backend.cancellation().await;
    let answer = tokio::spawn(post(&world).send());
    let mut job = world.backend.job().await;
    job.start().await;
    job.write("hello").await;
    job.complete(Finish::Stop).await;
    assert_eq!(soon(answer).await.unwrap().unwrap().status(), 200);
}
