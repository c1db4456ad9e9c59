//! The routes, as OpenAPI describes them.

use serde_json::{Map, Value, json};

pub(super) fn all() -> Value {
    json!({
        "/": {"get": open("page", "A page for people", "text/html")},
        "/healthz": {"get": open("healthz", "Whether the process runs", "text/plain")},
        "/openapi.json": {"get": open("openapi", "This document", "application/json")},
        "/v1/models": {"get": list_models()},
        "/v1/models/{model}": {"get": one_model()},
        "/v1/chat/completions": {"post": generate("createChatCompletion", "Continue a conversation", "Chat")},
        "/v1/completions": {"post": generate("createCompletion", "Continue a text", "Completion")},
        "/v1/embeddings": {"post": embeddings()},
        "/v1/jobs/{job}": {"get": status()},
        "/v1/jobs/{job}/stream": {"get": stream()},
        "/v1/jobs/{job}/cancel": {"post": cancel()},
    })
}

/// Something that anybody may see.
fn open(id: &str, summary: &str, media: &str) -> Value {
    json!({
        "operationId": id,
        "summary": summary,
        "tags": ["Gateway"],
        "security": [],
        "responses": {"200": {"description": summary, "content": {media: {"schema": {}}}}},
    })
}

/// What goes well with `status`, and the errors that may come instead.
fn responses(status: &str, well: Value, errors: &[(&str, &str)]) -> Value {
    let mut all = Map::from_iter([(status.to_owned(), well)]);
    let always = [("401", "Unauthorized"), ("429", "TooMany"), ("503", "Unavailable")];
    for (status, name) in errors.iter().chain(&always) {
        all.insert((*status).to_owned(), json!({"$ref": format!("#/components/responses/{name}")}));
    }
    Value::Object(all)
}

fn schema(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn parameter(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

fn well(description: &str, content: Value) -> Value {
    json!({
        "description": description,
        "headers": {
            "x-lowland-job": {"$ref": "#/components/headers/Job"},
            "traceresponse": {"$ref": "#/components/headers/TraceResponse"},
        },
        "content": content,
    })
}

/// What may go wrong with a job.
const JOB_ERRORS: &[(&str, &str)] = &[
    ("400", "BadRequest"),
    ("402", "PaymentRequired"),
    ("404", "NotFound"),
    ("410", "Gone"),
    ("413", "TooLarge"),
    ("422", "Unprocessable"),
    ("502", "WorkerFailed"),
    ("504", "Deadline"),
];

fn generate(id: &str, summary: &str, kind: &str) -> Value {
    let content = json!({
        "application/json": {"schema": schema(&format!("{kind}Answer"))},
        "text/event-stream": {"schema": schema(&format!("{kind}Chunk"))},
    });
    json!({
        "operationId": id,
        "summary": summary,
        "tags": ["OpenAI"],
        "parameters": [parameter("Resumable"), parameter("IdempotencyKey"), parameter("LastEventId")],
        "requestBody": {
            "required": true,
            "content": {"application/json": {"schema": schema(&format!("{kind}Request"))}},
        },
        "responses": responses(
            "200",
            well("The answer; with `stream`, events whose data is a chunk, ended by `[DONE]`.", content),
            JOB_ERRORS,
        ),
    })
}

fn embeddings() -> Value {
    let content = json!({"application/json": {"schema": schema("EmbeddingAnswer")}});
    json!({
        "operationId": "createEmbedding",
        "summary": "Turn texts into vectors",
        "tags": ["OpenAI"],
        "parameters": [parameter("Resumable"), parameter("IdempotencyKey")],
        "requestBody": {
            "required": true,
            "content": {"application/json": {"schema": schema("EmbeddingRequest")}},
        },
        "responses": responses("200", well("One vector a text, in order.", content), JOB_ERRORS),
    })
}

fn list_models() -> Value {
    json!({
        "operationId": "listModels",
        "summary": "Models that are there now",
        "tags": ["OpenAI"],
        "responses": responses("200", json!({
            "description": "The models.",
            "content": {"application/json": {"schema": {
                "type": "object",
                "required": ["object", "data"],
                "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": schema("Model")}},
            }}},
        }), &[]),
    })
}

fn one_model() -> Value {
    let content = json!({"application/json": {"schema": schema("Model")}});
    json!({
        "operationId": "retrieveModel",
        "summary": "One model",
        "tags": ["OpenAI"],
        "parameters": [parameter("Model")],
        "responses": responses("200", json!({"description": "The model.", "content": content}), &[("404", "NotFound")]),
    })
}

fn status() -> Value {
    let content = json!({"application/json": {"schema": schema("Job")}});
    json!({
        "operationId": "retrieveJob",
        "summary": "What became of a job",
        "tags": ["Jobs"],
        "parameters": [parameter("Job")],
        "responses": responses("200", json!({"description": "The job.", "content": content}), &[("404", "NotFound")]),
    })
}

fn stream() -> Value {
    let include_usage = json!({
        "name": "include_usage", "in": "query", "required": false,
        "description": "Whether a last chunk without choices tells the usage.",
        "schema": {"type": "boolean", "default": false},
    });
    let chunk = json!({"anyOf": [schema("ChatChunk"), schema("CompletionChunk")]});
    let content = json!({"text/event-stream": {"schema": chunk}});
    json!({
        "operationId": "streamJob",
        "summary": "A job's stream, from its beginning or after `Last-Event-ID`",
        "tags": ["Jobs"],
        "parameters": [parameter("Job"), parameter("LastEventId"), parameter("Resumable"), include_usage],
        "responses": responses("200", well("Events whose data is a chunk, ended by `[DONE]`.", content), JOB_ERRORS),
    })
}

fn cancel() -> Value {
    let answer = json!({
        "type": "object",
        "required": ["id", "object", "cancel_requested"],
        "properties": {
            "id": {"type": "string"}, "object": {"const": "job"}, "cancel_requested": {"const": true},
        },
    });
    let content = json!({"application/json": {"schema": answer}});
    json!({
        "operationId": "cancelJob",
        "summary": "Ask for a job's end; what it wrote until then is charged",
        "tags": ["Jobs"],
        "parameters": [parameter("Job")],
        "responses": responses("202", json!({"description": "Asked for.", "content": content}), &[("404", "NotFound")]),
    })
}
