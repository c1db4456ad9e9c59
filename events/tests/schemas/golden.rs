//! Golden bytes: every type's sample as it was first written, decoded by this build and compared with what it meant then.

use std::{collections::BTreeSet, fs, path::PathBuf};

use bytes::Bytes;
use lowland_events::{Domain, Event, schema::file_stem};
use serde_json::Value;

use crate::{blessing, folder, pretty, samples::samples};

/// A golden file's name, taken apart.
struct Name {
    domain: Domain,
    event: String,
    version: u16,
}

impl Name {
    /// Reads `<domain>.<name>.v<version>[.<variant>].msgpack`.
    fn of(path: &std::path::Path) -> Self {
        let name = path.file_name().unwrap().to_str().unwrap();
        let parts: Vec<&str> = name.split('.').collect();
        let domain = Domain::ALL.into_iter().find(|domain| domain.as_str() == parts[0]);
        Self {
            domain: domain.unwrap_or_else(|| panic!("{name}: no such domain")),
            event: parts[1].to_owned(),
            version: parts[2].trim_start_matches('v').parse().unwrap(),
        }
    }

    fn is_current(&self) -> bool {
        Event::types().any(|event_type| {
            (event_type.domain, event_type.name, event_type.version)
                == (self.domain, self.event.as_str(), self.version)
        })
    }
}

fn golden_files() -> Vec<PathBuf> {
    let files = fs::read_dir(folder().join("golden")).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "msgpack")).collect();
    files.sort();
    files
}

/// Writes the samples that have no golden file yet; one that exists is never touched.
fn bless() {
    fs::create_dir_all(folder().join("golden")).unwrap();
    for sample in samples() {
        let mut name = file_stem(sample.event.event_type().unwrap());
        if !sample.variant.is_empty() {
            name = format!("{name}.{}", sample.variant);
        }
        let path = folder().join("golden").join(format!("{name}.msgpack"));
        if !path.exists() {
            fs::write(&path, sample.event.encode()).unwrap();
            fs::write(path.with_extension("json"), pretty(&sample.event.to_json())).unwrap();
        }
    }
}

#[test]
fn golden_bytes_still_mean_what_they_meant() {
    if blessing() {
        bless();
    }
    for path in golden_files() {
        let name = Name::of(&path);
        let body = Bytes::from(fs::read(&path).unwrap());
        let event = Event::decode(name.domain, &name.event, name.version, &body)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!matches!(event, Event::Unknown(_)), "{}: its type is no longer known", path.display());
        if name.is_current() {
            let meant: Value =
                serde_json::from_str(&fs::read_to_string(path.with_extension("json")).unwrap()).unwrap();
            let means = event.to_json();
            assert!(holds(&means, &meant), "{}: meant {meant:#}, means {means:#}", path.display());
        }
    }
}

#[test]
fn every_type_and_sample_has_golden_bytes() {
    if blessing() {
        bless();
    }
    let files = golden_files();
    let names: BTreeSet<&str> =
        files.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    for event_type in Event::types() {
        let name = format!("{}.msgpack", file_stem(event_type));
        assert!(
            names.contains(name.as_str()),
            "schemas/golden/{name} is missing: add a sample, then run: LOWLAND_BLESS=1 cargo test -p lowland-events --test schemas"
        );
    }
}

#[test]
fn samples_survive_the_codec() {
    for sample in samples() {
        let event_type = sample.event.event_type().unwrap();
        let body = sample.event.encode();
        let read = Event::decode(event_type.domain, event_type.name, event_type.version, &body).unwrap();
        assert_eq!(read, sample.event);
        let json = Bytes::from(sample.event.to_json().to_string());
        let has_bytes = body.windows(2).any(|pair| pair[0] == 0xc4);
        if !has_bytes {
            let read = Event::decode(event_type.domain, event_type.name, event_type.version, &json).unwrap();
            assert_eq!(read, sample.event, "as JSON");
        }
    }
}

/// Whether `all` holds everything that is in `some`: fields may have come since.
fn holds(all: &Value, some: &Value) -> bool {
    match (all, some) {
        (Value::Object(all), Value::Object(some)) => {
            some.iter().all(|(key, some)| all.get(key).is_some_and(|all| holds(all, some)))
        }
        (Value::Array(all), Value::Array(some)) => {
            all.len() == some.len() && all.iter().zip(some).all(|(all, some)| holds(all, some))
        }
        _ => all == some,
    }
}

#[test]
fn holding_is_told_from_differing() {
    let meant = serde_json::json!({"a": [{"b": 1}]});
    assert!(holds(&serde_json::json!({"a": [{"b": 1, "c": 2}], "d": 3}), &meant));
    assert!(!holds(&serde_json::json!({"a": [{"b": 2}]}), &meant));
    assert!(!holds(&serde_json::json!({"a": []}), &meant));
    assert!(!holds(&serde_json::json!({}), &meant));
}
