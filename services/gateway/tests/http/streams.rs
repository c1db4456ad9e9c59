//! Answers in pieces.

use std::time::Duration;

use lowland_events::job::{Expired, Failed, Finish, ProblemCode};
use lowland_events::{Time, meter::Usage};
use serde_json::{Value, json};

use crate::{
    backend::problem,
    events::{Events, text},
    world::{World, ask, soon},
};

#[tokio::test]
async fn a_chat_streams_as_openais_does() {
    let mut world = World::new().await;
    let body = ask(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let events = tokio::spawn(Events::of(world.chat(&body)));
    let mut job = world.backend.job().await;
    job.start().await;
    job.write("Héllo").await;
    job.write(" world").await;
    let mut events = soon(events).await.unwrap();
    assert_eq!(events.headers["x-lowland-job"], job.id.as_str());
    assert_eq!(events.headers["x-accel-buffering"], "no");
    let opening = events.next().await.unwrap();
    assert_eq!(
        opening.json()["choices"][0]["delta"],
        json!({"role": "assistant", "content": "", "refusal": null})
    );
    assert_eq!((opening.id, opening.data.contains("\"usage\":null")), (format!("{}:0:0", job.id), true));
    let mut shown = String::new();
    while shown.len() < "Héllo world".len() {
        let event = events.next().await.unwrap();
        shown.push_str(&event.text());
        assert_eq!(event.id, format!("{}:{}:{}", job.id, shown.chars().count(), shown.len()));
        assert_eq!(event.json()["created"], 1_700_000_000);
    }
    assert_eq!(shown, "Héllo world");
    job.complete(Finish::Stop).await;
    let rest = events.all().await;
    assert_eq!(rest.len(), 3);
    assert_eq!(
        rest[0].json()["choices"][0],
        json!({
            "index": 0, "delta": {}, "logprobs": null, "finish_reason": "stop",
        })
    );
    let usage = rest[1].json();
    assert_eq!((&usage["choices"], &usage["usage"]["completion_tokens"]), (&json!([]), &json!(11)));
    assert_eq!(rest[2].data, "[DONE]");
}

#[tokio::test]
async fn a_plain_completion_streams_text_and_logprobs() {
    let mut world = World::new().await;
    let body = json!({"model": "m", "prompt": "a", "stream": true, "logprobs": 1});
    let events = tokio::spawn(Events::of(world.post("/v1/completions", &body)));
    let mut job = world.backend.job().await;
    job.start().await;
    job.write("äb").await;
    let mut events = soon(events).await.unwrap();
    let first = events.next().await.unwrap().json();
    job.write("c").await;
    job.complete(Finish::Length).await;
    let rest = events.all().await;
    assert_eq!(first["choices"][0]["logprobs"]["text_offset"], json!([0, 1]));
    assert_eq!(rest[0].json()["choices"][0]["logprobs"]["text_offset"], json!([2]));
    assert_eq!(text(&rest), "c");
    assert!(rest.iter().all(|event| !event.data.contains("usage")));
    assert_eq!(rest.last().unwrap().data, "[DONE]");
}

#[tokio::test]
async fn what_fails_before_the_first_token_is_an_http_error() {
    let mut world = World::new().await;
    let answer = tokio::spawn(world.chat(&ask(json!({"stream": true}))).send());
    let job = world.backend.job().await;
    job.start().await;
    let failed = Failed {
        problem: problem(ProblemCode::ContextLengthExceeded, Some("messages")),
        attempts: 1,
        usage: Usage::default(),
    };
    job.happens("failed", failed).await;
    let answer = soon(answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 400);
    let error: Value = answer.json().await.unwrap();
    assert_eq!(
        (&error["error"]["code"], &error["error"]["param"]),
        (&json!("context_length_exceeded"), &json!("messages"))
    );
}

#[tokio::test]
async fn what_fails_later_is_an_event_after_all_that_was_written() {
    let mut world = World::new().await;
    let events = tokio::spawn(Events::of(world.chat(&ask(json!({"stream": true})))));
    let mut job = world.backend.job().await;
    job.start().await;
    job.write("some").await;
    let mut events = soon(events).await.unwrap();
    events.next().await.unwrap();
    job.write(" more").await;
    let usage = job.usage();
    job.happens("expired", Expired { deadline: Time(0), usage }).await;
    let rest = events.all().await;
    assert_eq!(text(&rest), "some more");
    let last = rest.last().unwrap().json();
    assert_eq!(
        (&last["error"]["code"], &last["error"]["type"]),
        (&json!("deadline_exceeded"), &json!("server_error"))
    );
}

#[tokio::test]
async fn a_silent_stream_sends_headers_and_comments() {
    let mut world = World::with(|config| {
        config.headers_within = Duration::from_millis(20);
        config.keep_alive = Duration::from_millis(20);
    })
    .await;
    let events = tokio::spawn(Events::of(world.chat(&ask(json!({"stream": true})))));
    let mut job = world.backend.job().await;
    let mut events = soon(events).await.unwrap();
    assert_eq!(events.next().await.unwrap().id, format!("{}:0:0", job.id));
    events.comment().await;
    job.start().await;
    job.write("at last").await;
    job.complete(Finish::Stop).await;
    assert_eq!(text(&events.all().await), "at last");
}

#[tokio::test]
async fn a_slow_reader_holds_up_nobody_and_loses_nothing() {
    const RECORDS: usize = 3000;
    let mut world = World::new().await;
    let piece = "x".repeat(4096);
    let slow = tokio::spawn(world.chat(&ask(json!({"stream": true}))).send());
    let mut job = world.backend.job().await;
    job.start().await;
    job.write_as_one("begin ").await;
    let slow = soon(slow).await.unwrap().unwrap();
    for index in 0..RECORDS {
        job.write_as_one(&format!("{index}{piece}")).await;
    }
    let quick = tokio::spawn(world.chat(&ask(json!({}))).send());
    let mut other = world.backend.job().await;
    other.start().await;
    other.write("quick").await;
    other.complete(Finish::Stop).await;
    assert_eq!(soon(quick).await.unwrap().unwrap().status(), 200);
    let failed =
        Failed { problem: problem(ProblemCode::WorkerFailed, None), attempts: 1, usage: job.usage() };
    job.happens("failed", failed).await;
    let body = soon(slow.text()).await.unwrap();
    assert!(
        world.figure(r#"lowland_bounds_hit_total{bound="mailbox"}"#) > 0,
        "the reader was slow enough to matter"
    );
    let shown: String = body
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str::<Value>(data).unwrap())
        .map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned())
        .collect();
    let wanted: String =
        std::iter::once("begin ".to_owned()).chain((0..RECORDS).map(|i| format!("{i}{piece}"))).collect();
    assert!(shown == wanted, "{} bytes of {}", shown.len(), wanted.len());
    assert!(body.lines().rfind(|line| !line.is_empty()).unwrap().contains("\"worker_failed\""));
}
