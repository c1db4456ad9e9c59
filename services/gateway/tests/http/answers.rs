//! Answers in one piece, and the list of models.

use lowland_events::{instance::Ability, job::Finish};
use serde_json::{Value, json};

use crate::world::{World, ask, soon};

#[tokio::test]
async fn a_chat_is_answered_whole() {
    let mut world = World::new().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = world.chat(&ask(json!({"max_completion_tokens": 9, "logprobs": true})));
    let answer = tokio::spawn(request.header("traceparent", trace).send());
    let mut job = world.backend.job().await;
    assert_eq!((job.account.as_str(), job.posted.model.as_str()), ("acme", "m"));
    assert_eq!((job.posted.max_tokens, job.posted.logprobs), (Some(9), Some(0)));
    assert_eq!(job.traceparent.as_deref(), Some(trace));
    job.start().await;
    job.write("ab").await;
    job.complete(Finish::Length).await;
    let answer = soon(answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-lowland-job"], job.id.as_str());
    assert_eq!(answer.headers()["x-request-id"], job.id.as_str());
    let token = |text: &str, byte: u8| {
        let top = json!({"token": text, "logprob": -0.5, "bytes": [byte]});
        json!({"token": text, "logprob": -0.5, "bytes": [byte], "top_logprobs": [top]})
    };
    assert_eq!(
        answer.json::<Value>().await.unwrap(),
        json!({
            "id": format!("chatcmpl-{}", job.id), "object": "chat.completion", "created": 1_700_000_000,
            "model": "m",
            "choices": [{
                "index": 0, "finish_reason": "length",
                "message": {"role": "assistant", "content": "ab", "refusal": null},
                "logprobs": {"content": [token("a", 97), token("b", 98)], "refusal": null},
            }],
            "usage": {
                "prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 2},
            },
        })
    );
}

#[tokio::test]
async fn a_text_is_continued() {
    let mut world = World::new().await;
    let body = json!({"model": "m", "prompt": "Once", "max_tokens": 3});
    let answer = tokio::spawn(world.post("/v1/completions", &body).send());
    let mut job = world.backend.job().await;
    assert_eq!(job.posted.prompt.as_deref(), Some("Once"));
    job.start().await;
    job.write(" upon").await;
    job.complete(Finish::Stop).await;
    let answer: Value = soon(answer).await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer["choices"][0]["text"], " upon");
    assert_eq!(
        (&answer["id"], &answer["object"]),
        (&json!(format!("cmpl-{}", job.id)), &json!("text_completion"))
    );
}

#[tokio::test]
async fn models_come_with_their_instances() {
    let world = World::new().await;
    world.backend.offer("m", Ability::Generate).await;
    world.backend.offer("e", Ability::Embed).await;
    let list = soon(async {
        loop {
            let list: Value = world.get("/v1/models").send().await.unwrap().json().await.unwrap();
            if list["data"].as_array().unwrap().len() == 2 {
                return list;
            }
        }
    })
    .await;
    assert_eq!((&list["object"], &list["data"][0]["id"]), (&json!("list"), &json!("e")));
    let one: Value = world.get("/v1/models/m").send().await.unwrap().json().await.unwrap();
    assert_eq!((&one["object"], &one["ability"]), (&json!("model"), &json!("generate")));
    let none = world.get("/v1/models/x").send().await.unwrap();
    assert_eq!(none.status(), 404);
    let error: Value = none.json().await.unwrap();
    assert_eq!(error["error"]["code"], "model_not_found");
    assert!(error["error"]["message"].as_str().unwrap().contains("e, m"), "{error}");
}

#[tokio::test]
async fn what_is_open_to_all() {
    let world = World::new().await;
    let client = reqwest::Client::new();
    let healthz = client.get(world.url("/healthz")).send().await.unwrap();
    assert_eq!((healthz.status().as_u16(), healthz.text().await.unwrap().as_str()), (200, "ok\n"));
    let document: Value = client.get(world.url("/openapi.json")).send().await.unwrap().json().await.unwrap();
    assert_eq!(document, lowland_gateway::openapi::document());
    let page = client.get(world.url("/")).send().await.unwrap();
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert!(page.text().await.unwrap().contains("<h1>Lowland</h1>"));
}
