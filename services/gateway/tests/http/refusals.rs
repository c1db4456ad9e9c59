//! Requests that can't be served: each with its status and OpenAI's error object.

use lowland_events::job::ProblemCode;
use serde_json::{Value, json};

use crate::world::{World, ask, soon};

async fn refused(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = soon(request.send()).await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let error = body["error"].as_object().unwrap();
    assert_eq!(error.keys().collect::<Vec<_>>(), ["message", "type", "param", "code"]);
    assert!(!error["message"].as_str().unwrap().is_empty());
    (status, body["error"].clone())
}

#[tokio::test]
async fn keys_that_are_missing_or_unknown() {
    let world = World::new().await;
    let client = reqwest::Client::new();
    let url = world.url("/v1/models");
    for request in [
        client.get(&url),
        client.get(&url).bearer_auth("sk-unknown"),
        client.get(&url).bearer_auth(""),
        client.get(&url).basic_auth("acme", Some("sk-acme")),
        client.post(world.url("/v1/chat/completions")).body("not even json"),
    ] {
        let (status, error) = refused(request).await;
        assert_eq!((status, &error["code"]), (401, &json!("invalid_api_key")));
        assert!(!error.to_string().contains("sk-unknown"), "a key is never repeated: {error}");
    }
}

#[tokio::test]
async fn bodies_and_parameters_that_are_wrong() {
    let world = World::new().await;
    let raw = |body: &'static str| world.chat(&json!({})).body(body);
    for body in ["", "{", "[]", "{\"model\":\"m\",}", "\u{0}\u{1}"] {
        let (status, error) = refused(raw(body)).await;
        assert_eq!((status, &error["code"]), (400, &json!("invalid_json")), "{body:?}");
    }
    for (more, param) in [
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"n": 3}), "n"),
        (json!({"tools": [{}]}), "tools"),
        (json!({"response_format": {"type": "json_object"}}), "response_format"),
        (json!({"messages": []}), "messages"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            "messages[0].content[0].type",
        ),
    ] {
        let (status, error) = refused(world.chat(&ask(more))).await;
        assert_eq!((status, &error["param"]), (400, &json!(param)));
    }
}

#[tokio::test]
async fn addresses_and_methods_that_do_not_exist() {
    let world = World::new().await;
    let (status, error) = refused(world.get("/v1/nothing")).await;
    assert_eq!((status, &error["code"]), (404, &json!("unknown_url")));
    let (status, error) = refused(world.get("/v1/chat/completions")).await;
    assert_eq!((status, &error["code"]), (405, &json!("method_not_allowed")));
}

#[tokio::test]
async fn what_the_services_refuse() {
    let mut world = World::new().await;
    for (code, field, status, word, param) in [
        (ProblemCode::UnknownModel, Some("model"), 404, "model_not_found", json!("model")),
        (ProblemCode::InvalidRequest, Some("temperature"), 400, "invalid_value", json!("temperature")),
        (
            ProblemCode::InvalidRequest,
            Some("max_tokens"),
            400,
            "invalid_value",
            json!("max_completion_tokens"),
        ),
        (ProblemCode::ContextLengthExceeded, None, 400, "context_length_exceeded", Value::Null),
        (ProblemCode::InsufficientFunds, None, 402, "insufficient_quota", Value::Null),
        (ProblemCode::TooManyJobs, None, 429, "too_many_jobs", Value::Null),
        (ProblemCode::NoPrice, None, 503, "no_price", Value::Null),
    ] {
        let answer = world.chat(&ask(json!({"max_completion_tokens": 5})));
        let answer = tokio::spawn(refused(answer));
        world.backend.job().await.reject(code, field).await;
        let (given, error) = soon(answer).await.unwrap();
        assert_eq!((given, &error["code"], &error["param"]), (status, &json!(word), &param));
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_ask() {
    let world = World::new().await;
    let preflight = reqwest::Client::new()
        .request(reqwest::Method::OPTIONS, world.url("/v1/chat/completions"))
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,x-stainless-lang");
    let answer = soon(preflight.send()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let allowed = answer.headers()["access-control-allow-headers"].to_str().unwrap();
    assert!(allowed.contains("authorization") && allowed.contains("x-stainless-lang"), "{allowed}");
    let refused = world.get("/v1/nothing").header("origin", "https://app.example");
    let answer = soon(refused.send()).await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "*", "a page is to see errors too");
    assert!(answer.headers()["access-control-expose-headers"].to_str().unwrap().contains("x-lowland-job"));
}

#[tokio::test]
async fn only_pages_of_named_origins_where_that_is_set() {
    let world = World::with(|config| config.cors_origins = vec!["https://a.example".into()]).await;
    let asked = |origin: &'static str| world.get("/v1/models").header("origin", origin).send();
    let named = soon(asked("https://a.example")).await.unwrap();
    assert_eq!(named.headers()["access-control-allow-origin"], "https://a.example");
    let other = soon(asked("https://b.example")).await.unwrap();
    assert!(other.headers().get("access-control-allow-origin").is_none());
}
