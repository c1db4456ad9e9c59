//! Bounds: how large, how many.

use lowland_events::{job::Finish, log::memory::Faults};
use serde_json::{Value, json};

use crate::world::{OTHER_KEY, World, ask, soon};

#[tokio::test]
async fn an_account_has_so_many_requests_open() {
    let mut world = World::with(|config| config.account_requests_max = 1).await;
    let first = tokio::spawn(world.chat(&ask(json!({}))).send());
    let job = world.backend.job().await;
    let refused = soon(world.chat(&ask(json!({}))).send()).await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"1".parse().unwrap()));
    let error: Value = refused.json().await.unwrap();
    assert_eq!(error["error"]["type"], "rate_limit_error");
    let mut other = world.chat(&ask(json!({}))).build().unwrap();
    other.headers_mut().insert("authorization", format!("Bearer {OTHER_KEY}").parse().unwrap());
    let other = tokio::spawn(reqwest::Client::new().execute(other));
    let theirs = world.backend.job().await;
    for job in [&job, &theirs] {
        job.start().await;
        job.complete(Finish::Stop).await;
    }
    assert_eq!(soon(first).await.unwrap().unwrap().status(), 200);
    assert_eq!(soon(other).await.unwrap().unwrap().status(), 200);
    let after = tokio::spawn(world.chat(&ask(json!({}))).send());
    let job = world.backend.job().await;
    job.start().await;
    job.complete(Finish::Stop).await;
    assert_eq!(soon(after).await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn the_gateway_has_so_many_requests_open() {
    let mut world = World::with(|config| config.requests_max = 1).await;
    let first = tokio::spawn(world.chat(&ask(json!({}))).send());
    let job = world.backend.job().await;
    let refused = soon(world.chat(&ask(json!({}))).send()).await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    job.reject(lowland_events::job::ProblemCode::NoPlace, None).await;
    assert_eq!(soon(first).await.unwrap().unwrap().status(), 400);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_with_an_answer() {
    let world = World::with(|config| config.body_bytes_max = 1000).await;
    for size in [2_000, 2_000_000] {
        let refused = soon(world.chat(&ask(json!({"user": "x".repeat(size)}))).send()).await.unwrap();
        assert_eq!(refused.status(), 413);
        assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "body_too_large");
    }
    let parts = futures::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>("x".repeat(100))));
    let unannounced = world.get("/").build().unwrap();
    let request = reqwest::Client::new()
        .post(world.url("/v1/chat/completions"))
        .headers(unannounced.headers().clone())
        .body(reqwest::Body::wrap_stream(parts));
    assert_eq!(soon(request.send()).await.unwrap().status(), 413);
}

#[tokio::test]
async fn a_lost_acknowledgement_posts_once() {
    let mut world = World::new().await;
    world.log.inject(Faults { acks_lost: 1, ..Faults::default() });
    let answer = tokio::spawn(world.chat(&ask(json!({}))).send());
    let job = world.backend.job().await;
    job.start().await;
    job.complete(Finish::Stop).await;
    assert_eq!(soon(answer).await.unwrap().unwrap().status(), 200);
    let next = tokio::spawn(world.chat(&ask(json!({}))).send());
    assert_ne!(world.backend.job().await.id, job.id);
    next.abort();
}
