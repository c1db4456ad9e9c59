//! What goes in and comes out, as JSON Schema (2020-12, as OpenAPI 3.1 has it).

use serde_json::{Map, Value, json};

pub(super) fn all() -> Value {
    json!({
        "ChatRequest": request(json!({
            "messages": {"type": "array", "minItems": 1, "items": reference("Message")},
            "max_completion_tokens": whole(1, "Most tokens to write; what the model's context leaves, if absent."),
            "max_tokens": whole(1, "The same, by its older name."),
            "logprobs": {"type": ["boolean", "null"], "description": "Give the log probability of each token."},
            "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20,
                "description": "So many likeliest alternatives a token; needs `logprobs`."},
        }), &["model", "messages"]),
        "CompletionRequest": request(json!({
            "prompt": {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1, "maxItems": 1},
            "max_tokens": {"type": ["integer", "null"], "minimum": 1,
                "default": crate::translate::COMPLETION_TOKENS_DEFAULT},
            "logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20,
                "description": "Give the log probability of each token and of so many alternatives."},
        }), &["model", "prompt"]),
        "EmbeddingRequest": embedding_request(),
        "Message": message(),
        "ChatAnswer": answer("chat.completion", json!({
            "message": {
                "type": "object",
                "required": ["role", "content"],
                "properties": {
                    "role": {"const": "assistant"}, "content": {"type": "string"}, "refusal": {"type": "null"},
                },
            },
        })),
        "CompletionAnswer": answer("text_completion", json!({"text": {"type": "string"}})),
        "ChatChunk": chunk("chat.completion.chunk", json!({
            "delta": {
                "type": "object",
                "properties": {"role": {"const": "assistant"}, "content": {"type": "string"}, "refusal": {"type": "null"}},
            },
        })),
        "CompletionChunk": chunk("text_completion", json!({"text": {"type": "string"}})),
        "EmbeddingAnswer": embedding_answer(),
        "Usage": usage(),
        "Model": model(),
        "Job": job(),
        "Error": error(),
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn whole(minimum: u64, description: &str) -> Value {
    json!({"type": ["integer", "null"], "minimum": minimum, "description": description})
}

fn number(minimum: f64, maximum: f64, description: &str) -> Value {
    json!({"type": ["number", "null"], "minimum": minimum, "maximum": maximum, "description": description})
}

/// Merges the second object's fields into the first one's.
fn merged(mut first: Value, second: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (first.as_object_mut(), second) {
        fields.extend(more);
    }
    first
}

fn place_and_time() -> Value {
    json!({
        "regions": {"type": ["array", "null"], "items": {"type": "string"},
            "description": "Regions where the job may run; anywhere, if empty."},
        "deadline_ms": whole(1, "Time allowed from posting to the end, in milliseconds."),
    })
}

fn request(own: Value, required: &[&str]) -> Value {
    let shared = json!({
        "model": {"type": "string"},
        "temperature": number(0.0, 2.0, "0 always takes the likeliest token; default 1."),
        "top_p": number(0.0, 1.0, "Sample from the likeliest tokens that together have this probability."),
        "top_k": whole(0, "Sample from this many likeliest tokens; 0 for all."),
        "min_p": number(0.0, 1.0, "Leave out tokens less likely than this share of the likeliest one."),
        "repetition_penalty": number(0.0, 2.0, "Divides the logits of tokens seen before; 1 is off."),
        "presence_penalty": number(-2.0, 2.0, "Subtracted once from the logits of tokens already written."),
        "frequency_penalty": number(-2.0, 2.0, "Subtracted for each time a token was already written."),
        "seed": {"type": ["integer", "null"], "description": "Makes sampling repeatable."},
        "stop": {"type": ["string", "array", "null"], "items": {"type": "string"},
            "description": "Texts that end the output; they are not part of it."},
        "n": {"type": ["integer", "null"], "const": 1},
        "stream": {"type": ["boolean", "null"], "default": false},
        "stream_options": {
            "type": ["object", "null"],
            "properties": {"include_usage": {"type": ["boolean", "null"], "default": false}},
        },
    });
    let properties = merged(merged(shared, own), place_and_time());
    json!({"type": "object", "required": required, "properties": properties})
}

fn embedding_request() -> Value {
    let own = json!({
        "model": {"type": "string"},
        "input": {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1, "maxItems": 2048},
        "encoding_format": {"type": ["string", "null"], "enum": ["float", "base64", null], "default": "float"},
    });
    json!({"type": "object", "required": ["model", "input"], "properties": merged(own, place_and_time())})
}

fn message() -> Value {
    let part = json!({
        "type": "object",
        "required": ["type", "text"],
        "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
    });
    json!({
        "type": "object",
        "required": ["role", "content"],
        "properties": {
            "role": {"type": "string", "enum": ["system", "developer", "user", "assistant"]},
            "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": part}]},
            "name": {"type": "string"},
        },
    })
}

fn head(object: &str) -> Map<String, Value> {
    Map::from_iter([
        ("id".to_owned(), json!({"type": "string"})),
        ("object".to_owned(), json!({"const": object})),
        ("created".to_owned(), json!({"type": "integer"})),
        ("model".to_owned(), json!({"type": "string"})),
    ])
}

fn choice(own: Value, finish: Value) -> Value {
    let shared = json!({
        "index": {"type": "integer"},
        "logprobs": {"type": ["object", "null"]},
        "finish_reason": finish,
    });
    json!({"type": "object", "required": ["index", "finish_reason"], "properties": merged(shared, own)})
}

fn answer(object: &str, own: Value) -> Value {
    let mut properties = head(object);
    let choice = choice(own, json!({"enum": ["stop", "length"]}));
    properties
        .insert("choices".into(), json!({"type": "array", "minItems": 1, "maxItems": 1, "items": choice}));
    properties.insert("usage".into(), reference("Usage"));
    let required = ["id", "object", "created", "model", "choices", "usage"];
    json!({"type": "object", "required": required, "properties": properties})
}

fn chunk(object: &str, own: Value) -> Value {
    let mut properties = head(object);
    let choice = choice(own, json!({"enum": ["stop", "length", null]}));
    properties.insert("choices".into(), json!({"type": "array", "maxItems": 1, "items": choice}));
    properties.insert("usage".into(), json!({"anyOf": [reference("Usage"), {"type": "null"}]}));
    json!({"type": "object", "required": ["id", "object", "created", "model", "choices"], "properties": properties})
}

fn embedding_answer() -> Value {
    let vector = json!({
        "type": "object",
        "required": ["object", "index", "embedding"],
        "properties": {
            "object": {"const": "embedding"},
            "index": {"type": "integer"},
            "embedding": {"anyOf": [
                {"type": "array", "items": {"type": "number"}},
                {"type": "string", "contentEncoding": "base64"},
            ]},
        },
    });
    json!({
        "type": "object",
        "required": ["object", "data", "model", "usage"],
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": vector},
            "model": {"type": "string"},
            "usage": {
                "type": "object",
                "properties": {"prompt_tokens": {"type": "integer"}, "total_tokens": {"type": "integer"}},
            },
        },
    })
}

fn usage() -> Value {
    json!({
        "type": "object",
        "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
        "properties": {
            "prompt_tokens": {"type": "integer"},
            "completion_tokens": {"type": "integer"},
            "total_tokens": {"type": "integer"},
            "prompt_tokens_details": {
                "type": "object",
                "properties": {"cached_tokens": {"type": "integer"}},
            },
        },
    })
}

fn model() -> Value {
    json!({
        "type": "object",
        "required": ["id", "object", "created", "owned_by"],
        "properties": {
            "id": {"type": "string"},
            "object": {"const": "model"},
            "created": {"type": "integer"},
            "owned_by": {"type": "string"},
            "ability": {"type": "string", "enum": ["generate", "embed"]},
            "context_tokens": {"type": "integer"},
            "regions": {"type": "array", "items": {"type": "string"}},
            "instances": {"type": "integer"},
        },
    })
}

fn job() -> Value {
    json!({
        "type": "object",
        "required": ["id", "object", "status", "ended"],
        "properties": {
            "id": {"type": "string"},
            "object": {"const": "job"},
            "status": {"type": "string", "description": "The job's last event, or `posted` if it has none yet."},
            "ended": {"type": "boolean"},
            "kind": {"enum": ["chat", "completion", "embedding", null]},
            "model": {"type": ["string", "null"]},
            "created": {"type": ["integer", "null"]},
            "changed": {"type": ["integer", "null"]},
            "deadline": {"type": ["integer", "null"]},
            "attempts": {"type": "integer"},
            "worker": {"type": ["string", "null"]},
            "finish_reason": {"enum": ["stop", "length", null]},
            "usage": {"anyOf": [reference("Usage"), {"type": "null"}]},
            "problem": {
                "type": ["object", "null"],
                "properties": {
                    "code": {"type": "string"}, "message": {"type": "string"}, "field": {"type": "string"},
                },
            },
        },
    })
}

fn error() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {"error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }},
    })
}
