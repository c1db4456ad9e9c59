//! Code and `schemas/` agree: the JSON Schemas and the AsyncAPI document are what the types make of them, no schema has
//! changed in a way that breaks readers, and bytes once written still mean the same.
//!
//! `LOWLAND_BLESS=1 cargo test -p lowland-events --test schemas` writes what is new. It never edits golden bytes, and never
//! writes a schema that breaks readers: such a change wants a new version and a step in `upcast.rs`.

mod asyncapi;
mod golden;
mod samples;

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use lowland_events::{
    Event,
    schema::{breaks, file_stem, json_schema},
};
use serde_json::Value;

/// The folder of schemas.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas")
}

/// Whether what is new is to be written.
fn blessing() -> bool {
    env::var_os("LOWLAND_BLESS").is_some()
}

/// Holds a generated file to the one in the tree; writes it if blessing.
fn hold(path: &Path, generated: &str) {
    if fs::read_to_string(path).is_ok_and(|committed| committed == generated) {
        return;
    }
    assert!(
        blessing(),
        "{} is not what the code makes; run: LOWLAND_BLESS=1 cargo test -p lowland-events --test schemas",
        path.display()
    );
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, generated).unwrap();
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

#[test]
fn schemas_are_what_the_types_say_and_break_no_reader() {
    for event_type in Event::types() {
        let path = folder().join(format!("{}.json", file_stem(event_type)));
        let schema = json_schema(event_type);
        if let Ok(committed) = fs::read_to_string(&path) {
            let found = breaks(&serde_json::from_str(&committed).unwrap(), &schema);
            assert!(
                found.is_empty(),
                "{}: {found:#?}\nmake a new version with a step in upcast.rs; if this version never left the house, delete \
                 its schema and its golden files, and bless",
                path.display()
            );
        }
        hold(&path, &pretty(&schema));
    }
}

#[test]
fn schemas_are_valid_and_take_every_sample() {
    for samples::Sample { variant, event } in samples::samples() {
        let event_type = event.event_type().unwrap();
        let validator = jsonschema::draft202012::new(&json_schema(event_type)).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&event.to_json()).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{} {variant}: {errors:?}", event_type.ce_type());
    }
}

#[test]
fn nothing_in_the_folder_is_forgotten() {
    let known: BTreeSet<String> =
        Event::types().map(|event_type| format!("{}.json", file_stem(event_type))).collect();
    let newest = |name: &str| {
        let stem = name.trim_end_matches(".json");
        let (of, version) = stem.rsplit_once(".v").unwrap();
        Event::types().any(|event_type| {
            format!("{}.{}", event_type.domain, event_type.name) == of
                && version.parse::<u16>().is_ok_and(|version| version < event_type.version)
        })
    };
    for file in fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".json") && !known.contains(&name) {
            assert!(newest(&name), "{name} is no schema of a type, nor of an earlier version");
        }
    }
}
