//! The AsyncAPI document: as generated, whole, and valid.
//!
//! With `LOWLAND_ASYNCAPI_SCHEMA` naming a copy of AsyncAPI's own JSON Schema for 3.0.0 the document is held to that too.

use std::{env, fs};

use lowland_events::{
    Event, Filter,
    schema::{asyncapi, file_stem, yaml},
};
use serde_json::{Value, json};

use crate::{folder, hold};

#[test]
fn the_document_is_what_the_types_say() {
    hold(&folder().join("asyncapi.yaml"), &yaml(&asyncapi()));
}

#[test]
fn the_file_reads_as_the_document() {
    let read: Value = serde_norway::from_str(&yaml(&asyncapi())).unwrap();
    assert_eq!(read, asyncapi());
}

#[test]
fn every_reference_leads_somewhere() {
    let document = asyncapi();
    let files: Vec<String> =
        Event::types().map(|event_type| format!("./{}.json", file_stem(event_type))).collect();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > Event::types().count() * 4);
    for reference in found {
        match reference.strip_prefix('#') {
            Some(pointer) => assert!(document.pointer(pointer).is_some(), "{reference}"),
            None => assert!(files.contains(&reference), "{reference}"),
        }
    }
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                assert_eq!(fields.len(), 1, "nothing stands beside a reference");
                found.push(reference.clone());
            }
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_type_has_its_channel_operation_and_message() {
    let document = asyncapi();
    for section in ["/channels", "/operations", "/components/messages"] {
        assert_eq!(
            document.pointer(section).unwrap().as_object().unwrap().len(),
            Event::types().count(),
            "{section}"
        );
    }
    for event_type in Event::types() {
        let key = format!("{}_{}", event_type.domain, event_type.name);
        let channel = &document["channels"][&key];
        let address = channel["address"].as_str().unwrap();
        let mut filled = address.to_owned();
        for parameter in channel["parameters"].as_object().unwrap().keys() {
            let hole = format!("{{{parameter}}}");
            assert_eq!(address.matches(&hole).count(), 1, "{address} has {parameter} once");
            filled = filled.replace(&hole, "x1");
        }
        let subject: lowland_events::Subject = filled.parse().unwrap();
        assert_eq!(subject.domain(), event_type.domain);
        assert!(Filter::domain(event_type.domain).matches(&filled));
        let payload = document["components"]["messages"][&key]["payload"]["$ref"].as_str().unwrap();
        assert_eq!(payload, format!("./{}.json", file_stem(event_type)));
    }
}

#[test]
fn the_document_passes_asyncapis_own_schema() {
    let Some(path) = env::var_os("LOWLAND_ASYNCAPI_SCHEMA") else { return };
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let document = asyncapi();
    let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    for (path, wrong) in
        [("/channels/job_held/address", json!(7)), ("/operations/job_held/action", json!("shout"))]
    {
        let mut document = document.clone();
        *document.pointer_mut(path).unwrap() = wrong;
        assert!(!validator.is_valid(&document), "{path}");
    }
}
