//! Streams that are taken up again, and requests that are repeated.

use lowland_events::log::Log;
use lowland_events::{job::Finish, stream};
use serde_json::{Value, json};

use crate::{
    events::{Events, SentEvent, text},
    world::{OTHER_KEY, World, ask, soon},
};

/// Posts a job that streams, lets it write `first`, and gives the stream with its job.
async fn begun(world: &mut World, first: &str) -> (Events, crate::backend::Job) {
    let request = world.chat(&ask(json!({"stream": true}))).header("x-lowland-resumable", "true");
    let events = tokio::spawn(Events::of(request));
    let mut job = world.backend.job().await;
    job.start().await;
    job.write(first).await;
    (soon(events).await.unwrap(), job)
}

/// Reads until `wanted` was shown; gives the last event.
async fn until(events: &mut Events, wanted: &str) -> SentEvent {
    let mut shown = String::new();
    loop {
        let event = events.next().await.unwrap();
        shown.push_str(&event.text());
        if shown == wanted {
            return event;
        }
        assert!(wanted.starts_with(&shown), "{shown}");
    }
}

fn again(world: &World, id: &str) -> reqwest::RequestBuilder {
    world.chat(&ask(json!({"stream": true}))).header("last-event-id", id)
}

#[tokio::test]
async fn in_mid_stream_by_the_same_post() {
    let mut world = World::new().await;
    let (mut events, mut job) = begun(&mut world, "Ünder").await;
    let last = until(&mut events, "Ünder").await;
    drop(events);
    job.write("stood").await;
    let mut events = Events::of(again(&world, &last.id)).await;
    assert_eq!(events.headers["x-lowland-job"], job.id.as_str());
    let first = events.next().await.unwrap();
    assert_eq!((first.text().as_str(), first.id), ("stood", format!("{}:10:11", job.id)));
    job.write("!").await;
    job.complete(Finish::Stop).await;
    let rest = events.all().await;
    assert_eq!(text(&rest), "!");
    assert_eq!(rest.last().unwrap().data, "[DONE]");
}

#[tokio::test]
async fn by_get_from_the_beginning_or_from_within() {
    let mut world = World::new().await;
    let (mut events, mut job) = begun(&mut world, "one").await;
    let last = until(&mut events, "one").await;
    drop(events);
    job.write(" two").await;
    job.complete(Finish::Stop).await;
    let path = format!("/v1/jobs/{}/stream", job.id);
    let whole = Events::of(world.get(&format!("{path}?include_usage=true"))).await.all().await;
    assert_eq!(whole[0].json()["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(text(&whole), "one two");
    assert_eq!(whole[whole.len() - 2].json()["usage"]["completion_tokens"], 7);
    let rest = Events::of(world.get(&path).header("last-event-id", &last.id)).await.all().await;
    assert_eq!(text(&rest), " two");
    assert_eq!(rest[0].json()["model"], "m");
}

#[tokio::test]
async fn after_the_end_and_after_the_tokens_are_gone() {
    let mut world = World::new().await;
    let (mut events, mut job) = begun(&mut world, "kept").await;
    let last = until(&mut events, "kept").await;
    drop(events);
    job.write(" whole").await;
    job.complete(Finish::Stop).await;
    world.log.restart();
    let rest = Events::of(again(&world, &last.id)).await.all().await;
    assert_eq!(text(&rest), " whole");
    let nothing = Events::of(again(&world, &format!("{}:10:10", job.id))).await.all().await;
    assert_eq!(text(&nothing), "");
    assert_eq!(nothing.last().unwrap().data, "[DONE]");
}

#[tokio::test]
async fn after_the_gateway_was_restarted() {
    let mut world = World::new().await;
    let (mut events, mut job) = begun(&mut world, "before").await;
    let last = until(&mut events, "before").await;
    world.restart_gateway().await;
    job.write(" and after").await;
    let mut events = Events::of(again(&world, &last.id)).await;
    assert_eq!(until(&mut events, " and after").await.id, format!("{}:16:16", job.id));
    job.complete(Finish::Stop).await;
    assert_eq!(events.all().await.last().unwrap().data, "[DONE]");
    let status: Value =
        world.get(&format!("/v1/jobs/{}", job.id)).send().await.unwrap().json().await.unwrap();
    assert_eq!(status["status"], "completed", "nobody cancelled it: {status}");
}

#[tokio::test]
async fn a_stream_that_the_bus_lost_goes_on_unbroken() {
    let mut world = World::new().await;
    let (mut events, mut job) = begun(&mut world, "a long ").await;
    until(&mut events, "a long ").await;
    world.log.restart();
    world.log.ensure(&stream::tokens()).await.unwrap();
    job.publish_anew().await;
    job.write("story").await;
    until(&mut events, "story").await;
    job.complete(Finish::Stop).await;
    assert_eq!(text(&events.all().await), "");
}

#[tokio::test]
async fn only_by_the_account_that_has_the_job() {
    let mut world = World::new().await;
    let (events, job) = begun(&mut world, "mine").await;
    let id = format!("{}:1:1", job.id);
    for request in [
        again(&world, &id),
        world.get(&format!("/v1/jobs/{}/stream", job.id)),
        world.get(&format!("/v1/jobs/{}", job.id)),
        world.post(&format!("/v1/jobs/{}/cancel", job.id), &json!({})),
    ] {
        let request = request.build().unwrap();
        let mut stranger = request.try_clone().unwrap();
        stranger.headers_mut().insert("authorization", format!("Bearer {OTHER_KEY}").parse().unwrap());
        let answer = soon(reqwest::Client::new().execute(stranger)).await.unwrap();
        assert_eq!(answer.status(), 404, "{}", request.url());
        assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], "job_not_found");
    }
    drop(events);
}

#[tokio::test]
async fn not_by_nonsense() {
    let world = World::new().await;
    let unknown = soon(again(&world, "nojob:1:1").send()).await.unwrap();
    assert_eq!(unknown.status(), 404);
    let nonsense = soon(again(&world, "7").send()).await.unwrap();
    assert_eq!(nonsense.status(), 400);
    let other = world.get("/v1/jobs/a/stream").header("last-event-id", "b:1:1");
    assert_eq!(soon(other.send()).await.unwrap().status(), 400);
}

#[tokio::test]
async fn an_idempotency_key_is_one_job() {
    let mut world = World::new().await;
    let request = |world: &World| world.chat(&ask(json!({"seed": 1}))).header("idempotency-key", "k1").send();
    let first = tokio::spawn(request(&world));
    let mut job = world.backend.job().await;
    let second = tokio::spawn(request(&world));
    job.start().await;
    job.write("once").await;
    job.complete(Finish::Stop).await;
    let third = tokio::spawn(request(&world));
    for answer in [first, second, third] {
        let answer = soon(answer).await.unwrap().unwrap();
        assert_eq!(answer.headers()["x-lowland-job"], job.id.as_str());
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["choices"][0]["message"]["content"], "once");
    }
    assert_eq!(world.log.extent(stream::REQUESTS).await.unwrap().last, 1, "it was posted once");
}

#[tokio::test]
async fn an_idempotency_key_stands_for_one_body_and_one_account() {
    let mut world = World::new().await;
    let first = tokio::spawn(world.chat(&ask(json!({"seed": 1}))).header("idempotency-key", "k").send());
    let job = world.backend.job().await;
    let other_body = world.chat(&ask(json!({"seed": 2}))).header("idempotency-key", "k");
    let refused = soon(other_body.send()).await.unwrap();
    assert_eq!(refused.status(), 422);
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "idempotency_key_reused");
    let mut stranger = world.chat(&ask(json!({"seed": 1}))).header("idempotency-key", "k").build().unwrap();
    stranger.headers_mut().insert("authorization", format!("Bearer {OTHER_KEY}").parse().unwrap());
    let stranger = tokio::spawn(reqwest::Client::new().execute(stranger));
    let theirs = world.backend.job().await;
    assert_ne!(theirs.id, job.id);
    for job in [&job, &theirs] {
        job.start().await;
        job.complete(Finish::Stop).await;
    }
    assert_eq!(soon(first).await.unwrap().unwrap().status(), 200);
    assert_eq!(soon(stranger).await.unwrap().unwrap().status(), 200);
}
