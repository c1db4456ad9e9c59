//! What other languages need to know of our events: a JSON Schema for each version, and an AsyncAPI document, both made
//! from the types themselves.

mod asyncapi;
mod compatible;
mod yaml;

pub use asyncapi::asyncapi;
pub use compatible::breaks;
pub use yaml::yaml;

use schemars::{Schema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::event::EventType;

/// Name of a type's files: `job.submitted.v1`.
#[must_use]
pub fn file_stem(event_type: &EventType) -> String {
    format!("{}.{}.v{}", event_type.domain, event_type.name, event_type.version)
}

/// The JSON Schema (draft 2020-12) of a type's body.
#[must_use]
pub fn json_schema(event_type: &EventType) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let body: Schema = (event_type.schema)(&mut generator);
    let definitions: Map<String, Value> = generator.take_definitions(true);
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("$id".to_owned(), json!(format!("urn:lowland:event:{}", file_stem(event_type))));
    schema.insert("title".to_owned(), json!(event_type.ce_type()));
    if let Value::Object(body) = Value::from(body) {
        schema.extend(body.into_iter().filter(|(key, _)| key != "title" && key != "$schema"));
    }
    if !definitions.is_empty() {
        schema.insert("$defs".to_owned(), Value::Object(definitions));
    }
    Value::Object(schema)
}
