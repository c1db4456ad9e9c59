//! The AsyncAPI 3.0 document: every event with its subject, its headers and its body, from Lowland's point of view.

use serde_json::{Map, Value, json};

use super::file_stem;
use crate::{
    envelope::{CONTENT_TYPE_MSGPACK, header},
    event::{Event, EventType},
    id::ID_BYTES_MAX,
    subject::{Domain, LIVE, ROOT},
};

/// Jobs' events that are addressed to a worker, whose id ends their subject.
const ADDRESSED: [&str; 2] = ["assigned", "cancel_requested"];

/// The document. Bodies refer to the schemas' files beside it.
#[must_use]
pub fn asyncapi() -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Lowland events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!(
                "Every event of Lowland, on NATS JetStream. What a stream has stored it publishes again with `{LIVE}` in \
                 place of `{ROOT}`, for plain subscribers."
            ),
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": CONTENT_TYPE_MSGPACK,
        "servers": {
            "local": {
                "host": "127.0.0.1:4222",
                "protocol": "nats",
                "description": "The NATS server that `lowland up` starts.",
            },
        },
        "channels": table(channel),
        "operations": table(operation),
        "components": {
            "messages": table(message),
            "messageTraits": { "envelope": { "headers": headers() } },
        },
    })
}

fn table(row: fn(&EventType) -> Value) -> Map<String, Value> {
    Event::types().map(|event_type| (key(event_type), row(event_type))).collect()
}

fn key(event_type: &EventType) -> String {
    format!("{}_{}", event_type.domain, event_type.name)
}

/// Names of the third and fourth token.
fn tokens(domain: Domain) -> (&'static str, &'static str) {
    match domain {
        Domain::Request | Domain::Job | Domain::Token => ("account", "job"),
        Domain::Instance => ("model", "instance"),
        Domain::Account => ("account", "same_account"),
        Domain::Metric => ("service", "instance"),
    }
}

fn channel(event_type: &EventType) -> Value {
    let domain = event_type.domain;
    let (scope, aggregate) = tokens(domain);
    let mut parameters = vec![scope, aggregate];
    let mut last = event_type.name.to_owned();
    if domain == Domain::Token {
        parameters.push("attempt");
        last = "{attempt}".to_owned();
    } else if domain == Domain::Job && ADDRESSED.contains(&event_type.name) {
        parameters.push("worker");
        last.push_str(".{worker}");
    }
    let described =
        parameters.into_iter().map(|name| (name.to_owned(), json!({ "description": about(name) })));
    json!({
        "address": format!("{ROOT}.{domain}.{{{scope}}}.{{{aggregate}}}.{last}"),
        "messages": { "event": { "$ref": format!("#/components/messages/{}", key(event_type)) } },
        "parameters": described.collect::<Map<_, _>>(),
    })
}

fn about(parameter: &str) -> String {
    let what = match parameter {
        "account" => "The customer's account.",
        "same_account" => "The account once more: it is its own aggregate.",
        "job" => "The job, unique within its account; of a top-up, its id.",
        "model" => "The model.",
        "instance" => "The process, or the loading of a model; never used twice.",
        "service" => "The kind of service.",
        "worker" => "The worker that it is addressed to.",
        _ => return "The attempt's number, from 1.".to_owned(),
    };
    format!("{what} 1 to {ID_BYTES_MAX} of the characters A-Z a-z 0-9 - _.")
}

fn operation(event_type: &EventType) -> Value {
    let asked = event_type.domain == Domain::Request && event_type.name != "rejected";
    let channel = format!("#/channels/{}", key(event_type));
    json!({
        "action": if asked { "receive" } else { "send" },
        "channel": { "$ref": channel },
        "messages": [{ "$ref": format!("{channel}/messages/event") }],
    })
}

fn message(event_type: &EventType) -> Value {
    json!({
        "name": event_type.ce_type(),
        "contentType": CONTENT_TYPE_MSGPACK,
        "traits": [{ "$ref": "#/components/messageTraits/envelope" }],
        "payload": { "$ref": format!("./{}.json", file_stem(event_type)) },
    })
}

/// CloudEvents' attributes and our own; nothing is required of a request from outside.
fn headers() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "properties": {
            header::MESSAGE_ID: text("The event's id, by which the server drops what is sent twice."),
            header::SPEC_VERSION: text("CloudEvents: 1.0."),
            header::ID: text("CloudEvents: the event's id, a UUID."),
            header::TYPE: text("CloudEvents: the type with its version, the message's name here."),
            header::SOURCE: text("CloudEvents: the process that wrote it."),
            header::TIME: text("CloudEvents: when it was decided, RFC 3339."),
            header::SUBJECT: text("CloudEvents: what it is about, scope and aggregate."),
            header::CONTENT_TYPE: text("Media type of the body; requests may be application/json."),
            header::CORRELATION: text("The job that the event belongs to."),
            header::CAUSATION: text("Id of the event that led to it."),
            header::TRACEPARENT: text("W3C trace context."),
        },
    })
}
