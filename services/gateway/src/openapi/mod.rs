//! The API's own description, OpenAPI 3.1. A test holds it to the table of routes.

mod paths;
mod schemas;

use serde_json::{Value, json};

/// The OpenAPI document.
#[must_use]
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lowland",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Inference that flows to where it is cheap.",
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [
            {"name": "OpenAI", "description": "What OpenAI's clients use, unchanged."},
            {"name": "Jobs", "description": "What every request becomes: look at it, take its stream up again, cancel it."},
            {"name": "Gateway", "description": "About the gateway itself."},
        ],
        "paths": paths::all(),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
            "headers": headers(),
            "parameters": parameters(),
            "responses": responses(),
            "schemas": schemas::all(),
        },
    })
}

const INTRODUCTION: &str = "\
An OpenAI-compatible API. Every request becomes a job, named in the response header `x-lowland-job`.\n\n\
**Resuming a stream.** Each event's `id` says what a client has: `<job>:<tokens>:<bytes of text>`. The same POST again \
with `Last-Event-ID`, or `GET /v1/jobs/{job}/stream` with it, goes on exactly there, also after the job has ended and \
after the gateway was restarted.\n\n\
**Going away.** A job whose caller goes away is cancelled at once, unless the caller announced that it may come back: \
by `x-lowland-resumable: true`, by an `Idempotency-Key`, or by having resumed with `Last-Event-ID`. Then it has ten \
seconds (or what the operator has set). Who merely looks on, by a GET that announces nothing, leaves without \
consequence.\n\n\
**Repeating.** Requests with the same `Idempotency-Key` are one job and one charge; each gets its result.";

fn headers() -> Value {
    json!({
        "Job": {"description": "The job.", "schema": {"type": "string"}},
        "TraceResponse": {"description": "The request's place in its trace (W3C): its second part is the id to search for.", "schema": {"type": "string"}},
        "RetryAfter": {"description": "Seconds after which a repetition makes sense.", "schema": {"type": "integer"}},
    })
}

fn parameters() -> Value {
    let header = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema});
    json!({
        "Resumable": header(
            "x-lowland-resumable",
            "`true`: the caller may come back, so its going away doesn't cancel the job at once.",
            json!({"type": "string", "enum": ["true", "false"]}),
        ),
        "IdempotencyKey": header(
            "Idempotency-Key",
            "Makes a repetition the same job.",
            json!({"type": "string", "minLength": 1, "maxLength": 255}),
        ),
        "LastEventId": header(
            "Last-Event-ID",
            "The id of the last event that the caller has; the stream goes on after it.",
            json!({"type": "string", "pattern": "^[A-Za-z0-9_-]+:[0-9]+:[0-9]+$"}),
        ),
        "Job": {
            "name": "job", "in": "path", "required": true, "description": "The job's id.",
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        },
        "Model": {
            "name": "model", "in": "path", "required": true, "description": "The model's id.",
            "schema": {"type": "string"},
        },
    })
}

/// Statuses that errors have, with what each means here.
const ERRORS: &[(&str, &str)] = &[
    ("BadRequest", "A parameter or the body is wrong, or the prompt does not fit the model's context."),
    ("Unauthorized", "No API key, or one that isn't known."),
    ("PaymentRequired", "The balance doesn't cover the most that the request could cost."),
    ("NotFound", "There is no such model, or the account has no such job."),
    ("Gone", "The job was cancelled."),
    ("TooLarge", "The body is too large."),
    ("Unprocessable", "The Idempotency-Key was used for another body."),
    ("TooMany", "Too many requests of this account are open; see Retry-After."),
    ("WorkerFailed", "The job was tried several times and given up."),
    ("Unavailable", "The event log can't be reached, or the gateway is full; see Retry-After."),
    ("Deadline", "The job was not done by its deadline."),
];

fn responses() -> Value {
    let entry = |(name, description): &(&str, &str)| {
        let mut response = json!({
            "description": description,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        });
        if matches!(*name, "TooMany" | "Unavailable") {
            response["headers"] = json!({"Retry-After": {"$ref": "#/components/headers/RetryAfter"}});
        }
        ((*name).to_owned(), response)
    };
    Value::Object(ERRORS.iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn exactly_the_routes_are_described() {
        let routes: BTreeSet<(String, String)> = crate::http::table()
            .into_iter()
            .map(|route| (route.path.to_owned(), route.method.as_str().to_lowercase()))
            .collect();
        let document = document();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                described.insert((path.clone(), method.clone()));
            }
        }
        assert_eq!(described, routes);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut found = 0;
        let mut rest = vec![&document];
        while let Some(value) = rest.pop() {
            match value {
                Value::Array(items) => rest.extend(items),
                Value::Object(fields) => {
                    if let Some(Value::String(reference)) = fields.get("$ref") {
                        found += 1;
                        let target = reference.strip_prefix('#').and_then(|path| document.pointer(path));
                        assert!(target.is_some(), "{reference}");
                    }
                    rest.extend(fields.values());
                }
                _ => {}
            }
        }
        assert!(found > 20, "{found}");
    }

    #[test]
    fn operations_are_named_once_and_path_parameters_declared() {
        let document = document();
        let mut names = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for operation in methods.as_object().unwrap().values() {
                assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()));
                let declared = operation["parameters"].to_string();
                for name in path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()) {
                    let reference = if name == "job" { "parameters/Job" } else { "parameters/Model" };
                    assert!(declared.contains(reference), "{path}: {name}");
                }
            }
        }
    }
}
